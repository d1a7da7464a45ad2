"""Which ports should be up, and the neighbours that LLDP has behind them."""

from __future__ import annotations

from collectors.batch import check_batch
from collectors.estate import Device, Estate, Line, Room
from collectors.server_measurements import CATALOGUE
from collectors.snmp.polling.counter_rates import PortRates
from collectors.snmp.polling.expected_ports import PortUses, expected_ports, port_uses
from collectors.snmp.polling.room_rows import RoomPortState, room_port_rows
from collectors.snmp.session import oids
from collectors.snmp.tables.interfaces import Port
from collectors.snmp.tables.lldp import LldpTables, parse_lldp

PORTS = [
    Port(1, "Gi1", True, name="Gi1", descr="GigabitEthernet1", alias="uplink to core"),
    Port(2, "Gi2", True, name="Gi2", descr="GigabitEthernet2", mac="020000000002"),
    Port(3, "Gi3", True, name="Gi3", descr="Ethernet", alias="camera"),
    Port(4, "Gi4", True, name="Gi4", descr="Ethernet"),
]
REMOTE = oids.LLDP_REM_TABLE


def device(**more: object) -> Device:
    return Device(id="d", site="s", address="10.0.0.1", **more)  # type: ignore[arg-type]


def line(id: str, port: str, on: str = "d") -> Line:
    return Line(id=id, site="s", device=on, port=port, down_mbps=80, up_mbps=20)


def test_the_strongest_reason_is_given() -> None:
    parsed = expected_ports(
        device(uplink_ports=("Gi1", "Gi2"), expect_up="Gi|camera"),
        PortUses((line("wan", "Gi1"), line("elsewhere", "Gi2", on="other"))),
        PORTS,
        {"Gi1", "Gi2", "Gi4"},
    )
    assert parsed.reasons == {
        "Gi1": "line",
        "Gi2": "uplink",
        "Gi3": "pattern",
        "Gi4": "neighbour",
    }
    assert [line.id for line in parsed.lines["Gi1"]] == ["wan"]
    assert set(parsed.lines) == {"Gi1"}


def test_a_port_may_be_named_by_its_description_if_that_is_unique() -> None:
    parsed = expected_ports(
        device(uplink_ports=("Ethernet",)),
        PortUses((line("wan", "GigabitEthernet2"),)),
        PORTS,
        (),
    )
    assert parsed.reasons == {"Gi2": "line"}


def test_an_ordinary_port_is_not_expected_to_be_up() -> None:
    assert expected_ports(device(), PortUses(), PORTS, ()).reasons == {}


def remote(number: int, capabilities: bytes, **more: bytes | int) -> dict[str, object]:
    row = f"0.{number}.1"
    parsed: dict[str, object] = {f"{REMOTE}.12.{row}": capabilities}
    columns = {"chassis_subtype": 4, "chassis": 5, "port_subtype": 6, "port": 7}
    columns |= {"name": 9}
    return parsed | {f"{REMOTE}.{columns[key]}.{row}": v for key, v in more.items()}


def test_a_telephone_is_not_infrastructure_although_it_is_a_bridge() -> None:
    rows = remote(1, b"\x24\x00") | remote(2, b"\x20\x00") | remote(3, b"\x01")
    rows |= remote(4, b"\x10")
    parsed = parse_lldp(LldpTables(rows), PORTS)  # type: ignore[arg-type]
    assert [neighbour.is_infrastructure for neighbour in parsed] == [
        False,
        True,
        False,
        True,
    ]


def test_lldps_own_port_numbers_are_mapped_to_ports() -> None:
    tables = LldpTables(
        remote(101, b"\x20") | remote(102, b"\x20") | remote(103, b"\x20"),  # type: ignore[arg-type]
        subtypes={
            f"{oids.LLDP_LOC_PORT_SUBTYPE}.101": 5,
            f"{oids.LLDP_LOC_PORT_SUBTYPE}.102": 3,
        },
        ids={
            f"{oids.LLDP_LOC_PORT_ID}.101": b"Gi1",
            f"{oids.LLDP_LOC_PORT_ID}.102": bytes.fromhex("020000000002"),
        },
        bridge_ports={f"{oids.BASE_PORT_IF_INDEX}.103": 3},
    )
    parsed = parse_lldp(tables, PORTS)
    assert [neighbour.local_port for neighbour in parsed] == ["Gi1", "Gi2", "Gi3"]
    assert [neighbour.local_if_index for neighbour in parsed] == [1, 2, 3]


def test_ids_are_shown_by_their_subtype() -> None:
    rows = remote(
        1,
        b"",
        chassis_subtype=5,
        chassis=bytes((1, 10, 0, 0, 9)),
        port_subtype=3,
        port=bytes.fromhex("0004f1d3ab12"),
        name=b"",
    )
    (parsed,) = parse_lldp(LldpTables(rows), PORTS)  # type: ignore[arg-type]
    assert parsed.remote_chassis == "10.0.0.9"
    assert parsed.remote_port == "00:04:f1:d3:ab:12"
    assert parsed.remote_name is None
    assert not parsed.is_infrastructure


def test_a_neighbour_on_an_unknown_port_is_still_reported() -> None:
    (parsed,) = parse_lldp(LldpTables(remote(999, b"\x20")), PORTS)  # type: ignore[arg-type]
    assert parsed.local_if_index is None
    assert parsed.local_port == "999"


def room(*ports: str) -> Room:
    return Room(id="chamber", site="hall", ports=ports)


def test_a_rooms_port_is_found_by_any_name_and_is_not_expected_up() -> None:
    uses = PortUses(rooms=(room("d GigabitEthernet2", "d Gi99", "other Gi1"),))
    parsed = expected_ports(device(), uses, PORTS, ())
    assert parsed.reasons == {}
    assert [room.id for room in parsed.rooms["Gi2"]] == ["chamber"]
    assert [name for _, name in parsed.not_there] == ["Gi99"]
    # While not all ports were read, or none, nothing is known to be missing.
    assert not expected_ports(device(), uses, PORTS, (), (), False).not_there
    assert not expected_ports(device(), uses, (), ()).not_there


def test_the_row_of_a_rooms_port_tells_down_shut_and_not_there_apart() -> None:
    states = [
        RoomPortState(room("d Gi1"), "Gi1", PortRates(in_bps=5.0), 1, False),
        RoomPortState(room("d Gi2"), "Gi2", PortRates(in_bps=5.0), 0, False),
        RoomPortState(room("d Gi3"), "Gi3", up=None, is_shut=True),
        RoomPortState(room("d Gi4"), "Gi4"),
    ]
    batch = check_batch(room_port_rows("poll/d", "d", 1, 2, states), CATALOGUE)
    assert [sample.fields for sample in batch.samples()] == [
        {"there": 1, "up": 1, "shut": 0, "in_bps": 5.0},
        {"there": 1, "up": 0, "shut": 0},
        {"there": 1, "shut": 1},
        {"there": 0},
    ]
    assert {sample.tags["site"] for sample in batch.samples()} == {"hall"}


def test_each_device_gets_the_lines_and_rooms_of_its_ports() -> None:
    estate = Estate.model_construct(
        lines=(line("wan", "Gi1"),), rooms=(room("d Gi2", "d Gi3", "other Gi1"),)
    )
    uses = port_uses(estate)
    assert {id: (len(u.lines), len(u.rooms)) for id, u in uses.items()} == {
        "d": (1, 1),
        "other": (0, 1),
    }
