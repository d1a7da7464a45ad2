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

# LldpChassisIdSubtype and LldpPortIdSubtype where the octets are an address.
_CHASSIS_MAC, _CHASSIS_NETWORK = 4, 5
_PORT_MAC, _PORT_NETWORK, _PORT_LOCAL = 3, 4, 7
# AddressFamilyNumbers (IANA), and how many octets an address of it has.
_FAMILIES = {1: 4, 2: 16}
# LldpSystemCapabilitiesMap: bits from the left.
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
# TPLINK-LLDPINFO-MIB says everything as text; the first arc of its index is ifIndex.
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
    """Where one version of the MIB keeps what: the entries' OIDs, the number of the
    first of `_NAMES`' columns, how many arcs name a row after its local port, and by
    how many more arcs than these an index is known to have mark and port."""

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
    """What was walked, by whole OID. `interfaces`: RouterOS' own ifIndex of each of
    its neighbours, whose LLDP-MIB has no local port."""

    remote: Mapping[str, Value]
    subtypes: Mapping[str, Value] = {}
    ids: Mapping[str, Value] = {}
    descrs: Mapping[str, Value] = {}
    bridge_ports: Mapping[str, Value] = {}
    addresses: Mapping[str, Value] = {}
    interfaces: Mapping[int, int] = {}
    version: LldpMib = CLASSIC


async def read_lldp(snmp: DeviceSession) -> LldpTables:
    """The tables, the local ones only where there are neighbours. Raises `Failed`."""
    # Zyxel's and others' rows come in any order.
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
    """The neighbours, each at the port it was heard on. Pure."""
    version = tables.version
    local = _LldpPorts(tables, LocalPorts(list(ports)))
    columns = {version.first + n: name for n, name in enumerate(_NAMES)}
    addresses = _parse_addresses(tables)
    found = []
    for index, row in collect_rows(tables.remote, version.remote, columns).items():
        number, last = _parse_index(index, version)
        if number == 0 and last in tables.interfaces:
            number = tables.interfaces[last]
        port, label = local.port(number)
        enabled = _parse_capabilities(row.get("enabled"))
        found.append(
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
    return found


def parse_tplink(rows: Mapping[str, Value], ports: Iterable[Port]) -> list[Neighbour]:
    """The rows of TP-Link's own table, which stands instead of LLDP-MIB. Pure."""
    local = LocalPorts(list(ports))
    found = []
    for index, row in collect_rows(rows, TPLINK_REM_TABLE, _TPLINK_COLUMNS).items():
        number = int(index.partition(".")[0])
        label = text(row.get("local")) or str(number or "")
        port = local.by_index.get(number) or local.called(label)
        said = (text(row.get("enabled")) or text(row.get("capable")) or "").lower()
        # An IPv4 address as the end of a text that began as IPv6 (`::10.1.2.3`).
        address = (text(row.get("address")) or "").removeprefix("::")
        chassis = row.get("chassis")
        found.append(
            Neighbour(
                protocol="lldp",
                local_port=port.key if port else label,
                local_if_index=port.if_index if port else None,
                remote_name=text(row.get("name")) or None,
                remote_port=text(row.get("port")) or None,
                remote_chassis=mac_text(chassis) or text(chassis) or None,
                remote_port_descr=text(row.get("port_descr")) or None,
                capabilities=frozenset(
                    meant for word, meant in _WORDS.items() if word in said
                ),
                remote_address=address or None,
                remote_descr=text(row.get("descr")) or None,
            )
        )
    return found


class _LldpPorts:
    """LLDP's own numbers of ports to those of IF-MIB: they need not be the same."""

    def __init__(self, tables: LldpTables, ports: LocalPorts) -> None:
        version = tables.version
        self._ports = ports
        self._is_if_index = version is SECOND
        self._subtypes = _index_by_number(tables.subtypes, version.local_subtype)
        self._ids = _index_by_number(tables.ids, version.local_id)
        self._descrs = _index_by_number(tables.descrs, version.local_descr)
        self._bridge = _index_by_number(tables.bridge_ports, oids.BASE_PORT_IF_INDEX)

    def port(self, number: int) -> tuple[Port | None, str]:
        """The port with LLDP's `number`, and what to call it if there is none."""
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
            if port := self._ports.with_mac(label):
                return port, label
        if port := self._ports.called(label, descr):
            return port, label
        if subtype == _PORT_LOCAL and label.isdecimal() and int(label) in by_index:
            return by_index[int(label)], label
        index = as_int(self._bridge.get(number))
        if index is not None and index in by_index:
            return by_index[index], label
        return by_index.get(number), label or str(number)


def _parse_index(index: str, version: LldpMib) -> tuple[int, int]:
    """The local port's number in a row's index, 0 if it is not there; its last arc.

    lldpRemTimeMark.lldpRemLocalPortNum.lldpRemIndex: some leave out the mark, RouterOS
    the port as well. The second version has an index of lldpV2DestAddressTable, or the
    address itself, between port and row. In an index of any other shape no arc is
    known to be the port.
    """
    arcs = oids.parts(index)
    if len(arcs) - version.row_arcs == 1:
        return arcs[0], arcs[-1]
    if len(arcs) - version.row_arcs in version.port_after_mark:
        return arcs[1], arcs[-1]
    return 0, arcs[-1]


def _index_by_number(rows: Mapping[str, Value], base: str) -> dict[int, Value]:
    found = {}
    for oid, value in rows.items():
        index = oids.tail(oid, base)
        if oids.under(oid, base) and index.isdecimal():
            found[int(index)] = value
    return found


def _parse_addresses(tables: LldpTables) -> dict[str, str]:
    """Management addresses by the index of their neighbour; the first of each.

    They are the end of their own index: family, length (some leave it out), octets.
    """
    found: dict[str, str] = {}
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
                        found.setdefault(index, address)
    return found


def _id_text(
    value: Value | None, subtype: Value | None, addresses: tuple[int, int]
) -> str | None:
    """A chassis or port id as text: addresses by their subtype, else what it says."""
    mac, network = addresses
    if subtype == mac and (found := mac_text(value)):
        return found
    if isinstance(value, bytes) and subtype == network:
        # The first octet is the family.
        family, octets = value[:1], value[1:]
        if family and _FAMILIES.get(family[0]) == len(octets):
            return address_text(octets) or text(value)
    return text(value) or None


def _parse_capabilities(value: Value | None) -> frozenset[str]:
    # BITS of at most sixteen; a longer one is a text somebody made of them.
    if not isinstance(value, bytes) or not 1 <= len(value) <= 4:
        return frozenset()
    return frozenset(
        name for bit, name in enumerate(_CAPABILITIES) if value[0] & (0x80 >> bit)
    )
