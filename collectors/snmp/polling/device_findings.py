"""What an engineer should know of a device although nothing is down. Pure.

A finding is a name and a sentence; while it holds it has a row a poll.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from collectors.batch import Batch, Schema
from collectors.server_measurements import FINDING
from collectors.snmp.polling.counter_rates import COUNTER32, OVER_LINE_RATE
from collectors.snmp.polling.request_plan import PortPlan
from collectors.snmp.profiles.readings import RefusedColumn
from collectors.snmp.session import oids
from collectors.snmp.tables.device_tags import DeviceTags

COUNTERS_32_BIT = "counters_32_bit"
PORTS_UNNAMED = "ports_unnamed"
ENGINE_ID_SHARED = "engine_id_shared"
ENGINE_ID_INVALID = "engine_id_invalid"
VALUES_IMPLAUSIBLE = "values_implausible"
VALUES_UNREADABLE = "values_unreadable"
# Names in a sentence.
_MOST = 5
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


def of_ports(watches: Iterable[PortPlan], period_s: float) -> dict[str, str]:
    """What the ports' counters and names leave to be said."""
    narrow, unnamed = [], []
    for watch in watches:
        most = (watch.port.speed_bps or 0) / 8 * period_s * OVER_LINE_RATE
        if watch.oids[0] and not watch.octets64 and most >= COUNTER32:
            narrow.append(watch.port.key)
        if not watch.port.stable:
            unnamed.append(watch.port.key)
    found = {}
    if narrow:
        found[COUNTERS_32_BIT] = (
            f"{_ports(narrow)} only 32-bit counters, which go round more than once in "
            f"{period_s:g} s at full rate: no traffic is given (SNMP version 1 has no "
            "others; else ask the maker for ifHCInOctets)"
        )
    if unnamed:
        found[PORTS_UNNAMED] = (
            f"{_ports(unnamed)} no name of their own in ifName or ifDescr: they are "
            "called by ifIndex, and their history ends when that changes"
        )
    return found


def of_refused(refused: Iterable[RefusedColumn]) -> dict[str, str]:
    """What the device gives as a reading although nothing can have that value."""
    shown = [
        f"{each.class_} {each.descr!r} {each.value:g}"
        for each in refused
        if each.value is not None
    ]
    if not shown:
        return {}
    return {
        VALUES_IMPLAUSIBLE: f"{_few(shown)}: nothing can have such a value, so it is "
        "not known (see whether there is newer firmware, or whether the profile scales "
        "it wrongly)"
    }


def of_engine(engine_id: bytes, others: Collection[str]) -> dict[str, str]:
    """What an SNMP engine's id says (RFC 3411 section 5: 5 to 32 octets, not all zero
    or all ones, one of a kind). `others`: devices with the same one."""
    if not engine_id:
        return {}
    if not 5 <= len(engine_id) <= 32 or set(engine_id[5:] or engine_id) <= {0}:
        text = f"engine id {engine_id.hex()} is none: set one that is the device's own"
        return {ENGINE_ID_INVALID: text}
    if others:
        names = ", ".join(sorted(others)[:_MOST])
        return {
            ENGINE_ID_SHARED: f"engine id {engine_id.hex()} is also that of {names}: "
            "SNMP version 3 may refuse either, and traps cannot be told apart"
        }
    return {}


def of_values(
    faults: Mapping[str, str], name_of: Callable[[int], str | None]
) -> dict[str, str]:
    """What the device sent and could not be read, by OID; `name_of` an ifIndex."""
    if not faults:
        return {}
    shown = [
        f"{_value_name(oid, name_of)}: {fault}"
        for oid, fault in sorted(faults.items())[:_MOST]
    ]
    more = f"; and {len(faults) - _MOST} more" if len(faults) > _MOST else ""
    values = "values" if len(faults) > 1 else "value"
    return {
        VALUES_UNREADABLE: f"{len(faults)} {values} cannot be read and count as not "
        f"given: {'; '.join(shown)}{more} (a fault of the device's software)"
    }


def _value_name(oid: str, name_of: Callable[[int], str | None]) -> str:
    column, _, index = oid.rpartition(".")
    if column not in _COLUMN_NAMES:
        return oid
    port = name_of(int(index)) or f"ifIndex {index}"
    return f"{_COLUMN_NAMES[column]} of {port} ({oid})"


def rows(
    place: DeviceTags,
    time_ms: int,
    found: Mapping[str, str],
    over: Collection[str] = (),
) -> Batch | None:
    """`found` as rows, and those of `over` as ended."""
    names = [*found, *(name for name in over if name not in found)]
    if not names:
        return None
    n = len(names)
    return Batch(
        f"poll/{place.device}",
        time_ms,
        Schema.of(FINDING),
        (
            [time_ms] * n,
            [place.device] * n,
            [place.site] * n,
            [place.role] * n,
            names,
            [int(name in found) for name in names],
            [found.get(name) for name in names],
        ),
    )


def _ports(names: list[str]) -> str:
    return f"{_few(names)} {'have' if len(names) > 1 else 'has'}"


def _few(names: list[str]) -> str:
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return ", ".join(names[:_MOST]) + more
