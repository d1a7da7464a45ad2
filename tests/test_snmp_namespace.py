"""A real snmpd whose interfaces really carry traffic and really go down."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import services
from shaped_path import FAR, ShapedPath, shaped_path
from waiting import wait_until

from probes.wire.sample import Sample, Value

pytestmark = [pytest.mark.service, pytest.mark.netns]

# One datagram on the wire as ifOutOctets counts it: Ethernet, IPv4 and UDP headers.
PAYLOAD, HEADERS = 1400, 14 + 20 + 8
DATAGRAMS = 4000
_SEND = """
import socket, sys, time
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
host, count, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
for n in range(count):
    while True:
        try:
            out.sendto(bytes(size), (host, 9))
            break
        except OSError:
            time.sleep(0.001)
    if n % 20 == 19:
        time.sleep(0.01)
"""


class Rows:
    """The rows that the poller inside the namespace prints."""

    def __init__(self, path: ShapedPath, port: int) -> None:
        here = Path(__file__).resolve()
        script = str(here.with_name("snmp_in_namespace.py"))
        self._process = subprocess.Popen(
            path.near(sys.executable, script, str(port)),
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(here.parents[1])},
        )
        self.samples: list[Sample] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(b"{"):
                self.samples.append(msgspec.json.decode(line, type=Sample))

    def of(self, measurement: str, port: str = "") -> list[dict[str, Value]]:
        return [
            sample.fields
            for sample in list(self.samples)
            if sample.measurement == measurement and sample.tags.get("port", "") == port
        ]

    def last(self, port: str) -> dict[str, Value]:
        rows = self.of("interface", port)
        return rows[-1] if rows else {}

    def polls(self, more: int) -> None:
        wanted = len(self.of("device")) + more
        wait_until(lambda: len(self.of("device")) >= wanted, "polls", 60)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait(10)
        self._reader.join(10)
        assert self._process.stdout is not None
        self._process.stdout.close()


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[tuple[ShapedPath, services.Server, Rows]]:
    with shaped_path() as path:
        server = services.snmpd(tmp_path / "snmpd")
        starts = 0

        def ready() -> bool:
            return server.log.read_text().count("NET-SNMP version") >= starts

        server.command = path.near(*server.command)
        server._ready = ready
        starts = 1
        with services.running(server):
            rows = Rows(path, server.port)
            try:
                yield path, server, rows
            finally:
                rows.stop()


def test_rates_match_the_octets_that_were_sent(
    agent: tuple[ShapedPath, services.Server, Rows],
) -> None:
    path, server, rows = agent
    rows.polls(3)
    send = [sys.executable, "-c", _SEND, FAR, str(DATAGRAMS), str(PAYLOAD)]
    subprocess.run(path.near(*send), check=True, timeout=60)
    # The agent keeps its table for some seconds before it looks again.
    sent = DATAGRAMS * (PAYLOAD + HEADERS)
    wait_until(
        lambda: _octets(rows, "out_bps") > 0.98 * sent, "the octets to be told", 60
    )
    # Within 2 %: address resolution and neighbour discovery are counted too.
    assert _octets(rows, "out_bps") == pytest.approx(sent, rel=0.02)
    assert _octets(rows, "in_bps") < 0.02 * sent

    subprocess.run(path.far("ip", "link", "set", "far0", "down"), check=True)
    wait_until(lambda: rows.last("near0").get("up") == 0, "link down", 60)
    subprocess.run(path.far("ip", "link", "set", "far0", "up"), check=True)
    wait_until(lambda: rows.last("near0").get("up") == 1, "link up", 60)

    before = len(rows.of("interface", "near0"))
    server.stop()
    server.start()
    wait_until(
        lambda: any(row.get("restarted") for row in rows.of("device")), "restart", 60
    )
    rows.polls(4)
    after = rows.of("interface", "near0")[before:]
    # Nothing was sent since: a spike would be the whole counter in half a second.
    assert all(float(row.get("out_bps", 0)) < 100_000 for row in after)
    assert sum(int(row.get("restarted", 0)) for row in rows.of("device")) == 1


def _octets(rows: Rows, field: str) -> float:
    """All rates of near0 times their intervals, by the agent's clock."""
    total, last = 0.0, None
    clock: list[float | None] = [
        None if "uptime_s" not in row else float(row["uptime_s"])
        for row in rows.of("device")
    ]
    for uptime_s, row in zip(clock, rows.of("interface", "near0"), strict=False):
        if last is not None and uptime_s is not None and field in row:
            total += float(row[field]) / 8 * (uptime_s - last)
        last = uptime_s
    return total
