"""What comes and goes is one page that says so, and is over when it has been steady."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rule_window import ESTATE_INDEX, START_MS, device_poll, rules_named

from alerts.cycle import run_cycle
from alerts.evaluation.alert_states import AlertState
from alerts.window import Window
from collectors.server_measurements import CATALOGUE

MINUTE_MS = 60_000


class Device:
    """A device that is polled every minute, and the messages about it."""

    def __init__(self) -> None:
        self.rules = rules_named("device_unreachable")
        self.window = Window(self.rules, CATALOGUE, START_MS)
        self.states: dict[str, AlertState] = {}
        self.minute = 0
        self.messages: list[tuple[int, str]] = []

    def poll(self, up: int, minutes: int = 1) -> None:
        for _ in range(minutes):
            at_ms = START_MS + self.minute * MINUTE_MS
            self.window.append(device_poll(up, at_ms))
            # Its neighbour, whose loss would explain its own.
            self.window.append(device_poll(1, at_ms, device="d2"))
            for now_ms in (at_ms + 1_000, at_ms + 31_000):
                result = run_cycle(
                    self.window,
                    ESTATE_INDEX,
                    self.rules,
                    self.states,
                    {},
                    [],
                    lambda _: [("duty", 0, False)],
                    now_ms,
                )
                self.window.clear_changed()
                self.states = result.states
                for page in result.pages:
                    kind = "flapping" if page.alert.flapping else "page"
                    self.messages.append((self.minute, kind))
                self.messages += [(self.minute, "over") for _ in result.ended]
            self.minute += 1

    @property
    def kinds(self) -> list[str]:
        return [kind for _, kind in self.messages]


def test_a_device_that_fails_twice_in_a_quarter_of_an_hour_is_paged_as_flapping() -> (
    None
):
    device = Device()
    device.poll(1, 2)
    for _ in range(8):
        device.poll(0, 2)
        device.poll(1, 5)
    device.poll(1, 30)
    assert device.kinds == ["page", "over", "flapping", "over"]


@pytest.mark.parametrize("down", [2, 30, 300])
def test_a_device_that_is_mended_is_over_three_minutes_later(down: int) -> None:
    device = Device()
    device.poll(1, 2)
    device.poll(0, down)
    mended = device.minute
    device.poll(1, 10)
    assert device.kinds == ["page", "over"]
    assert device.messages[-1][0] - mended <= 3


def test_a_poll_that_is_lost_soon_after_an_outage_pages_nobody() -> None:
    device = Device()
    device.poll(1, 2)
    device.poll(0, 5)
    device.poll(1, 6)
    device.poll(0, 1)
    device.poll(1, 40)
    assert device.kinds == ["page", "over"]


def test_a_flapping_device_is_over_when_it_was_steady_for_the_stated_time() -> None:
    device = Device()
    device.poll(1, 2)
    for _ in range(4):
        device.poll(0, 2)
        device.poll(1, 1)
    device.poll(0, 2)
    mended = device.minute
    device.poll(1, 60)
    assert device.kinds == ["page", "over"]
    assert device.messages[-1][0] - mended == 10


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 4), st.integers(1, 12), st.integers(2, 15))
def test_a_device_that_comes_and_goes_regularly_sends_few_messages(
    down: int, up: int, times: int
) -> None:
    device = Device()
    device.poll(1, 2)
    for _ in range(times):
        device.poll(0, down)
        device.poll(1, up)
    mended = device.minute - up
    device.poll(1, 45)
    # Two faults further apart than a quarter of an hour are two; a third is flapping.
    assert len([kind for kind in device.kinds if kind != "over"]) <= 3
    # What was paged is over, half an hour after the last fault at the latest.
    assert len(device.kinds) % 2 == 0
    assert all(at - mended <= 31 for at, _ in device.messages)
