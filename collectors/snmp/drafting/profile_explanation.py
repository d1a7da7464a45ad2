"""Why profiles apply to a device or do not, and which of its tables none of them
reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from collectors.snmp.drafting.mib_files import read_mibs
from collectors.snmp.drafting.mib_objects import (
    FactsError,
    MibObject,
    is_facts_folder,
    read_facts,
)
from collectors.snmp.drafting.unread_tables import UnreadTable, find_unread
from collectors.snmp.profiles import (
    Profile,
    ProfileReader,
    Profiles,
    find_rows,
    read_profiles,
)
from collectors.snmp.profiles.device_evidence import DeviceEvidence
from collectors.snmp.profiles.identity import (
    ENTERPRISES,
    Identity,
    identify,
    read_system,
)
from collectors.snmp.profiles.profile_match import explain_head
from collectors.snmp.session.credentials import Credential
from collectors.snmp.session.device_session import DeviceSession
from collectors.snmp.session.poll_budget import PollBudget
from collectors.snmp.session.session import Failed, RetryPolicy, Value
from collectors.snmp.session.sessions import Sessions

_BUDGET_S = 300.0


class AppliedProfile(msgspec.Struct, frozen=True):
    """A profile that applies; `rows`: how many readings it finds."""

    name: str
    rows: int


class ProfileExplanation(msgspec.Struct, frozen=True):
    """`missed`: by profile, why it does not apply although something of it fits.

    `incomplete`: by enterprise number, why its tree could not be read to the end.
    """

    identity: Identity
    applied: Sequence[AppliedProfile]
    missed: Mapping[str, Sequence[str]]
    unread: Sequence[UnreadTable]
    incomplete: Mapping[int, str]


class EnterpriseWalk(msgspec.Struct, frozen=True):
    """All values in a device's enterprise trees."""

    identity: Identity
    values: Mapping[str, Value]
    incomplete: Mapping[int, str]


async def explain_device(
    address: str,
    port: int,
    credential: Credential,
    retry_policy: RetryPolicy,
    profiles: Profiles,
    mibs: Sequence[Path] = (),
) -> ProfileExplanation:
    """Read the device's enterprise trees, and compare them with its profiles.

    Raises `Failed`, and `FactsError` if the MIBs cannot be read.
    """
    async with Sessions() as sessions:
        session = sessions.open(address, port, credential, retry_policy)
        try:
            reader = ProfileReader(DeviceSession(session, PollBudget(_BUDGET_S)))
            identity = identify(await read_system(reader.snmp))
            evidence = DeviceEvidence(reader, identity)
            chosen = await profiles.find_for_device(evidence)
            rows = find_rows(chosen, await read_profiles(reader, chosen))
            found = Counter(row.profile for row in rows)
            missed = await _find_missed(profiles, chosen, evidence)
            values, incomplete = await _walk(reader, evidence)
        finally:
            session.close()
    read = {column for column, cells in reader.columns.items() if cells}
    objects = read_objects(mibs, values)
    return ProfileExplanation(
        identity,
        [
            AppliedProfile(profile.name, found[profile.name])
            for profile in chosen
            if found[profile.name] or not profile.is_general
        ],
        missed,
        find_unread(values, read, objects),
        incomplete,
    )


async def walk_enterprises(
    address: str, port: int, credential: Credential, retry_policy: RetryPolicy
) -> EnterpriseWalk:
    """Read all that the device has in its enterprise trees. Raises `Failed`."""
    async with Sessions() as sessions:
        session = sessions.open(address, port, credential, retry_policy)
        try:
            reader = ProfileReader(DeviceSession(session, PollBudget(_BUDGET_S)))
            identity = identify(await read_system(reader.snmp))
            values, incomplete = await _walk(reader, DeviceEvidence(reader, identity))
        finally:
            session.close()
    return EnterpriseWalk(identity, values, incomplete)


def read_objects(mibs: Iterable[Path], values: Iterable[str]) -> dict[str, MibObject]:
    """Return the objects of the enterprise trees that `values` are in, from folders of
    MIB facts, MIB files, or folders of those."""
    numbers = {
        f"{ENTERPRISES}{oid.removeprefix(ENTERPRISES).split('.')[0]}"
        for oid in values
        if oid.startswith(ENTERPRISES)
    }
    objects: dict[str, MibObject] = {}
    for path in mibs:
        if not path.exists():
            raise FactsError(f"{path}: no such file or folder")
        if path.is_dir() and is_facts_folder(path):
            objects |= read_facts(path, numbers)
        else:
            objects |= read_mibs(path)
    return objects


async def _find_missed(
    profiles: Profiles, chosen: Sequence[Profile], evidence: DeviceEvidence
) -> dict[str, list[str]]:
    names = {profile.name for profile in chosen}
    missed: dict[str, list[str]] = {}
    for profile in profiles:
        if profile.name not in names:
            reasons = await explain_head(profile.head, evidence)
            if reasons:
                missed[profile.name] = reasons
    return missed


async def _walk(
    reader: ProfileReader, evidence: DeviceEvidence
) -> tuple[dict[str, Value], dict[int, str]]:
    values: dict[str, Value] = {}
    incomplete: dict[int, str] = {}
    for number in await evidence.enterprises():
        try:
            values |= await reader.snmp.walk(f"{ENTERPRISES}{number}")
        except Failed as failed:
            incomplete[number] = f"{failed.outcome.value}: {failed.detail}"
    return values, incomplete
