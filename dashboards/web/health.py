"""A device's health beyond its ports, for people. Pure: rows in.

Parts, batteries, make and model, Wi-Fi clients, and findings. Only problems are listed;
what is well is counted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from collectors.natural_order import natural_order
from collectors.snmp.tables.quantities import SENSORS
from collectors.store.query import Row
from dashboards import figure_text
from dashboards.row_values import float_value
from dashboards.state_levels import Level

_LEVELS: dict[int, tuple[Level, str]] = {
    0: ("ok", "OK"),
    1: ("warn", "Warning"),
    2: ("bad", "Critical"),
}
# Of a whole access point or controller, not of one radio or network of it.
_WHOLE = frozenset({"clients", "stations", "capsman clients"})
_WHOLE_POINTS = ("access points", "capsman access points")


@dataclass(frozen=True)
class DevicePart:
    """A sensor: its `reading` with the unit, and the `limit` it is compared with."""

    device: str
    name: str
    kind: str
    reading: str
    limit: str
    severity: int | None

    @property
    def level(self) -> Level:
        return _LEVELS.get(self.severity or 0, _LEVELS[0])[0]

    @property
    def word(self) -> str:
        return _LEVELS.get(self.severity or 0, _LEVELS[0])[1]


@dataclass(frozen=True)
class Battery:
    """A UPS: its state, charge and load in per cent, runtime in minutes."""

    device: str
    level: Level
    word: str
    charge_pct: float | None
    runtime_min: float | None
    load_pct: float | None


@dataclass(frozen=True)
class HealthFinding:
    device: str
    finding: str
    text: str


@dataclass(frozen=True)
class DeviceHealth:
    """`known` is False if the store did not answer: then nothing counts as well."""

    known: bool = True
    faults: tuple[DevicePart, ...] = ()
    well: int = 0
    hottest: DevicePart | None = None
    batteries: tuple[Battery, ...] = ()
    findings: tuple[HealthFinding, ...] = ()
    kinds: dict[str, str] = field(default_factory=dict)
    clients: dict[str, int] = field(default_factory=dict)
    access_points: dict[str, int] = field(default_factory=dict)

    @property
    def judged(self) -> int:
        return self.well + len(self.faults)


def health(
    sensors: Sequence[Row] | None,
    inventory: Sequence[Row] | None,
    wireless: Sequence[Row] | None,
    findings: Sequence[Row] | None,
) -> DeviceHealth:
    parts = [device_part(row) for row in sensors or ()]
    faults = [part for part in parts if (part.severity or 0) > 0]
    faults.sort(
        key=lambda part: (
            -(part.severity or 0),
            natural_order(part.device),
            natural_order(part.name),
        )
    )
    return DeviceHealth(
        known=sensors is not None and findings is not None,
        faults=tuple(faults),
        well=sum(part.severity == 0 for part in parts),
        hottest=_hottest(sensors or ()),
        batteries=tuple(_batteries(sensors or ())),
        findings=tuple(_findings(findings or ())),
        kinds={row.tags["device"]: kind_of(row) for row in inventory or ()},
        clients=_clients(wireless or ()),
        access_points=_points(wireless or ()),
    )


def kind_of(row: Row) -> str:
    """Returns `Cisco C9300-48P, IOS-XE 17.9.4`, as far as it is known."""

    def text(name: str) -> str:
        return str(row.values.get(f"{name}_last") or "").strip()

    vendor, hardware = text("vendor"), text("hardware")
    if hardware.casefold().startswith(vendor.casefold()):
        vendor = ""
    model = " ".join(text_part for text_part in (vendor, hardware) if text_part)
    software = " ".join(
        text_part for text_part in (text("os"), text("version")) if text_part
    )
    return ", ".join(text_part for text_part in (model, software) if text_part)


def reading(kind: str, value: float | None, state: str = "") -> str:
    """`24.5 °C`, `93%`, `on battery`."""
    if state:
        return figure_text.state_text(state)
    if value is None:
        return figure_text.NOTHING
    unit = (SENSORS[kind].unit if kind in SENSORS else None) or ""
    text = f"{value:,.4g}" if abs(value) < 10_000 else f"{value:,.0f}"
    if unit == "%":
        return text + unit
    return f"{text} {'°C' if unit == 'C' else unit}".rstrip()


def device_part(row: Row) -> DevicePart:
    kind, value = row.tags.get("class", ""), _latest(row, "value")
    return DevicePart(
        device=row.tags.get("device", ""),
        name=row.tags.get("sensor", ""),
        kind=kind.replace("_", " "),
        reading=reading(kind, value, str(row.values.get("state_last") or "")),
        limit=_limit(kind, value, _latest(row, "low"), _latest(row, "high")),
        severity=_severity(row),
    )


def _limit(
    kind: str, value: float | None, low: float | None, high: float | None
) -> str:
    """Returns the limit that `value` has passed or, if none, the upper one."""
    if value is not None and low is not None and value < low:
        return f"at least {reading(kind, low)}"
    return "" if high is None else f"at most {reading(kind, high)}"


def _hottest(rows: Iterable[Row]) -> DevicePart | None:
    """Returns the temperature closest to its own upper limit among those that are well;
    the highest if none has a limit."""
    best: tuple[tuple[bool, float], Row] | None = None
    for row in rows:
        value, high = _latest(row, "value"), _latest(row, "high")
        if row.tags.get("class") != "temperature" or value is None or _severity(row):
            continue
        rank = (high is not None, value - (high or 0.0))
        if best is None or rank > best[0]:
            best = (rank, row)
    return None if best is None else device_part(best[1])


def _batteries(rows: Iterable[Row]) -> Iterable[Battery]:
    by_device: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_device[row.tags.get("device", "")].append(row)
    for device, own in sorted(
        by_device.items(), key=lambda item: natural_order(item[0])
    ):
        if not any(
            row.tags.get("role") == "ups" or row.tags.get("class") == "runtime"
            for row in own
        ):
            continue
        states = [row for row in own if row.values.get("state_last")]
        worst = max(states, key=lambda row: _severity(row) or 0, default=None)
        severities = [
            severity for row in own if (severity := _severity(row)) is not None
        ]
        # Without limits or states of its own, nothing shows that it is well.
        level, word = (
            _LEVELS[max(severities)] if severities else ("none", "No limits known")
        )
        if worst is not None and (_severity(worst) or 0) > 0:
            name = worst.tags.get("sensor", "")
            word = f"{name}: {reading('state', None, str(worst.values['state_last']))}"
        elif level in ("warn", "bad"):
            word = "Close to a limit or beyond it"
        yield Battery(
            device,
            level,
            word,
            charge_pct=min(_of_class(own, "charge"), default=None),
            runtime_min=min(_of_class(own, "runtime"), default=None),
            load_pct=max(_of_class(own, "load"), default=None),
        )


def _of_class(rows: Iterable[Row], kind: str) -> list[float]:
    return [
        value
        for row in rows
        if row.tags.get("class") == kind
        and (value := _latest(row, "value")) is not None
    ]


def _findings(rows: Iterable[Row]) -> list[HealthFinding]:
    findings = [
        HealthFinding(
            row.tags.get("device", ""),
            row.tags.get("finding", ""),
            str(row.values.get("text_last") or ""),
        )
        for row in rows
        if row.values.get("active_last")
    ]
    return sorted(
        findings, key=lambda finding: (natural_order(finding.device), finding.finding)
    )


def _clients(rows: Iterable[Row]) -> dict[str, int]:
    """Returns the clients by device: the device's own total if it has one, else the sum
    over radios or over networks, whichever is larger. Both count the same clients."""
    whole: dict[str, float] = defaultdict(float)
    parts: dict[str, dict[bool, float]] = {}
    for row in rows:
        value = _latest(row, "value")
        if row.tags.get("class") != "clients" or value is None:
            continue
        device, name = row.tags.get("device", ""), row.tags.get("radio", "")
        if name.casefold() in _WHOLE or name == "all":
            whole[device] += value
        else:
            sums = parts.setdefault(device, {True: 0.0, False: 0.0})
            sums[name.startswith("WLAN")] += value
    summed = {device: max(sums.values()) for device, sums in parts.items()}
    return {device: round(value) for device, value in {**summed, **whole}.items()}


def _points(rows: Iterable[Row]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for row in rows:
        value = _latest(row, "value")
        if row.tags.get("class") != "ap-count" or value is None:
            continue
        if row.tags.get("radio", "").casefold().startswith(_WHOLE_POINTS):
            device = row.tags.get("device", "")
            counts[device] = max(counts.get(device, 0), round(value))
    return counts


def _severity(row: Row) -> int | None:
    value = _latest(row, "severity")
    return None if value is None else max(0, min(2, int(value)))


def _latest(row: Row, name: str) -> float | None:
    return float_value(row, f"{name}_last")
