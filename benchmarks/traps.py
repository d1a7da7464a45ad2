"""Measures what a trap costs: CPU until its event is durable, and how many per second
one core can receive without loss. Debian's snmptrapd, logging to a file, gets the same
traps at the same rate in the same run.

    python -m benchmarks.traps
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.process_cpu import process_cpu_s
from collectors.estate import Device, Estate, Site
from collectors.journal import Journal, JournalConfig, JournalReader
from collectors.server_measurements import CATALOGUE
from collectors.snmp import credential
from collectors.snmp.session import ber, v3_message
from collectors.snmp.traps import TrapReceiver, TrapsConfig, trap_message

PACED, PER_S = 20_000, 4_000
BURST = 20_000
SEALED = 5_000
_USER = credential(
    "bench",
    {"user": "bench", "auth_password": "authpassword", "priv_password": "privpassword"},
)
_PLAIN = credential("plain", {"community": "public"})
_ESTATE = Estate(
    sites=(Site(id="s", name="S"),),
    devices=(Device(id="bench", site="s", address="127.0.0.1"),),  # type: ignore[arg-type]
)
_IF = "1.3.6.1.2.1.2.2.1"


class _NoPolls:
    def poll_soon(self, device: str, health: bool = False) -> bool:
        return False

    def port_name(self, device: str, if_index: int) -> str | None:
        return f"Gi1/0/{if_index}"


def run() -> dict[str, float]:
    """The figures by name; names end in their unit."""
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _add_figures(
            figures, "towpath_v2c", _measure_towpath(folder / "a", "v2c", PACED, PER_S)
        )
        _add_figures(
            figures, "towpath_v3", _measure_towpath(folder / "b", "v3", SEALED, 1_000)
        )
        burst = _measure_towpath(folder / "c", "v2c", BURST, 0)
        figures["towpath_burst_traps_per_s"] = burst["taken_per_s"]
        figures["towpath_burst_lost"] = burst["lost"]
        if shutil.which("snmptrapd"):
            _add_figures(
                figures, "snmptrapd_v2c", _measure_snmptrapd(folder, PACED, PER_S)
            )
            figures["cpu_to_snmptrapd_ratio"] = (
                figures["towpath_v2c_cpu_us"] / figures["snmptrapd_v2c_cpu_us"]
            )
    for figure, value in figures.items():
        print(f"{figure:36} {value:>12,.3f}")
    return figures


def _add_figures(
    figures: dict[str, float], who: str, trap_figures: dict[str, float]
) -> None:
    figures[f"{who}_cpu_us"] = trap_figures["cpu_us"]
    figures[f"{who}_traps_per_core_s"] = 1e6 / trap_figures["cpu_us"]
    figures[f"{who}_lost"] = trap_figures["lost"]


def _measure_towpath(
    folder: Path, kind: str, count: int, per_s: int
) -> dict[str, float]:
    return asyncio.run(_received(folder, kind, count, per_s))


async def _received(
    folder: Path, kind: str, count: int, per_s: int
) -> dict[str, float]:
    """Receiver and journal in this process, the sender in another."""
    config = TrapsConfig(host="127.0.0.1", port=0)
    journal = Journal(JournalConfig(folder=folder), "poll", CATALOGUE)
    async with journal:
        receiver = TrapReceiver(
            config, lambda: _ESTATE, [_USER, _PLAIN], journal, _NoPolls()
        )
        async with receiver:
            spent_s = time.process_time()
            with _sender(receiver.inbox.port, kind, count, per_s) as sender:
                await asyncio.to_thread(sender.stdout.readline)  # type: ignore[union-attr]
                begun_s = time.monotonic()
                spent_s = time.process_time()
                sender.stdin.write(b"\n")  # type: ignore[union-attr]
                sender.stdin.flush()  # type: ignore[union-attr]
                # Traps that have not arrived twelve seconds after the last one are
                # lost.
                last_s, last_counted, taken_s = time.monotonic(), -1, 0.0
                while receiver.stats.counted < count:
                    if not taken_s and receiver.stats.accepted >= count:
                        taken_s = time.monotonic() - begun_s
                    if receiver.stats.counted != last_counted:
                        last_s, last_counted = time.monotonic(), receiver.stats.counted
                    if time.monotonic() - last_s > 12:
                        break
                    await asyncio.sleep(0.02)
            spent_s = time.process_time() - spent_s
            counted = receiver.stats.counted
            assert counted + receiver.inbox.lost <= count + 1
    durable = 0
    async with JournalReader(folder, "bench") as reading:
        while (chunk := await reading.read(wait_s=0.2)) is not None:
            durable += sum(sum(batch.field("count")) for batch in chunk.batches)  # type: ignore[arg-type]
    assert durable == counted, (durable, counted)
    return {
        "cpu_us": 1e6 * spent_s / max(1, counted),
        "lost": float(count - counted),
        # Repeats wait some seconds for the row that counts them.
        "taken_per_s": count / taken_s if taken_s else 0.0,
    }


def _measure_snmptrapd(folder: Path, count: int, per_s: int) -> dict[str, float]:
    """Runs snmptrapd with a community and numeric output, one line per trap in a
    file."""
    log, settings = folder / "traps.log", folder / "snmptrapd.conf"
    settings.write_text("authCommunity log public\n")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = ["snmptrapd", "-f", "-On", "-Lf", str(log), "-C", "-c", str(settings)]
    env = {**os.environ, "MIBS": "", "SNMP_PERSISTENT_DIR": str(folder / "kept")}
    listen = [*command, "-F", "%B %v\\n", f"udp:127.0.0.1:{port}"]
    with subprocess.Popen(listen, env=env, stderr=subprocess.DEVNULL) as process:
        try:
            time.sleep(1.0)
            before_s = process_cpu_s(process.pid)
            with _sender(port, "v2c", count, per_s) as sender:
                sender.stdout.readline()  # type: ignore[union-attr]
                sender.stdin.write(b"\n")  # type: ignore[union-attr]
                sender.stdin.flush()  # type: ignore[union-attr]
                sender.wait()
            counted, last_s = 0, time.monotonic()
            while counted < count and time.monotonic() - last_s < 3:
                time.sleep(0.2)
                now = log.read_bytes().count(b".1.3.6.1.2.1.2.2.1.1.")
                if now != counted:
                    counted, last_s = now, time.monotonic()
            spent_s = process_cpu_s(process.pid) - before_s
        finally:
            process.terminate()
    return {
        "cpu_us": 1e6 * spent_s / max(1, counted),
        "lost": float(count - counted),
    }


@contextlib.contextmanager
def _sender(
    port: int, kind: str, count: int, per_s: int
) -> Iterator[subprocess.Popen[bytes]]:
    """Starts the sender. It prints a line when it is ready, and sends after reading
    one."""
    arguments = ["--send", str(port), kind, str(count), str(per_s)]
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.traps", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def send(port: int, kind: str, count: int, per_s: int) -> None:
    """Sends link traps of 48 ports, all different; `per_s` 0: as fast as possible."""
    dice = random.Random(kind)
    made = [_trap(kind, n, dice.randrange(1, 49)) for n in range(count)]
    print("ready", flush=True)
    sys.stdin.readline()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.connect(("127.0.0.1", port))
        begun_s = time.monotonic()
        for n, datagram in enumerate(made):
            out.send(datagram)
            if per_s and n % 20 == 19:
                time.sleep(max(0.0, begun_s + n / per_s - time.monotonic()))


def _trap(kind: str, number: int, port: int) -> bytes:
    binds = (
        (trap_message.SYS_UP_TIME, ber.integer(number, ber.TICKS)),
        (
            trap_message.SNMP_TRAP_OID,
            ber.oid(f"{trap_message.SNMP_TRAPS}.{3 + number % 2}"),
        ),
        (f"{_IF}.1.{port}", ber.integer(port)),
        (f"{_IF}.2.{port}", ber.octets(f"GigabitEthernet1/0/{port}")),
        (f"{_IF}.7.{port}", ber.integer(1)),
        (f"{_IF}.8.{port}", ber.integer(1 + number % 2)),
    )
    listed = b"".join(ber.tlv(ber.SEQUENCE, ber.oid(n) + v) for n, v in binds)
    pdu = ber.tlv(
        trap_message.TRAP_V2,
        ber.integer(number) + ber.integer(0) * 2 + ber.tlv(ber.SEQUENCE, listed),
    )
    if kind == "v2c":
        return trap_message.encode_message(trap_message.V2C, b"public", pdu)
    engine_id = b"\x80\0\0\0\x05bench"
    inside = v3_message.encode_scoped(engine_id, b"", pdu)
    engine = v3_message.EngineTime(engine_id, 1, 100)
    return v3_message.encode(number, engine, b"bench", inside, _USER, True)


if __name__ == "__main__":
    if "--send" in sys.argv:
        send(int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
    else:
        run()
