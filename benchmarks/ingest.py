"""Reports per second made durable, through HTTPS and through a real mosquitto.

The server is a process of its own (uvloop where there is one), once with the real
journal and once with an `Append` that keeps nothing, which says what the server costs
by itself. A report has five results. The sender shares the machine: the figures are
lower bounds. Latency is at 5,000 reports/s, offered evenly whatever the answers do.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import aiomqtt
import msgspec
from services import free_port

from collectors.ingest.broker import BrokerFiles, mosquitto_text
from collectors.ingest.certificate import make_certificates
from collectors.ingest.config import (
    BrokerConfig,
    HttpsConfig,
    IngestConfig,
    LimitsConfig,
    MqttConfig,
    RegistryConfig,
)
from collectors.ingest.double import NullAppend
from collectors.ingest.https import HttpsIngest
from collectors.ingest.mqtt import MqttIngest
from collectors.ingest.registry import Registry
from collectors.journal import Append, Journal, JournalConfig
from collectors.measurements import CATALOGUE
from probes.failure import Outcome
from probes.report import (
    ACKS_TOPIC,
    REPORTS_TOPIC,
    Credential,
    Enrolment,
    Receipt,
    Report,
    Result,
    Whereabouts,
)
from probes.sample import Value

_AGENTS = 8
_LINES_EACH = 4
_PER_BODY = 50
_SECONDS = 5.0
_OFFERED_PER_S = 5000


def run() -> dict[str, Any]:
    """The figures, also printed as a table."""
    figures: dict[str, Any] = {"reports_per_body": _PER_BODY, "results_per_report": 5}
    broker = shutil.which("mosquitto", path="/usr/bin:/usr/sbin:/usr/local/sbin")
    for kind in ("null", "journal"):
        with tempfile.TemporaryDirectory(prefix="towpath-bench-") as name:
            folder = Path(name)
            figures[kind] = _measure(folder, kind, broker)
            for label, value in figures[kind].items():
                print(f"  {kind:8} {label:32} {value:>12,.1f}", flush=True)
    if broker is None:
        print("  mqtt: not measured, mosquitto is not installed")
    return figures


def _measure(folder: Path, kind: str, broker: str | None) -> dict[str, float]:
    tls = make_certificates(folder / "tls")
    secret = folder / "own-password"
    secret.write_text("own")
    port = free_port()
    mqtt = MqttConfig(port=port, tls=False, password_file=secret)
    config = IngestConfig(
        registry=RegistryConfig(path=folder / "agents.sqlite", key_file=folder / "key"),
        https=HttpsConfig(
            host="127.0.0.1",
            port=0,
            certificate=tls.certificate,
            private_key=tls.private_key,
        ),
        mqtt=None if broker is None else mqtt,
        limits=LimitsConfig(reports_per_s=1e6, reports_burst=10_000_000),
        aside=folder / "aside",
    )
    files = BrokerConfig(password_file=folder / "passwords", acl_file=folder / "acl")
    with Registry(config.registry) as registry:
        agents = [_enrol(registry, n) for n in range(_AGENTS)]
        BrokerFiles(files, mqtt, registry).write()
    (folder / "ingest.json").write_text(config.model_dump_json())
    trust = ssl.create_default_context(cafile=str(tls.authority))
    with contextlib.ExitStack() as stack:
        if broker is not None:
            stack.enter_context(_mosquitto(broker, folder, port, files))
        https_port = stack.enter_context(_server(folder, kind))
        found = asyncio.run(_https(https_port, trust, agents))
        if broker is not None:
            found |= asyncio.run(_mqtt(port, agents))
    return found


def _enrol(registry: Registry, number: int) -> Credential:
    now_ms = time.time_ns() // 1_000_000
    token = registry.make_token("bench", 1, 1, now_ms)
    return registry.enrol(Enrolment(token, f"laptop-{number}"), now_ms)


def _bodies(
    agent: str, per_body: int = _PER_BODY, at_s: int = 10_000
) -> Iterator[bytes]:
    """Bodies without end, each report with an id and times of its own."""
    at_ms = time.time_ns() // 1_000_000 - at_s * 1000
    number = 0
    call: dict[str, Value] = {
        "rtt_ms": 31.5,
        "jitter_ms": 2.25,
        "loss_ratio": 0.01,
        "mos_estimated": 4.1,
    }
    web: dict[str, Value] = {
        "connect_ms": 20.5,
        "tls_ms": 41.0,
        "first_byte_ms": 80.25,
        "status": 200,
    }
    while True:
        reports = []
        for _ in range(per_body):
            number += 1
            now_ms = at_ms + number
            results = (
                Result("call_path", 1, now_ms, Outcome.OK, "hq", call, 90_000),
                Result("name_lookup", 1, now_ms, Outcome.OK, "dns", {"lookup_ms": 9.5}),
                Result("web", 1, now_ms, Outcome.OK, "mail", web, 6_000),
                Result("web", 1, now_ms, Outcome.TIMEOUT, "maps"),
                Result("vpn", 1, now_ms, Outcome.OK, "", {"up": 1}),
            )
            here = Whereabouts("home", "", "wifi", "up")
            reports.append(
                Report(1, f"b{at_s}-{number}", agent, now_ms, "bench 1", here, results)
            )
        yield msgspec.json.encode(reports)


class _Line:
    """One kept-alive HTTPS connection of one agent, as cheap as can be."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        who: Credential,
    ) -> None:
        self._reader, self._writer = reader, writer
        pair = base64.b64encode(f"{who.agent}:{who.secret}".encode()).decode()
        self._head = (
            "POST /v1/reports HTTP/1.1\r\nHost: bench\r\n"
            f"Authorization: Basic {pair}\r\nContent-Length: %d\r\n\r\n"
        )

    async def post(self, body: bytes) -> Receipt:
        self._writer.write((self._head % len(body)).encode() + body)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        answer = await self._reader.readexactly(length)
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"{head!r} {answer!r}")
        return msgspec.json.decode(answer, type=Receipt)

    def close(self) -> None:
        self._writer.close()


@contextlib.asynccontextmanager
async def _lines(
    port: int, trust: ssl.SSLContext, agents: list[Credential]
) -> AsyncIterator[list[_Line]]:
    lines = []
    for who in agents:
        pair = await asyncio.open_connection("127.0.0.1", port, ssl=trust)
        lines.append(_Line(*pair, who))
    try:
        yield lines
    finally:
        for line in lines:
            line.close()


async def _https(
    port: int, trust: ssl.SSLContext, agents: list[Credential]
) -> dict[str, float]:
    sources = [_bodies(who.agent) for who in agents]
    made = [[next(source) for _ in range(120)] for source in sources]
    async with _lines(port, trust, agents) as lines:
        counted = 0

        async def pour(line: _Line, bodies: list[bytes]) -> None:
            nonlocal counted
            for body in bodies:
                receipt = await line.post(body)
                counted += len(receipt.accepted)
                if time.monotonic() > end_s:
                    return

        begun_s = time.monotonic()
        end_s = begun_s + _SECONDS
        await asyncio.gather(*map(pour, lines, made))
        per_s = counted / (time.monotonic() - begun_s)

        per_line_s = _PER_BODY * len(lines) / _OFFERED_PER_S
        taken_ms: list[float] = []
        fresh = [[next(source) for _ in range(60)] for source in sources]

        async def drip(number: int, line: _Line) -> None:
            due_s = time.monotonic() + per_line_s * number / len(lines)
            for body in fresh[number]:
                await asyncio.sleep(max(0.0, due_s - time.monotonic()))
                await line.post(body)
                # From when it was due: a late start is the server's doing too.
                taken_ms.append((time.monotonic() - due_s) * 1000)
                due_s += per_line_s

        await asyncio.gather(*(drip(n, line) for n, line in enumerate(lines)))
    # Many laptops with little each: their commits are shared, if they come together.
    many = agents * _LINES_EACH
    async with _lines(port, trust, many) as lines:
        single = [
            list(islice(_bodies(who.agent, 1, 30_000 + 2_000 * n), 400))
            for n, who in enumerate(many)
        ]
        counted, begun_s = 0, time.monotonic()
        end_s = begun_s + _SECONDS
        await asyncio.gather(*map(pour, lines, single))
        single_per_s = counted / (time.monotonic() - begun_s)
    taken_ms.sort()
    return {
        "https reports/s": per_s,
        "https requests/s, 1 report each": single_per_s,
        "https p50 ms at 5,000/s": taken_ms[len(taken_ms) // 2],
        "https p99 ms at 5,000/s": taken_ms[int(len(taken_ms) * 0.99)],
    }


async def _mqtt(port: int, agents: list[Credential]) -> dict[str, float]:
    counts = [0] * len(agents)

    async def laptop(number: int, who: Credential) -> None:
        bodies = list(islice(_bodies(who.agent, at_s=20_000), 100))
        window = asyncio.Semaphore(8)
        async with aiomqtt.Client(
            "127.0.0.1", port, username=who.agent, password=who.secret
        ) as client:
            client.pending_calls_threshold = 100
            await client.subscribe(f"{ACKS_TOPIC}/{who.agent}", qos=1)

            async def hear() -> None:
                async for message in client.messages:
                    receipt = msgspec.json.decode(message.payload, type=Receipt)
                    counts[number] += len(receipt.accepted)
                    window.release()

            hearing = asyncio.create_task(hear())
            for body in bodies:
                if time.monotonic() > end_s:
                    break
                await asyncio.wait_for(window.acquire(), 30)
                await client.publish(f"{REPORTS_TOPIC}/{who.agent}", body, qos=1)
            for _ in range(8):
                await asyncio.wait_for(window.acquire(), 30)
            hearing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await hearing

    begun_s = time.monotonic()
    end_s = begun_s + _SECONDS
    await asyncio.gather(*(laptop(n, who) for n, who in enumerate(agents)))
    return {"mqtt reports/s": sum(counts) / (time.monotonic() - begun_s)}


@contextlib.contextmanager
def _mosquitto(
    program: str, folder: Path, port: int, files: BrokerConfig
) -> Iterator[None]:
    conf = folder / "mosquitto.conf"
    conf.write_text(
        f"listener {port} 127.0.0.1\nuser root\n{mosquitto_text(files)}"
        f"persistence true\npersistence_location {folder}/\n"
    )
    with (folder / "mosquitto.log").open("wb") as log:
        process = subprocess.Popen([program, "-c", str(conf)], stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            process.wait(10)


@contextlib.contextmanager
def _server(folder: Path, kind: str) -> Iterator[int]:
    command = [sys.executable, "-m", "benchmarks.ingest", "serve", kind, str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if line.startswith("{"):
                yield int(json.loads(line)["port"])
                return
        raise RuntimeError("the server did not start")
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()


async def _serve(kind: str, folder: Path) -> None:
    config = IngestConfig.model_validate_json((folder / "ingest.json").read_text())
    async with contextlib.AsyncExitStack() as stack:
        append: Append = NullAppend()
        if kind == "journal":
            settings = JournalConfig(folder=folder / "journal")
            append = await stack.enter_async_context(
                Journal(settings, "ingest", CATALOGUE)
            )
        registry = stack.enter_context(Registry(config.registry))
        https = HttpsIngest(config, registry, append)
        await stack.enter_async_context(https)
        if config.mqtt is not None:
            mqtt = MqttIngest(config, registry, append)
            await stack.enter_async_context(mqtt)
            while not mqtt.connected:  # noqa: ASYNC110 (a few times, at the start)
                await asyncio.sleep(0.05)
        print(json.dumps({"port": https.port}), flush=True)
        await asyncio.Event().wait()


def _serve_forever(kind: str, folder: Path) -> None:
    try:
        import uvloop
    except ImportError:
        asyncio.run(_serve(kind, folder))
    else:
        uvloop.run(_serve(kind, folder))


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        _serve_forever(sys.argv[2], Path(sys.argv[3]))
    else:
        run()
