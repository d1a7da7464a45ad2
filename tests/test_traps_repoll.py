"""After a trap a device is polled at once, and again when no cache can be that old."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

from collectors.snmp.traps.repoll import Repolls


class Clock:
    """Virtual time, with the calls that are due later."""

    def __init__(self) -> None:
        self.now_s = 1_000.0
        self._calls: list[tuple[float, int, Callable[..., Any], tuple[Any, ...]]] = []
        self.polls: list[tuple[float, bool]] = []
        self.repolls = Repolls(self.poll_soon, lambda: self.now_s, self.call_later)

    def call_later(self, delay: float, callback: Any, /, *args: Any) -> Any:
        due = (self.now_s + delay, len(self._calls), callback, args)
        heapq.heappush(self._calls, due)

    def poll_soon(self, device: str, health: bool = False) -> bool:
        self.polls.append((self.now_s - 1_000.0, health))
        return True

    def wait(self, seconds: float) -> None:
        until_s = self.now_s + seconds
        while self._calls and self._calls[0][0] <= until_s:
            self.now_s, _, callback, args = heapq.heappop(self._calls)
            callback(*args)
        self.now_s = until_s


def test_a_link_trap_polls_at_once_and_five_seconds_later() -> None:
    clock = Clock()
    clock.repolls.request("d1")
    clock.wait(120)
    assert clock.polls == [(0, False), (5, False)]


def test_a_change_of_a_sensor_is_read_at_once_and_confirmed_half_a_minute_later() -> (
    None
):
    clock = Clock()
    clock.repolls.request("d1", health=True)
    clock.wait(120)
    assert clock.polls == [(0, True), (5, False), (35, True)]


def test_the_confirmation_is_of_the_last_change() -> None:
    clock = Clock()
    clock.repolls.request("d1", health=True)
    clock.wait(20)
    clock.repolls.request("d1", health=True)
    clock.wait(120)
    sensors = [at_s for at_s, health in clock.polls if health]
    assert sensors == [0, 20, 55]


def test_a_device_that_sends_traps_for_an_hour_is_not_polled_to_death() -> None:
    clock = Clock()
    for _ in range(3_600):
        clock.repolls.request("d1", health=True)
        clock.wait(1)
    sensors = [at_s for at_s, health in clock.polls if health]
    assert len(sensors) < 25
    assert len(clock.polls) < 3_600 / 2.4
