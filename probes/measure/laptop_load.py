"""The state of the laptop, as far as it explains a poor call: busy or slow processor,
full memory, battery, link speed and errors, a recent sleep. It looks at no program.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import msgspec

from probes import platforms
from probes.measure.probe_runner import ProbeRunner, RoundContext
from probes.measure.tunnels import physical_interface
from probes.platforms.system_facts import Interface
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


class Cpu(msgspec.Struct, frozen=True):
    """Seconds of all processors together since the start: busy, and total."""

    busy_s: float
    total_s: float


class LaptopLoad:
    """Call `observe()` often, and `await measure(…)` once per period."""

    def __init__(
        self,
        gather: Callable[[], list[Interface] | Outcome] = platforms.interfaces,
        slept_s: Callable[[], float | None] = platforms.slept_s,
    ) -> None:
        self._gather, self._slept_s = gather, slept_s
        self._period_start = self._observed = cpu_times()
        self._busiest: float | None = None
        self._asleep_s = slept_s()
        self._errors: tuple[str, int] | None = None

    def observe(self) -> None:
        """Records how busy the processor was since the last call."""
        now = cpu_times()
        ratio = busy_ratio(self._observed, now)
        if ratio is not None:
            self._busiest = max(ratio, self._busiest or 0.0)
            self._observed = now

    async def measure(self, *, now_ms: WallClock) -> Result:
        """Measures what psutil supports on this system and leaves out the rest."""
        import psutil

        time_ms = now_ms()
        self.observe()
        values: dict[str, Value] = {}
        ratio = busy_ratio(self._period_start, self._observed)
        if ratio is not None:
            values["cpu_ratio"] = ratio
        if self._busiest is not None:
            values["cpu_max_ratio"] = self._busiest
        self._period_start, self._busiest = self._observed, None
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
        """Speed, MTU and errors of the physical link since the last result."""
        import psutil

        interfaces = self._gather()
        line = physical_interface(interfaces) if isinstance(interfaces, list) else None
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
    elapsed_s = now.total_s - before.total_s
    if elapsed_s < _WINDOW_S:
        return None
    return min(max((now.busy_s - before.busy_s) / elapsed_s, 0.0), 1.0)


def cpu_times() -> Cpu:
    import psutil

    times = psutil.cpu_times()
    # The time of guests is already part of the user time.
    total_s = (
        sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
    )
    return Cpu(total_s - times.idle - getattr(times, "iowait", 0.0), total_s)


def power() -> dict[str, Value]:
    """The battery's charge, to the nearest 5 %; empty if there is no battery."""
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
    """The processor's clock as a share of its maximum: heat and battery slow it."""
    import psutil

    try:
        frequency = getattr(psutil, "cpu_freq", lambda: None)()
    except (OSError, NotImplementedError, RuntimeError, ValueError):
        return None
    if frequency is None or not frequency.max or not frequency.current:
        return None
    return float(min(frequency.current / frequency.max, 1.0))


class LaptopRunner(ProbeRunner):
    """Looks at the processor often: a busy moment between two results counts too."""

    def __init__(self) -> None:
        self._load = LaptopLoad()

    async def run(self, context: RoundContext) -> AsyncIterator[Result]:
        yield await self._load.measure(now_ms=context.now_ms)

    async def glance(self) -> None:
        self._load.observe()
