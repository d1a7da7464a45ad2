"""What LibreNMS has and Towpath lacks, and the other way round."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import api_doubles
import pytest
from rich.console import Console
from store_doubles import MemoryStore

from collectors.batch import gather
from collectors.comparing import compare_output
from collectors.comparing.differences import Other, compare, pair
from collectors.comparing.side import (
    ComparedDevice,
    ComparedPort,
    ComparedSensor,
    from_librenms,
    from_store,
    questions,
)
from collectors.estate import Device
from probes.wire.sample import Sample
from towpath.demo.simulated_switches import SimulatedSwitch

BIN = Path(sys.executable).parent


def device(id: str, address: str, **more: Any) -> Device:
    return Device(id=id, site="hall", address=address, **more)  # type: ignore[arg-type]


def other(key: int, name: str, address: str = "") -> Other:
    return Other(key, name, (name,), address)


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
    matched, lonely, strangers = pair(here, there)
    assert [(a.id, b.key) for a, b in matched] == [("core", 1), ("access", 2)]
    assert [each.id for each in lonely] == ["x"]
    assert [each.key for each in strangers] == [3]


def one(mine: ComparedDevice, theirs: ComparedDevice) -> Any:
    here = device("core", "10.0.0.1")
    return compare([(here, other(1, "core"))], [], [], {"core": mine}, {1: theirs})


def test_a_port_is_the_same_by_any_of_its_names() -> None:
    found = one(
        ComparedDevice(
            [
                ComparedPort.called("Gi1"),
                ComparedPort.called("lan", "lan", "eth0"),
                ComparedPort.called("if9"),
            ]
        ),
        ComparedDevice(
            [
                ComparedPort.called(
                    "GigabitEthernet1", "GI1", "GigabitEthernet1", "if1"
                ),
                ComparedPort.called("eth0", "", "eth0", "if2"),
                ComparedPort.called("vlan9", "", "vlan9", "if9"),
                ComparedPort.called("Null0"),
            ]
        ),
    )
    assert found.both["ports"] == 3
    assert found.here.ports == [("core", "Null0")]
    assert found.there.ports == []


def test_a_sensor_is_the_same_by_its_object_its_name_or_its_words() -> None:
    found = one(
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
    assert found.both["sensors"] == 4
    assert found.here.sensors == [("core", "voltage 12V")]
    assert found.there.sensors == [("core", "fanspeed Fan 1")]
    assert not found.same


def test_two_of_one_name_match_two_of_one_name_only() -> None:
    twice = [
        ComparedSensor("temperature", "Chip", "1.1"),
        ComparedSensor("temperature", "Chip", "1.2"),
    ]
    assert one(
        ComparedDevice([], twice), ComparedDevice([], list(reversed(twice)))
    ).same
    stored = [ComparedSensor("temperature", "Chip")] * 2
    assert one(ComparedDevice([], stored), ComparedDevice([], twice)).same
    found = one(ComparedDevice([], twice), ComparedDevice([], twice[:1]))
    assert found.there.sensors == [("core", "temperature Chip")]


def test_what_librenms_has_put_away_is_not_compared() -> None:
    seen = from_librenms(
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
    assert [each.name for each in seen.ports] == ["Gi1", "lo"]
    assert seen.sensors == [ComparedSensor("state", "a", "1.3.6")]


async def test_the_stores_side_is_the_last_hour_of_devices_that_answered() -> None:
    def row(
        measurement: str, at_ms: int, fields: dict[str, Any], **tags: str
    ) -> Sample:
        return Sample(
            measurement, {"site": "hall", "role": "switch", **tags}, fields, at_ms
        )

    store = MemoryStore()
    await store.write(
        gather(
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
    found = from_store(*[await store.ask(each) for each in questions(0, 10)])
    assert set(found) == {"a"}
    assert [each.name for each in found["a"].ports] == ["Gi1"]
    assert {(s.kind, s.descr) for s in found["a"].sensors} == {
        ("power", "PSU"),
        ("state", "F"),
    }


def test_both_lists_are_shown() -> None:
    found = one(
        ComparedDevice([ComparedPort.called("mine")]),
        ComparedDevice([ComparedPort.called("theirs")]),
    )
    found.silent = ["dead"]
    out = StringIO()
    compare_output.show(found, "LibreNMS", Console(file=out, width=100))
    for text in ("port mine", "port theirs", "no data of dead", "1 devices, 0 ports"):
        assert text in out.getvalue()
    shown = json.loads(compare_output.as_json(found, "LibreNMS"))
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
                subprocess.run,
                [
                    *(str(BIN / "towpath"), "compare", "librenms", "--url", server.url),
                    *("--token-file", str(tmp_path / "token"), "--live", "--json"),
                    *("-c", str(tmp_path / "towpath.toml")),
                ],
                capture_output=True,
                text=True,
                timeout=60,
                env={k: v for k, v in os.environ.items() if k[:7] != "TOWPATH"},
                check=False,
            )
    assert ended.returncode == status, ended.stderr
    shown = json.loads(ended.stdout)
    assert shown["both"]["ports"] == 2
    assert [each["port"] for each in shown["missing_here"]["ports"]] == more
