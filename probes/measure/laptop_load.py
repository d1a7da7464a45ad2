"""The laptop itself, as far as it explains a poor call: busy or slow processor, full
memory, battery, the link's speed and errors, a recent sleep. No program is looked at.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from probes import platforms
from probes.measure.tunnels import physical_interface
from probes.platforms.system_facts import Interface
from probes.wire.clock import WallClock
from probes.wire.failure import Outcome
from probes.wire.report import Result
from probes.wire.sample import Value

NAME = "laptop"
VERSION = 1
# Shorter sleeps are the clocks' own difference.
_SLEPT_S = 10.0
# A busy ratio over less than this is chance.
_WINDOW_S = 1.0


class Cpu(msgspec.Struct, frozen=True):
    """Seconds of all processors together since the start: busy, and in all."""

    busy_s: float
    total_s: float


class LaptopLoad:
    """`look()` now and then, `await measure(…)` once in the period."""

    def __init__(
        self,
        gather: Callable[[], list[Interface] | Outcome] = platforms.interfaces,
        slept_s: Callable[[], float | None] = platforms.slept_s,
    ) -> None:
        self._gather, self._slept_s = gather, slept_s
        self._begun = self._looked = cpu_times()
        self._busiest: float | None = None
        self._asleep_s = slept_s()
        self._errors: tuple[str, int] | None = None

    def observe(self) -> None:
        """Remembers how busy the processor was since the last look."""
        now = cpu_times()
        ratio = busy_ratio(self._looked, now)
        if ratio is not None:
            self._busiest = max(ratio, self._busiest or 0.0)
            self._looked = now

    async def measure(self, *, now_ms: WallClock) -> Result:
        """What psutil tells on this system; what it does not tell is left out."""
        import psutil

        time_ms = now_ms()
        self.observe()
        values: dict[str, Value] = {}
        ratio = busy_ratio(self._begun, self._looked)
        if ratio is not None:
            values["cpu_ratio"] = ratio
        if self._busiest is not None:
            values["cpu_max_ratio"] = self._busiest
        self._begun, self._busiest = self._looked, None
        clock = _clock_ratio()
        if clock is not None:
            values["cpu_clock_ratio"] = clock
        values["memory_ratio"] = psutil.virtual_memory().percent / 100
        values |= power()
        values["uptime_days"] = int(
            max(time_ms / 1000 - psutil.boot_time(), 0) // 86_400
        )
        asleep_s = self._slept_s()
        if asleep_s is not None and self._asleep_s is not None:
            values["woke"] = int(asleep_s > self._asleep_s + _SLEPT_S)
        self._asleep_s = asleep_s
        values |= self._link()
        return Result(NAME, VERSION, time_ms, Outcome.OK, values=values)

    def _link(self) -> dict[str, Value]:
        """The physical link's speed, MTU and errors since the last result."""
        import psutil

        among = self._gather()
        line = physical_interface(among) if isinstance(among, list) else None
        if line is None:
            self._errors = None
            return {}
        values: dict[str, Value] = {}
        status = psutil.net_if_stats().get(line.name)
        speed = line.speed_bps
        if speed is None and status is not None and 0 < status.speed < 65_535:
            speed = status.speed * 10**6
        if speed is not None:
            values["link_bps"] = speed
        if status is not None and status.duplex == psutil.NIC_DUPLEX_HALF:
            values["half_duplex"] = 1
        if line.mtu_byte is not None:
            values["link_mtu_byte"] = line.mtu_byte
        counters = psutil.net_io_counters(pernic=True).get(line.name)
        if counters is not None:
            errors = counters.errin + counters.errout
            if self._errors is not None and self._errors[0] == line.name:
                values["link_errors"] = max(errors - self._errors[1], 0)
            self._errors = line.name, errors
        return values


def busy_ratio(before: Cpu, now: Cpu) -> float | None:
    """The share of all processors that was busy between two times. Pure."""
    passed_s = now.total_s - before.total_s
    if passed_s < _WINDOW_S:
        return None
    return min(max((now.busy_s - before.busy_s) / passed_s, 0.0), 1.0)


def cpu_times() -> Cpu:
    import psutil

    times = psutil.cpu_times()
    # Guests' time is counted in user's already.
    total_s = (
        sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
    )
    return Cpu(total_s - times.idle - getattr(times, "iowait", 0.0), total_s)


def power() -> dict[str, Value]:
    """The battery, to the nearest twentieth; empty where there is none."""
    import psutil

    battery = getattr(psutil, "sensors_battery", lambda: None)()
    if battery is None:
        return {}
    values: dict[str, Value] = {}
    if 0 <= battery.percent <= 100:
        values["battery_ratio"] = round(battery.percent / 5) / 20
    if battery.power_plugged is not None:
        values["on_battery"] = int(not battery.power_plugged)
    return values


def _clock_ratio() -> float | None:
    """How fast the processor's clock is of its most: heat and batteries slow it."""
    import psutil

    try:
        frequency = getattr(psutil, "cpu_freq", lambda: None)()
    except (OSError, NotImplementedError, RuntimeError, ValueError):
        return None
    if frequency is None or not frequency.max or not frequency.current:
        return None
    return float(min(frequency.current / frequency.max, 1.0))
