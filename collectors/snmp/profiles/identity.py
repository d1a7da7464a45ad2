"""A device's identity: the system group (RFC 3418), and facts from its profiles."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import chain

import msgspec

from collectors.snmp.profiles import IdentityFacts, Profile
from collectors.snmp.profiles.described_identity import read_description
from collectors.snmp.session import oids
from collectors.snmp.session.device_session import DeviceSession
from collectors.snmp.session.octet_text import text
from collectors.snmp.session.session import Value
from collectors.snmp.tables.entities import CHASSIS, Entity, device_parts
from collectors.snmp.tables.vendors import AGENT_VENDORS, VENDORS

_SYSTEM = [
    oids.SYS_UP_TIME,
    oids.SYS_OBJECT_ID,
    oids.SYS_DESCR,
    oids.SYS_NAME,
    oids.SYS_LOCATION,
    oids.SYS_CONTACT,
]
_SYSTEM_GROUP = "1.3.6.1.2.1.1"
ENTERPRISES = "1.3.6.1.4.1."
_NO_PART = Entity(0, "unknown")
_OID_TEXT = re.compile(r"\.?\d+(\.\d+)+")


class Identity(msgspec.Struct, frozen=True):
    """A device's identity; None means that the device does not give the value."""

    sys_object_id: str | None = None
    sys_name: str | None = None
    sys_descr: str | None = None
    sys_location: str | None = None
    sys_contact: str | None = None
    uptime_s: float | None = None
    vendor: str | None = None
    os: str | None = None
    hardware: str | None = None
    version: str | None = None
    serial: str | None = None

    def with_chassis(self, entities: Sequence[Entity]) -> Identity:
        """Return the identity with missing values filled in from ENTITY-MIB's chassis
        and from sysDescr; the latter knows better which software is running."""
        first = next(iter(device_parts(entities)), _NO_PART)
        chassis = first if first.class_ == CHASSIS else _NO_PART
        described = read_description(self.sys_descr)
        # What is no chassis may be a module, or an optic that does not say so.
        return msgspec.structs.replace(
            self,
            hardware=self.hardware
            or chassis.model
            or described.hardware
            or first.model,
            serial=self.serial or chassis.serial or described.serial or first.serial,
            version=self.version or described.version or first.software or None,
        )


async def read_system(snmp: DeviceSession) -> dict[str, Value]:
    """Read the system group. Raises `Failed`.

    Some agents answer a GETNEXT on it wrongly, and others lack a column and refuse the
    GET in v1. So a GET comes first, and a walk if that returns nothing.
    """
    system = await snmp.get_some(_SYSTEM)
    if oids.SYS_OBJECT_ID not in system and oids.SYS_DESCR not in system:
        system |= await snmp.walk(_SYSTEM_GROUP)
    if system and oids.SYS_UP_TIME not in system:
        snmp.limits.anchor = next(iter(system))
    return system


def identify(system: Mapping[str, Value]) -> Identity:
    """Return the identity from the system group. Pure."""
    sys_object_id = _to_oid(system.get(oids.SYS_OBJECT_ID))
    ticks = system.get(oids.SYS_UP_TIME)
    return Identity(
        sys_object_id=sys_object_id,
        sys_name=text(system.get(oids.SYS_NAME)),
        sys_descr=text(system.get(oids.SYS_DESCR)),
        sys_location=text(system.get(oids.SYS_LOCATION)),
        sys_contact=text(system.get(oids.SYS_CONTACT)),
        uptime_s=ticks / oids.TICKS_PER_S if isinstance(ticks, int) else None,
        vendor=_find_vendor(sys_object_id),
    )


async def complete_identity(
    identity: Identity,
    profiles: Sequence[Profile],
    facts_reader: IdentityFacts,
    enterprises: Callable[[], Awaitable[Sequence[int]]],
) -> Identity:
    """Return `identity` completed by the profiles, the most specific first.

    If nothing names the vendor, it is that of the only known number among
    `enterprises`. Raises `Failed`.
    """
    facts: dict[str, str | None] = {}
    for fact in ("vendor", "os", "hardware", "version", "serial"):
        # A standard MIB's text for the maker is for devices that nothing else names.
        sources = [
            source
            for profile in profiles
            if fact != "vendor" or not profile.is_general
            for source in getattr(profile.body.identity, fact)
            if not (source.no_maker and _is_maker(facts["vendor"]))
        ]
        heads = (getattr(profile.head, fact, None) for profile in profiles)
        facts[fact] = (
            await facts_reader.read_first(sources)
            or next((value for value in heads if value), None)
            or getattr(identity, fact)
        )
        if fact == "vendor" and not _is_maker(facts[fact]):
            maker = await _find_maker(profiles, facts_reader, enterprises)
            facts[fact] = maker or facts[fact]
    return msgspec.structs.replace(identity, **facts)


def _is_maker(vendor: str | None) -> bool:
    return vendor not in (None, *AGENT_VENDORS)


async def _find_maker(
    profiles: Sequence[Profile],
    facts_reader: IdentityFacts,
    enterprises: Callable[[], Awaitable[Sequence[int]]],
) -> str | None:
    """Return the only maker that a profile or an enterprise number names, or else what
    a standard MIB says. Raises `Failed`."""
    named = {profile.head.vendor for profile in profiles} - {None, *AGENT_VENDORS}
    known = {VENDORS[n] for n in await enterprises() if n in VENDORS}
    makers = named or known - AGENT_VENDORS
    if len(makers) == 1:
        return makers.pop()
    general = [p.body.identity.vendor for p in profiles if p.is_general]
    return await facts_reader.read_first(chain.from_iterable(general))


def _to_oid(value: Value | None) -> str | None:
    """Return a sysObjectID; some agents send it as text."""
    if isinstance(value, bytes):
        value = (text(value) or "").strip(" \"'").replace("iso.", "1.", 1)
        return value.lstrip(".") if _OID_TEXT.fullmatch(value) else None
    return value.lstrip(".") if isinstance(value, str) else None


def _find_vendor(sys_object_id: str | None) -> str | None:
    if sys_object_id is None or not sys_object_id.startswith(ENTERPRISES):
        return None
    number = sys_object_id.removeprefix(ENTERPRISES).split(".")[0]
    return VENDORS.get(int(number)) if number.isdecimal() else None
