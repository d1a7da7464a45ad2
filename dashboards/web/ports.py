"""A site's ports of the last hour, those that need a look first. Pure: rows in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from collectors.store.query import Row
from dashboards.web.site_state import Level

# Below these a port is quiet: it is counted, and listed where somebody unfolds it. A
# full queue discards now and then, and nobody has to look; errors are never right.
BUSY_RATIO = 0.05
ERRORS_PER_S = 0.01
DISCARDS_PER_S = 1.0


@dataclass(frozen=True)
class PortNow:
    """A port's last hour: the 95th percentile of its minutes. `up` None: switched off
    or not said; `why` names why it should be up, where it should."""

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

    @property
    def use(self) -> float:
        return max(self.in_use or 0.0, self.out_use or 0.0)

    @property
    def missing(self) -> bool:
        """Down, and should not be."""
        return self.up is False and bool(self.why)

    @property
    def faulty(self) -> bool:
        return (self.errors_per_s or 0.0) >= ERRORS_PER_S or (
            self.discards_per_s or 0.0
        ) >= DISCARDS_PER_S

    @property
    def level(self) -> Level:
        return "bad" if self.missing else "warn" if self.faulty else "ok"


@dataclass(frozen=True)
class PortList:
    """`shown`: down that should be up, then with errors, then busy. `more`: of that
    kind, not shown. `quiet`: up with little to do; `unused`: how many have no link."""

    shown: tuple[PortNow, ...]
    more: int
    quiet: tuple[PortNow, ...]
    unused: int


def ports(rows: Sequence[Row], most: int = 10) -> PortList:
    every = [_port(row) for row in rows]
    worth = [p for p in every if p.missing or p.faulty or p.use >= BUSY_RATIO]
    worth.sort(key=lambda p: (not p.missing, not p.faulty, -p.use, p.device, p.port))
    shown = set(worth)
    rest = [p for p in every if p not in shown]
    quiet = [p for p in rest if p.up or (p.up is None and p.in_bps is not None)]
    quiet.sort(key=lambda p: (-p.use, p.device, p.port))
    return PortList(
        tuple(worth[:most]), len(worth[most:]), tuple(quiet), len(rest) - len(quiet)
    )


def _port(row: Row) -> PortNow:
    def value(name: str) -> float | None:
        found = row.values.get(name)
        return None if found is None or isinstance(found, str) else float(found)

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
    )


def _sum(*values: float | None) -> float | None:
    known = [each for each in values if each is not None]
    return sum(known) if known else None
