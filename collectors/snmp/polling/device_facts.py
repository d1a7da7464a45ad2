"""Everything about one device at one time, as `towpath poll` reads and prints it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import msgspec

from collectors.snmp.polling import device_findings
from collectors.snmp.profiles import (
    IdentityFacts,
    Profile,
    ProfileReader,
    Profiles,
    find_rows,
    load,
    read_profiles,
    to_readings,
)
from collectors.snmp.profiles.apply import REFUSED
from collectors.snmp.profiles.device_evidence import DeviceEvidence
from collectors.snmp.profiles.identity import (
    Identity,
    complete_identity,
    identify,
    read_system,
)
from collectors.snmp.profiles.readings import (
    Mempool,
    Processor,
    RefusedColumn,
    Sensor,
    Storage,
    Transceiver,
    Wireless,
)
from collectors.snmp.session.credentials import Credential
from collectors.snmp.session.device_session import DeviceSession
from collectors.snmp.session.poll_budget import PollBudget
from collectors.snmp.session.session import Failed, RetryPolicy
from collectors.snmp.session.sessions import Sessions
from collectors.snmp.session.silent_agent import explain_silence
from collectors.snmp.tables import interfaces
from collectors.snmp.tables.entities import (
    Entity,
    merge_entities,
    parse_entities,
    read_entities,
)
from collectors.snmp.tables.interfaces import Columns, Port
from collectors.snmp.tables.ip_addresses import Address, parse_addresses, read_addresses
from collectors.snmp.tables.neighbour_tables import (
    Neighbour,
    parse_neighbours,
    read_neighbours,
)
from collectors.snmp.tables.vlans import Vlan, merge_vlans, parse_vlans, read_vlans
from probes.wire.failure import Outcome


class DeviceFacts(msgspec.Struct):
    """What was read; sections that the device lacks stay None or empty.

    `sections` has the reason for each section that could not be read; `findings` what
    an engineer should know about the device, by name.
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
    """Reads everything about one device, once. Never raises for what the device does.

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
            await _FactsReader(facts, snmp, profiles or load()).read()
        except Failed as failed:
            facts.outcome, facts.detail = failed.outcome, failed.detail
            if failed.outcome is Outcome.TIMEOUT and facts.identity is None:
                wait_s = session.retry_policy.timeouts_s[0]
                reason = await explain_silence(address, port, credential, wait_s)
                if reason:
                    facts.outcome, facts.detail = Outcome.AUTH_FAILED, reason
        finally:
            session.close()
    facts.packets = session.counts.packets
    facts.duration_ms = (time.monotonic() - started) * 1000
    return facts


class _FactsReader:
    """Reads one section after another into `facts`."""

    def __init__(
        self, facts: DeviceFacts, snmp: DeviceSession, profiles: Profiles
    ) -> None:
        self._facts, self._snmp, self._profiles = facts, snmp, profiles
        self._reader = ProfileReader(snmp)
        self._identity = Identity()
        self._evidence = DeviceEvidence(self._reader, self._identity)
        self._chosen: list[Profile] = []

    async def read(self) -> None:
        """Raises `Failed` if the device stops answering."""
        facts, snmp = self._facts, self._snmp
        identity = identify(await read_system(snmp))
        facts.identity = self._identity = identity
        self._evidence = DeviceEvidence(self._reader, identity)
        self._chosen = await self._profiles.find_for_device(self._evidence)
        facts.columns = await interfaces.read_columns(snmp, interfaces.FULL)
        facts.ports = interfaces.parse_ports(facts.columns)
        for section, read_section in (
            ("neighbours", self._read_neighbours),
            ("vlans", self._read_vlans),
            ("entities", self._read_entities),
            ("ipv4", self._read_addresses),
            ("profiles", self._read_profiles),
            ("identity", self._read_identity),
        ):
            await self._read_section(section, read_section)
        facts.identity = facts.identity.with_chassis(facts.entities)
        names = {port.if_index: port.key for port in facts.ports}
        unreadable = snmp.session.unreadable.by_oid
        facts.findings = {
            **device_findings.of_unreadable(unreadable, names.get),
            **device_findings.of_refused(facts.refused),
        }
        if self._reader.unread:
            facts.sections["columns"] = ", ".join(sorted(self._reader.unread))

    async def _read_section(
        self, section: str, read_section: Callable[[], Awaitable[None]]
    ) -> None:
        """A section that fails does not affect the others, unless the device has used
        up its time or refuses the credential."""
        try:
            await read_section()
        except Failed as failed:
            self._facts.sections[section] = f"{failed.outcome.value}: {failed.detail}"
            if failed.outcome in (Outcome.BUDGET_SPENT, Outcome.AUTH_FAILED):
                raise

    async def _read_neighbours(self) -> None:
        tables = await read_neighbours(self._snmp)
        self._facts.neighbours = parse_neighbours(tables, self._facts.ports)

    async def _read_vlans(self) -> None:
        self._facts.vlans = parse_vlans(await read_vlans(self._snmp))

    async def _read_entities(self) -> None:
        self._facts.entities = parse_entities(await read_entities(self._snmp))

    async def _read_addresses(self) -> None:
        self._facts.addresses = parse_addresses(await read_addresses(self._snmp))

    async def _read_profiles(self) -> None:
        facts = self._facts
        rows = find_rows(self._chosen, await read_profiles(self._reader, self._chosen))
        # Profiles for all devices, or all of a maker, are listed only if they found
        # something.
        used = {row.profile for row in rows}
        facts.profiles = [
            profile.name
            for profile in self._chosen
            if not (profile.is_general or profile.is_family) or profile.name in used
        ]
        sections = to_readings(rows)
        facts.sensors = sections["sensors"]
        facts.processors = sections["processors"]
        facts.mempools = sections["memory"]
        facts.storage = sections["storage"]
        facts.wireless = sections["wireless"]
        facts.transceivers = sections["transceivers"]
        facts.entities = merge_entities(facts.entities, sections["entities"])
        facts.refused = sections[REFUSED]
        if any(getattr(row.rule, "instead", False) for row in rows):
            facts.vlans = []
        facts.vlans = merge_vlans(facts.vlans, sections["vlans"])

    async def _read_identity(self) -> None:
        identity = self._identity
        evidence = self._evidence
        facts = IdentityFacts(
            self._reader, evidence.object_id, evidence.descr, self._facts.entities
        )
        self._facts.identity = await complete_identity(
            identity, self._chosen, facts, evidence.enterprises
        )


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
    """Polls all targets, `at_once` at a time; returns how many failed.

    `done` is called as each poll ends.
    """
    slots = asyncio.Semaphore(at_once)
    failed = 0

    async def poll_target(target: HostTarget, sessions: Sessions) -> None:
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
            group.create_task(poll_target(target, sessions), name=f"poll {target.name}")
    return failed
