"""Groups a sweep's answers into devices, and makes estate entries of them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_address
from typing import Any

import msgspec

from collectors.discovery.role_rules import find_role
from collectors.discovery.sweep import SweepAnswer
from collectors.estate.estate_model import Device, Estate, Role
from collectors.estate.estate_text import id_from_name, unique_ids
from collectors.estate.site_assignment import assign
from collectors.snmp.profiles.identity import Identity

# A shorter engine id may be shared by many devices (RFC 3411 requires 5 to 32 octets;
# clones and factory settings leave zeros).
_MIN_ENGINE_OCTETS = 5
# sysServices has a bit for each layer (RFC 3418).
_LAYER_2, _LAYER_3 = 0x02, 0x04
_ROLE_WORDS: tuple[tuple[str, Role], ...] = (
    (r"\b(firewall|adaptive security appliance|asa|srx\d+)\b", "firewall"),
    (r"\b(wireless (lan )?controller|wlc|mobility controller)\b", "controller"),
    (r"\b(access point|air-\w*ap\w*|c91\d\d|[au]ap\b|ap\d{3,4}\w*)", "access_point"),
    (r"\b(ups|uninterruptible)\b", "ups"),
    (r"\b(environment|temperature) (sensor|monitor)", "environment"),
    (r"\bswitch", "switch"),
    (r"\brouter", "router"),
)


class FoundDevice(msgspec.Struct, frozen=True):
    """One device, with the answers of its addresses, the preferred one first."""

    answers: tuple[SweepAnswer, ...]

    @property
    def best(self) -> SweepAnswer:
        return self.answers[0]

    @property
    def addresses(self) -> list[str]:
        return [answer.address for answer in self.answers]

    @property
    def name(self) -> str:
        identity = self.best.identity
        return (identity.sys_name if identity else "") or ""


class EstateLines(msgspec.Struct, frozen=True):
    """`entries` can be appended to the estate; those in `without_site` need a site
    first.

    `notes`: comments by the entry's id. `known`: devices that the estate has already.
    """

    entries: list[dict[str, Any]]
    without_site: list[dict[str, Any]]
    notes: dict[str, list[str]]
    known: list[tuple[str, FoundDevice]]


def group_answers(
    answers: Iterable[SweepAnswer], prefer: Iterable[str] = ()
) -> list[FoundDevice]:
    """Group the identified answers into devices; a device may answer at several
    addresses. `prefer`: addresses that the estate uses already.

    Two answers are from one device if they have the same sysName, and the same serial
    number, bridge address or engine id, or if one has the other's address as its own.
    Clones share a name and an engine id, but differ in bridge address or serial number.
    """
    identified = sorted((a for a in answers if a.identity is not None), key=_sort_key)
    # Answers with different names are never from one device.
    by_name: dict[tuple[str, str], list[list[SweepAnswer]]] = {}
    for answer in identified:
        assert answer.identity is not None
        identity = answer.identity
        name = (identity.sys_name or "", identity.sys_object_id or "")
        groups = by_name.setdefault(name, [])
        same = [
            group
            for group in groups
            if any(_is_same_device(answer, other) for other in group)
        ]
        joined = [answer]
        for group in same:
            groups.remove(group)
            joined = group + joined
        groups.append(joined)
    preferred = set(prefer)
    devices = [
        FoundDevice(
            tuple(
                sorted(group, key=lambda a: (a.address not in preferred, _sort_key(a)))
            )
        )
        for groups in by_name.values()
        for group in groups
    ]
    return sorted(devices, key=lambda device: _sort_key(device.best))


def estate_lines(
    devices: Sequence[FoundDevice], estate: Estate, port: int, site: str = ""
) -> EstateLines:
    """Return what to add to the estate; `site` is for devices that no rule places."""
    by_endpoint = {(str(d.address), d.port): d for d in estate.devices}
    known: list[tuple[str, FoundDevice]] = []
    new: list[FoundDevice] = []
    for device in devices:
        known_device = _find_known(device, by_endpoint, port)
        if known_device is None:
            new.append(device)
        else:
            known.append((known_device.id, device))
    names = [
        (device.name or device.best.address, device.best.address) for device in new
    ]
    used_ids = {device.id for device in estate.devices}
    result = EstateLines([], [], {}, known)
    for device, id in zip(new, unique_ids(names, used_ids), strict=True):
        best = device.best
        identity = best.identity or Identity()
        placed = assign(
            estate.sites,
            ip_address(best.address),
            identity.sys_location or "",
            device.name,
        )
        site_id = placed.site or site or None
        entry: dict[str, Any] = {
            "id": id,
            "name": device.name,
            "site": site_id,
            "address": best.address,
            "port": port if port != 161 else None,
            "role": guess_role(best),
            "credentials": best.credential,
        }
        (result.entries if site_id else result.without_site).append(entry)
        result.notes[id] = ["; ".join(_describe(device, placed.why, used_ids))]
    return result


def guess_role(answer: SweepAnswer) -> Role:
    """Return the most likely role; a person corrects it if it is wrong."""
    identity = answer.identity or Identity()
    known = find_role(identity.sys_object_id or "", identity.sys_descr or "")
    if known is not None:
        return known
    text = f"{identity.sys_descr or ''} {identity.hardware or ''}"
    for pattern, role in _ROLE_WORDS[:5]:
        if re.search(pattern, text, re.IGNORECASE):
            return role
    if answer.bridge_ports > 4:
        return "switch"
    for pattern, role in _ROLE_WORDS[5:]:
        if re.search(pattern, text, re.IGNORECASE):
            return role
    if answer.services & _LAYER_2:
        return "switch"
    if answer.services & _LAYER_3:
        return "router"
    return "other"


def _describe(device: FoundDevice, why: str, used_ids: set[str]) -> Iterator[str]:
    best = device.best
    identity = best.identity or Identity()
    texts = [identity.vendor, identity.hardware, (identity.sys_descr or "")[:60]]
    yield ", ".join(text for text in texts if text) or "it does not describe itself"
    yield f"site by {why}" if not why.startswith(best.address) else why
    if len(device.answers) > 1:
        yield f"also at {', '.join(device.addresses[1:])}"
    id = id_from_name(device.name)
    if id in used_ids:
        yield f"the estate has {id!r} at another address: has it moved?"


def _find_known(
    found: FoundDevice, devices: dict[tuple[str, int], Device], port: int
) -> Device | None:
    for address in found.addresses:
        if (address, port) in devices:
            return devices[address, port]
    return None


def _sort_key(answer: SweepAnswer) -> tuple[bool, bytes]:
    return len(answer.address) > 15, ip_address(answer.address).packed


def _is_same_device(a: SweepAnswer, b: SweepAnswer) -> bool:
    """Compare two answers with the same sysName and sysObjectID."""
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
            (_unique_engine_id(a.engine_id), _unique_engine_id(b.engine_id)),
        )
    )


def _unique_engine_id(engine_id: str) -> str:
    """Return the engine id if it is unique to its device, else empty text."""
    # The first four octets are the vendor's enterprise number.
    own = engine_id[8:].strip("0")
    return engine_id if own and len(engine_id) >= 2 * _MIN_ENGINE_OCTETS else ""
