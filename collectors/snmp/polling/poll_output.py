"""Prints the facts of one device as tables.

What needs attention comes first. What is normal or empty is listed in one line, without
rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.text import Text

from collectors.natural_order import natural_order
from collectors.snmp.polling.device_facts import DeviceFacts
from collectors.snmp.polling.health_rows import severity
from collectors.snmp.profiles.readings import Mempool, Sensor, Storage
from collectors.snmp.session import oids
from collectors.snmp.session.octet_text import as_int
from collectors.snmp.tables.interfaces import Port
from collectors.terminal_tables import Cell, TerminalTable
from probes.wire.counted_text import counted
from probes.wire.durations import duration_text
from probes.wire.failure import Outcome
from probes.wire.number_text import percentage

_SCALES = (
    (10**15, "P"),
    (10**12, "T"),
    (10**9, "G"),
    (10**6, "M"),
    (10**3, "k"),
)
_SHADES = {"up": "green", "down": "red", 0: "green", 1: "yellow", 2: "bold red"}
_SEVERITIES = {0: "normal", 1: "warning", 2: "critical"}


def print_facts(facts: DeviceFacts, console: Console) -> None:
    if facts.identity is None:
        _print(console, unread_sentence(facts.target, facts.outcome, facts.detail))
        return
    console.print(_title(facts))
    if not facts.ok:
        _print(console, f"incomplete: {facts.outcome.value}, {facts.detail}")
    for section, reason in facts.sections.items():
        _print(console, f"{section} could not be read: {reason}")
    for sentence in facts.findings.values():
        _print(console, sentence)
    for part in _parts(facts):
        console.print()
        if isinstance(part, str):
            _print(console, part)
        else:
            console.print(part)


def unread_sentence(target: str, outcome: Outcome, detail: str) -> str:
    """Why nothing was read from a device. Pure."""
    silent = outcome in (Outcome.TIMEOUT, Outcome.UNREACHABLE)
    verb = "did not answer" if silent else "could not be read"
    return f"{target} {verb}: {detail} ({outcome.value})"


def _print(console: Console, sentence: str) -> None:
    console.print(sentence, markup=False, highlight=False)


def _title(facts: DeviceFacts) -> TerminalTable:
    identity = facts.identity
    assert identity is not None
    uptime_s = identity.uptime_s
    title = TerminalTable("", "name", "value")
    for label, value in (
        ("name", identity.sys_name),
        ("description", " ".join((identity.sys_descr or "").split())),
        ("object id", identity.sys_object_id),
        ("vendor", identity.vendor),
        ("hardware", identity.hardware),
        ("software", " ".join(filter(None, (identity.os, identity.version)))),
        ("serial", identity.serial),
        ("location", identity.sys_location),
        (
            "up for",
            None if uptime_s is None else duration_text(uptime_s),
        ),
        ("poll", f"{counted(facts.packets, 'packet')}, {facts.duration_ms:.0f} ms"),
        ("profiles", ", ".join(facts.profiles)),
    ):
        if value:
            title.add_row(Text(label, "bold"), value)
    return title


def _parts(facts: DeviceFacts) -> Iterator[TerminalTable | str]:
    """The tables, and lines for what they leave out."""
    yield from _ports(facts)
    if facts.neighbours:
        neighbours = TerminalTable(
            "Neighbours", "port", "protocol", "neighbour", "remote port", "capabilities"
        )
        for neighbour in facts.neighbours:
            neighbours.add_row(
                neighbour.local_port,
                neighbour.protocol,
                neighbour.remote_name
                or neighbour.remote_chassis
                or neighbour.remote_address
                or "",
                neighbour.remote_port or "",
                ", ".join(sorted(neighbour.capabilities)).replace("_", " "),
            )
        yield neighbours
    names = {port.if_index: port.key for port in facts.ports}
    if facts.addresses:
        yield "Addresses: " + ", ".join(
            address.address
            + (f"/{address.prefixlen}" if address.prefixlen is not None else "")
            + (f" on {names[address.if_index]}" if address.if_index in names else "")
            for address in facts.addresses
        )
    if facts.vlans:
        yield f"VLANs ({len(facts.vlans)}): " + ", ".join(
            " ".join(filter(None, (str(vlan.id), vlan.name))) for vlan in facts.vlans
        )
    yield from _sensors(facts.sensors)
    if facts.processors or facts.mempools or facts.storage:
        used = TerminalTable(
            "Processors, memory, storage",
            "part",
            "in use",
            "size",
            right=("in use", "size"),
        )
        for part in facts.processors:
            used.add_row(part.descr, percentage(part.usage_pct / 100), "")
        pools: list[Mempool | Storage] = [*facts.mempools, *facts.storage]
        for pool in pools:
            size = pool.total_bytes
            size_text = "" if size is None else f"{scaled(size)}B"
            used.add_row(pool.descr, percentage(pool.used_pct / 100), size_text)
        yield used
    if facts.wireless:
        radios = TerminalTable(
            "Wireless", "reading", "radio", "value", right=("value",)
        )
        for radio in facts.wireless:
            kind = radio.class_.replace("_", " ")
            radios.add_row(kind, radio.descr, f"{radio.value:g}")
        yield radios
    if facts.transceivers:
        optics = TerminalTable(
            "Transceivers", "port", "type", "vendor", "model", "serial"
        )
        for optic in facts.transceivers:
            optics.add_row(
                names.get(optic.if_index or 0, ""),
                *(text or "" for text in (optic.type, optic.vendor, optic.model)),
                optic.serial or "",
            )
        yield optics


def _sensors(sensors: Iterable[Sensor]) -> Iterator[TerminalTable | str]:
    """Critical sensors first, then warnings, then figures by type; states that are
    normal are listed in one line."""
    rated = [(severity(sensor), sensor) for sensor in sensors]
    normal = [
        sensor for rating, sensor in rated if rating == 0 and sensor.state is not None
    ]
    rest = [
        (rating, sensor)
        for rating, sensor in rated
        if not (rating == 0 and sensor.state)
    ]
    rest.sort(
        key=lambda pair: (-(pair[0] or 0), pair[1].class_, natural_order(pair[1].descr))
    )
    if rest:
        rows = TerminalTable(
            "Sensors", "sensor", "type", "value", "limits", "state", right=("value",)
        )
        for rating, sensor in rest:
            rows.add_row(
                sensor.descr,
                sensor.class_.replace("_", " "),
                sensor.state or _value(sensor),
                _limits(sensor),
                "" if rating is None else Text(_SEVERITIES[rating], _SHADES[rating]),
            )
        yield rows
    if normal:
        by_state: dict[str, list[str]] = {}
        for sensor in normal:
            by_state.setdefault(sensor.state or "", []).append(sensor.descr)
        yield "Normal: " + "; ".join(
            f"{', '.join(names)} ({state})" for state, names in by_state.items()
        )


def _value(sensor: Sensor) -> str:
    if sensor.value is None:
        return ""
    text = (
        f"{sensor.value:.4g}" if abs(sensor.value) < 10_000 else f"{sensor.value:.0f}"
    )
    unit = {"C": "°C", None: ""}.get(sensor.unit, sensor.unit or "")
    return f"{text} {unit}".rstrip()


def _limits(sensor: Sensor) -> str:
    """`5 to 45`, `at most 45` or `at least 5`: the outermost limits it has."""
    low = sensor.low if sensor.low is not None else sensor.low_warn
    high = sensor.high if sensor.high is not None else sensor.high_warn
    if low is not None and high is not None:
        return f"{low:g} to {high:g}"
    if high is not None:
        return f"at most {high:g}"
    return "" if low is None else f"at least {low:g}"


def _ports(facts: DeviceFacts) -> Iterator[TerminalTable | str]:
    """Ports with a link, a description or errors are rows; the others are listed."""
    rows: list[tuple[Cell, ...]] = []
    empty: dict[str, list[str]] = {}
    for port in facts.ports:
        state = _state(facts, port)
        counts = [_first_value(facts, port, column) for column in _FAULTS]
        description = port.description
        if state not in ("up", "") and not description and not any(counts):
            empty.setdefault(state, []).append(port.key)
            continue
        received = _first_value(facts, port, oids.IF_HC_IN_OCTETS, oids.IF_IN_OCTETS)
        sent = _first_value(facts, port, oids.IF_HC_OUT_OCTETS, oids.IF_OUT_OCTETS)
        rows.append(
            (
                port.key,
                Text(state, _SHADES.get(state, "dim")),
                f"{scaled(port.speed_bps)}bit/s" if port.speed_bps else "",
                "" if received is None else f"{scaled(received)}B",
                "" if sent is None else f"{scaled(sent)}B",
                _pair(counts[:2]),
                _pair(counts[2:]),
                description,
            )
        )
    if rows:
        yield _port_table(counted(len(facts.ports), "port"), rows)
    for state, names in empty.items():
        yield f"{state[:1].upper()}{state[1:]} ({len(names)}): {', '.join(names)}"


def _port_table(title: str, rows: list[tuple[Cell, ...]]) -> TerminalTable:
    ports = TerminalTable(title, *_HEAD, right=_HEAD[2:7])
    for row in rows:
        ports.add_row(*row)
    return ports


_HEAD = (
    "port",
    "state",
    "speed",
    "received",
    "sent",
    "errors",
    "discards",
    "description",
)
_FAULTS = (
    oids.IF_IN_ERRORS,
    oids.IF_OUT_ERRORS,
    oids.IF_IN_DISCARDS,
    oids.IF_OUT_DISCARDS,
)


def _first_value(facts: DeviceFacts, port: Port, *columns: str) -> int | None:
    """The value of the first of `columns` that the port has."""
    for column in columns:
        value = as_int(facts.columns.get(column, {}).get(port.if_index))
        if value is not None:
            return value
    return None


def _state(facts: DeviceFacts, port: Port) -> str:
    if _first_value(facts, port, oids.IF_ADMIN_STATUS) == oids.DOWN:
        return "switched off"
    return oids.OPER.get(_first_value(facts, port, oids.IF_OPER_STATUS) or 0, "")


def _pair(values: list[int | None]) -> str:
    """In and out, as in `12/3`; a dash for a value that the device lacks."""
    if all(value is None for value in values):
        return ""
    return "/".join("-" if value is None else str(value) for value in values)


def scaled(number: int) -> str:
    """`1234567` as `1.23 M`."""
    for size, unit in _SCALES:
        if number >= size:
            value = number / size
            return f"{value:.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"
    return f"{number} "
