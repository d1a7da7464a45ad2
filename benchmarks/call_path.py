"""Measures what a run of the call path costs the laptop, and how precisely it sends;
irtt in the same run if it is installed.

    python -m benchmarks.call_path
"""

from __future__ import annotations

import asyncio
import resource
import shutil
import socket
import statistics
import subprocess
import time

from benchmarks.reflector import run_reflector
from probes.measure import call_path, packet_stream
from probes.wire.path_probes import CALL_PACKETS, CALL_PATH, VOICE_BYTES
from probes.wire.policy import ReflectorAt

INTERVAL_MS = call_path.INTERVAL_MS
CADENCE_S = CALL_PATH.measurement.period_s


def run() -> dict[str, float]:
    """The figures by name; names end in their unit."""
    with run_reflector(None) as (_pid, stamp_port, _web_port):
        figures = _cost(stamp_port)
        figures |= _pace(stamp_port)
    figures |= _irtt()
    for figure, value in figures.items():
        print(f"{figure:32} {value:>14,.4f}")
    return figures


def _cost(port: int) -> dict[str, float]:
    before, started_s = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    result = asyncio.run(
        call_path.measure(
            ReflectorAt("r", "127.0.0.1", port),
            now_ms=lambda: 0,
            stream=call_path.CallStream(packets=CALL_PACKETS, interval_ms=INTERVAL_MS),
        )
    )
    took_s = time.monotonic() - started_s
    after = resource.getrusage(resource.RUSAGE_SELF)
    assert result.outcome == "ok", result
    cpu_s = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    figures = {
        "run_s": took_s,
        "run_cpu_ms": cpu_s * 1e3,
        "share_of_a_core_in_a_run_percent": 100 * cpu_s / took_s,
        "share_of_a_core_all_day_percent": 100 * cpu_s / CADENCE_S,
        "octets_per_run": float(result.cost_bytes),
        "octets_per_day": float(result.cost_bytes) * 86_400 / CADENCE_S,
    }
    for name in ("rtt_ms", "rtt_p95_ms", "jitter_out_ms", "jitter_in_ms"):
        value = result.values[name]
        assert isinstance(value, float)
        figures[f"loopback_{name}"] = value
    return figures


def _pace(port: int) -> dict[str, float]:
    """How late packets left, against their schedule."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
        channel.setblocking(False)
        channel.connect(("127.0.0.1", port))
        codec = call_path.StampCodec(VOICE_BYTES, call_path.VOICE_DSCP)
        sent_ns = packet_stream.Stream(channel, codec, 250, INTERVAL_MS).run().sent_ns
    late_ms = [
        (at - sent_ns[0]) / 1e6 - n * INTERVAL_MS for n, at in enumerate(sent_ns)
    ]
    return {
        "late_p50_ms": statistics.median(late_ms),
        "late_worst_ms": max(late_ms),
    }


def _irtt() -> dict[str, float]:
    program, host = shutil.which("irtt"), "127.0.0.1"
    if program is None:
        return {}
    server = subprocess.Popen(
        [program, "server", "-b", f"{host}:2112"], stdout=subprocess.DEVNULL
    )
    try:
        time.sleep(0.5)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [
                program,
                *f"client -i {INTERVAL_MS:g}ms -d 10s -l {VOICE_BYTES} -q".split(),
                host,
            ],
            check=True,
            timeout=60,
            stdout=subprocess.DEVNULL,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    finally:
        server.terminate()
        server.wait(10)
    cpu_s = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return {"irtt_cpu_ms": cpu_s * 1e3}


if __name__ == "__main__":
    run()
