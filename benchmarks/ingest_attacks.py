"""Measures how an attack affects honest laptops: response times and failures, and the
server's memory and CPU.

100 laptops on kept connections send a report per second each. Four times a second
another one connects, reports and disconnects. The limits are the defaults. After ten
seconds without an attack (the baseline), each attack runs for the same time against a
fresh server, from 127.0.0.2 and its neighbours, in a separate process on the same
machine.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
import random
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import psutil

from benchmarks.ingest_fleet import (
    Fleet,
    LaptopConnection,
    Running,
    connect,
    make_fleet,
    read_fleet,
    server,
    some_bodies,
)
from collectors.file_limit import raise_file_limit
from probes.wire.report import MAX_BODY_BYTES, AgentCredential

_KEPT, _NEWCOMERS = 100, 400
_SECONDS = 10.0
_TIMEOUT_S = 10.0
_SOURCES = tuple(f"127.0.0.{number}" for number in range(2, 6))

Attack = Callable[["_Target"], Awaitable[None]]


def run() -> dict[str, Any]:
    """The figures, also printed as a table."""
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="towpath-bench-") as name:
        fleet = make_fleet(Path(name), _KEPT + _NEWCOMERS + 4)
        print(f"  {'':26} {'kept ms':>17} {'new ms':>17} {'failed':>8}  server")
        print(f"  {'attack':26} {'p50':>8} {'p99':>8} {'p50':>8} {'p99':>8}")
        for attack in ("none", *ATTACKS):
            with server(fleet) as running:
                result = asyncio.run(_measure(attack, fleet, running))
            figures[attack] = result
            print(
                f"  {attack:26}"
                f" {result['kept_p50_ms']:8.1f} {result['kept_p99_ms']:8.1f}"
                f" {result['new_p50_ms']:8.1f} {result['new_p99_ms']:8.1f}"
                f" {result['failed']:4.0f}/{result['asked']:<5.0f}"
                f" {result['cpu_share']:5.0%} CPU {result['peak_mb']:5.0f} MB",
                flush=True,
            )
    return figures


async def _measure(attack: str, fleet: Fleet, running: Running) -> dict[str, float]:
    kept = [
        await connect(running.port, fleet.trust, who) for who in fleet.laptops[:_KEPT]
    ]
    attacker = None
    if attack != "none":
        command = [sys.executable, "-m", "benchmarks.ingest_attacks", attack]
        attacker = await asyncio.create_subprocess_exec(
            *command,
            str(fleet.folder),
            str(running.port),
            stdout=asyncio.subprocess.PIPE,
        )
        assert attacker.stdout is not None
        await attacker.stdout.readline()
    try:
        return await _measure_honest(fleet, running, kept)
    finally:
        if attacker is not None:
            attacker.terminate()
            await attacker.wait()
        for line in kept:
            line.close()


async def _measure_honest(
    fleet: Fleet, running: Running, kept: list[LaptopConnection]
) -> dict[str, float]:
    kept_ms: list[float] = []
    new_ms: list[float] = []
    failed = asked = 0
    peak_mb = 0.0

    async def send_report(line: LaptopConnection, body: bytes) -> None:
        status, _ = await line.ask(body)
        if status != 200:
            raise OSError(f"status {status}")

    async def timed(ms: list[float], due_s: float, what: Awaitable[None]) -> None:
        nonlocal failed, asked
        asked += 1
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                await what
        except (OSError, EOFError, TimeoutError):
            failed += 1
        else:
            ms.append((time.monotonic() - due_s) * 1000)

    async def keep_reporting(number: int) -> None:
        who = fleet.laptops[number]
        due_s = time.monotonic() + number / _KEPT
        for body in some_bodies(who.agent, 1, 30_000, round(_SECONDS)):
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            await timed(kept_ms, due_s, send_report(kept[number], body))
            due_s += 1.0

    async def visit(who: AgentCredential) -> None:
        (body,) = some_bodies(who.agent, 3, 30_000, 1)
        line = await connect(running.port, fleet.trust, who)
        try:
            await send_report(line, body)
        finally:
            line.close()

    async def send_newcomers() -> None:
        visits = []
        begun_s = time.monotonic()
        for number in range(round(_SECONDS * 4)):
            due_s = begun_s + number / 4
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            who = fleet.laptops[_KEPT + number % _NEWCOMERS]
            visits.append(asyncio.create_task(timed(new_ms, due_s, visit(who))))
        await asyncio.gather(*visits)

    async def watch() -> None:
        nonlocal peak_mb
        while True:
            peak_mb = max(peak_mb, running.usage.rss_mb())
            await asyncio.sleep(0.2)

    watching = asyncio.create_task(watch())
    cpu_s, begun_s = running.usage.cpu_s(), time.monotonic()
    await asyncio.gather(send_newcomers(), *map(keep_reporting, range(_KEPT)))
    cpu_share = (running.usage.cpu_s() - cpu_s) / (time.monotonic() - begun_s)
    watching.cancel()
    return {
        "kept_p50_ms": _percentile(kept_ms, 50),
        "kept_p99_ms": _percentile(kept_ms, 99),
        "new_p50_ms": _percentile(new_ms, 50),
        "new_p99_ms": _percentile(new_ms, 99),
        "asked": asked,
        "failed": failed,
        "cpu_share": cpu_share,
        "peak_mb": peak_mb,
    }


def _percentile(values: list[float], percent: int) -> float:
    """Nearest rank; NaN if there is no value."""
    if not values:
        return float("nan")
    return sorted(values)[max(0, -(-len(values) * percent // 100) - 1)]


class _Target:
    """The target of an attack; `laptop` is one that the attacker controls."""

    def __init__(self, fleet: Fleet, port: int) -> None:
        self.fleet, self.port = fleet, port
        self.laptop = fleet.laptops[-1]

    async def tls(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await self._open(ssl=self.fleet.trust)

    async def tcp(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await self._open()

    async def _open(
        self, **how: Any
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        source = random.choice(_SOURCES)
        return await asyncio.open_connection(
            "127.0.0.1", self.port, local_addr=(source, 0), **how
        )


async def _repeat(what: Callable[[], Awaitable[None]], at_once: int) -> None:
    """Repeats `what` for ever, `at_once` in parallel, also after the server hangs
    up."""

    async def one() -> None:
        while True:
            with contextlib.suppress(OSError, EOFError):
                await what()
            await asyncio.sleep(0)

    await asyncio.gather(*(one() for _ in range(at_once)))


def _bodies_of(content: bytes, headers: str = "") -> Attack:
    """An attack by an enrolled laptop that sends this body as fast as it can."""

    async def attack(target: _Target) -> None:
        async def send() -> None:
            line = await connect(
                target.port, target.fleet.trust, target.laptop, _SOURCES[0]
            )
            try:
                while True:
                    await line.ask(content, headers)
            finally:
                line.close()

        await _repeat(send, 4)

    return attack


def _requests_of(request: bytes) -> Attack:
    """An attack by strangers who send a request after each answer, on 20
    connections."""

    async def attack(target: _Target) -> None:
        async def send() -> None:
            reader, writer = await target.tls()
            try:
                while True:
                    writer.write(request)
                    head = await reader.readuntil(b"\r\n\r\n")
                    size = head.lower().split(b"content-length:")[1].split(b"\r\n")[0]
                    await reader.readexactly(int(size))
            finally:
                writer.close()

        await _repeat(send, 20)

    return attack


async def _idle(target: _Target) -> None:
    """4,200 connections that send one request and then idle; reopened if closed."""

    async def rest() -> None:
        reader, writer = await target.tls()
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        while await reader.read(4_096):
            pass
        writer.close()

    await _spread(rest, 4_200)


async def _silent(target: _Target) -> None:
    """4,000 TCP connections that never send anything."""

    async def rest() -> None:
        reader, writer = await target.tcp()
        await reader.read(1)
        writer.close()

    await _spread(rest, 4_000)


async def _slow(target: _Target) -> None:
    """1,500 requests that send their head one byte at a time."""

    async def drip() -> None:
        _, writer = await target.tls()
        for byte in b"GET /healthz HTTP/1.1\r\nHost: " + b"x" * 1_000:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(1)

    await _spread(drip, 1_500)


async def _spread(what: Callable[[], Awaitable[None]], count: int) -> None:
    async def one(number: int) -> None:
        # About 800 a second: as fast as this machine opens connections.
        await asyncio.sleep(number / 800)
        await _repeat(what, 1)

    await asyncio.gather(*map(one, range(count)))


async def _handshakes(target: _Target) -> None:
    """Completes TLS handshakes and hangs up, as fast as it can."""

    async def shake() -> None:
        _, writer = await target.tls()
        writer.close()

    await _repeat(shake, 40)


_MEMBER = gzip.compress(b"", mtime=0)
_WRONG = base64.b64encode(b"somebody:something")
ATTACKS: dict[str, Attack] = {
    "gzip members": _bodies_of(
        _MEMBER * (MAX_BODY_BYTES // len(_MEMBER)), "Content-Encoding: gzip\r\n"
    ),
    "a gzip bomb": _bodies_of(
        gzip.compress(bytes(500_000_000)), "Content-Encoding: gzip\r\n"
    ),
    "junk bodies": _bodies_of(b"[" * 900_000),
    "idle keep-alives": _idle,
    "silent TCP": _silent,
    "slow heads": _slow,
    "handshakes": _handshakes,
    "wrong secrets": _requests_of(
        b"GET /v1/policy HTTP/1.1\r\nHost: x\r\n"
        b"Authorization: Basic %s\r\n\r\n" % _WRONG
    ),
    "junk enrolments": _requests_of(
        b"POST /v1/enrol HTTP/1.1\r\nHost: x\r\nContent-Length: 35\r\n\r\n"
        b'{"token":"junk-12345","device":"a"}'
    ),
}


async def _attack(name: str, folder: Path, port: int) -> None:
    raise_file_limit()
    # The attacker must not take the server's core: it should use the second one.
    psutil.Process().nice(5)
    attacking = asyncio.create_task(
        _as_task(ATTACKS[name](_Target(read_fleet(folder), port)))
    )
    await asyncio.sleep(0.5)
    print("attacking", flush=True)
    # Ends by itself if nobody stops it.
    await asyncio.wait([attacking], timeout=4 * _SECONDS)


async def _as_task(attack: Awaitable[None]) -> None:
    await attack


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(_attack(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
    else:
        run()
