"""LLDP neighbours (IEEE 802.1AB): LLDP-MIB, LLDP-V2-MIB and TP-Link's own table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from collectors.snmp.session import oids
from collectors.snmp.session.device_session import DeviceSession
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

# LldpChassisIdSubtype and LldpPortIdSubtype whose octets are an address.
_CHASSIS_MAC, _CHASSIS_NETWORK = 4, 5
_PORT_MAC, _PORT_NETWORK, _PORT_LOCAL = 3, 4, 7
# AddressFamilyNumbers (IANA), and the number of octets of an address.
_FAMILIES = {1: 4, 2: 16}
# LldpSystemCapabilitiesMap, from the most significant bit.
_CAPABILITIES = (
    "other",
    "repeater",
    "bridge",
    "access_point",
    "router",
    "telephone",
    "docsis",
    "station",
)
_NAMES = (
    "chassis_subtype",
    "chassis",
    "port_subtype",
    "port",
    "port_descr",
    "name",
    "descr",
    "capable",
    "enabled",
)
# TPLINK-LLDPINFO-MIB has all values as text; the first arc of its index is ifIndex.
TPLINK_REM_TABLE = "1.3.6.1.4.1.11863.6.35.1.2.2.1"
_TPLINK_COLUMNS = {
    1: "local",
    4: "chassis",
    6: "port",
    8: "port_descr",
    9: "name",
    10: "descr",
    11: "capable",
    12: "enabled",
    13: "address",
}
_WORDS = {
    "bridge": "bridge",
    "router": "router",
    "telephone": "telephone",
    "repeater": "repeater",
    "wlan": "access_point",
    "station": "station",
}


class LldpMib(msgspec.Struct, frozen=True):
    """The OIDs of one version of the MIB.

    `first`: the number of the first column of `_NAMES`. `row_arcs`: the number of arcs
    after the local port in the index. `port_after_mark`: how many more arcs an index
    may have if it starts with the time mark and the port.
    """

    remote: str
    first: int
    addresses: str
    local_subtype: str
    local_id: str
    local_descr: str
    row_arcs: int
    port_after_mark: tuple[int, ...] = (2,)


CLASSIC = LldpMib(
    oids.LLDP_REM_TABLE,
    4,
    "1.0.8802.1.1.2.1.4.2.1.3",
    oids.LLDP_LOC_PORT_SUBTYPE,
    oids.LLDP_LOC_PORT_ID,
    oids.LLDP_LOC_PORT_DESCR,
    1,
)
# lldpV2RemLocalDestMACAddress is part of the index, and one column more.
SECOND = LldpMib(
    "1.3.111.2.802.1.1.13.1.4.1.1",
    5,
    "1.3.111.2.802.1.1.13.1.4.2.1.3",
    "1.3.111.2.802.1.1.13.1.3.7.1.2",
    "1.3.111.2.802.1.1.13.1.3.7.1.3",
    "1.3.111.2.802.1.1.13.1.3.7.1.4",
    2,
    (2, 7),
)


class LldpTables(msgspec.Struct, frozen=True):
    """The walked rows, by whole OID. `interfaces`: on RouterOS, whose LLDP-MIB has no
    local port, the ifIndex of each neighbour."""

    remote: Mapping[str, Value]
    subtypes: Mapping[str, Value] = {}
    ids: Mapping[str, Value] = {}
    descrs: Mapping[str, Value] = {}
    bridge_ports: Mapping[str, Value] = {}
    addresses: Mapping[str, Value] = {}
    interfaces: Mapping[int, int] = {}
    version: LldpMib = CLASSIC


async def read_lldp(snmp: DeviceSession) -> LldpTables:
    """Read the tables; the local ones only if there are neighbours. Raises `Failed`."""
    # Agents of Zyxel and others return rows out of order.
    version = CLASSIC
    remote = await snmp.walk(version.remote, ordered=False)
    if not remote:
        version = SECOND
        remote = await snmp.walk(version.remote, ordered=False)
    if not remote:
        return LldpTables({})
    return LldpTables(
        remote,
        await snmp.walk(version.local_subtype),
        await snmp.walk(version.local_id),
        await snmp.walk(version.local_descr),
        await snmp.walk(oids.BASE_PORT_IF_INDEX),
        await snmp.walk(version.addresses, ordered=False),
        version=version,
    )


def parse_lldp(tables: LldpTables, ports: Iterable[Port]) -> list[Neighbour]:
    """Return the neighbours with their local ports. Pure."""
    version = tables.version
    local = _LldpPorts(tables, LocalPorts(list(ports)))
    columns = {version.first + n: name for n, name in enumerate(_NAMES)}
    addresses = _parse_addresses(tables)
    parsed = []
    for index, row in collect_rows(tables.remote, version.remote, columns).items():
        number, last = _parse_index(index, version)
        if number == 0 and last in tables.interfaces:
            number = tables.interfaces[last]
        port, label = local.find(number)
        enabled = _parse_capabilities(row.get("enabled"))
        parsed.append(
            Neighbour(
                protocol="lldp",
                local_port=port.key if port else label,
                local_if_index=port.if_index if port else None,
                remote_name=text(row.get("name")) or None,
                remote_port=_id_text(
                    row.get("port"),
                    row.get("port_subtype"),
                    (_PORT_MAC, _PORT_NETWORK),
                ),
                remote_chassis=_id_text(
                    row.get("chassis"),
                    row.get("chassis_subtype"),
                    (_CHASSIS_MAC, _CHASSIS_NETWORK),
                ),
                remote_port_descr=text(row.get("port_descr")) or None,
                capabilities=enabled or _parse_capabilities(row.get("capable")),
                remote_address=addresses.get(index),
                remote_descr=text(row.get("descr")) or None,
            )
        )
    return parsed


def parse_tplink(rows: Mapping[str, Value], ports: Iterable[Port]) -> list[Neighbour]:
    """Return the neighbours in TP-Link's own table, which replaces LLDP-MIB. Pure."""
    local = LocalPorts(list(ports))
    parsed = []
    for index, row in collect_rows(rows, TPLINK_REM_TABLE, _TPLINK_COLUMNS).items():
        number = int(index.partition(".")[0])
        label = text(row.get("local")) or str(number or "")
        port = local.by_index.get(number) or local.find_by_name(label)
        words = (text(row.get("enabled")) or text(row.get("capable")) or "").lower()
        # An IPv4 address may be written as IPv6 (`::10.1.2.3`).
        address = (text(row.get("address")) or "").removeprefix("::")
        chassis = row.get("chassis")
        parsed.append(
            Neighbour(
                protocol="lldp",
                local_port=port.key if port else label,
                local_if_index=port.if_index if port else None,
                remote_name=text(row.get("name")) or None,
                remote_port=text(row.get("port")) or None,
                remote_chassis=mac_text(chassis) or text(chassis) or None,
                remote_port_descr=text(row.get("port_descr")) or None,
                capabilities=frozenset(
                    name for word, name in _WORDS.items() if word in words
                ),
                remote_address=address or None,
                remote_descr=text(row.get("descr")) or None,
            )
        )
    return parsed


class _LldpPorts:
    """Maps LLDP's port numbers to IF-MIB's ports; the numbers may differ."""

    def __init__(self, tables: LldpTables, ports: LocalPorts) -> None:
        version = tables.version
        self._ports = ports
        self._is_if_index = version is SECOND
        self._subtypes = _index_by_number(tables.subtypes, version.local_subtype)
        self._ids = _index_by_number(tables.ids, version.local_id)
        self._descrs = _index_by_number(tables.descrs, version.local_descr)
        self._bridge = _index_by_number(tables.bridge_ports, oids.BASE_PORT_IF_INDEX)

    def find(self, number: int) -> tuple[Port | None, str]:
        """Return the port with LLDP's `number`, and a name for it if there is none."""
        if number == 0:
            return None, ""
        by_index = self._ports.by_index
        subtype, raw = self._subtypes.get(number), self._ids.get(number)
        label = text(raw) or ""
        descr = text(self._descrs.get(number)) or ""
        if self._is_if_index and number in by_index:
            return by_index[number], label
        mac = mac_text(raw)
        if mac is not None and (subtype == _PORT_MAC or not is_text(raw)):
            label = mac.replace(":", "")
            if port := self._ports.find_by_mac(label):
                return port, label
        if port := self._ports.find_by_name(label, descr):
            return port, label
        if subtype == _PORT_LOCAL and label.isdecimal() and int(label) in by_index:
            return by_index[int(label)], label
        index = as_int(self._bridge.get(number))
        if index is not None and index in by_index:
            return by_index[index], label
        return by_index.get(number), label or str(number)


def _parse_index(index: str, version: LldpMib) -> tuple[int, int]:
    """Return the local port's number in a row's index, or 0, and the last arc.

    The index is lldpRemTimeMark.lldpRemLocalPortNum.lldpRemIndex. Some agents omit the
    mark, and RouterOS the port as well. Version 2 of the MIB has an index of
    lldpV2DestAddressTable, or the address itself, between port and row. In an index of
    another shape, no arc is known to be the port.
    """
    arcs = oids.parts(index)
    if len(arcs) - version.row_arcs == 1:
        return arcs[0], arcs[-1]
    if len(arcs) - version.row_arcs in version.port_after_mark:
        return arcs[1], arcs[-1]
    return 0, arcs[-1]


def _index_by_number(rows: Mapping[str, Value], base: str) -> dict[int, Value]:
    parsed = {}
    for oid, value in rows.items():
        index = oids.tail(oid, base)
        if oids.under(oid, base) and index.isdecimal():
            parsed[int(index)] = value
    return parsed


def _parse_addresses(tables: LldpTables) -> dict[str, str]:
    """Return the first management address of each neighbour, by its index.

    The address ends its own index: family, length (omitted by some agents), octets.
    """
    parsed: dict[str, str] = {}
    base = tables.version.addresses
    entry = tables.version.remote
    rows = {oids.tail(oid, entry).partition(".")[2] for oid in tables.remote} - {""}
    for oid in tables.addresses:
        if not oids.under(oid, base):
            continue
        arcs = oids.tail(oid, base).split(".")
        for size in (4, 16):
            for head in (arcs[: -size - 2], arcs[: -size - 1]):
                index = ".".join(head)
                if index not in rows:
                    continue
                family = int(arcs[len(head)])
                if _FAMILIES.get(family) == size:
                    address = address_text(int(arc) for arc in arcs[-size:])
                    if address is not None:
                        parsed.setdefault(index, address)
    return parsed


def _id_text(
    value: Value | None, subtype: Value | None, addresses: tuple[int, int]
) -> str | None:
    """Return a chassis or port id as text, read as an address if its subtype is one."""
    mac, network = addresses
    if subtype == mac and (address := mac_text(value)):
        return address
    if isinstance(value, bytes) and subtype == network:
        # The first octet is the family.
        family, octets = value[:1], value[1:]
        if family and _FAMILIES.get(family[0]) == len(octets):
            return address_text(octets) or text(value)
    return text(value) or None


def _parse_capabilities(value: Value | None) -> frozenset[str]:
    # At most sixteen BITS; anything longer is a text made of them.
    if not isinstance(value, bytes) or not 1 <= len(value) <= 4:
        return frozenset()
    return frozenset(
        name for bit, name in enumerate(_CAPABILITIES) if value[0] & (0x80 >> bit)
    )
