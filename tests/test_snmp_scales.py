"""How a raw value becomes a reading: the scale that all rows show, or none; texts with
several values."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.snmp.profiles.apply import find_rows, to_readings
from collectors.snmp.profiles.items import SensorRule
from collectors.snmp.profiles.profile_loader import load_files
from collectors.snmp.profiles.row import ProfileRow
from collectors.snmp.profiles.row_functions import signed_scale
from collectors.snmp.profiles.scale_evidence import with_certain_scale
from collectors.snmp.session.session import Value

HEAD = "vendor: acme\nmatch: [{object_id: 1.3.6.1.4.1.99999}]\n"


def rule(class_: str, divisors: Sequence[float]) -> SensorRule:
    return SensorRule.model_validate({"class": class_, "divisor": list(divisors)})


@pytest.mark.parametrize(
    ("class_", "divisors", "numbers", "chosen"),
    [
        ("temperature", [1, 100], [22, 23], 1),
        ("temperature", [1, 100], [2212, 2300], 100),
        ("temperature", [1, 100], [2212, -150], 100),
        ("temperature", [1, 10], [65], None),
        ("temperature", [1, 10], [55, 62, 310], 10),
        ("temperature", [1, 100], [0, 65535], None),
        ("temperature", [1, 100], [160_000_000], None),
        ("voltage", [1, 10], [2303], 10),
        ("frequency", [1, 10, 100], [499], 10),
        ("dbm", [1, 10, 100], [b"-6.9", b"-40"], 1),
        ("temperature", [1, 10], [b"310 C", b"no probe"], 10),
        # The circuits of a board, and not the phases of mains.
        ("voltage", [1, 10, 100, 1000], [335, 111, 1210], 100),
        ("voltage", [1, 10, 100, 1000], [1008, 1000, 3291, 1523, 11343], 1000),
        ("voltage", [1, 10, 100, 1000], [2301, 2298, 2305], None),
    ],
)
def test_the_rows_show_the_scale(
    class_: str, divisors: list[float], numbers: list[Value], chosen: float | None
) -> None:
    found = with_certain_scale(rule(class_, divisors), numbers)
    assert (None if found is None else found.divisor[0]) == chosen


def test_a_code_of_rows_without_a_probe_is_not_shown() -> None:
    tenths = rule("temperature", [10]).model_copy(update={"usual": (6.0, 55.0)})
    found = with_certain_scale(tenths, [234, 241, -410, -410])
    assert found is not None
    assert -410 in found.skip
    assert with_certain_scale(tenths, [716, 752]) is None


def test_a_number_of_several_rows_is_no_code_if_it_is_usual() -> None:
    optics = rule("voltage", [1000, 1, 10]).model_copy(update={"described": True})
    found = with_certain_scale(optics, [3290, 3280, 3290, -1, -1, -1, -1])
    assert found is not None
    assert found.divisor == (1000,)
    assert {3290, -1} & {*found.skip} == {-1}


@pytest.mark.parametrize(
    ("numbers", "chosen"),
    [([35164], 1000), ([250, 0, 61], 1), ([6, 15], 1), ([4000], None), ([1], None)],
)
def test_power_without_a_unit_is_in_watts_or_milliwatts(
    numbers: list[Value], chosen: float | None
) -> None:
    power = rule("power", [1, 1000]).model_copy(update={"usual": (2.0, 9000.0)})
    found = with_certain_scale(power, numbers)
    assert (None if found is None else found.divisor[0]) == chosen


def test_zeros_need_no_scale() -> None:
    volts = rule("voltage", [1, 10])
    assert with_certain_scale(volts, [0, 0]) is volts
    assert with_certain_scale(volts, [None]) is None


@given(st.lists(st.floats(-1e12, 1e12) | st.none()))
def test_a_stated_scale_needs_no_evidence(numbers: list[float | None]) -> None:
    stated = rule("temperature", [10])
    assert with_certain_scale(stated, numbers) is stated


@given(
    st.lists(st.floats(18, 27), min_size=1, max_size=20), st.sampled_from([1, 10, 100])
)
def test_the_temperatures_of_a_room_have_one_scale(
    celsius: list[float], divisor: float
) -> None:
    found = with_certain_scale(
        rule("temperature", [1, 10, 100]), [value * divisor for value in celsius]
    )
    assert found is not None
    assert found.divisor == (divisor,)


def test_one_text_may_have_several_values(tmp_path: Path) -> None:
    """Four lanes of a module in one text; another profile does not read it again."""
    sensors = [
        {"class": "dbm", "of": "now", "find": f"^{'[^,]*,' * lane} *(-?[0-9.]+)"}
        for lane in range(2)
    ]
    body = {"base": "1.3.6.1.4.1.99999.1", "columns": {"now": 1}}
    for name, rules in (("a", sensors), ("b", [{"class": "dbm", "of": "now"}])):
        table = json.dumps({"t": {**body, "sensors": rules}})
        (tmp_path / f"{name}.yaml").write_text(f"{HEAD}---\ntables: {table}\n")
    profiles = load_files(sorted(tmp_path.iterdir()))
    rows = find_rows(profiles, {"1.3.6.1.4.1.99999.1.1": {"7": b"-1.5 , -2.5 ,-3"}})
    assert [sensor.value for sensor in to_readings(rows)["sensors"]] == [-1.5, -2.5]


def test_a_negative_scale_divides() -> None:
    assert signed_scale(ProfileRow("1", {"value": 473, "scale": -100})) == 4.73
    assert signed_scale(ProfileRow("1", {"value": 473, "scale": 10})) == 4730
    assert signed_scale(ProfileRow("1", {"value": 473})) == 473


def test_a_speed_without_a_unit_is_one_in_rpm_only_if_it_shows_so() -> None:
    speed = SensorRule.model_validate({"class": "fanspeed", "usual": [300, 30000]})
    assert with_certain_scale(speed, [3210, 2900]) is not None
    assert with_certain_scale(speed, [3, 2]) is None
    assert with_certain_scale(speed, [60, 55]) is None
