"""LLDP neighbours (IEEE 802.1AB): who is heard on which port."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from collectors.snmp import oids
from collectors.snmp.interfaces import Port
from collectors.snmp.session import Session, Value
from collectors.snmp.text import text, whole
from collectors.snmp.walk import Budget, Stamina, walk

# LldpChassisIdSubtype and LldpPortIdSubtype where the octets are an address.
_CHASSIS_MAC, _CHASSIS_NETWORK = 4, 5
_PORT_MAC, _PORT_NETWORK = 3, 4
_PORT_IF_ALIAS, _PORT_IF_NAME, _PORT_LOCAL = 1, 5, 7
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
# What hangs behind a port that must not go down unseen. A telephone is a bridge too,
# but it is somebody's desk.
_INFRASTRUCTURE = {"bridge", "access_point", "router"}
_REMOTE = {
    4: "chassis_subtype",
    5: "chassis",
    6: "port_subtype",
    7: "port",
    8: "port_descr",
    9: "name",
    11: "capable",
    12: "enabled",
}


class Neighbour(msgspec.Struct, frozen=True):
    """One device heard on one port. `local_if_index` is None where no port of IF-MIB
    could be told; `capabilities` is empty where it does not say."""

    protocol: str
    local_port: str
    local_if_index: int | None
    remote_name: str | None
    remote_port: str | None
    remote_chassis: str | None
    remote_port_descr: str | None = None
    capabilities: frozenset[str] = frozenset()

    @property
    def infrastructure(self) -> bool:
        if "telephone" in self.capabilities:
            return False
        return bool(_INFRASTRUCTURE & self.capabilities)


class LldpTables(msgspec.Struct, frozen=True):
    """What was walked, by whole OID."""

    remote: Mapping[str, Value]
    subtypes: Mapping[str, Value] = {}
    ids: Mapping[str, Value] = {}
    descrs: Mapping[str, Value] = {}
    bridge_ports: Mapping[str, Value] = {}


async def read_lldp(session: Session, stamina: Stamina, budget: Budget) -> LldpTables:
    """The tables, the local ones only where there are neighbours. Raises `Failed`."""
    remote = await walk(session, oids.LLDP_REM_TABLE, stamina, budget)
    if not remote:
        return LldpTables({})
    return LldpTables(
        remote,
        await walk(session, oids.LLDP_LOC_PORT_SUBTYPE, stamina, budget),
        await walk(session, oids.LLDP_LOC_PORT_ID, stamina, budget),
        await walk(session, oids.LLDP_LOC_PORT_DESCR, stamina, budget),
        await walk(session, oids.BASE_PORT_IF_INDEX, stamina, budget),
    )


def neighbours(tables: LldpTables, ports: Iterable[Port]) -> list[Neighbour]:
    """The neighbours, each at the port it was heard on. Pure."""
    local = _LocalPorts(tables, list(ports))
    rows: dict[str, dict[str, Value]] = {}
    for oid, value in tables.remote.items():
        column, _, index = oids.tail(oid, oids.LLDP_REM_TABLE).partition(".")
        name = _REMOTE.get(int(column)) if column.isdigit() else None
        if name is not None and index:
            rows.setdefault(index, {})[name] = value
    found = []
    for index, row in rows.items():
        # lldpRemTimeMark.lldpRemLocalPortNum.lldpRemIndex; some leave out the mark.
        arcs = index.split(".")
        number = int(arcs[1] if len(arcs) >= 3 else arcs[0])
        port, label = local.port(number)
        enabled = _capabilities(row.get("enabled"))
        found.append(
            Neighbour(
                protocol="lldp",
                local_port=port.key if port else label,
                local_if_index=port.if_index if port else None,
                remote_name=text(row.get("name")) or None,
                remote_port=_identity(
                    row.get("port"),
                    row.get("port_subtype"),
                    (_PORT_MAC, _PORT_NETWORK),
                ),
                remote_chassis=_identity(
                    row.get("chassis"),
                    row.get("chassis_subtype"),
                    (_CHASSIS_MAC, _CHASSIS_NETWORK),
                ),
                remote_port_descr=text(row.get("port_descr")) or None,
                capabilities=enabled or _capabilities(row.get("capable")),
            )
        )
    return found


class _LocalPorts:
    """LLDP's own numbers of ports to those of IF-MIB: they need not be the same."""

    def __init__(self, tables: LldpTables, ports: list[Port]) -> None:
        self._subtypes = _by_number(tables.subtypes, oids.LLDP_LOC_PORT_SUBTYPE)
        self._ids = _by_number(tables.ids, oids.LLDP_LOC_PORT_ID)
        self._descrs = _by_number(tables.descrs, oids.LLDP_LOC_PORT_DESCR)
        self._bridge = _by_number(tables.bridge_ports, oids.BASE_PORT_IF_INDEX)
        self._by_index = {port.if_index: port for port in ports}
        self._by_text: dict[str, Port] = {}
        for port in reversed(ports):
            for each in (port.alias, port.descr, port.name, port.key):
                if each:
                    self._by_text[each.lower()] = port
        # Every port of a stack may show the chassis' one address: then it tells none.
        macs = [port.mac for port in ports if port.mac]
        self._by_mac = {p.mac: p for p in ports if p.mac and macs.count(p.mac) == 1}

    def port(self, number: int) -> tuple[Port | None, str]:
        """The port with LLDP's `number`, and what to call it if there is none."""
        subtype, raw = self._subtypes.get(number), self._ids.get(number)
        label = text(raw) or ""
        descr = text(self._descrs.get(number)) or ""
        if subtype == _PORT_MAC and isinstance(raw, bytes):
            label = raw.hex()
            if port := self._by_mac.get(label):
                return port, label
        for each in (label, descr):
            if each and (port := self._by_text.get(each.lower())):
                return port, label
        if subtype == _PORT_LOCAL and label.isdigit() and int(label) in self._by_index:
            return self._by_index[int(label)], label
        index = whole(self._bridge.get(number))
        if index is not None and index in self._by_index:
            return self._by_index[index], label
        return self._by_index.get(number), label or str(number)


def _by_number(rows: Mapping[str, Value], base: str) -> dict[int, Value]:
    found = {}
    for oid, value in rows.items():
        index = oids.tail(oid, base)
        if index.isdigit():
            found[int(index)] = value
    return found


def _identity(
    value: Value | None, subtype: Value | None, addresses: tuple[int, int]
) -> str | None:
    """A chassis or port id as text: addresses by their subtype, else what it says."""
    if isinstance(value, bytes):
        mac, network = addresses
        if subtype == mac and len(value) == 6:
            return value.hex(":")
        # The first octet is the family (IANA AddressFamilyNumbers), 1 for IPv4.
        if subtype == network and len(value) == 5 and value[0] == 1:
            return ".".join(map(str, value[1:]))
    return text(value) or None


def _capabilities(value: Value | None) -> frozenset[str]:
    if not isinstance(value, bytes) or not value:
        return frozenset()
    return frozenset(
        name for bit, name in enumerate(_CAPABILITIES) if value[0] & (0x80 >> bit)
    )
