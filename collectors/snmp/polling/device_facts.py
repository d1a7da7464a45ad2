"""Everything about one device at one time: what `towpath poll` asks and prints."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from collectors.snmp.polling import device_findings
from collectors.snmp.profiles import (
    ProfileReader,
    Profiles,
    Sayings,
    find,
    load,
    read,
    readings,
)
from collectors.snmp.profiles.apply import REFUSED
from collectors.snmp.profiles.identity import Identity, identify, named, read_system
from collectors.snmp.profiles.readings import (
    Mempool,
    Processor,
    RefusedColumn,
    Sensor,
    Storage,
    Transceiver,
    Wireless,
)
from collectors.snmp.session import oids
from collectors.snmp.session.credentials import Credential
from collectors.snmp.session.device_session import DeviceSession
from collectors.snmp.session.engine_discovery import agent_answers
from collectors.snmp.session.octet_text import text, whole
from collectors.snmp.session.poll_budget import PollBudget
from collectors.snmp.session.session import Failed, RetryPolicy
from collectors.snmp.session.sessions import Sessions
from collectors.snmp.tables import interfaces
from collectors.snmp.tables.entities import Entity, entities, read_entities
from collectors.snmp.tables.if_types import if_type
from collectors.snmp.tables.interfaces import Columns, Port
from collectors.snmp.tables.ip_addresses import Address, addresses, read_addresses
from collectors.snmp.tables.neighbour_tables import (
    Neighbour,
    neighbours,
    read_neighbours,
)
from collectors.snmp.tables.vlans import Vlan, merged, read_vlans, vlans
from probes.wire.failure import Outcome

_COUNTERS = {
    "in_octets": (oids.IF_HC_IN_OCTETS, oids.IF_IN_OCTETS),
    "out_octets": (oids.IF_HC_OUT_OCTETS, oids.IF_OUT_OCTETS),
    "in_errors": (oids.IF_IN_ERRORS,),
    "out_errors": (oids.IF_OUT_ERRORS,),
    "in_discards": (oids.IF_IN_DISCARDS,),
    "out_discards": (oids.IF_OUT_DISCARDS,),
    "in_ucast": (oids.IF_HC_IN_UCAST, oids.IF_IN_UCAST),
    "out_ucast": (oids.IF_HC_OUT_UCAST, oids.IF_OUT_UCAST),
}


class DeviceFacts(msgspec.Struct):
    """What was found; sections that were not found stay None or empty.

    `sections` says how each section's reading ended, where it did not end well;
    `findings` what an engineer should know of the device, by name.
    """

    name: str
    target: str
    outcome: Outcome = Outcome.OK
    detail: str = ""
    duration_ms: float = 0.0
    packets: int = 0
    identity: Identity | None = None
    ports: list[Port] = []
    columns: Columns = {}
    neighbours: list[Neighbour] = []
    vlans: list[Vlan] = []
    entities: list[Entity] = []
    sensors: list[Sensor] = []
    processors: list[Processor] = []
    mempools: list[Mempool] = []
    storage: list[Storage] = []
    wireless: list[Wireless] = []
    transceivers: list[Transceiver] = []
    refused: list[RefusedColumn] = []
    profiles: list[str] = []
    addresses: list[Address] = []
    sections: dict[str, str] = {}
    findings: dict[str, str] = {}

    @property
    def ok(self) -> bool:
        return self.outcome is Outcome.OK


async def poll_once(
    address: str,
    port: int,
    credential: Credential,
    *,
    name: str = "",
    retry_policy: RetryPolicy | None = None,
    budget_s: float = 60.0,
    sessions: Sessions | None = None,
    profiles: Profiles | None = None,
) -> DeviceFacts:
    """Asks one device everything, once. Never raises for what the device does.

    `address` is an IP literal. What was read before a failure is in the facts.
    """
    facts = DeviceFacts(name or address, f"{address}:{port}")
    started = time.monotonic()
    async with Sessions() as own:
        session = (sessions or own).open(
            address, port, credential, retry_policy or RetryPolicy.with_backoff(1.0, 3)
        )
        try:
            snmp = DeviceSession(session, PollBudget(budget_s))
            await _read(facts, snmp, profiles or load())
        except Failed as failed:
            facts.outcome, facts.detail = failed.outcome, failed.detail
            if failed.outcome is Outcome.TIMEOUT and await agent_answers(
                address, port, session.retry_policy.timeouts_s[0]
            ):
                facts.outcome = Outcome.AUTH_FAILED
                facts.detail = "it speaks SNMP, but does not take this credential"
        finally:
            session.close()
    facts.packets = session.counts.packets
    facts.duration_ms = (time.monotonic() - started) * 1000
    return facts


async def _read(facts: DeviceFacts, snmp: DeviceSession, profiles: Profiles) -> None:
    system = await read_system(snmp)
    facts.identity = who = identify(system)
    reader = ProfileReader(snmp)

    async def ask(oid: str) -> str | None:
        return text(await reader.instance(oid))

    chosen = await profiles.of(who.sys_object_id, who.sys_descr, ask)
    facts.columns = await interfaces.read_columns(snmp, interfaces.FULL)
    facts.ports = interfaces.ports(facts.columns)
    ports = facts.ports

    async def heard() -> None:
        found = await read_neighbours(snmp)
        facts.neighbours = neighbours(found, ports)

    async def vlan() -> None:
        facts.vlans = vlans(await read_vlans(snmp))

    async def entity() -> None:
        facts.entities = entities(await read_entities(snmp))

    async def ipv4() -> None:
        facts.addresses = addresses(await read_addresses(snmp))

    async def profiled() -> None:
        rows = find(chosen, await read(reader, chosen))
        # Those for any device count where they found something.
        used = {each.profile for each in rows}
        facts.profiles = [p.name for p in chosen if not p.general or p.name in used]
        found = readings(rows)
        facts.sensors = found["sensors"]
        facts.processors = found["processors"]
        facts.mempools = found["memory"]
        facts.storage = found["storage"]
        facts.wireless = found["wireless"]
        facts.transceivers = found["transceivers"]
        facts.refused = found[REFUSED]
        if any(getattr(each.rule, "instead", False) for each in rows):
            facts.vlans = []
        facts.vlans = merged(facts.vlans, found["vlans"])

    async def identity() -> None:
        sayings = Sayings(reader, who.sys_object_id, who.sys_descr, facts.entities)
        facts.identity = await named(who, chosen, sayings)

    for section, read_section in (
        ("neighbours", heard),
        ("vlans", vlan),
        ("entities", entity),
        ("ipv4", ipv4),
        ("profiles", profiled),
        ("identity", identity),
    ):
        await _section(facts, section, read_section)
    facts.identity = facts.identity.with_chassis(facts.entities)
    names = {port.if_index: port.key for port in ports}
    facts.findings = {
        **device_findings.of_unreadable(snmp.session.unreadable.by_oid, names.get),
        **device_findings.of_refused(facts.refused),
    }
    if reader.unread:
        facts.sections["columns"] = ", ".join(sorted(reader.unread))


async def _section(
    facts: DeviceFacts, section: str, read: Callable[[], Awaitable[None]]
) -> None:
    """A section that fails leaves the others alone; a device that fell silent does
    not get asked for more."""
    try:
        await read()
    except Failed as failed:
        facts.sections[section] = f"{failed.outcome.value}: {failed.detail}"
        if failed.outcome in (Outcome.BUDGET_SPENT, Outcome.AUTH_FAILED):
            raise


def facts_json(facts: DeviceFacts) -> dict[str, Any]:
    """The facts under the keys other programs read; what is not known is left out."""
    shown: dict[str, Any] = {
        "name": facts.name,
        "target": facts.target,
        "ok": facts.ok,
        "error": None
        if facts.ok
        else {"reason": facts.outcome.value, "detail": facts.detail},
        "duration_ms": round(facts.duration_ms, 1),
        "packets": facts.packets,
    }
    if facts.identity is not None:
        shown["identity"] = _known(msgspec.structs.asdict(facts.identity))
    shown["ports"] = [_port_json(port, facts.columns) for port in facts.ports]
    shown["neighbours"] = [
        _known(
            {
                "protocol": each.protocol,
                "local_port": each.local_port or None,
                "local_if_index": each.local_if_index,
                "remote_name": each.remote_name,
                "remote_port": each.remote_port,
                "remote_chassis": each.remote_chassis,
                "remote_port_descr": each.remote_port_descr,
                "remote_address": each.remote_address,
                "remote_descr": each.remote_descr,
                "capabilities": sorted(each.capabilities) or None,
            }
        )
        for each in facts.neighbours
    ]
    for key, rows in (
        ("vlans", facts.vlans),
        ("entities", facts.entities),
        ("sensors", facts.sensors),
        ("processors", facts.processors),
        ("mempools", facts.mempools),
        ("storage", facts.storage),
        ("wireless", facts.wireless),
        ("transceivers", facts.transceivers),
        ("ipv4", [each for each in facts.addresses if each.is_ipv4]),
        ("ipv6", [each for each in facts.addresses if not each.is_ipv4]),
        ("refused", facts.refused),
    ):
        shown[key] = [_known(msgspec.to_builtins(row)) for row in rows]
    shown["profiles"] = facts.profiles
    if facts.findings:
        shown["findings"] = facts.findings
    if facts.sections:
        shown["incomplete"] = facts.sections
    return shown


def _port_json(port: Port, columns: Columns) -> dict[str, Any]:
    def of(column: str) -> int | None:
        return whole(columns.get(column, {}).get(port.if_index))

    admin, oper = of(oids.IF_ADMIN_STATUS), of(oids.IF_OPER_STATUS)
    duplex = of(oids.DOT3_DUPLEX)
    shown: dict[str, Any] = {
        "if_index": port.if_index,
        "port": port.key,
        "stable": port.stable,
        "name": port.name,
        "descr": port.descr,
        "alias": port.alias,
        "type": None if port.type is None else if_type(port.type),
        "speed_bps": port.speed_bps,
        "admin": None if admin is None else oids.ADMIN.get(admin),
        "oper": None if oper is None else oids.OPER.get(oper),
        "mtu": of(oids.IF_MTU),
        "mac": port.mac,
        "duplex": None if duplex is None else oids.DUPLEX.get(duplex),
    }
    for name, choice in _COUNTERS.items():
        found = (of(column) for column in choice)
        shown[name] = next((v for v in found if v is not None and v >= 0), None)
    return _known(shown)


def _known(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if value is not None}


class HostTarget(msgspec.Struct, frozen=True):
    """One line of a targets file."""

    name: str
    address: str
    port: int
    credential: Credential


async def poll_targets(
    targets: list[HostTarget],
    done: Callable[[DeviceFacts], None],
    at_once: int = 32,
    retry_policy: RetryPolicy | None = None,
    budget_s: float = 120.0,
    profiles: Profiles | None = None,
) -> int:
    """Polls all, `at_once` at a time, `done` called as each ends; how many failed."""
    slots = asyncio.Semaphore(at_once)
    failed = 0

    async def one(target: HostTarget, sessions: Sessions) -> None:
        nonlocal failed
        async with slots:
            try:
                facts = await poll_once(
                    target.address,
                    target.port,
                    target.credential,
                    name=target.name,
                    retry_policy=retry_policy,
                    budget_s=budget_s,
                    sessions=sessions,
                    profiles=profiles,
                )
            except Exception as error:  # noqa: BLE001 - one device must not end the list
                facts = DeviceFacts(
                    target.name,
                    f"{target.address}:{target.port}",
                    Outcome.BAD_ANSWER,
                    repr(error),
                )
            failed += not facts.ok
            done(facts)

    async with Sessions() as sessions, asyncio.TaskGroup() as group:
        for target in targets:
            group.create_task(one(target, sessions), name=f"poll {target.name}")
    return failed
