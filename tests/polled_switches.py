"""A poller on simulated switches over UDP, and what it appended."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable

from collectors.batch import Batch, check_batch
from collectors.estate import Device, Estate, Line, Site
from collectors.server_measurements import CATALOGUE
from collectors.snmp import Credentials, Poller, SnmpConfig, credential
from probes.wire.sample import Sample, Value
from towpath.demo.simulated_switches import (
    SimulatedSwitch,
)

QUICK = SnmpConfig(period_s=0.15, timeout_s=0.5, tries=2, neighbours_s=0.1)


PUBLIC = Credentials({"default": credential("default", {"community": "public"})})


MEGABIT = 1e6


class RowSink:
    """The rows appended, checked against the catalogue."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self.broken = False

    async def append(self, *batches: Batch) -> None:
        if self.broken:
            raise OSError("disk full")
        for batch in batches:
            self.samples += check_batch(batch, CATALOGUE).samples()

    def rows(self, measurement: str, **tags: str) -> list[dict[str, Value]]:
        return [
            sample.fields
            for sample in self.samples
            if sample.measurement == measurement
            and all(sample.tags.get(name) == tag for name, tag in tags.items())
        ]


def device(id: str, switch: SimulatedSwitch, **more: object) -> Device:
    return Device(
        id=id,
        site="town-hall",
        address=switch.address,
        port=switch.port_number,
        **more,  # type: ignore[arg-type]
    )


def estate(*devices: Device, lines: tuple[Line, ...] = ()) -> Estate:
    return Estate(
        sites=(Site(id="town-hall", name="Town hall"),), devices=devices, lines=lines
    )


@contextlib.asynccontextmanager
async def polling(
    current: Callable[[], Estate] | Estate,
    config: SnmpConfig = QUICK,
    credentials: Credentials = PUBLIC,
    report_s: float = 60.0,
) -> AsyncIterator[tuple[RowSink, Poller]]:
    sink = RowSink()
    follow = current if callable(current) else lambda: current
    async with Poller(config, follow, credentials, sink, report_s=report_s) as poller:
        yield sink, poller


def numbers(rows: list[dict[str, Value]], field: str) -> list[float]:
    return [float(row[field]) for row in rows if field in row]
