"""A site's ports in the last hour, those that need attention first. Pure: rows in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from collectors.natural_order import natural_order
from collectors.store.query import Row
from dashboards.state_levels import Level

# Below these a port is quiet: it is counted, and listed only on demand. A full queue
# discards packets now and then, which needs no attention; errors are never right.
BUSY_RATIO = 0.05
ERRORS_PER_S = 0.01
DISCARDS_PER_S = 1.0


@dataclass(frozen=True)
class PortNow:
    """A port's last hour: the 95th percentile of its minutes. `up` is None if it is
    disabled or not known. `why`: the reason why it is expected up, if it is."""

    device: str
    port: str
    in_use: float | None
    out_use: float | None
    in_bps: float | None
    out_bps: float | None
    speed_bps: float | None
    errors_per_s: float | None
    discards_per_s: float | None
    up: bool | None = None
    why: str = ""
    description: str = ""

    @property
    def use(self) -> float:
        return max(self.in_use or 0.0, self.out_use or 0.0)

    @property
    def is_down_unexpectedly(self) -> bool:
        """Down although expected up."""
        return self.up is False and bool(self.why)

    @property
    def is_faulty(self) -> bool:
        return (self.errors_per_s or 0.0) >= ERRORS_PER_S or (
            self.discards_per_s or 0.0
        ) >= DISCARDS_PER_S

    @property
    def level(self) -> Level:
        return (
            "bad" if self.is_down_unexpectedly else "warn" if self.is_faulty else "ok"
        )


@dataclass(frozen=True)
class PortList:
    """`shown`: ports down although expected up, then with errors, then busy. `more`:
    how many of these are not shown. `quiet`: up with little traffic. `unused`: how many
    have no link."""

    shown: tuple[PortNow, ...]
    more: int
    quiet: tuple[PortNow, ...]
    unused: int


def ports(
    rows: Sequence[Row],
    limit: int = 10,
    descriptions: Mapping[tuple[str, str], str] = MappingProxyType({}),
) -> PortList:
    """`descriptions`: by device and port."""
    every = [port_now(row, descriptions) for row in rows]
    notable = [
        p for p in every if p.is_down_unexpectedly or p.is_faulty or p.use >= BUSY_RATIO
    ]
    notable.sort(
        key=lambda p: (
            not p.is_down_unexpectedly,
            not p.is_faulty,
            -p.use,
            natural_order(p.device),
            natural_order(p.port),
        )
    )
    shown = set(notable)
    rest = [p for p in every if p not in shown]
    quiet = [p for p in rest if p.up or (p.up is None and p.in_bps is not None)]
    quiet.sort(key=lambda p: (-p.use, natural_order(p.device), natural_order(p.port)))
    return PortList(
        tuple(notable[:limit]),
        len(notable[limit:]),
        tuple(quiet),
        len(rest) - len(quiet),
    )


def port_now(
    row: Row, descriptions: Mapping[tuple[str, str], str] = MappingProxyType({})
) -> PortNow:
    """Returns the port of a row of `page_queries.ports_hour`."""

    def value(name: str) -> float | None:
        number = row.values.get(name)
        return None if number is None or isinstance(number, str) else float(number)

    up = value("up_last")
    return PortNow(
        device=row.tags.get("device", ""),
        port=row.tags.get("port", ""),
        in_use=value("in_use_ratio_p95"),
        out_use=value("out_use_ratio_p95"),
        in_bps=value("in_bps_p95"),
        out_bps=value("out_bps_p95"),
        speed_bps=value("speed_bps_last"),
        errors_per_s=_sum(
            value("in_errors_per_s_mean"), value("out_errors_per_s_mean")
        ),
        discards_per_s=_sum(
            value("in_discards_per_s_mean"), value("out_discards_per_s_mean")
        ),
        up=None if up is None else bool(up),
        why=str(row.values.get("expected_why_last") or "")
        if value("expected_up_last")
        else "",
        description=descriptions.get(
            (row.tags.get("device", ""), row.tags.get("port", "")), ""
        ),
    )


def _sum(*values: float | None) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
