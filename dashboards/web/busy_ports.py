"""The busiest ports of the whole estate, and those with the most errors or discards.
Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from collectors.estate import Device
from collectors.store.query import Pick, Query, Row, Where
from dashboards.port_descriptions import descriptions_query
from dashboards.row_values import float_value
from dashboards.state_levels import Level
from dashboards.web.device_ports import port_state
from dashboards.web.page_queries import MINUTE_MS, NOW_MS

MOST_PORTS = 50
_FIELDS = tuple(
    f"{way}_{what}"
    for what in ("use_ratio", "bps", "errors_per_s", "discards_per_s")
    for way in ("in", "out")
)


@dataclass(frozen=True)
class PortOrder:
    """`fields`: the larger of these two decides. `none`: what is said without any."""

    key: str
    label: str
    caption: str
    fields: tuple[str, str]
    none: str


ORDERS = (
    PortOrder(
        "use",
        "Share of speed",
        "by share of their speed",
        ("in_use_ratio", "out_use_ratio"),
        "No port has traffic and a known speed.",
    ),
    PortOrder(
        "traffic",
        "Traffic",
        "by traffic",
        ("in_bps", "out_bps"),
        "No port has traffic.",
    ),
    PortOrder(
        "errors",
        "Errors",
        "by damaged packets",
        ("in_errors_per_s", "out_errors_per_s"),
        "No port has errors.",
    ),
    PortOrder(
        "discards",
        "Discards",
        "by discarded packets",
        ("in_discards_per_s", "out_discards_per_s"),
        "No port discards packets.",
    ),
)


@dataclass(frozen=True)
class BusyPort:
    """`values`: the highest of each field in the last four minutes, if it is known;
    `speed_bps` is the latest."""

    device: Device
    port: str
    level: Level
    word: str
    values: Mapping[str, float]
    speed_bps: float | None

    def worse(self, what: str) -> float | None:
        """Returns the higher of both ways, of errors or discards per second."""
        names = f"in_{what}", f"out_{what}"
        known = [self.values[name] for name in names if name in self.values]
        return max(known, default=None)


def chosen_order(key: str) -> PortOrder:
    """Returns the order of an address; the first if it names none of them."""
    return next((known for known in ORDERS if known.key == key), ORDERS[0])


def devices_query(to_ms: int, order: PortOrder) -> Query:
    """The highest of all ports of each device. Groups of devices, not of ports: a store
    with 52,000 ports answers with 1,000 rows."""
    picks = tuple(Pick(name, "max") for name in order.fields)
    return Query("interface", picks, to_ms - NOW_MS, to_ms, (), ("device",))


def highest_devices(
    rows: Iterable[Row], order: PortOrder, devices: Iterable[str]
) -> list[str]:
    """Returns the devices that can have one of the highest ports: a port is not higher
    than its device. `rows`: of `devices_query`; `devices`: those of the estate."""
    known = frozenset(devices)
    values = {
        row.tags.get("device", ""): _highest(row, order)
        for row in rows
        if row.tags.get("device", "") in known
    }
    ordered = sorted(values, key=lambda device: (-values[device], device))
    return [device for device in ordered if values[device] > 0][:MOST_PORTS]


def ports_query(to_ms: int, devices: Iterable[str]) -> Query:
    """The figures of all ports of devices."""
    return Query(
        "interface",
        (
            *(Pick(name, "max") for name in _FIELDS),
            Pick("speed_bps", "last"),
            Pick("state", "last"),
        ),
        to_ms - NOW_MS,
        to_ms,
        (Where("device", tuple(devices)),),
        ("device", "port"),
    )


def descriptions_of(to_ms: int, ports: Iterable[BusyPort]) -> Query:
    """The descriptions of ports; it may have those of others."""
    listed = list(ports)
    where = (
        Where("device", tuple(sorted({port.device.id for port in listed}))),
        Where("port", tuple(sorted({port.port for port in listed}))),
    )
    return descriptions_query(to_ms - NOW_MS, to_ms, MINUTE_MS, *where)


def busy_ports(
    rows: Iterable[Row], order: PortOrder, devices: Iterable[Device]
) -> list[BusyPort]:
    """Returns the highest ports, the highest first. `rows`: of `ports_query`."""
    by_id = {device.id: device for device in devices}
    known = [row for row in rows if row.tags.get("device", "") in by_id]
    known.sort(
        key=lambda row: (
            -_highest(row, order),
            row.tags["device"],
            row.tags.get("port", ""),
        )
    )
    return [
        _busy_port(by_id[row.tags["device"]], row)
        for row in known[:MOST_PORTS]
        if _highest(row, order) > 0
    ]


def _busy_port(device: Device, row: Row) -> BusyPort:
    level, word = port_state(row)
    values = {
        name: value
        for name in _FIELDS
        if (value := float_value(row, f"{name}_max")) is not None
    }
    speed_bps = float_value(row, "speed_bps_last")
    return BusyPort(device, row.tags.get("port", ""), level, word, values, speed_bps)


def _highest(row: Row, order: PortOrder) -> float:
    return max(float_value(row, f"{name}_max") or 0.0 for name in order.fields)
