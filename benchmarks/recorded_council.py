"""A council of recorded devices: polls the corpus beside the checkout, and returns the
rows.

Each recording answers over UDP by Towpath's own SNMP agent for tests. Its octet
counters and its uptime go on, since a recording stands still and has no rates.
"""

from __future__ import annotations

import asyncio
import contextlib
import csv
import json
import re
import time
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import services
from polled_switches import RowSink
from recorded_agents import Recorded

from collectors.estate import Device, Estate, Line, Site
from collectors.snmp import Credentials, Poller, SnmpConfig, credential
from probes.wire.sample import Sample
from towpath.demo import snmp_messages

PERIOD_S = 20.0
# Periods in which no further device is read in full.
_SETTLE = 3
_LONGEST_S = 900
_SITES = 12
_ROLES = {
    "switch": "switch",
    "router": "router",
    "access": "router",
    "firewall": "firewall",
    "vpn": "firewall",
    "wireless": "access_point",
    "radio": "access_point",
    "ups": "ups",
    "power": "ups",
    "pdu": "environment",
    "environment": "environment",
}
_UPTIME = (1, 3, 6, 1, 2, 1, 1, 3, 0)
_TIMETICKS, _COUNTER_64, _COUNTER_32 = 67, 70, 65
# Column → its tag: octets received and sent.
_OCTETS = {
    (1, 3, 6, 1, 2, 1, 2, 2, 1, 10): _COUNTER_32,
    (1, 3, 6, 1, 2, 1, 2, 2, 1, 16): _COUNTER_32,
    (1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 6): _COUNTER_64,
    (1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 10): _COUNTER_64,
}
_OCTETS_PER_S = 125_000


class MovingRecording(Recorded):
    """A recording whose uptime and octet counters go on."""

    def rebuild(self) -> None:
        super().rebuild()
        began_s = time.monotonic()

        def moving(start: int, per_s: int, tag: int) -> Callable[[], bytes]:
            size = 2**64 if tag == _COUNTER_64 else 2**32

            def value() -> bytes:
                elapsed_s = time.monotonic() - began_s
                number = (start + int(elapsed_s * per_s)) % size
                return snmp_messages.integer(number, tag)

            return value

        for line in self._file.read_text(encoding="utf-8").splitlines():
            oid, _, text = line.split("|", 2)
            arcs = snmp_messages.oid_arcs(oid.lstrip("."))
            tag = _OCTETS.get(arcs[:-1])
            per_s = _OCTETS_PER_S
            if arcs == _UPTIME:
                tag, per_s = _TIMETICKS, 100
            if tag is not None and text.isdecimal():
                content = snmp_messages.oid_content(arcs)
                self._values[content] = moving(int(text), per_s, tag)


def recorded_rows(count: int | None = None, every: int = 1) -> list[Sample]:
    """The rows of recorded devices, or none without a corpus beside the checkout: of
    the first `count` or of all, or of one in `every`."""
    folder = services.SHARED / "corpus"
    if not folder.is_dir():
        return []
    with (folder / "index.csv").open(encoding="utf-8") as file:
        devices = list(csv.DictReader(file))[:count:every]
    return asyncio.run(_poll(folder, devices))


async def _poll(folder: Path, devices: Sequence[dict[str, str]]) -> list[Sample]:
    async with contextlib.AsyncExitStack() as stack:
        agents = [
            await stack.enter_async_context(
                MovingRecording(folder / "recordings" / f"{row['name']}.snmprec")
            )
            for row in devices
        ]
        estate = _estate(folder, devices, agents)
        sink = RowSink()
        config = SnmpConfig(period_s=PERIOD_S, neighbours_s=PERIOD_S)
        public = Credentials(
            {"default": credential("default", {"community": "public"})}
        )
        poller = Poller(config, lambda: estate, public, sink, report_s=PERIOD_S)
        async with poller:
            await _until_all_is_read(sink, poller, len(devices))
    return sink.samples


async def _until_all_is_read(sink: RowSink, poller: Poller, devices: int) -> None:
    """Waits until no further device has been read in full for some periods."""
    began_s = time.monotonic()
    known, quiet = 0, 0
    while quiet < _SETTLE and time.monotonic() - began_s < _LONGEST_S:
        await asyncio.sleep(PERIOD_S)
        described = {
            row.tags["device"] for row in sink.samples if row.measurement == "inventory"
        }
        has_begun = poller.stats.learnt >= 0.95 * devices
        quiet = quiet + 1 if has_begun and len(described) == known else 0
        known = len(described)


def _estate(
    folder: Path, devices: Sequence[dict[str, str]], agents: Sequence[Recorded]
) -> Estate:
    sites = tuple(
        Site(id=f"site-{n}", name=f"Site {n}", latitude=52 + n / 10, longitude=-1.0)
        for n in range(_SITES)
    )
    listed = []
    lines: dict[str, Line] = {}
    for n, (row, agent) in enumerate(zip(devices, agents, strict=True)):
        site = f"site-{n % _SITES}"
        role: Any = _ROLES.get(row["class"], "other")
        listed.append(
            Device(
                id=_device_id(row["name"]),
                site=site,
                role=role,
                address=ip_address(agent.address),
                port=agent.port_number,
            )
        )
        port = _port_in_use(folder, row["name"])
        if role in ("switch", "router", "firewall") and port and site not in lines:
            lines[site] = Line(
                id=f"{site}-wan",
                site=site,
                supplier=f"Supplier {n % 3}",
                down_mbps=100,
                up_mbps=100,
                device=_device_id(row["name"]),
                port=port,
            )
    return Estate(sites=sites, devices=tuple(listed), lines=tuple(lines.values()))


def _device_id(name: str) -> str:
    return re.sub(r"[^a-z0-9._-]", "-", name.lower())


def _port_in_use(folder: Path, name: str) -> str:
    facts = json.loads((folder / "expected" / f"{name}.json").read_text())
    for port in facts.get("ports", ()):
        if port.get("oper") == "up" and port.get("speed_bps") and port.get("name"):
            return str(port["name"])
    return ""
