"""From answers to lines of the estate. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_address
from typing import Any

import msgspec

from collectors.discovery.sweep import SweepAnswer
from collectors.estate.estate_model import Device, Estate, Role
from collectors.estate.estate_text import id_of, unique_ids
from collectors.estate.site_assignment import assign
from collectors.snmp.profiles.identity import Identity

# Engine ids that many devices share (RFC 3411 asks for 5 to 32 octets; clones and
# factory settings give zeros).
_LEAST_ENGINE_OCTETS = 5
# sysServices: a bit for each layer (RFC 3418).
_LAYER_2, _LAYER_3 = 0x02, 0x04
_FIREWALLS = {"fortinet", "palo alto", "checkpoint", "sonicwall"}
_UPS = {"apc", "eaton", "riello", "socomec"}
_ENVIRONMENT = {"geist", "akcp"}
_WORDS: tuple[tuple[str, Role], ...] = (
    (r"\b(firewall|adaptive security appliance|asa|srx\d+)\b", "firewall"),
    (r"\b(wireless (lan )?controller|wlc|mobility controller)\b", "controller"),
    (r"\b(access point|air-\w*ap\w*|c91\d\d|[au]ap\b|ap\d{3,4}\w*)", "access_point"),
    (r"\b(ups|uninterruptible)\b", "ups"),
    (r"\b(environment|temperature) (sensor|monitor)", "environment"),
    (r"\bswitch", "switch"),
    (r"\brouter", "router"),
)


class FoundDevice(msgspec.Struct, frozen=True):
    """One device, with the answers of its addresses; the first is the one to use."""

    answers: tuple[SweepAnswer, ...]

    @property
    def best(self) -> SweepAnswer:
        return self.answers[0]

    @property
    def addresses(self) -> list[str]:
        return [each.address for each in self.answers]

    @property
    def name(self) -> str:
        identity = self.best.identity
        return (identity.sys_name if identity else "") or ""


class EstateLines(msgspec.Struct, frozen=True):
    """`entries` can be put behind the estate; `homeless` want a site first. `notes`
    are comments by the entry's id; `known` are devices it has already."""

    entries: list[dict[str, Any]]
    homeless: list[dict[str, Any]]
    notes: dict[str, list[str]]
    known: list[tuple[str, FoundDevice]]


def fold(
    answers: Iterable[SweepAnswer], prefer: Iterable[str] = ()
) -> list[FoundDevice]:
    """The devices behind the answers that were identified: one that answers at several
    addresses is one. `prefer` are addresses the estate uses already.

    Two are one where they have the same sysName, and the same serial number, bridge
    address or engine id; or where one says that the other's address is its own. Clones
    share an engine id and a name: a bridge address or serial that differs tells them
    apart.
    """
    told = sorted((a for a in answers if a.identity is not None), key=_rank)
    # Only what has one name can be one device.
    named: dict[tuple[str, str], list[list[SweepAnswer]]] = {}
    for answer in told:
        assert answer.identity is not None
        who = answer.identity
        groups = named.setdefault((who.sys_name or "", who.sys_object_id or ""), [])
        same = [g for g in groups if any(_one_device(answer, each) for each in g)]
        joined = [answer]
        for group in same:
            groups.remove(group)
            joined = group + joined
        groups.append(joined)
    wanted = set(prefer)
    found = [
        FoundDevice(
            tuple(sorted(group, key=lambda a: (a.address not in wanted, _rank(a))))
        )
        for groups in named.values()
        for group in groups
    ]
    return sorted(found, key=lambda each: _rank(each.best))


def lines(
    found: Sequence[FoundDevice], estate: Estate, port: int, site: str = ""
) -> EstateLines:
    """What to add to the estate for `found`; `site` is for those no rule places."""
    there = {(str(d.address), d.port): d for d in estate.devices}
    known: list[tuple[str, FoundDevice]] = []
    fresh: list[FoundDevice] = []
    for each in found:
        device = _known_as(each, there, port)
        if device is None:
            fresh.append(each)
        else:
            known.append((device.id, each))
    names = [(each.name or each.best.address, each.best.address) for each in fresh]
    taken = {device.id for device in estate.devices}
    result = EstateLines([], [], {}, known)
    for each, id in zip(fresh, unique_ids(names, taken), strict=True):
        best = each.best
        identity = best.identity or Identity()
        placed = assign(
            estate.sites,
            ip_address(best.address),
            identity.sys_location or "",
            each.name,
        )
        home = placed.site or site or None
        entry: dict[str, Any] = {
            "id": id,
            "name": each.name,
            "site": home,
            "address": best.address,
            "port": port if port != 161 else None,
            "role": role_of(best),
            "credentials": best.credential,
        }
        (result.entries if home else result.homeless).append(entry)
        result.notes[id] = ["; ".join(_notes(each, id, placed.why, taken))]
    return result


def role_of(answer: SweepAnswer) -> Role:
    """What it most likely is; a person corrects it where it is wrong."""
    identity = answer.identity or Identity()
    vendor = identity.vendor or ""
    if vendor in _FIREWALLS:
        return "firewall"
    if vendor in _UPS:
        return "ups"
    if vendor in _ENVIRONMENT:
        return "environment"
    said = f"{identity.sys_descr or ''} {identity.hardware or ''}"
    for pattern, role in _WORDS[:5]:
        if re.search(pattern, said, re.IGNORECASE):
            return role
    if answer.bridge_ports > 4:
        return "switch"
    for pattern, role in _WORDS[5:]:
        if re.search(pattern, said, re.IGNORECASE):
            return role
    if answer.services & _LAYER_2:
        return "switch"
    if answer.services & _LAYER_3:
        return "router"
    return "other"


def _notes(found: FoundDevice, id: str, why: str, taken: set[str]) -> Iterator[str]:
    best = found.best
    identity = best.identity or Identity()
    told = [identity.vendor, identity.hardware, (identity.sys_descr or "")[:60]]
    yield ", ".join(each for each in told if each) or "it says nothing of itself"
    yield f"site by {why}" if not why.startswith(best.address) else why
    if len(found.answers) > 1:
        yield f"also at {', '.join(found.addresses[1:])}"
    plain = id_of(found.name)
    if plain in taken:
        yield f"the estate has a {plain!r} at another address: has it moved?"


def _known_as(
    found: FoundDevice, there: dict[tuple[str, int], Device], port: int
) -> Device | None:
    for address in found.addresses:
        if (address, port) in there:
            return there[address, port]
    return None


def _rank(answer: SweepAnswer) -> tuple[bool, bytes]:
    return len(answer.address) > 15, ip_address(answer.address).packed


def _one_device(a: SweepAnswer, b: SweepAnswer) -> bool:
    """Of two with the same sysName and sysObjectID."""
    for mine, other in (
        (a.serial, b.serial),
        (a.bridge_address.strip("0"), b.bridge_address.strip("0")),
    ):
        if mine and other and mine != other:
            return False
    if a.address in b.own_addresses or b.address in a.own_addresses:
        return True
    return any(
        mine and mine == other
        for mine, other in (
            (a.serial, b.serial),
            (a.bridge_address.strip("0"), b.bridge_address.strip("0")),
            (_telling(a.engine_id), _telling(b.engine_id)),
        )
    )


def _telling(engine_id: str) -> str:
    """An engine id that tells its device from others; else the empty text."""
    # The first four octets are the vendor's number.
    own = engine_id[8:].strip("0")
    return engine_id if own and len(engine_id) >= 2 * _LEAST_ENGINE_OCTETS else ""
