"""The ports of a device as its page lists them: their state, what is on them, when they
were last up. Pure: rows in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from collectors.natural_order import natural_order
from collectors.store.query import Row
from dashboards.state_levels import Level
from dashboards.web.device_page_lists import ShownNeighbour
from dashboards.web.device_queries import KNOWN_MS
from dashboards.web.page_queries import DAY_MS
from dashboards.web.ports import PortNow, port_now
from dashboards.web.search import has_text

# The field `state` of a port, in words.
_PORT_STATES: dict[int, tuple[Level, str]] = {
    0: ("bad", "Down, expected up"),
    1: ("none", "Down"),
    2: ("none", "Disabled"),
    3: ("ok", "Up"),
}


@dataclass(frozen=True)
class PortUse:
    """`last_up_ms`: the beginning of the last day (UTC) on which a port was up, None if
    it was not; `days`: for how many days that is known, 30 at most."""

    last_up_ms: int | None
    days: int

    @property
    def is_unused(self) -> bool:
        """Not up for 30 days, as far as a port has been known for so long."""
        return self.last_up_ms is None and self.days >= KNOWN_MS // DAY_MS


@dataclass(frozen=True)
class DevicePort:
    """A port of a device in the last hour. `behind`: the neighbours on it, each with
    its id in the estate, if it has one."""

    now: PortNow
    level: Level
    word: str
    behind: tuple[tuple[str, str], ...] = ()
    use: PortUse | None = None

    @property
    def has_problem(self) -> bool:
        return self.level in ("bad", "warn")

    @property
    def is_unused(self) -> bool:
        return not self.now.up and self.use is not None and self.use.is_unused


# What the list of ports can be narrowed to.
SHOWN_PORTS = MappingProxyType(
    {
        "problem": "With a problem",
        "up": "Up",
        "down": "Down",
        "unused": "Not up in 30 days",
    }
)


def port_state(row: Row | None, faulty: bool = False) -> tuple[Level, str]:
    """Returns how a port is, in a word. `faulty`: it has errors or discards."""
    state = None if row is None else row.values.get("state_last")
    if not isinstance(state, int | float):
        return "none", "No data"
    level, word = _PORT_STATES.get(int(state), ("none", "No data"))
    return ("warn", "Errors or discards") if level == "ok" and faulty else (level, word)


def port_uses(rows: Iterable[Row], to_ms: int) -> dict[str, PortUse]:
    """Returns by port when it was up. `rows`: of `device_queries.ports_last_up`."""
    days: dict[str, dict[int, bool]] = {}
    for row in rows:
        if row.time_ms is not None:
            port = days.setdefault(row.tags.get("port", ""), {})
            port[row.time_ms] = row.values.get("up_max") == 1
    return {
        port: PortUse(
            max((day for day, was_up in known.items() if was_up), default=None),
            round((to_ms - min(known)) / DAY_MS),
        )
        for port, known in days.items()
    }


def device_ports(
    rows: Iterable[Row],
    descriptions: Mapping[tuple[str, str], str],
    neighbours: Iterable[ShownNeighbour],
    uses: Mapping[str, PortUse] = MappingProxyType({}),
    is_current: bool = True,
) -> list[DevicePort]:
    """Returns the ports in the device's own order. `rows`: of `device_queries.ports`;
    `is_current`: the device answers, else its ports were so before."""
    behind: dict[str, list[tuple[str, str]]] = {}
    for neighbour in neighbours:
        behind.setdefault(neighbour.port, []).append((neighbour.name, neighbour.device))
    ports = []
    for row in sorted(rows, key=_place):
        port = port_now(row, descriptions)
        level, word = port_state(row, port.is_faulty)
        if not is_current and word != "No data":
            level, word = "none", f"Not known (was: {word.lower()})"
        found = behind.get(port.port, ())
        seen = tuple(sorted(found, key=lambda pair: natural_order(pair[0])))
        ports.append(DevicePort(port, level, word, seen, uses.get(port.port)))
    return ports


def matching_ports(
    ports: Iterable[DevicePort], text: str, shown: str = ""
) -> list[DevicePort]:
    """Returns the ports whose name, description or neighbour has that text, and that
    are as `shown` says (a key of `SHOWN_PORTS`; any other text: all)."""
    return [
        port
        for port in ports
        if _is_shown(port, shown)
        and has_text(
            text,
            (port.now.port, port.now.description, *(name for name, _ in port.behind)),
        )
    ]


def _is_shown(port: DevicePort, shown: str) -> bool:
    if shown == "problem":
        return port.has_problem
    if shown == "unused":
        return port.is_unused
    return shown not in ("up", "down") or port.now.up is (shown == "up")


def port_counts(ports: Iterable[DevicePort]) -> list[tuple[str, str, int]]:
    """Returns (key, words, how many) of each kind that there is any of."""
    listed = list(ports)
    counts = [
        (key, words, len(matching_ports(listed, "", key)))
        for key, words in SHOWN_PORTS.items()
    ]
    return [count for count in counts if count[2]]


def _place(row: Row) -> tuple[float, str]:
    index = row.values.get("if_index_last")
    known = float(index) if isinstance(index, int | float) else float("inf")
    return known, natural_order(row.tags.get("port", ""))
