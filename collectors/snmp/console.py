"""`towpath poll`: one device in tables for a person, or many as JSON for a program."""

from __future__ import annotations

import asyncio
import csv
import json
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

from collectors.snmp import oids
from collectors.snmp.credentials import Credential, CredentialError, credential
from collectors.snmp.facts import Facts, Target, facts_json, poll_once, poll_targets
from collectors.snmp.profiles import Profiles
from collectors.snmp.profiles.readings import Mempool, Sensor, Storage
from collectors.snmp.session import Patience
from collectors.snmp.text import whole

_COLUMNS = ("name", "address", "port", "version", "community")
_UNITS = ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k"))


class WrongTarget(ValueError):
    """One sentence about the host or the line of the targets file."""


def where(text: str) -> tuple[str, int]:
    """`HOST[:PORT]` as (host, port); `[2001:db8::1]:161` for IPv6 with a port."""
    host, port = text, "161"
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":") or port
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    if not host or not port.isdigit() or not 1 <= int(port) <= 65535:
        raise WrongTarget(f"{text!r} is no HOST[:PORT] with a port of 1 to 65535")
    return host, int(port)


def resolve(host: str, port: int) -> str:
    """The first address of `host` as a literal; SNMP sessions take nothing else."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except OSError as error:
        raise WrongTarget(f"{host}: {error.strerror or 'no such name'}") from None
    return str(found[0][4][0])


def given_credential(options: Mapping[str, str | None]) -> Credential:
    """The credential of the command line's options; `public` as v2c if none is given.

    `options` has the keys of a credential: version, community, user, auth, …
    """
    given = {key: value for key, value in options.items() if value is not None}
    if "user" not in given and "community" not in given:
        if given.get("version") in ("3", "v3"):
            raise CredentialError("version 3 needs a user")
        given["community"] = "public"
    return credential("of the command line", given)


def read_targets(path: Path) -> list[Target]:
    """The lines of a targets file: name, address, port, version, community."""
    targets = []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            missing = {"name", "address"} - set(reader.fieldnames or ())
            if missing:
                raise WrongTarget(
                    f"{path}: no column {', '.join(sorted(missing))}; expected "
                    f"{','.join(_COLUMNS)}"
                )
            for line in reader:
                targets.append(_target(f"{path}:{reader.line_num}", line))
    except OSError as error:
        raise WrongTarget(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise WrongTarget(f"{path}: is not UTF-8") from None
    return targets


def _target(place: str, line: Mapping[str, str | None]) -> Target:
    port = line.get("port") or "161"
    if not port.isdigit() or not 1 <= int(port) <= 65535:
        raise WrongTarget(f"{place}: port {port!r} is not within 1 to 65535")
    name, address = line.get("name") or "", line.get("address") or ""
    if not address:
        raise WrongTarget(f"{place}: no address")
    try:
        held = credential(
            name,
            {
                "version": line.get("version") or "2c",
                "community": line.get("community") or "public",
            },
        )
    except CredentialError as error:
        raise WrongTarget(f"{place}: {error}") from None
    return Target(name or address, resolve(address, int(port)), int(port), held)


def poll_host(
    host: str,
    held: Credential,
    *,
    as_json: bool = False,
    timeout_s: float = 1.0,
    tries: int = 3,
    profiles: Profiles | None = None,
    out: Callable[[str], None] = print,
    console: Console | None = None,
) -> int:
    """The body of `towpath poll HOST`; 0 if it answered, 1 if not."""
    name, port = where(host)
    address = resolve(name, port)
    facts = asyncio.run(
        poll_once(
            address,
            port,
            held,
            name=name,
            patience=Patience.of(timeout_s, tries),
            profiles=profiles,
        )
    )
    if as_json:
        out(json.dumps(facts_json(facts), ensure_ascii=False, indent=2))
    else:
        show(facts, console or Console())
    return 0 if facts.ok else 1


def poll_file(
    path: Path,
    *,
    at_once: int = 32,
    timeout_s: float = 1.0,
    tries: int = 3,
    profiles: Profiles | None = None,
    out: Callable[[str], None] = print,
) -> int:
    """The body of `towpath poll --targets FILE.csv --jsonl`: one line a device, as
    each ends; 0 if all answered, 1 if not."""
    targets = read_targets(path)
    failed = asyncio.run(
        poll_targets(
            targets,
            lambda facts: out(json.dumps(facts_json(facts), ensure_ascii=False)),
            at_once,
            Patience.of(timeout_s, tries),
            profiles=profiles,
        )
    )
    return 0 if failed == 0 else 1


def show(facts: Facts, console: Console) -> None:
    """Tables for a person."""
    if facts.identity is None:
        console.print(
            f"[bold]{facts.target}[/] no answer: {facts.outcome.value}, {facts.detail}"
        )
        return
    who = facts.identity
    title = Table(show_header=False, box=None, pad_edge=False)
    for label, value in (
        ("name", who.sys_name),
        ("description", who.sys_descr),
        ("object id", who.sys_object_id),
        ("vendor", who.vendor),
        ("hardware", who.hardware),
        ("software", " ".join(filter(None, (who.os, who.version))) or None),
        ("serial", who.serial),
        ("location", who.sys_location),
        ("up for", None if who.uptime_s is None else duration(who.uptime_s)),
        ("asked", f"{facts.packets} packets, {facts.duration_ms:.0f} ms"),
    ):
        if value:
            title.add_row(f"[bold]{label}[/]", value)
    console.print(title)
    if not facts.ok:
        console.print(f"incomplete: {facts.outcome.value}, {facts.detail}")
    for section, why in facts.sections.items():
        console.print(f"{section} not read: {why}")
    if facts.ports:
        console.print(_ports(facts))
    if facts.neighbours:
        table = Table("port", "by", "neighbour", "its port", "is", title="Neighbours")
        for each in facts.neighbours:
            table.add_row(
                each.local_port,
                each.protocol,
                each.remote_name or each.remote_chassis or each.remote_address or "",
                each.remote_port or "",
                ", ".join(sorted(each.capabilities)),
            )
        console.print(table)
    for table in _readings(facts):
        console.print(table)


def _readings(facts: Facts) -> Iterator[Table]:
    """What the profiles read, a table a section that has rows."""
    if facts.sensors:
        table = Table("sensor", "what", "value", title="Sensors")
        for each in facts.sensors:
            table.add_row(each.descr, each.class_.replace("_", " "), _value(each))
        yield table
    if facts.processors or facts.mempools or facts.storage:
        table = Table("part", "in use", title="Processors, memory, storage")
        for part in facts.processors:
            table.add_row(part.descr, f"{part.usage_pct:.0f} %")
        pools: list[Mempool | Storage] = [*facts.mempools, *facts.storage]
        for pool in pools:
            size = pool.total_bytes
            of = "" if size is None else f" of {scaled(size)}B"
            table.add_row(pool.descr, f"{pool.used_pct:.0f} %{of}")
        yield table
    if facts.wireless:
        table = Table("wireless", "what", "value", title="Wireless")
        for radio in facts.wireless:
            table.add_row(radio.descr, radio.class_, f"{radio.value:g}")
        yield table
    if facts.transceivers:
        names = {port.if_index: port.key for port in facts.ports}
        table = Table("port", "type", "vendor", "model", title="Transceivers")
        for optic in facts.transceivers:
            table.add_row(
                names.get(optic.if_index or 0, ""),
                optic.type,
                optic.vendor,
                optic.model,
            )
        yield table


def _value(sensor: Sensor) -> str:
    """`24.5 C`, or a state in its colour and word."""
    if sensor.state is not None:
        colour = {"ok": "green", "warning": "yellow", "critical": "red"}
        shade = colour.get(sensor.severity or "", "dim")
        note = "" if sensor.severity in ("ok", "unknown") else f" ({sensor.severity})"
        return f"[{shade}]{sensor.state}[/]{note}"
    return f"{sensor.value:g} {sensor.unit or ''}"


def _ports(facts: Facts) -> Table:
    table = Table("port", "alias", "speed", "state", title=f"{len(facts.ports)} ports")
    for heading in ("received", "sent", "errors", "discards"):
        table.add_column(heading, justify="right")
    for port in facts.ports:

        def of(*columns: str, index: int = port.if_index) -> int | None:
            for column in columns:
                value = whole(facts.columns.get(column, {}).get(index))
                if value is not None:
                    return value
            return None

        oper = oids.OPER.get(of(oids.IF_OPER_STATUS) or 0, "")
        if of(oids.IF_ADMIN_STATUS) == oids.DOWN:
            oper = "switched off"
        colour = {"up": "green", "down": "red"}.get(oper, "dim")
        speed = "" if not port.speed_bps else f"{scaled(port.speed_bps)}bit/s"
        received = of(oids.IF_HC_IN_OCTETS, oids.IF_IN_OCTETS)
        sent = of(oids.IF_HC_OUT_OCTETS, oids.IF_OUT_OCTETS)
        errors = [of(oids.IF_IN_ERRORS), of(oids.IF_OUT_ERRORS)]
        discards = [of(oids.IF_IN_DISCARDS), of(oids.IF_OUT_DISCARDS)]
        table.add_row(
            port.key,
            port.alias or "",
            speed,
            f"[{colour}]{oper}[/]",
            "" if received is None else f"{scaled(received)}B",
            "" if sent is None else f"{scaled(sent)}B",
            _pair(errors),
            _pair(discards),
        )
    return table


def _pair(values: list[int | None]) -> str:
    if all(value is None for value in values):
        return ""
    return " / ".join("-" if value is None else str(value) for value in values)


def scaled(number: int) -> str:
    """`1234567` as `1.23 M`."""
    for size, unit in _UNITS:
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number} "


def duration(seconds: float) -> str:
    """`93784` as `1 d 2 h 3 min`."""
    minutes, _ = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "min")]
    return " ".join(f"{n} {unit}" for n, unit in parts if n) or f"{seconds:.0f} s"
