"""Agents of vendors whose tables are not as the MIB defines them, or elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from towpath.demo import snmp_messages
from towpath.demo.simulated_switches import SimulatedPort, SimulatedSwitch

Rows = dict[str, bytes]


class Beside(SimulatedSwitch):
    """A switch of one maker with `rows` beside its own, and without those of `lacks`.

    `asked` holds every OID that was asked for, `strangers` the communities that are
    not its own.
    """

    object_id = "1.3.6.1.4.1.8072.3.2.255"
    lacks: tuple[str, ...] = ()

    def __init__(
        self,
        name: str,
        ports: int | Sequence[SimulatedPort] = 4,
        rows: Rows | None = None,
        **named: object,
    ) -> None:
        self.rows = rows or {}
        self.asked: set[str] = set()
        self.strangers: set[bytes] = set()
        super().__init__(name, ports, **named)  # type: ignore[arg-type]

    def rebuild(self) -> None:
        super().rebuild()
        lacking = tuple(snmp_messages.oid_arcs(base) for base in self.lacks)
        for row in list(self._rows):
            if any(row[: len(base)] == base for base in lacking):
                self._rows.remove(row)
                del self._values[snmp_messages.oid_content(row)]
        values = {"1.3.6.1.2.1.1.2.0": snmp_messages.oid(self.object_id), **self.rows}
        for oid, encoded in values.items():
            row = snmp_messages.oid_arcs(oid)
            self._values[snmp_messages.oid_content(row)] = lambda encoded=encoded: (
                encoded
            )  # type: ignore[misc]
            self._rows.append(row)
        self._rows = sorted(set(self._rows))

    def answer(self, data: bytes) -> list[bytes]:
        community = snmp_messages.decode(data).community
        if community != self._community:
            self.strangers.add(community)
        return super().answer(data)

    def reply(self, request: snmp_messages.SnmpRequest) -> bytes | None:
        self.asked |= {
            ".".join(map(str, snmp_messages.arcs_of(n))) for n in request.names
        }
        return super().reply(request)

    def was_asked_below(self, *bases: str) -> set[str]:
        """What was requested at or below `bases`."""
        return {
            oid
            for oid in self.asked
            if any(f"{oid}.".startswith(f"{base}.") for base in bases)
        }


# dot1dTpFdbTable, dot1qTpFdbTable, entLogicalTable.
FORWARDING = ("1.3.6.1.2.1.17.4.3", "1.3.6.1.2.1.17.7.1.2.2")
LOGICAL = "1.3.6.1.2.1.47.1.2.1"
_DOT1Q_VLAN = "1.3.6.1.2.1.17.7.1.4.3.1"


class ZyxelGs1900(Beside):
    """Its forwarding table has a stray 6 between VLAN and address, and is long."""

    object_id = "1.3.6.1.4.1.890.1.15"

    def rebuild(self) -> None:
        table = f"{FORWARDING[1]}.1.2"
        for n in range(200):
            self.rows[f"{table}.1.6.2.0.0.0.1.{n}"] = snmp_messages.integer(n % 4 + 1)
        self.rows[f"{_DOT1Q_VLAN}.1.1"] = snmp_messages.octets("staff")
        super().rebuild()


class OldJuniperEx(Beside):
    """Q-BRIDGE-MIB has its VLANs by numbers of its own; their tags are elsewhere."""

    object_id = "1.3.6.1.4.1.2636.1.1.1.2.31"

    def rebuild(self) -> None:
        own = "1.3.6.1.4.1.2636.3.40.1.5.1.5.1"
        for number, (name, tag) in enumerate([("staff", 110), ("phones", 3)], 2):
            self.rows[f"{_DOT1Q_VLAN}.1.{number}"] = snmp_messages.octets(name)
            self.rows[f"{own}.2.{number}"] = snmp_messages.octets(name)
            self.rows[f"{own}.5.{number}"] = snmp_messages.integer(tag)
        super().rebuild()


class ArubaLogical(Beside):
    """Has an entLogicalTable whose communities lack the `@vlan` that Cisco's have."""

    object_id = "1.3.6.1.4.1.11.2.3.7.11.160"

    def rebuild(self) -> None:
        for vlan in (1, 10, 20):
            self.rows[f"{LOGICAL}.1.2.{vlan}"] = snmp_messages.octets(f"vlan{vlan}")
            self.rows[f"{LOGICAL}.1.4.{vlan}"] = snmp_messages.octets("public")
            self.rows[f"{_DOT1Q_VLAN}.1.{vlan}"] = snmp_messages.octets(f"VLAN{vlan}")
        super().rebuild()


class CiscoPerVlan(Beside):
    """BRIDGE-MIB shows VLAN 1 alone, the others want `public@10`; Q-BRIDGE-MIB has it
    none. VLANs are VTP's."""

    object_id = "1.3.6.1.4.1.9.1.1208"
    # All but port 1 are in VLAN 10.
    lacks = tuple(f"1.3.6.1.2.1.17.1.4.1.2.{n}" for n in range(2, 50))

    def rebuild(self) -> None:
        vtp = "1.3.6.1.4.1.9.9.46.1.3.1.1"
        for vlan, kind in ((1, 1), (10, 1), (1002, 2)):
            self.rows[f"{vtp}.3.1.{vlan}"] = snmp_messages.integer(kind)
            self.rows[f"{vtp}.4.1.{vlan}"] = snmp_messages.octets(f"VLAN{vlan:04}")
        super().rebuild()


class CiscoGarbage(Beside):
    """Sensors whose precision is garbage and whose thresholds were never set."""

    object_id = "1.3.6.1.4.1.9.1.1208"
    _SENSOR, _LIMITS = "1.3.6.1.4.1.9.9.91.1.1.1.1", "1.3.6.1.4.1.9.9.91.1.2.1.1"
    _UNSET = (-32768, 2147483647)

    def rebuild(self) -> None:
        for index, precision, limits in (
            (1001, 1615384784, self._UNSET),
            (1002, 0, (60, self._UNSET[1])),
        ):
            values = {1: 8, 2: 9, 3: precision, 4: 41, 5: 1}
            for column, value in values.items():
                self.rows[f"{self._SENSOR}.{column}.{index}"] = snmp_messages.integer(
                    value
                )
            name = snmp_messages.octets(f"Inlet {index}")
            self.rows[f"1.3.6.1.2.1.47.1.1.1.1.7.{index}"] = name
            # Minor and major, each "greater than".
            for n, (severity, limit) in enumerate(zip((10, 20), limits, strict=True)):
                row = f"{index}.{n + 1}"
                self.rows[f"{self._LIMITS}.2.{row}"] = snmp_messages.integer(severity)
                self.rows[f"{self._LIMITS}.3.{row}"] = snmp_messages.integer(3)
                self.rows[f"{self._LIMITS}.4.{row}"] = snmp_messages.integer(limit)
        super().rebuild()


class RouterOs(Beside):
    """Its LLDP rows name no local port: `index` stands before the row's own number.

    The port is in its own table of neighbours, by the same number.
    """

    object_id = "1.3.6.1.4.1.14988.1"
    lacks = ("1.0.8802",)
    index = "0.0."

    def rebuild(self) -> None:
        remote, own = "1.0.8802.1.1.2.1.4.1.1", "1.3.6.1.4.1.14988.1.1.11.1.1"
        for number, (port, name) in {8: (3, "core-1"), 2: (4, "ap-1")}.items():
            row = f"{self.index}{number}"
            address = snmp_messages.octets(bytes((2, 0, 0, 0, 0, number)))
            self.rows[f"{remote}.4.{row}"] = snmp_messages.integer(4)
            self.rows[f"{remote}.5.{row}"] = address
            self.rows[f"{remote}.9.{row}"] = snmp_messages.octets(name)
            self.rows[f"{own}.3.{number}"] = address
            self.rows[f"{own}.6.{number}"] = snmp_messages.octets(name)
            self.rows[f"{own}.8.{number}"] = snmp_messages.integer(port)
        super().rebuild()


class OldRouterOs(RouterOs):
    """Leaves the time mark and the port out of the index altogether."""

    index = ""
