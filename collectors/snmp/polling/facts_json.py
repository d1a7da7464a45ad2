"""The facts about one device as JSON, for `towpath poll --json`. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from collectors.snmp.polling.device_facts import DeviceFacts
from collectors.snmp.session import oids
from collectors.snmp.session.octet_text import as_int
from collectors.snmp.tables.if_types import if_type
from collectors.snmp.tables.interfaces import Columns, Port

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


def facts_json(facts: DeviceFacts) -> dict[str, Any]:
    """The facts as JSON for other programs; what is not known is left out."""
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
                "protocol": neighbour.protocol,
                "local_port": neighbour.local_port or None,
                "local_if_index": neighbour.local_if_index,
                "remote_name": neighbour.remote_name,
                "remote_port": neighbour.remote_port,
                "remote_chassis": neighbour.remote_chassis,
                "remote_port_descr": neighbour.remote_port_descr,
                "remote_address": neighbour.remote_address,
                "remote_descr": neighbour.remote_descr,
                "capabilities": sorted(neighbour.capabilities) or None,
            }
        )
        for neighbour in facts.neighbours
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
        ("ipv4", [address for address in facts.addresses if address.is_ipv4]),
        ("ipv6", [address for address in facts.addresses if not address.is_ipv4]),
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
    def value(column: str) -> int | None:
        return as_int(columns.get(column, {}).get(port.if_index))

    admin, oper = value(oids.IF_ADMIN_STATUS), value(oids.IF_OPER_STATUS)
    duplex = value(oids.DOT3_DUPLEX)
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
        "mtu": value(oids.IF_MTU),
        "mac": port.mac,
        "duplex": None if duplex is None else oids.DUPLEX.get(duplex),
    }
    for name, choice in _COUNTERS.items():
        counts = (value(column) for column in choice)
        shown[name] = next((n for n in counts if n is not None and n >= 0), None)
    return _known(shown)


def _known(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if value is not None}
