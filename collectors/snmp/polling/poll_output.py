"""What one poll found, as tables for a person. Pure but for the console it prints on.

What needs a look stands first; what is well or empty is named in a line, without a row.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from collectors.snmp.polling.device_facts import DeviceFacts
from collectors.snmp.polling.health_rows import severity
from collectors.snmp.profiles.readings import Mempool, Sensor, Storage
from collectors.snmp.session import oids
from collectors.snmp.session.octet_text import whole
from collectors.snmp.tables.interfaces import Port
from collectors.terminal_tables import Cell, add, table
from probes.wire.durations import duration_text

_SCALES = (
    (10**15, "P"),
    (10**12, "T"),
    (10**9, "G"),
    (10**6, "M"),
    (10**3, "k"),
)
_SHADES = {"up": "green", "down": "red", 0: "green", 1: "yellow", 2: "bold red"}
_WORDS = {0: "well", 1: "warning", 2: "critical"}


def show(facts: DeviceFacts, console: Console) -> None:
    """Tables for a person."""
    if facts.identity is None:
        _say(
            console, f"{facts.target} no answer: {facts.outcome.value}, {facts.detail}"
        )
        return
    console.print(_title(facts))
    if not facts.ok:
        _say(console, f"incomplete: {facts.outcome.value}, {facts.detail}")
    for section, why in facts.sections.items():
        _say(console, f"{section} not read: {why}")
    for sentence in facts.findings.values():
        _say(console, sentence)
    for part in _parts(facts):
        shown = Text(part) if isinstance(part, str) else part
        console.print(Padding(shown, (1, 0, 0, 0)))


def _say(console: Console, sentence: str) -> None:
    console.print(sentence, markup=False, highlight=False)


def _title(facts: DeviceFacts) -> Table:
    who = facts.identity
    assert who is not None
    title = Table(show_header=False, box=None, pad_edge=False)
    title.add_column(style="bold", no_wrap=True)
    title.add_column(overflow="fold")
    for label, value in (
        ("name", who.sys_name),
        ("description", " ".join((who.sys_descr or "").split())),
        ("object id", who.sys_object_id),
        ("vendor", who.vendor),
        ("hardware", who.hardware),
        ("software", " ".join(filter(None, (who.os, who.version)))),
        ("serial", who.serial),
        ("location", who.sys_location),
        ("up for", None if who.uptime_s is None else duration_text(who.uptime_s)),
        ("asked", f"{facts.packets} packets, {facts.duration_ms:.0f} ms"),
        ("profiles", ", ".join(facts.profiles)),
    ):
        if value:
            add(title, label, value)
    return title


def _parts(facts: DeviceFacts) -> Iterator[Table | str]:
    """Tables, and sentences about what they leave out."""
    yield from _ports(facts)
    if facts.neighbours:
        heard = table("Neighbours", "port", "by", "neighbour", "its port", "is")
        for each in facts.neighbours:
            add(
                heard,
                each.local_port,
                each.protocol,
                each.remote_name or each.remote_chassis or each.remote_address or "",
                each.remote_port or "",
                ", ".join(sorted(each.capabilities)).replace("_", " "),
            )
        yield heard
    names = {port.if_index: port.key for port in facts.ports}
    if facts.addresses:
        yield "Addresses: " + ", ".join(
            each.address
            + (f"/{each.prefixlen}" if each.prefixlen is not None else "")
            + (f" on {names[each.if_index]}" if each.if_index in names else "")
            for each in facts.addresses
        )
    if facts.vlans:
        yield f"VLANs ({len(facts.vlans)}): " + ", ".join(
            " ".join(filter(None, (str(each.id), each.name))) for each in facts.vlans
        )
    yield from _sensors(facts.sensors)
    if facts.processors or facts.mempools or facts.storage:
        used = table(
            "Processors, memory, storage",
            "part",
            "in use",
            "of",
            right=("in use", "of"),
        )
        for part in facts.processors:
            add(used, part.descr, f"{part.usage_pct:.0f}%", "")
        pools: list[Mempool | Storage] = [*facts.mempools, *facts.storage]
        for pool in pools:
            size = pool.total_bytes
            of = "" if size is None else f"{scaled(size)}B"
            add(used, pool.descr, f"{pool.used_pct:.0f}%", of)
        yield used
    if facts.wireless:
        radios = table("Wireless", "what", "of", "value", right=("value",))
        for radio in facts.wireless:
            kind = radio.class_.replace("_", " ")
            add(radios, kind, radio.descr, f"{radio.value:g}")
        yield radios
    if facts.transceivers:
        optics = table("Transceivers", "port", "type", "vendor", "model", "serial")
        for optic in facts.transceivers:
            add(
                optics,
                names.get(optic.if_index or 0, ""),
                *(each or "" for each in (optic.type, optic.vendor, optic.model)),
                optic.serial or "",
            )
        yield optics


def _sensors(sensors: Iterable[Sensor]) -> Iterator[Table | str]:
    """What is critical first, then warnings, then figures by kind; states that are well
    are named in a line."""
    judged = [(severity(each), each) for each in sensors]
    well = [each for is_, each in judged if is_ == 0 and each.state is not None]
    rest = [(is_, each) for is_, each in judged if not (is_ == 0 and each.state)]
    rest.sort(
        key=lambda each: (-(each[0] or 0), each[1].class_, _natural(each[1].descr))
    )
    if rest:
        shown = table(
            "Sensors", "sensor", "what", "value", "limits", "is", right=("value",)
        )
        for is_, each in rest:
            add(
                shown,
                each.descr,
                each.class_.replace("_", " "),
                each.state or _value(each),
                _limits(each),
                "" if is_ is None else Text(_WORDS[is_], _SHADES[is_]),
            )
        yield shown
    if well:
        by_state: dict[str, list[str]] = {}
        for each in well:
            by_state.setdefault(each.state or "", []).append(each.descr)
        yield "Well: " + "; ".join(
            f"{', '.join(names)} ({state})" for state, names in by_state.items()
        )


def _natural(text: str) -> list[tuple[int, str]]:
    """`Fan 2` before `Fan 10`."""
    return [
        (int(part), "") if part.isdecimal() and part.isascii() else (-1, part)
        for part in re.split(r"([0-9]{1,18})", text)
    ]


def _value(sensor: Sensor) -> str:
    if sensor.value is None:
        return ""
    text = (
        f"{sensor.value:.4g}" if abs(sensor.value) < 10_000 else f"{sensor.value:.0f}"
    )
    unit = {"C": "°C", None: ""}.get(sensor.unit, sensor.unit or "")
    return f"{text} {unit}".rstrip()


def _limits(sensor: Sensor) -> str:
    """`5 to 45`, `at most 45`, `at least 5`: the outermost it gives."""
    low = sensor.low if sensor.low is not None else sensor.low_warn
    high = sensor.high if sensor.high is not None else sensor.high_warn
    if low is not None and high is not None:
        return f"{low:g} to {high:g}"
    if high is not None:
        return f"at most {high:g}"
    return "" if low is None else f"at least {low:g}"


def _ports(facts: DeviceFacts) -> Iterator[Table | str]:
    """Ports with a link, a description or errors are rows, the others are named."""
    rows: list[tuple[Cell, ...]] = []
    empty: dict[str, list[str]] = {}
    for port in facts.ports:
        state = _state(facts, port)
        counts = [_of(facts, port, column) for column in _FAULTS]
        told = "" if port.alias in port.names else port.alias or ""
        if state not in ("up", "") and not told and not any(counts):
            empty.setdefault(state, []).append(port.key)
            continue
        received = _of(facts, port, oids.IF_HC_IN_OCTETS, oids.IF_IN_OCTETS)
        sent = _of(facts, port, oids.IF_HC_OUT_OCTETS, oids.IF_OUT_OCTETS)
        rows.append(
            (
                port.key,
                Text(state, _SHADES.get(state, "dim")),
                f"{scaled(port.speed_bps)}bit/s" if port.speed_bps else "",
                "" if received is None else f"{scaled(received)}B",
                "" if sent is None else f"{scaled(sent)}B",
                _pair(counts[:2]),
                _pair(counts[2:]),
                told,
            )
        )
    if rows:
        yield _filled(f"{len(facts.ports)} ports", rows)
    for state, names in empty.items():
        yield f"{state[:1].upper()}{state[1:]} ({len(names)}): {', '.join(names)}"


def _filled(title: str, rows: list[tuple[Cell, ...]]) -> Table:
    """The table of ports without the columns in which nothing is said."""
    kept = [n for n in range(len(_HEAD)) if n < 2 or any(str(row[n]) for row in rows)]
    made = table(
        title,
        *(_HEAD[n] for n in kept),
        right=_HEAD[2:7],
        cut=("state", "description"),
        first=min(16, max(len(str(row[0])) for row in rows)),
    )
    for row in rows:
        add(made, *(row[n] for n in kept))
    return made


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


def _of(facts: DeviceFacts, port: Port, *columns: str) -> int | None:
    """The first of `columns` that the port has."""
    for column in columns:
        value = whole(facts.columns.get(column, {}).get(port.if_index))
        if value is not None:
            return value
    return None


def _state(facts: DeviceFacts, port: Port) -> str:
    if _of(facts, port, oids.IF_ADMIN_STATUS) == oids.DOWN:
        return "switched off"
    return oids.OPER.get(_of(facts, port, oids.IF_OPER_STATUS) or 0, "")


def _pair(values: list[int | None]) -> str:
    """In and out: `0/0`, `12/3`; a dash where the device does not say."""
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
