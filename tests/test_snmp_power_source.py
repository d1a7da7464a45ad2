"""Whether a UPS runs on battery follows from its sensors, in every vendor's words."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from collectors.snmp.polling.power_source import on_battery
from collectors.snmp.profiles.readings import Sensor

RECORDINGS = Path(__file__).parent / "data" / "recordings"


def state(descr: str, meaning: str, severity: str = "ok") -> Sensor:
    return Sensor("state", descr, "1.3", "0", state=meaning, severity=severity)


@pytest.mark.parametrize(
    ("descr", "meaning", "expected"),
    [
        ("Output source", "battery", 1),
        ("Output source", "normal", 0),
        ("Output source", "bypass", 0),
        ("Output", "onBattery", 1),
        ("Output", "On Battery", 1),
        ("Output", "on line", 0),
        ("Output", "onBatteryTest", 0),
        ("Output", "batteryDischargeSpotmode", 1),
        ("Power", "on mains", 0),
        ("Power", "on battery", 1),
        ("On battery", "yes", 1),
        ("On battery", "no", 0),
        ("Utility off", "yes", 1),
        ("Battery", "batteryDischarging", 1),
        ("Battery", "discharging", 1),
        ("Battery", "charging", 0),
        # The state of a good battery does not show the source of the power.
        ("Battery", "batteryNormal", None),
        ("Battery", "batteryLow", None),
        ("Power", "ok", None),
        ("Power Supply 1", "normal", None),
        ("Last transfer to battery", "blackout", None),
        ("Last battery test", "passed", None),
    ],
)
def test_a_state_shows_mains_battery_or_neither(
    descr: str, meaning: str, expected: int | None
) -> None:
    assert on_battery(state(descr, meaning)) == expected


def test_an_unknown_source_shows_neither() -> None:
    assert on_battery(state("Output source", "other", "unknown")) is None


def test_the_time_on_battery_shows_it_too() -> None:
    running = Sensor("runtime", "Time on battery", "1.3", "0", value=0.5)
    assert on_battery(running) == 1
    assert on_battery(msgspec.structs.replace(running, value=0.0)) == 0
    left = msgspec.structs.replace(running, descr="Battery runtime left", value=43.0)
    assert on_battery(left) is None


UPSS = ["apc-ups", "cyberpower", "dell-ups", "eaton-ups", "netagent", "socomec"]


@pytest.mark.parametrize("name", [*UPSS, "ups-makers"])
def test_every_recorded_ups_shows_its_source(name: str) -> None:
    text = (RECORDINGS / f"{name}.json").read_text(encoding="utf-8")
    sensors = msgspec.convert(msgspec.json.decode(text)["sensors"], list[Sensor])
    assert {on_battery(sensor) for sensor in sensors} & {0, 1}
