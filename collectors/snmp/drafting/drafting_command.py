"""`towpath poll --explain` and `towpath profile new`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from collectors.snmp.drafting.mib_objects import FactsError, find_object
from collectors.snmp.drafting.profile_draft import DraftHead, draft_profile
from collectors.snmp.drafting.profile_explanation import (
    ProfileExplanation,
    explain_device,
    read_objects,
    walk_enterprises,
)
from collectors.snmp.drafting.recorded_values import by_column, read_recording
from collectors.snmp.polling.poll_command import parse_host_port, resolve_address
from collectors.snmp.polling.poll_output import unread_sentence
from collectors.snmp.profiles import Profiles
from collectors.snmp.profiles.identity import ENTERPRISES, Identity, identify
from collectors.snmp.session.credentials import Credential
from collectors.snmp.session.session import Failed, RetryPolicy, Value
from probes.wire.counted_text import counted

_INDENT = "    "


def explain_host(
    host: str,
    credential: Credential,
    retry_policy: RetryPolicy,
    profiles: Profiles,
    mibs: Sequence[Path] = (),
    out: Callable[[str], None] = print,
) -> int:
    """Run `towpath poll HOST --explain`; return 0 if the device answered, else 1.

    Raises `FactsError` and `WrongTarget`.
    """
    name, port = parse_host_port(host)
    address = resolve_address(name, port)
    try:
        explanation = asyncio.run(
            explain_device(address, port, credential, retry_policy, profiles, mibs)
        )
    except Failed as failed:
        out(unread_sentence(host, failed.outcome, failed.detail))
        return 1
    for line in _explain(explanation, bool(mibs)):
        out(line)
    return 0


def _explain(explanation: ProfileExplanation, has_mibs: bool) -> list[str]:
    identity = explanation.identity
    lines = [
        f"sysObjectID: {identity.sys_object_id or 'none'}",
        f"sysDescr: {' '.join((identity.sys_descr or 'none').split())}",
        "",
        "Profiles that apply, the most specific first:",
    ]
    for applied in explanation.applied:
        lines.append(f"{_INDENT}{applied.name}: {counted(applied.rows, 'reading')}")
    if not explanation.applied:
        lines.append(f"{_INDENT}none")
    if explanation.missed:
        lines += ["", "Profiles that do not apply, although something of them fits:"]
    for name, reasons in explanation.missed.items():
        lines.append(f"{_INDENT}{name}: {'; or '.join(reasons)}")
    lines += ["", "Enterprise tables that no profile reads:"]
    for unread in explanation.unread:
        named = f" {unread.name}" if unread.name else ""
        example = f", such as {unread.example!r}" if unread.example else ""
        amount = counted(unread.values, "value")
        lines.append(f"{_INDENT}{unread.oid}{named}: {amount}{example}")
    if not explanation.unread:
        lines.append(f"{_INDENT}none")
    for number, reason in explanation.incomplete.items():
        lines.append(f"{ENTERPRISES}{number} could not be read to the end: {reason}")
    if explanation.unread:
        more = "" if has_mibs else "; --mibs PATH names the tables"
        lines += ["", f"`towpath profile new` drafts a profile of them{more}."]
    return lines


def draft_from(
    source: str,
    credential: Credential,
    retry_policy: RetryPolicy,
    mibs: Sequence[Path],
    out: Callable[[str], None] = print,
) -> int:
    """Run `towpath profile new HOST|RECORDING`; return 0, or 1 if there is no answer.

    Raises `FactsError` and `WrongTarget`.
    """
    file = Path(source)
    if file.is_file():
        values: Mapping[str, Value] = read_recording(file)
        identity = identify(values)
    else:
        name, port = parse_host_port(source)
        address = resolve_address(name, port)
        try:
            walk = asyncio.run(
                walk_enterprises(address, port, credential, retry_policy)
            )
        except Failed as failed:
            out(unread_sentence(source, failed.outcome, failed.detail))
            return 1
        identity, values = walk.identity, walk.values
    out(draft_text(identity, values, mibs))
    return 0


def draft_text(
    identity: Identity, values: Mapping[str, Value], mibs: Sequence[Path]
) -> str:
    """Return the draft. Raises `FactsError` if no MIB names anything of the device."""
    objects = read_objects(mibs, values)
    columns = {
        instance: found.oid
        for instance in values
        if instance.startswith(ENTERPRISES)
        and (found := find_object(objects, instance)) is not None
    }
    if not columns:
        raise FactsError(
            "the MIBs name nothing that the device has; expected its maker's MIB "
            "files, or a folder of MIB facts, under --mibs"
        )
    modules = sorted({objects[column].module for column in columns.values()})
    head = DraftHead(
        f"Draft from {', '.join(modules)}: compare it with the device.",
        identity.sys_object_id or "",
        identity.vendor,
    )
    return draft_profile(head, objects, by_column(values, columns))
