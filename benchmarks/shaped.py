"""Measures the accuracy of the probes on a shaped path, with irtt and iperf3 in the
same run. A relay that records its delays adds delay and jitter, nftables drops packets
and counts them, and tc's token bucket limits the rate.

    python -m benchmarks.shaped

Needs network namespaces (Linux, root or user namespaces), irtt, iperf3, nftables, tc.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from probes.measure import call_path
from probes.measure.jitter import jitter
from probes.wire.path_probes import VOICE_BYTES

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tests"))
from shaped_path import FAR, ShapedPath, shaped_path  # noqa: E402

PACKETS = 750
SECONDS = PACKETS * call_path.INTERVAL_MS / 1e3
OUT_MS, IN_MS, SPREAD_MS = 30.0, 15.0, 12.0
LOSS_OUT, LOSS_IN = 0.02, 0.04
DOWN_MBPS, UP_MBPS = 40.0, 15.0
# TCP payload of an Ethernet frame; the token bucket counts whole frames.
PAYLOAD = 1448 / 1514
IRTT_PORT, RELAYED, IRTT_RELAYED = 2112, 8620, 8621


def run() -> dict[str, float]:
    """The figures by name; names end in their unit. `_error_` is measured minus
    true."""
    with shaped_path() as path, path.reflector(FAR) as ports, _irtt_server(path):
        figures = _delay(path, ports["stamp"])
        figures |= _loss(path, ports["stamp"])
        figures |= _rate(path, ports["web"])
    for figure, value in figures.items():
        print(f"{figure:36} {value:>12,.4f}")
    return figures


def _delay(path: ShapedPath, stamp_port: int) -> dict[str, float]:
    """Runs both at the same time, each through its own relay."""
    with (
        _relay(path, RELAYED, stamp_port) as ours,
        _relay(path, IRTT_RELAYED, IRTT_PORT) as theirs,
        ThreadPoolExecutor(2) as pool,
    ):
        peer = pool.submit(_irtt, path, IRTT_RELAYED)
        result = pool.submit(_call, path, RELAYED).result()
        irtt = peer.result()
    values, true, irtt_true = result["values"], _truth(ours), _truth(theirs)
    statistics = irtt["stats"]
    irtt_jitter_ms = max(
        statistics["ipdv_send"]["mean"] / 1e6, statistics["ipdv_receive"]["mean"] / 1e6
    )
    return {
        "rtt_true_ms": true["rtt_ms"],
        "rtt_ms": values["rtt_ms"],
        "rtt_error_ms": values["rtt_ms"] - true["rtt_ms"],
        "irtt_rtt_error_ms": statistics["rtt"]["mean"] / 1e6 - irtt_true["rtt_ms"],
        "jitter_true_ms": true["jitter_ms"],
        "jitter_ms": values["jitter_ms"],
        "jitter_error_ratio": values["jitter_ms"] / true["jitter_ms"] - 1,
        "irtt_jitter_error_ratio": irtt_jitter_ms / irtt_true["jitter_ms"] - 1,
    }


def _loss(path: ShapedPath, stamp_port: int) -> dict[str, float]:
    ports = {"call_path": stamp_port, "irtt": IRTT_PORT}
    _drop(path.far, path, ports, "dport", LOSS_OUT)
    _drop(path.near, path, ports, "sport", LOSS_IN)
    with ThreadPoolExecutor(2) as pool:
        peer = pool.submit(_irtt, path, IRTT_PORT)
        values = pool.submit(_call, path, stamp_port).result()["values"]
        irtt = peer.result()["stats"]
    out, back = _dropped(path.far, path), _dropped(path.near, path)
    path.lose()
    figures = {}
    for who, sent, lost_out, lost_in in (
        ("", PACKETS, values["loss_out_ratio"], values["loss_in_ratio"]),
        (
            "irtt_",
            irtt["packets_sent"],
            irtt["upstream_loss_percent"] / 100,
            irtt["downstream_loss_percent"] / 100,
        ),
    ):
        port = ports["irtt" if who else "call_path"]
        true_out = min(out[port], sent) / sent
        true_in = back[port] / max(1, sent - out[port])
        figures |= {
            f"{who}loss_out_true_percent": 100 * true_out,
            f"{who}loss_out_error_points": 100 * (lost_out - true_out),
            f"{who}loss_in_true_percent": 100 * true_in,
            f"{who}loss_in_error_points": 100 * (lost_in - true_in),
        }
    return figures


def _rate(path: ShapedPath, web_port: int) -> dict[str, float]:
    path.limit(DOWN_MBPS, UP_MBPS)
    result = path.measure(
        "bandwidth", f"ws://{FAR}:{web_port}", budget_bytes=10**9, seconds=10.0
    )["values"]
    figures: dict[str, float] = {}
    for way, mbps, reverse in (("down", DOWN_MBPS, ["-R"]), ("up", UP_MBPS, [])):
        peer = _iperf3(path, reverse)
        figures |= {
            f"{way}_set_bps": mbps * 1e6 * PAYLOAD,
            f"{way}_bps": result[f"{way}_bps"],
            f"iperf3_{way}_bps": peer,
            f"{way}_to_set_error_ratio": result[f"{way}_bps"] / (mbps * 1e6 * PAYLOAD)
            - 1,
            f"{way}_to_iperf3_error_ratio": result[f"{way}_bps"] / peer - 1,
        }
    path.limit(10_000, 10_000)
    return figures


def _call(path: ShapedPath, port: int) -> dict[str, Any]:
    result: dict[str, Any] = path.measure("call_path", "r", FAR, port, packets=PACKETS)
    assert result["outcome"] == "ok", result
    return result


def _irtt(path: ShapedPath, port: int) -> dict[str, Any]:
    options = f"-i {call_path.INTERVAL_MS:g}ms -d {SECONDS:g}s -l {VOICE_BYTES}"
    done = subprocess.run(
        path.near("irtt", "client", *options.split(), "-Q", "-o", "-", f"{FAR}:{port}"),
        capture_output=True,
        check=True,
        timeout=SECONDS + 45,
    )
    statistics: dict[str, Any] = json.loads(done.stdout)
    return statistics


def _iperf3(path: ShapedPath, reverse: list[str]) -> float:
    with subprocess.Popen(
        path.far("iperf3", "-s", "-1", "-B", FAR), stdout=subprocess.DEVNULL
    ) as server:
        time.sleep(1.0)
        done = subprocess.run(
            path.near("iperf3", "-c", FAR, "-J", "-t", "10", *reverse),
            capture_output=True,
            check=True,
            timeout=60,
        )
        server.wait(20)
    return float(json.loads(done.stdout)["end"]["sum_received"]["bits_per_second"])


@contextlib.contextmanager
def _irtt_server(path: ShapedPath) -> Iterator[None]:
    # Without the default limits on the rate and length of a client's test.
    with subprocess.Popen(
        path.far("irtt", "server", "-b", f"0.0.0.0:{IRTT_PORT}"),
        stdout=subprocess.DEVNULL,
    ) as server:
        time.sleep(0.5)
        try:
            yield
        finally:
            server.terminate()
            server.wait(10)


@contextlib.contextmanager
def _relay(path: ShapedPath, port: int, to_port: int) -> Iterator[dict[str, Any]]:
    """Starts a relay; yields a dict that has the actual delays after the block ends."""
    numbers = [str(n) for n in (port, FAR, to_port, OUT_MS, IN_MS, SPREAD_MS)]
    done: dict[str, Any] = {}
    with subprocess.Popen(
        path.far(sys.executable, "-m", "benchmarks.delay_relay", *numbers),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield done
        finally:
            process.stdin.close()
            done |= json.loads(process.stdout.read() or "{}")


def _truth(held: dict[str, Any]) -> dict[str, float]:
    """True round trip, and true jitter of the worse direction, from the relay's
    times."""
    means, jitters = [], []
    for way in ("out", "in"):
        times = [(came, left) for came, left in held[way]]
        means.append(sum(left - came for came, left in times) / len(times))
        jitters.append(jitter(times) or 0.0)
    return {"rtt_ms": sum(means), "jitter_ms": max(jitters)}


def _drop(
    end: Any, path: ShapedPath, ports: dict[str, int], which: str, share: float
) -> None:
    rules = "\n".join(
        f"udp {which} {port} numgen random mod 10000 < {round(share * 10_000)} "
        "counter drop"
        for port in ports.values()
    )
    text = "flush ruleset\ntable inet faults {\nchain input {\n"
    text += f"type filter hook input priority 0\n{rules}\n}}\n}}\n"
    path.run(end("nft", "-f", "-"), text)


def _dropped(end: Any, path: ShapedPath) -> dict[int, int]:
    """Packets dropped by port."""
    ruleset = json.loads(path.run(end("nft", "-j", "list", "ruleset")))
    dropped = {}
    for entry in ruleset["nftables"]:
        parts = entry.get("rule", {}).get("expr", [])
        port = next(
            (p["match"]["right"] for p in parts if "match" in p and _is_port(p)), None
        )
        count = next((p["counter"]["packets"] for p in parts if "counter" in p), None)
        if port is not None and count is not None:
            dropped[int(port)] = int(count)
    return dropped


def _is_port(part: dict[str, Any]) -> bool:
    left = part["match"]["left"]
    return isinstance(left, dict) and "payload" in left


if __name__ == "__main__":
    run()
