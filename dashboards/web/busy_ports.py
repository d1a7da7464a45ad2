"""The busiest ports of the whole estate, and those with the most errors or discards.
Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from collectors.estate import Device
from collectors.store.query import Highest, Pick, Query, Row, Where
from dashboards.port_descriptions import descriptions_query
from dashboards.state_levels import Level
from dashboards.web.device_ports import port_state
from dashboards.web.page_queries import MINUTE_MS, NOW_MS

WINDOW_MS = 15 * MINUTE_MS
MOST_PORTS = 50
_MEANS = tuple(
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
    """`values`: the mean of each field in the last quarter of an hour, if it is known;
    `speed_bps` is the latest."""

    device: Device
    port: str
    description: str
    level: Level
    word: str
    values: Mapping[str, float]
    speed_bps: float | None

    def both(self, what: str) -> float | None:
        """Returns the sum of both ways, of errors or discards per second."""
        known = [
            self.values[name]
            for name in (f"in_{what}", f"out_{what}")
            if name in self.values
        ]
        return sum(known) if known else None


def chosen_order(key: str) -> PortOrder:
    """Returns the order of an address; the first if it names none of them."""
    return next((known for known in ORDERS if known.key == key), ORDERS[0])


def highest_query(to_ms: int, order: PortOrder) -> Query:
    """The highest ports of each role of devices."""
    return Query(
        "interface",
        tuple(Pick(name, "mean") for name in order.fields),
        to_ms - WINDOW_MS,
        to_ms,
        (),
        ("device", "port", "role"),
        highest=Highest(MOST_PORTS, "role", ("device", "port")),
    )


def highest_ports(
    rows: Iterable[Row], order: PortOrder, devices: Iterable[str]
) -> list[tuple[str, str]]:
    """Returns the device and port of the highest of all roles, the highest first.
    `rows`: of `highest_query`; `devices`: those of the estate."""
    known = frozenset(devices)
    values: dict[tuple[str, str], float] = {}
    for row in rows:
        place = row.tags.get("device", ""), row.tags.get("port", "")
        found = [_number(row, f"{name}_mean") or 0.0 for name in order.fields]
        if place[0] in known:
            values[place] = max(values.get(place, 0.0), *found)
    ordered = sorted(values, key=lambda place: (-values[place], place))
    return [place for place in ordered if values[place] > 0][:MOST_PORTS]


def figures_queries(
    to_ms: int, places: Iterable[tuple[str, str]]
) -> tuple[Query, Query]:
    """The figures of ports, and their descriptions. They may have those of others."""
    listed = list(places)
    where = (
        Where("device", tuple(sorted({device for device, _ in listed}))),
        Where("port", tuple(sorted({port for _, port in listed}))),
    )
    figures = Query(
        "interface",
        (
            *(Pick(name, "mean") for name in _MEANS),
            Pick("speed_bps", "last"),
            Pick("state", "last"),
        ),
        to_ms - WINDOW_MS,
        to_ms,
        where,
        ("device", "port"),
    )
    return figures, descriptions_query(to_ms - NOW_MS, to_ms, MINUTE_MS, *where)


def busy_ports(
    places: Iterable[tuple[str, str]],
    rows: Iterable[Row],
    descriptions: Mapping[tuple[str, str], str],
    devices: Iterable[Device],
) -> list[BusyPort]:
    """Returns the ports in the order of `places`; those without figures are left out.
    `rows`: of the first of `figures_queries`."""
    by_id = {device.id: device for device in devices}
    by_place = {(row.tags.get("device"), row.tags.get("port", "")): row for row in rows}
    ports = []
    for place in places:
        row = by_place.get(place)
        if row is None or place[0] not in by_id:
            continue
        level, word = port_state(row)
        values = {
            name: value
            for name in _MEANS
            if (value := _number(row, f"{name}_mean")) is not None
        }
        ports.append(
            BusyPort(
                by_id[place[0]],
                place[1],
                descriptions.get(place, ""),
                level,
                word,
                values,
                _number(row, "speed_bps_last"),
            )
        )
    return ports


def _number(row: Row, name: str) -> float | None:
    value = row.values.get(name)
    return float(value) if isinstance(value, int | float) else None
