"""Findings: what an engineer should know about a device although nothing is down. Pure.

A finding is a name and a sentence. It has a row in every poll while it holds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from collectors.batch import Batch, Schema
from collectors.few_names import few_names
from collectors.server_measurements import FINDING
from collectors.snmp.polling.counter_rates import COUNTER32, OVER_LINE_RATE
from collectors.snmp.polling.request_plan import PortPlan
from collectors.snmp.profiles.readings import RefusedColumn
from collectors.snmp.session import oids
from collectors.snmp.tables.device_tags import DeviceTags
from probes.wire.durations import duration_text

COUNTERS_32_BIT = "counters_32_bit"
PORTS_UNNAMED = "ports_unnamed"
ENGINE_ID_SHARED = "engine_id_shared"
ENGINE_ID_INVALID = "engine_id_invalid"
VALUES_IMPLAUSIBLE = "values_implausible"
VALUES_UNREADABLE = "values_unreadable"
TABLES_UNFINISHED = "tables_unfinished"
PORTS_IN_TURN = "ports_in_turn"
CREDENTIAL_REFUSED = "credential_refused"
# Names listed in a sentence.
_MAX_LISTED = 5
_COLUMN_NAMES = {
    oids.IF_DESCR: "ifDescr",
    oids.IF_TYPE: "ifType",
    oids.IF_MTU: "ifMtu",
    oids.IF_SPEED: "ifSpeed",
    oids.IF_PHYS_ADDRESS: "ifPhysAddress",
    oids.IF_ADMIN_STATUS: "ifAdminStatus",
    oids.IF_OPER_STATUS: "ifOperStatus",
    oids.IF_IN_OCTETS: "ifInOctets",
    oids.IF_OUT_OCTETS: "ifOutOctets",
    oids.IF_IN_DISCARDS: "ifInDiscards",
    oids.IF_IN_ERRORS: "ifInErrors",
    oids.IF_OUT_DISCARDS: "ifOutDiscards",
    oids.IF_OUT_ERRORS: "ifOutErrors",
    oids.IF_NAME: "ifName",
    oids.IF_HC_IN_OCTETS: "ifHCInOctets",
    oids.IF_HC_OUT_OCTETS: "ifHCOutOctets",
    oids.IF_HIGH_SPEED: "ifHighSpeed",
    oids.IF_ALIAS: "ifAlias",
}


def of_ports(plans: Iterable[PortPlan], period_s: float) -> dict[str, str]:
    """What is wrong with the ports' counters and names."""
    narrow, unnamed = [], []
    for plan in plans:
        max_octets = (plan.port.speed_bps or 0) / 8 * period_s * OVER_LINE_RATE
        if plan.oids[0] and not plan.octets64 and max_octets >= COUNTER32:
            narrow.append(plan.port.key)
        if not plan.port.stable:
            unnamed.append(plan.port.key)
    findings = {}
    if narrow:
        findings[COUNTERS_32_BIT] = (
            f"{_ports(narrow)} only 32-bit counters, which wrap more than once in "
            f"{period_s:g} s at full speed: their traffic is not known. SNMP version 1 "
            "has no 64-bit counters; otherwise ask the vendor for ifHCInOctets"
        )
    if unnamed:
        findings[PORTS_UNNAMED] = (
            f"{_ports(unnamed)} no unique name in ifName or ifDescr: they are named "
            "after their ifIndex, and their history ends when that changes"
        )
    return findings


def of_refused(refused: Iterable[RefusedColumn]) -> dict[str, str]:
    """Readings with values that nothing can have."""
    shown = [
        f"{column.class_} {column.descr!r} {column.value:g}"
        for column in refused
        if column.value is not None
    ]
    if not shown:
        return {}
    return {
        VALUES_IMPLAUSIBLE: f"{_few(shown)}: such a value is impossible, so it is left "
        "out. Look for newer firmware, or check the scale in the device's profile"
    }


def of_engine_id(engine_id: bytes, others: Collection[str]) -> dict[str, str]:
    """What is wrong with the id of an SNMP engine. `others` are devices with the same.

    RFC 3411 section 5: 5 to 32 octets, not all zero or all ones, and unique.
    """
    if not engine_id:
        return {}
    if not 5 <= len(engine_id) <= 32 or set(engine_id[5:] or engine_id) <= {0}:
        return {
            ENGINE_ID_INVALID: f"engine id {engine_id.hex()} is not valid: give the "
            "device one of its own"
        }
    if others:
        names = ", ".join(sorted(others)[:_MAX_LISTED])
        return {
            ENGINE_ID_SHARED: f"engine id {engine_id.hex()} is also used by {names}: "
            "SNMP version 3 may refuse either device, and their traps cannot be told "
            "apart"
        }
    return {}


def of_unreadable(
    reasons: Mapping[str, str], name_of: Callable[[int], str | None]
) -> dict[str, str]:
    """Values that could not be read: the reasons by OID. `name_of` names an ifIndex."""
    if not reasons:
        return {}
    shown = [
        f"{_value_name(oid, name_of)}: {reason}"
        for oid, reason in sorted(reasons.items())[:_MAX_LISTED]
    ]
    more = (
        f"; and {len(reasons) - _MAX_LISTED} more" if len(reasons) > _MAX_LISTED else ""
    )
    values = "values" if len(reasons) > 1 else "value"
    return {
        VALUES_UNREADABLE: f"{len(reasons)} {values} cannot be read and count as "
        f"missing: {'; '.join(shown)}{more}. This is a fault of the device's software"
    }


def unread_tables(
    ports: tuple[int, int] | None, neighbours: bool, health: bool
) -> list[str]:
    """What is still to be read; `ports`: how many are read, of how many."""
    unread = []
    if ports is not None:
        read, of = ports
        unread.append(f"ports ({read} of {of} read)" if of else "ports (none read)")
    if neighbours:
        unread.append("neighbours")
    if health:
        unread.append("sensors and inventory")
    return unread


def of_unread_tables(unread: Collection[str], answer_s: float) -> dict[str, str]:
    """Tables whose reading goes on in the next poll."""
    if not unread:
        return {}
    return {
        TABLES_UNFINISHED: f"its tables need more than one poll, as an answer takes up "
        f"to {duration_text(answer_s)}. Still to be read: {', '.join(unread)}. Nothing "
        "of this is missing on the device; the next polls go on"
    }


def of_ports_in_turn(
    reached: int | None, ports: int, answer_s: float, budget_s: float
) -> dict[str, str]:
    """Ports that take turns, because one poll has no time for all."""
    if reached is None:
        return {}
    return {
        PORTS_IN_TURN: f"the last poll reached {reached} of {ports} ports in "
        f"{duration_text(budget_s)}, as an answer takes up to "
        f"{duration_text(answer_s)}. Ports are polled in turn, so each has fewer "
        "figures. Look for what keeps the SNMP agent busy, or raise period_s and "
        "budget_s in [snmp]"
    }


def of_refusal(reason: str) -> dict[str, str]:
    """Why the device refuses the credential; nothing if it does not."""
    return {CREDENTIAL_REFUSED: reason} if reason else {}


def _value_name(oid: str, name_of: Callable[[int], str | None]) -> str:
    column, _, index = oid.rpartition(".")
    if column not in _COLUMN_NAMES:
        return oid
    port = name_of(int(index)) or f"ifIndex {index}"
    return f"{_COLUMN_NAMES[column]} of {port} ({oid})"


def rows(
    tags: DeviceTags,
    time_ms: int,
    findings: Mapping[str, str],
    before: Collection[str] = (),
) -> Batch | None:
    """Rows for `findings`, and a last row for each of `before` that has ended."""
    names = [*findings, *(name for name in before if name not in findings)]
    if not names:
        return None
    n = len(names)
    return Batch(
        f"poll/{tags.device}",
        time_ms,
        Schema.of(FINDING),
        (
            [time_ms] * n,
            [tags.device] * n,
            [tags.site] * n,
            [tags.role] * n,
            names,
            [int(name in findings) for name in names],
            [findings.get(name) for name in names],
        ),
    )


def _ports(names: list[str]) -> str:
    return f"{_few(names)} {'have' if len(names) > 1 else 'has'}"


def _few(names: list[str]) -> str:
    return few_names(names, _MAX_LISTED)
