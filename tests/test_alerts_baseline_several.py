"""Tables with many rows about one subject: each row has its own first look."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_alerts_baseline import Engine

KEY = "ups_runs_on_battery/device=d1"


def on_battery(engine: Engine, sensor: str, value: int) -> None:
    tags = {"class": "state", "sensor": sensor}
    engine.put("sensor", tags, {"on_battery": value, "severity": 2 * value})


@pytest.mark.parametrize("order", [("Input", "Output"), ("Output", "Input")])
@pytest.mark.parametrize("minutes_between", [0, 0.5, 5])
def test_a_sensor_on_mains_says_nothing_about_one_on_battery_at_the_first_look(
    order: tuple[str, str], minutes_between: float
) -> None:
    """Both are read at the first poll, or the second one minutes later."""
    engine = Engine("ups_runs_on_battery")
    for sensor in order:
        on_battery(engine, sensor, int(sensor == "Output"))
        engine.wait(minutes_between)
    for _ in range(6):
        for sensor in order:
            on_battery(engine, sensor, int(sensor == "Output"))
        engine.wait()
    assert engine.pages == []
    assert engine.baseline == {KEY}


@pytest.mark.parametrize("minutes_between", [0, 0.5, 5])
def test_a_sensor_that_was_on_mains_is_news_although_another_one_is_new(
    minutes_between: float,
) -> None:
    engine = Engine("ups_runs_on_battery")
    on_battery(engine, "Output", 0)
    engine.wait(minutes_between)
    on_battery(engine, "Output", 1)
    on_battery(engine, "Input", 0)
    engine.wait(2)
    for _ in range(3):
        on_battery(engine, "Output", 1)
        on_battery(engine, "Input", 0)
        engine.wait()
    assert engine.pages == [KEY]


def test_a_sensor_in_the_baseline_does_not_hide_another_one_that_fails() -> None:
    engine = Engine("ups_runs_on_battery")
    for _ in range(8):
        on_battery(engine, "Spare", 1)
        on_battery(engine, "Output", 0)
        engine.wait()
    assert engine.baseline == {KEY}
    for _ in range(3):
        on_battery(engine, "Spare", 1)
        on_battery(engine, "Output", 1)
        engine.wait()
    assert engine.pages == [KEY]
    assert engine.baseline == set()


def test_a_sensor_that_appears_on_battery_long_after_the_first_look_is_paged() -> None:
    engine = Engine("ups_runs_on_battery")
    for _ in range(8):
        on_battery(engine, "Output", 0)
        engine.wait()
    for _ in range(3):
        on_battery(engine, "Output", 0)
        on_battery(engine, "Second output", 1)
        engine.wait()
    assert engine.pages == [KEY]


SENSORS = ("Input", "Output", "Bypass")
READINGS = st.lists(
    st.tuples(st.sampled_from(SENSORS), st.integers(0, 1)), min_size=1, max_size=12
)


@settings(max_examples=40, deadline=None)
@given(READINGS)
def test_only_a_sensor_that_was_well_before_is_news(
    readings: list[tuple[str, int]],
) -> None:
    """Whatever is read when, and in whatever order."""
    engine = Engine("ups_runs_on_battery")
    latest: dict[str, int] = {}
    was_well: set[str] = set()
    is_news = False
    for sensor, value in readings:
        latest[sensor] = value
        # The others are read again with it, as they were; what is bad is read twice.
        for _ in range(2):
            for other, known in latest.items():
                on_battery(engine, other, known)
            engine.wait(2)
        was_well |= {other for other, known in latest.items() if known == 0}
        is_news |= any(known and other in was_well for other, known in latest.items())
    assert bool(engine.pages) == is_news


def poe(engine: Engine, *drawn_w: float) -> None:
    """Rows of a stack: what each member draws of its 100 W."""
    for member, value in enumerate(drawn_w, 1):
        tags = {"class": "power", "sensor": f"PoE drawn {member}"}
        engine.put("sensor", tags, {"value": value, "high": 100.0, "severity": 0})


def test_a_member_without_poe_power_does_not_hide_another_one_that_runs_out() -> None:
    engine = Engine("poe_budget_spent")
    key = "poe_budget_spent/device=d1"
    for _ in range(30):
        poe(engine, 95, 40)
        engine.wait()
    assert engine.pages == []
    assert engine.baseline == {key}
    for _ in range(30):
        poe(engine, 95, 96)
        engine.wait()
    assert engine.pages == [key]
    assert engine.baseline == set()


def test_a_member_that_has_poe_power_again_is_news_when_it_runs_out() -> None:
    engine = Engine("poe_budget_spent")
    for draws in ((95, 96), (95, 40), (95, 97)):
        assert engine.pages == []
        for _ in range(30):
            poe(engine, *draws)
            engine.wait()
    assert engine.pages == ["poe_budget_spent/device=d1"]
