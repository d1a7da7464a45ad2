"""What differs from the first look is news, until it is again as it was."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from test_alerts_baseline import PSU_KEY, Engine


def test_another_fault_of_the_same_part_is_news() -> None:
    engine = Engine("sensor_critical")
    engine.psu(2, "not present")
    engine.wait(60)
    assert engine.baseline == {PSU_KEY}
    for _ in range(2):
        engine.psu(2, "failed")
        engine.wait()
    assert engine.pages == [PSU_KEY]
    assert not engine.baseline


def test_a_part_that_failed_and_was_taken_out_is_as_it_was_before() -> None:
    engine = Engine("sensor_critical")
    engine.psu(2, "not present")
    engine.wait(60)
    for state in ("failed", "not present", "failed"):
        for _ in range(10):
            engine.psu(2, state)
            engine.wait()
        failed = state == "failed"
        assert engine.baseline == (set() if failed else {PSU_KEY})
        assert any(each.is_open for each in engine.states.values()) == failed
    assert engine.pages == [PSU_KEY] * 2


@settings(max_examples=20)
@given(st.lists(st.sampled_from(["not present", "failed", "ok"]), max_size=6))
def test_only_what_differs_from_the_first_look_is_an_alert_until_it_was_well(
    history: list[str],
) -> None:
    engine = Engine("sensor_critical")
    engine.psu(2, "not present")
    engine.wait(60)
    for state in history:
        for _ in range(2):
            engine.psu(0 if state == "ok" else 2, state)
            engine.wait()
    last = history[-1] if history else "not present"
    for _ in range(12):
        engine.psu(0 if last == "ok" else 2, last)
        engine.wait()
    was_well = "ok" in history
    is_fault = last == "failed" or (last == "not present" and was_well)
    assert [s.state for s in engine.states.values() if s.is_open] == (
        ["firing"] if is_fault else []
    )
    assert engine.baseline == (set() if was_well or is_fault else {PSU_KEY})
