"""Towpath and LibreNMS are compared: what is missing on either side."""

from __future__ import annotations

import asyncio
import json
from io import StringIO
from pathlib import Path
from typing import Any

import api_doubles
import pytest
from rich.console import Console
from store_doubles import MemoryStore
from towpath_command import towpath

from collectors.batch import batch_samples
from collectors.comparing import compare_output
from collectors.comparing.compared_device import (
    ComparedDevice,
    ComparedPort,
    ComparedSensor,
    from_librenms,
    from_store,
    store_queries,
)
from collectors.comparing.differences import (
    Comparison,
    MissingItems,
    OtherDevice,
    compare,
    match_devices,
)
from collectors.estate import Device
from probes.wire.sample import Sample
from towpath.demo.simulated_switches import SimulatedSwitch


def device(id: str, address: str, **more: Any) -> Device:
    return Device(id=id, site="hall", address=address, **more)  # type: ignore[arg-type]


def other(key: int, name: str, address: str = "") -> OtherDevice:
    return OtherDevice(key, name, (name,), address)


def test_devices_are_matched_by_address_and_then_by_name() -> None:
    here = [
        device("core", "10.0.0.1"),
        device("access", "10.0.0.2"),
        device("x", "10.0.0.3"),
    ]
    there = [
        other(1, "whatever", "10.0.0.1"),
        other(2, "ACCESS.example.org"),
        other(3, "y"),
    ]
    matched, only_here, only_there = match_devices(here, there)
    assert [(a.id, b.key) for a, b in matched] == [("core", 1), ("access", 2)]
    assert [device.id for device in only_here] == ["x"]
    assert [device.key for device in only_there] == [3]


def compare_one(mine: ComparedDevice, theirs: ComparedDevice) -> Any:
    here = device("core", "10.0.0.1")
    return compare([(here, other(1, "core"))], [], [], {"core": mine}, {1: theirs})


def test_a_port_is_the_same_by_any_of_its_names() -> None:
    comparison = compare_one(
        ComparedDevice(
            [
                ComparedPort.from_names("Gi1"),
                ComparedPort.from_names("lan", "lan", "eth0"),
                ComparedPort.from_names("if9"),
            ]
        ),
        ComparedDevice(
            [
                ComparedPort.from_names(
                    "GigabitEthernet1", "GI1", "GigabitEthernet1", "if1"
                ),
                ComparedPort.from_names("eth0", "", "eth0", "if2"),
                ComparedPort.from_names("vlan9", "", "vlan9", "if9"),
                ComparedPort.from_names("Null0"),
            ]
        ),
    )
    assert comparison.matched["ports"] == 3
    assert comparison.missing_here.ports == [("core", "Null0")]
    assert comparison.missing_there.ports == []


def test_a_sensor_is_the_same_by_its_object_its_name_or_its_words() -> None:
    comparison = compare_one(
        ComparedDevice(
            [],
            [
                ComparedSensor("temperature", "Inlet", "1.3.6.1.4.1.9.1"),
                ComparedSensor("dbm", "Gi1/0/1 Rx power"),
                ComparedSensor("dbm", "Gi1/0/2 transmit"),
                ComparedSensor("fanspeed", "Fan 1"),
                ComparedSensor("state", "Fan 1"),
            ],
        ),
        ComparedDevice(
            [],
            [
                ComparedSensor("temperature", "sensor #4", "1.3.6.1.4.1.9.1"),
                ComparedSensor("dbm", "gi1/0/1 RX-Power"),
                ComparedSensor("dbm", "Gi1/0/2 Tx transmit power"),
                ComparedSensor("state", "Fan 1"),
                ComparedSensor("voltage", "12V"),
            ],
        ),
    )
    assert comparison.matched["sensors"] == 4
    assert comparison.missing_here.sensors == [("core", "voltage 12V")]
    assert comparison.missing_there.sensors == [("core", "fanspeed Fan 1")]
    assert not comparison.same


def test_two_sensors_of_one_name_match_two_of_that_name() -> None:
    twice = [
        ComparedSensor("temperature", "Chip", "1.1"),
        ComparedSensor("temperature", "Chip", "1.2"),
    ]
    assert compare_one(
        ComparedDevice([], twice), ComparedDevice([], list(reversed(twice)))
    ).same
    stored = [ComparedSensor("temperature", "Chip")] * 2
    assert compare_one(ComparedDevice([], stored), ComparedDevice([], twice)).same
    comparison = compare_one(ComparedDevice([], twice), ComparedDevice([], twice[:1]))
    assert comparison.missing_there.sensors == [("core", "temperature Chip")]


def test_deleted_and_disabled_rows_of_librenms_are_not_compared() -> None:
    device = from_librenms(
        [
            {
                "ifName": "Gi1",
                "ifDescr": "x",
                "ifIndex": 1,
                "deleted": 0,
                "disabled": 0,
            },
            {"ifName": "Gi2", "ifDescr": "x", "ifIndex": 2, "deleted": 1},
            {"ifName": "Gi3", "ifDescr": "x", "ifIndex": 3, "disabled": "1"},
            {"ifName": None, "ifDescr": "lo", "ifIndex": 4},
        ],
        [
            {"sensor_class": "state", "sensor_descr": "a", "sensor_oid": ".1.3.6"},
            {"sensor_class": "state", "sensor_descr": "b", "sensor_deleted": 1},
        ],
    )
    assert [port.name for port in device.ports] == ["Gi1", "lo"]
    assert device.sensors == [ComparedSensor("state", "a", "1.3.6")]


async def test_the_stores_side_is_the_last_hour_of_devices_that_answered() -> None:
    def row(
        measurement: str, at_ms: int, fields: dict[str, Any], **tags: str
    ) -> Sample:
        return Sample(
            measurement, {"site": "hall", "role": "switch", **tags}, fields, at_ms
        )

    store = MemoryStore()
    await store.write(
        batch_samples(
            [
                row("device", 5, {"up": 1}, device="a"),
                row("device", 5, {"up": 0}, device="dead"),
                row("interface", 5, {"expected_up": 0}, device="a", port="Gi1"),
                row("interface", 5, {"expected_up": 0}, device="dead", port="Gi1"),
                row(
                    "sensor",
                    5,
                    {"value": 3.5},
                    **{"device": "a", "class": "power"},
                    sensor="PSU",
                ),
                row(
                    "sensor",
                    5,
                    {"state": "good"},
                    **{"device": "a", "class": "state"},
                    sensor="F",
                ),
            ],
            "test",
            5,
        )
    )
    devices = from_store(*[await store.query(query) for query in store_queries(0, 10)])
    assert set(devices) == {"a"}
    assert [port.name for port in devices["a"].ports] == ["Gi1"]
    assert {(s.kind, s.descr) for s in devices["a"].sensors} == {
        ("power", "PSU"),
        ("state", "F"),
    }


def shown_text(comparison: Comparison, details: bool = False) -> str:
    out = StringIO()
    console = Console(file=out, width=100)
    compare_output.show(comparison, "LibreNMS", console, details)
    return out.getvalue()


def test_a_summary_has_at_most_ten_lines_whatever_is_missing() -> None:
    missing = MissingItems(
        [f"sw{n}" for n in range(300)],
        [(f"core{n % 7}", f"Gi{n}") for n in range(400)],
        [("core1", f"PSU {n}") for n in range(50)],
    )
    comparison = Comparison(
        missing,
        missing,
        [f"dead{n}" for n in range(20)],
        ["away"],
        {"devices": 5, "ports": 6, "sensors": 7},
    )
    lines = shown_text(comparison).splitlines()
    assert len(lines) <= 10
    assert (
        "Towpath has no data of dead0, dead1, dead2 and 17 more: not compared" in lines
    )
    assert "LibreNMS has no data of away: not compared" in lines
    assert (
        "In LibreNMS, missing in Towpath: 400 ports (core0 58, core1 57, core2 57 and "
        "4 more)"
    ) in lines
    assert lines[-1] == "--details lists them"


def test_a_device_that_the_other_cannot_read_is_not_a_hundred_missing_ports() -> None:
    comparison = compare_one(
        ComparedDevice([ComparedPort.from_names("mine")]), ComparedDevice()
    )
    assert comparison.no_data_there == ["core"]
    assert comparison.missing_there.is_empty
    assert not comparison.same


def test_what_each_side_is_missing_is_shown() -> None:
    comparison = compare_one(
        ComparedDevice([ComparedPort.from_names("mine")]),
        ComparedDevice([ComparedPort.from_names("theirs")]),
    )
    comparison.no_data = ["dead"]
    detailed = shown_text(comparison, details=True)
    for text in ("port mine", "port theirs", "no data of dead", "1 device, 0 ports"):
        assert text in detailed
    shown = json.loads(compare_output.as_json(comparison, "LibreNMS"))
    assert shown["same"] is False
    assert shown["missing_here"]["ports"] == [{"device": "core", "port": "theirs"}]
    assert shown["no_data_here"] == ["dead"]


PORTS = [
    {"ifName": f"Gi1/0/{n}", "ifDescr": f"Gi1/0/{n}", "ifIndex": n, "deleted": 0}
    for n in (1, 2)
]


@pytest.mark.parametrize(("more", "status"), [([], 0), (["Gi1/0/9"], 1)])
async def test_the_command_compares_with_a_live_poll(
    more: list[str], status: int, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("secret")
    credentials = tmp_path / "snmp.toml"
    credentials.write_text('[default]\ncommunity = "public"\n')
    credentials.chmod(0o600)
    extra = [{"ifName": name, "ifDescr": name, "ifIndex": 9} for name in more]
    answers = {
        "/devices": {
            "devices": [{"device_id": 4, "hostname": "127.0.0.1", "sysName": "sw"}]
        },
        "/devices/4/ports": {"ports": PORTS + extra},
        "/resources/sensors": (404, {"status": "error", "message": "do not exist"}),
    }
    async with SimulatedSwitch("sw", 2) as switch:
        (tmp_path / "estate.toml").write_text(
            '[[sites]]\nid = "hall"\nname = "H"\n'
            '[[devices]]\nid = "sw"\nsite = "hall"\naddress = "127.0.0.1"\n'
            f"port = {switch.port_number}\n"
        )
        (tmp_path / "towpath.toml").write_text(
            'state = "state"\n[snmp]\ncredentials_file = "snmp.toml"\n'
        )
        with api_doubles.librenms(answers) as server:
            ended = await asyncio.to_thread(
                towpath,
                *("compare", "librenms", "--url", server.url),
                *("--token-file", str(tmp_path / "token"), "--live", "--json"),
                *("-c", str(tmp_path / "towpath.toml")),
            )
    assert ended.returncode == status, ended.stderr
    shown = json.loads(ended.stdout)
    assert shown["both"]["ports"] == 2
    assert [row["port"] for row in shown["missing_here"]["ports"]] == more
