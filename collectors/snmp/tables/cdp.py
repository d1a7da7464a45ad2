"""CDP (CISCO-CDP-MIB) and similar vendors' protocols, described as data.

Foundry's FDP, Extreme's EDP, Nortel's SONMP, Enterasys' (Cabletron's) CDP and
MikroTik's MNDP have the same information in their own tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import msgspec

from collectors.snmp.session.octet_text import as_int, text
from collectors.snmp.session.session import Value
from collectors.snmp.tables.interfaces import Port
from collectors.snmp.tables.local_ports import LocalPorts
from collectors.snmp.tables.neighbour import (
    Neighbour,
    address_text,
    collect_rows,
    is_text,
    mac_text,
)

_ENTERPRISES = "1.3.6.1.4.1."
# CDP's capabilities: a bit map of four octets.
_CDP_BITS = {
    0x01: "router",
    0x02: "bridge",
    0x04: "bridge",
    0x08: "bridge",
    0x10: "station",
    0x40: "repeater",
    0x80: "telephone",
}
# Words for capabilities in FDP, and in CDP on some agents.
_WORDS = {
    "router": "router",
    "switch": "bridge",
    "bridge": "bridge",
    "phone": "telephone",
    "host": "station",
    "access point": "access_point",
}
# ctCDPNeighborType
_CABLETRON_TYPES = {1: "bridge", 2: "bridge", 3: "router", 4: "bridge"}

Arcs = list[int]
Row = Mapping[str, Value]
_Local = Callable[[Arcs, Row, LocalPorts], tuple[Port | None, str]]


class Dialect(msgspec.Struct, frozen=True):
    """One protocol's table.

    `vendors`: enterprise numbers of those that have it; empty means all. `columns`:
    names of the columns to read. `local`: finds the local port from an index of `arcs`
    arcs; in an index of another length, no arc is known to be the port. `from_index`:
    reads further fields that only the index has.
    """

    protocol: str
    entry: str
    columns: Mapping[int, str]
    local: _Local
    vendors: tuple[int, ...] = ()
    arcs: int | None = None
    from_index: Callable[[Arcs, Row], dict[str, str | None] | None] | None = None
    # Capabilities of every device with this protocol, if the table has none.
    default_capabilities: frozenset[str] = frozenset()

    def is_used_by(self, sys_object_id: str) -> bool:
        """Return True if the device's vendor has this protocol."""
        enterprise = sys_object_id.removeprefix(_ENTERPRISES).partition(".")[0]
        return not self.vendors or enterprise in map(str, self.vendors)


def parse_dialect(
    dialect: Dialect, rows: Mapping[str, Value], ports: Iterable[Port]
) -> list[Neighbour]:
    """Return the neighbours in the table's rows. Pure."""
    local = LocalPorts(list(ports))
    neighbours = []
    for index, row in collect_rows(rows, dialect.entry, dialect.columns).items():
        arcs = [int(arc) for arc in index.split(".")]
        more: dict[str, str | None] = {}
        if dialect.from_index is not None:
            fields = dialect.from_index(arcs, row)
            if fields is None:
                continue
            more = fields
        port, label = None, ""
        if dialect.arcs is None or len(arcs) == dialect.arcs:
            port, label = dialect.local(arcs, row, local)
        if label == "0":
            # 0 means that the port is unknown.
            label = ""
        name, chassis = _name_and_chassis(row.get("name"))
        neighbours.append(
            Neighbour(
                protocol=dialect.protocol,
                local_port=port.key if port else label,
                local_if_index=port.if_index if port else None,
                remote_name=name,
                remote_port=more.get("port") or text(row.get("port")) or None,
                remote_chassis=more.get("chassis")
                or mac_text(row.get("chassis"))
                or chassis,
                capabilities=_parse_capabilities(row) or dialect.default_capabilities,
                remote_address=more.get("address") or _to_address(row.get("address")),
                remote_descr=text(row.get("descr")) or None,
            )
        )
    return neighbours


def _name_and_chassis(value: Value | None) -> tuple[str | None, str | None]:
    """Return (name, chassis): a device id of six binary octets is a MAC address."""
    if isinstance(value, bytes) and len(value) == 6 and not is_text(value):
        return None, mac_text(value)
    return text(value) or None, None


def _to_address(value: Value | None) -> str | None:
    if isinstance(value, bytes):
        return address_text(value)
    if isinstance(value, str) and value.count(".") == 3:
        return address_text(int(octet) % 256 for octet in value.split("."))
    return None


def _parse_capabilities(row: Row) -> frozenset[str]:
    capable = row.get("capable")
    kind = row.get("kind")
    if isinstance(kind, int):
        return (
            frozenset({_CABLETRON_TYPES[kind]})
            if kind in _CABLETRON_TYPES
            else (frozenset())
        )
    if not isinstance(capable, bytes):
        return frozenset()
    if len(capable) == 4 and capable[0] == 0:
        bits = int.from_bytes(capable, "big")
        return frozenset(name for bit, name in _CDP_BITS.items() if bits & bit)
    words = (text(capable) or "").lower()
    return frozenset(name for word, name in _WORDS.items() if word in words)


def _by_first_arc(arcs: Arcs, row: Row, ports: LocalPorts) -> tuple[Port | None, str]:
    return ports.by_index.get(arcs[0]), str(arcs[0])


def _by_second_arc(arcs: Arcs, row: Row, ports: LocalPorts) -> tuple[Port | None, str]:
    number = arcs[1] if len(arcs) > 1 else arcs[0]
    return ports.by_index.get(number), str(number)


def _by_slot(arcs: Arcs, row: Row, ports: LocalPorts) -> tuple[Port | None, str]:
    slot, number = (*arcs, 0, 0)[:2]
    return ports.find_by_slot(slot, number), f"{slot}/{number}"


def _by_column(arcs: Arcs, row: Row, ports: LocalPorts) -> tuple[Port | None, str]:
    number = as_int(row.get("local")) or 0
    return ports.by_index.get(number), str(number)


def _edp_fields(arcs: Arcs, row: Row) -> dict[str, str | None]:
    """Read extremeEdpNeighborId, which ends the index: two octets of priority, then the
    MAC address."""
    slot, port = as_int(row.get("slot")), as_int(row.get("port_number"))
    name = None if port is None else f"{slot}:{port}" if slot else str(port)
    octets = arcs[-6:]
    chassis = bytes(octets).hex(":") if max(octets) < 256 and len(arcs) > 6 else None
    return {"port": name, "chassis": chassis}


def _sonmp_fields(arcs: Arcs, row: Row) -> dict[str, str | None] | None:
    """Read the index slot.port.address.segment. Rows of slot 0 are the device itself,
    and rows of other segments were forwarded by another device."""
    if len(arcs) < 7 or arcs[:2] == [0, 0] or as_int(row.get("local_segment")) == 2:
        return None
    segment = arcs[6]
    return {
        "address": address_text(arc % 256 for arc in arcs[2:6]),
        "port": f"{segment >> 8 & 0xFF}/{segment & 0xFF}",
    }


def _cabletron_fields(arcs: Arcs, row: Row) -> dict[str, str | None]:
    octets = arcs[-6:]
    source_mac = bytes(arc % 256 for arc in octets).hex(":")
    return {"chassis": mac_text(row.get("chassis")) or source_mac}


MNDP = Dialect(
    "mndp",
    "1.3.6.1.4.1.14988.1.1.11.1.1",
    {2: "address", 3: "chassis", 5: "descr", 6: "name", 8: "local"},
    _by_column,
    vendors=(14988,),
)
DIALECTS = (
    Dialect(
        "cdp",
        "1.3.6.1.4.1.9.9.23.1.2.1.1",
        {4: "address", 6: "name", 7: "port", 8: "descr", 9: "capable"},
        _by_first_arc,
        arcs=2,
    ),
    Dialect(
        "fdp",
        "1.3.6.1.4.1.1991.1.1.3.20.1.2.1.1",
        {3: "name", 5: "address", 7: "port", 8: "descr", 9: "capable"},
        _by_first_arc,
        vendors=(1991, 1588),
        arcs=2,
    ),
    Dialect(
        "edp",
        "1.3.6.1.4.1.1916.1.13.2.1",
        {3: "name", 4: "descr", 5: "slot", 6: "port_number"},
        _by_first_arc,
        vendors=(1916,),
        arcs=9,
        from_index=_edp_fields,
        default_capabilities=frozenset({"bridge"}),
    ),
    Dialect(
        "sonmp",
        "1.3.6.1.4.1.45.1.6.13.2.1.1",
        {5: "chassis", 8: "local_segment"},
        _by_slot,
        vendors=(45, 2272, 1584),
        arcs=7,
        from_index=_sonmp_fields,
        default_capabilities=frozenset({"bridge"}),
    ),
    Dialect(
        "ctron-cdp",
        "1.3.6.1.4.1.52.4.1.2.19.1.3.1",
        {3: "address", 5: "kind", 6: "chassis", 8: "descr", 9: "port"},
        _by_second_arc,
        vendors=(52, 5624),
        from_index=_cabletron_fields,
    ),
    MNDP,
)
