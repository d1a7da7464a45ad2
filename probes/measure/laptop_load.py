"""The state of the laptop, as far as it explains a poor call: busy or slow processor,
full memory, battery, link speed and errors, a recent sleep. It looks at no program.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from probes import platforms
from probes.measure.probe_runner import ProbeRunner, RoundContext
from probes.measure.tunnels import physical_interface
from probes.platforms import system_load
from probes.platforms.system_facts import Interface, ProcessorTimes
from probes.wire.clock import WallClock
from probes.wire.failure import Outcome
from probes.wire.laptop_probes import LAPTOP
from probes.wire.report import Result
from probes.wire.sample import Value

NAME = LAPTOP.name
VERSION = 1
# A shorter sleep may just be drift between the two clocks.
_SLEPT_S = 10.0
# Over a shorter time a busy ratio is too random to use.
_WINDOW_S = 1.0


class LaptopLoad:
    """Call `observe()` often, and `await measure(…)` once per period."""

    def __init__(
        self,
        gather: Callable[[], list[Interface] | Outcome] = platforms.interfaces,
        slept_s: Callable[[], float | None] = platforms.slept_s,
    ) -> None:
        self._gather, self._slept_s = gather, slept_s
        self._period_start = self._observed = system_load.processor_times()
        self._busiest: float | None = None
        self._asleep_s = slept_s()
        self._errors: tuple[str, int] | None = None

    def observe(self) -> None:
        """Records how busy the processor was since the last call."""
        now = system_load.processor_times()
        ratio = busy_ratio(self._observed, now)
        if ratio is not None:
            self._busiest = max(ratio, self._busiest or 0.0)
            self._observed = now

    async def measure(self, *, now_ms: WallClock) -> Result:
        """Measures what this system shows and leaves out the rest."""
        time_ms = now_ms()
        self.observe()
        values: dict[str, Value] = {}
        ratio = busy_ratio(self._period_start, self._observed)
        if ratio is not None:
            values["cpu_ratio"] = ratio
        if self._busiest is not None:
            values["cpu_max_ratio"] = self._busiest
        self._period_start, self._busiest = self._observed, None
        # Heat and battery slow the processor's clock.
        clock = system_load.clock_ratio()
        if clock is not None:
            values["cpu_clock_ratio"] = clock
        memory = system_load.memory_ratio()
        if memory is not None:
            values["memory_ratio"] = memory
        values |= power()
        up_s = time_ms / 1000 - system_load.boot_time_s()
        values["uptime_days"] = int(max(up_s, 0) // 86_400)
        asleep_s = self._slept_s()
        if asleep_s is not None and self._asleep_s is not None:
            values["woke"] = int(asleep_s > self._asleep_s + _SLEPT_S)
        self._asleep_s = asleep_s
        values |= self._link()
        return Result(NAME, VERSION, time_ms, Outcome.OK, values=values)

    def _link(self) -> dict[str, Value]:
        """Speed, MTU and errors of the physical link since the last result."""
        interfaces = self._gather()
        line = physical_interface(interfaces) if isinstance(interfaces, list) else None
        if line is None:
            self._errors = None
            return {}
        values: dict[str, Value] = {}
        status = system_load.link_status(line.name)
        speed = line.speed_bps
        if speed is None and status is not None:
            speed = status.speed_bps
        if speed is not None:
            values["link_bps"] = speed
        if status is not None and status.half_duplex:
            values["half_duplex"] = 1
        if line.mtu_byte is not None:
            values["link_mtu_byte"] = line.mtu_byte
        counters = system_load.link_counters().get(line.name)
        if counters is not None:
            errors = counters.errors
            if self._errors is not None and self._errors[0] == line.name:
                values["link_errors"] = max(errors - self._errors[1], 0)
            self._errors = line.name, errors
        return values


def busy_ratio(before: ProcessorTimes, now: ProcessorTimes) -> float | None:
    """The share of all processors that was busy between two times. Pure."""
    elapsed_s = now.total_s - before.total_s
    if elapsed_s < _WINDOW_S:
        return None
    return min(max((now.busy_s - before.busy_s) / elapsed_s, 0.0), 1.0)


def power() -> dict[str, Value]:
    """The battery's charge, to the nearest 5 %; empty if there is no battery."""
    battery = system_load.battery()
    if battery is None:
        return {}
    values: dict[str, Value] = {}
    if 0 <= battery.percent <= 100:
        values["battery_ratio"] = round(battery.percent / 5) / 20
    if battery.plugged is not None:
        values["on_battery"] = int(not battery.plugged)
    return values


class LaptopRunner(ProbeRunner):
    """Looks at the processor often: a busy moment between two results counts too."""

    def __init__(self) -> None:
        self._load = LaptopLoad()

    async def run(self, context: RoundContext) -> AsyncIterator[Result]:
        yield await self._load.measure(now_ms=context.now_ms)

    async def glance(self) -> None:
        self._load.observe()
