"""Who is heard on which port: LLDP, CDP, and what vendors have of their own."""

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
    """What was walked, by whole OID: of LLDP, of each other protocol, of TP-Link; and
    what the device calls itself, by which others know it."""

    lldp: LldpTables
    others: tuple[tuple[Dialect, Mapping[str, Value]], ...] = ()
    tplink: Mapping[str, Value] = {}
    sys_name: str = ""
    chassis: str = ""


async def read_neighbours(snmp: DeviceSession) -> NeighbourTables:
    """Asks for LLDP and CDP, and for those protocols that only the device's vendor
    has: some four packets where nobody is heard. Raises `Failed`."""
    answer = await snmp.get_some([*_OWN, *_CHASSIS])
    if oids.SYS_OBJECT_ID not in answer:
        # An agent of v1 refuses the whole for what it lacks.
        answer = await snmp.get_some(_OWN)
    object_id = str(answer.get(oids.SYS_OBJECT_ID, "")).lstrip(".")
    lldp = await read_lldp(snmp)
    others = []
    for dialect in DIALECTS:
        if not dialect.spoken_by(object_id):
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
        next((mac_text(each) or text(each) or "" for each in chassis), ""),
    )


def parse_neighbours(found: NeighbourTables, ports: Sequence[Port]) -> list[Neighbour]:
    """The neighbours, each once a protocol, at the port it was heard on. Pure."""
    told = parse_lldp(found.lldp, ports) + parse_tplink(found.tplink, ports)
    for dialect, rows in found.others:
        more = parse_dialect(dialect, rows, ports)
        if dialect is MNDP:
            # RouterOS lists there whom it hears by LLDP as well.
            known = {(e.local_port, e.remote_name, e.remote_chassis) for e in told}
            more = [
                e
                for e in more
                if (e.remote_name or e.remote_chassis)
                and (e.local_port, e.remote_name, e.remote_chassis) not in known
            ]
        told += more
    return told


def _parse_mndp_interfaces(rows: Mapping[str, Value]) -> dict[int, int]:
    """RouterOS: the number of a neighbour, which is its LLDP index too, to ifIndex."""
    found = {}
    for index, row in collect_rows(rows, MNDP.entry, MNDP.columns).items():
        local = as_int(row.get("local"))
        if index.isdecimal() and local is not None:
            found[int(index)] = local
    return found
