"""The scale of a sensor is chosen by what all rows show, or nothing is shown."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.snmp.profiles.items import SensorRule
from collectors.snmp.profiles.scale_evidence import with_certain_scale
from collectors.snmp.session.session import Value


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
    ],
)
def test_the_rows_show_the_scale(
    class_: str, divisors: list[float], numbers: list[Value], chosen: float | None
) -> None:
    found = with_certain_scale(rule(class_, divisors), numbers)
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
