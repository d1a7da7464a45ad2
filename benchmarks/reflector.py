"""Measures the reflector's capacity: ndt7 in both directions on loopback, with and
without TLS, iperf3 in the same run, and STAMP packets reflected per second.

    python -m benchmarks.reflector
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import multiprocessing.connection
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from collectors.reflector import ReflectorConfig, ReflectorService
from probes.measure import bandwidth
from probes.wire import ndt7, stamp
from probes.wire.sample import Value

SECONDS = 3.0
# Each figure, the peer's too, is the best of this many rounds, because other work on
# the machine can only make it worse.
ROUNDS = 2
COSTS = ("_ns_per_octet", "_us_per_packet")
IN_FLIGHT = 32
_NO_LIMIT = 1e9


def run() -> dict[str, float]:
    """The figures by name; names end in their unit."""
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        made = certificate(Path(name))
        for _ in range(ROUNDS):
            measured_now = _ndt7("ndt7", None) | _iperf3() | _stamp()
            if made is not None:
                measured_now |= _ndt7("ndt7_tls", made)
            for figure, value in measured_now.items():
                best = min if figure.endswith(COSTS) else max
                figures[figure] = best(figures.get(figure, value), value)
    if "iperf3_down_bps" in figures:
        for way in ("down", "up"):
            ratio = figures[f"ndt7_{way}_bps"] / figures[f"iperf3_{way}_bps"]
            figures[f"ndt7_{way}_to_iperf3_ratio"] = ratio
    for figure, value in figures.items():
        print(f"{figure:32} {value:>18,.3f}")
    return figures


def _ndt7(name: str, certificate: Path | None) -> dict[str, float]:
    with run_reflector(certificate) as (_pid, _stamp_port, web_port):
        started_s = time.process_time()
        result = measure_ndt7(web_port, certificate, SECONDS)
        client_s = time.process_time() - started_s
    octets = sum(result.values()) * SECONDS / 8
    return {
        f"{name}_down_bps": result["down"],
        f"{name}_up_bps": result["up"],
        f"{name}_client_cpu_ns_per_octet": client_s * 1e9 / octets,
    }


def measure_ndt7(
    port: int, certificate: Path | None, seconds: float = ndt7.SECONDS
) -> dict[str, float]:
    """Results of our client with an ndt7 server on this machine: bit/s `down` and
    `up`."""
    result = asyncio.run(
        bandwidth.measure(
            f"{'wss' if certificate else 'ws'}://127.0.0.1:{port}",
            now_ms=lambda: 0,
            budget_bytes=10**13,
            seconds=seconds,
            verify=False,
        )
    )
    assert result.outcome == "ok", result
    return {way: _number(result.values[f"{way}_bps"]) for way in ("down", "up")}


def _iperf3() -> dict[str, float]:
    program = shutil.which("iperf3")
    if program is None:
        return {}
    figures = {}
    for way, reverse in (("down", ["-R"]), ("up", [])):
        with socket.create_server(("127.0.0.1", 0)) as free_socket:
            port = str(free_socket.getsockname()[1])
        server = subprocess.Popen(
            [program, "-s", "-1", "-B", "127.0.0.1", "-p", port],
            stdout=subprocess.DEVNULL,
        )
        time.sleep(0.5)
        done = subprocess.run(
            [
                program,
                "-c",
                "127.0.0.1",
                "-p",
                port,
                "-J",
                "-t",
                str(SECONDS),
                *reverse,
            ],
            capture_output=True,
            check=True,
            timeout=60,
        )
        server.wait(20)
        received = json.loads(done.stdout)["end"]["sum_received"]
        figures[f"iperf3_{way}_bps"] = float(received["bits_per_second"])
    return figures


def _stamp() -> dict[str, float]:
    """Sends voice-sized packets as fast as they come back, IN_FLIGHT at a time."""
    with (
        run_reflector(None) as (pid, stamp_port, _web_port),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as caller,
    ):
        caller.connect(("127.0.0.1", stamp_port))
        caller.settimeout(1.0)
        packet = stamp.request(0, 0, 1, tlvs=stamp.request_tlvs(172, 46))
        for _ in range(IN_FLIGHT):
            caller.send(packet)
        count, before_s, started_s = 0, _cpu_s(pid), time.monotonic()
        while time.monotonic() - started_s < SECONDS:
            caller.recv(2048)
            caller.send(packet)
            count += 1
        used_s = _cpu_s(pid) - before_s
    figures = {"stamp_packets_per_s": count / SECONDS}
    if used_s:
        figures["stamp_cpu_us_per_packet"] = used_s * 1e6 / count
    return figures


@contextlib.contextmanager
def run_reflector(
    certificate: Path | None, seconds: float = SECONDS
) -> Iterator[tuple[int, int, int]]:
    """Starts a reflector in a separate process; yields (pid, STAMP port, web port). Its
    tests last `seconds`."""
    parent_end, child_end = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_reflect, args=(child_end, certificate, seconds)
    )
    process.start()
    try:
        stamp_port, web_port = parent_end.recv()
        assert process.pid is not None
        yield process.pid, stamp_port, web_port
    finally:
        parent_end.send("over")
        process.join(20)


def _reflect(
    pipe: multiprocessing.connection.Connection,
    certificate: Path | None,
    seconds: float,
) -> None:
    import uvloop

    config = ReflectorConfig(
        addresses=("127.0.0.1",),
        stamp_port=0,
        web_port=0,
        source_packets_per_s=_NO_LIMIT,
        packets_per_s=_NO_LIMIT,
        access="open",
        tests_bps=1e12,
        tls_certificate=certificate,
        tls_key=certificate,
    )

    async def serve() -> None:
        async with ReflectorService(config, test_seconds=seconds) as reflector:
            pipe.send((reflector.stamp_port, reflector.web_port))
            await asyncio.to_thread(pipe.recv)

    uvloop.run(serve())


def certificate(folder: Path) -> Path | None:
    """Makes certificate and key in one file; None without openssl."""
    program, made = shutil.which("openssl"), folder / "both.pem"
    if program is None:
        return None
    command = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1"
    command += f" -subj /CN=localhost -keyout {made} -out {folder / 'cert.pem'}"
    subprocess.run([program, *command.split()], check=True, capture_output=True)
    with made.open("ab") as both:
        both.write((folder / "cert.pem").read_bytes())
    return made


def _cpu_s(pid: int) -> float:
    import psutil

    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def _number(value: Value) -> float:
    assert isinstance(value, int | float)
    return float(value)


if __name__ == "__main__":
    run()
