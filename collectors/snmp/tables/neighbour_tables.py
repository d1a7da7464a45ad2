"""Reads the neighbours on each port: by LLDP, CDP and vendors' own protocols."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from collectors.snmp.session import oids
from collectors.snmp.session.device_session import DeviceSession
from collectors.snmp.session.octet_text import as_int, text
from collectors.snmp.session.session import Value
from collectors.snmp.tables.cdp import DIALECTS, MNDP, Dialect, parse_dialect
from collectors.snmp.tables.interfaces import Port
from collectors.snmp.tables.lldp import (
    TPLINK_REM_TABLE,
    LldpTables,
    parse_lldp,
    parse_tplink,
    read_lldp,
)
from collectors.snmp.tables.neighbour import Neighbour, collect_rows, mac_text

_TPLINK = "1.3.6.1.4.1.11863."
_OWN = [oids.SYS_OBJECT_ID, oids.SYS_NAME]
# lldpLocChassisId, lldpV2LocChassisId, dot1dBaseBridgeAddress
_CHASSIS = [
    "1.0.8802.1.1.2.1.3.2.0",
    "1.3.111.2.802.1.1.13.1.3.2.0",
    "1.3.6.1.2.1.17.1.1.0",
]

__all__ = ["Neighbour", "NeighbourTables", "parse_neighbours", "read_neighbours"]


class NeighbourTables(msgspec.Struct, frozen=True):
    """The walked rows by whole OID, of LLDP, other protocols and TP-Link's table; and
    the device's own name and chassis id, by which others know it."""

    lldp: LldpTables
    others: tuple[tuple[Dialect, Mapping[str, Value]], ...] = ()
    tplink: Mapping[str, Value] = {}
    sys_name: str = ""
    chassis: str = ""


async def read_neighbours(snmp: DeviceSession) -> NeighbourTables:
    """Read LLDP and CDP, and the protocols of the device's vendor. Raises `Failed`.

    This takes about four packets if there are no neighbours.
    """
    answer = await snmp.get_some([*_OWN, *_CHASSIS])
    if oids.SYS_OBJECT_ID not in answer:
        # A v1 agent refuses the whole GET if it lacks one object.
        answer = await snmp.get_some(_OWN)
    object_id = str(answer.get(oids.SYS_OBJECT_ID, "")).lstrip(".")
    lldp = await read_lldp(snmp)
    others = []
    for dialect in DIALECTS:
        if not dialect.is_used_by(object_id):
            continue
        rows = await snmp.walk(dialect.entry, ordered=False)
        if rows:
            others.append((dialect, rows))
        if dialect is MNDP:
            lldp = msgspec.structs.replace(
                lldp, interfaces=_parse_mndp_interfaces(rows)
            )
    tplink: Mapping[str, Value] = {}
    if not lldp.remote and object_id.startswith(_TPLINK):
        tplink = await snmp.walk(TPLINK_REM_TABLE, ordered=False)
    chassis = [answer[oid] for oid in _CHASSIS if answer.get(oid)]
    return NeighbourTables(
        lldp,
        tuple(others),
        tplink,
        text(answer.get(oids.SYS_NAME)) or "",
        next((mac_text(value) or text(value) or "" for value in chassis), ""),
    )


def parse_neighbours(tables: NeighbourTables, ports: Sequence[Port]) -> list[Neighbour]:
    """Return the neighbours with their local ports, once for each protocol. Pure."""
    neighbours = parse_lldp(tables.lldp, ports) + parse_tplink(tables.tplink, ports)
    for dialect, rows in tables.others:
        more = parse_dialect(dialect, rows, ports)
        if dialect is MNDP:
            # RouterOS repeats its LLDP neighbours in this table.
            known = {
                (n.local_port, n.remote_name, n.remote_chassis) for n in neighbours
            }
            more = [
                n
                for n in more
                if (n.remote_name or n.remote_chassis)
                and (n.local_port, n.remote_name, n.remote_chassis) not in known
            ]
        neighbours += more
    return neighbours


def _parse_mndp_interfaces(rows: Mapping[str, Value]) -> dict[int, int]:
    """Return the ifIndex by RouterOS' number of a neighbour, also its LLDP index."""
    interfaces = {}
    for index, row in collect_rows(rows, MNDP.entry, MNDP.columns).items():
        local = as_int(row.get("local"))
        if index.isdecimal() and local is not None:
            interfaces[int(index)] = local
    return interfaces
