"""Whether a probe may run now, and what a speed test may cost.

That a laptop is in use never leaves it: such a result is shown to its user and not sent
(`probes/agent/change_filter.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from probes.platforms import system_load
from probes.wire.atomic_file import replace_file
from probes.wire.failure import Outcome
from probes.wire.probe import Probe

BUSY_BYTES_PER_S = 125_000
# Voice is 50 packets a second, with some codecs 33 or 25.
CALL_PACKETS_PER_S = 20
WATCH_S = 5
# 10 s in each direction of a common line (40 Mbit/s down, 10 up) are 63 MB.
TEST_BYTES = 80_000_000
TEST_BYTES_UNLIMITED = 250_000_000
LEAST_TEST_BYTES = 1_000_000

_LAST_TEST = "speed-test"


class ProbeConditions(msgspec.Struct, frozen=True):
    """The conditions of one round. `left_bytes`: what is left of this month's budget
    for the probe, None if it has no limit; `brief`: a short round between two regular
    ones; `frozen`: the council wants no speed tests here now."""

    metered: bool = False
    on_battery: bool = False
    busy: bool = False
    left_bytes: int | None = None
    brief: bool = False
    frozen: bool = False


def reason_not_to_run(
    probe: Probe, opted_out: bool, conditions: ProbeConditions
) -> Outcome | None:
    """Returns why `probe` must not run now; None if it may. Pure."""
    if opted_out:
        return Outcome.NOT_PERMITTED
    if probe.local:
        return None
    if conditions.left_bytes is not None and conditions.left_bytes <= 0:
        return Outcome.BUDGET_SPENT
    if not probe.heavy:
        return None
    if conditions.frozen:
        return Outcome.PAUSED
    if conditions.metered:
        return Outcome.METERED
    if conditions.on_battery:
        return Outcome.ON_BATTERY
    if conditions.busy:
        return Outcome.IN_USE
    if test_bytes(conditions) < LEAST_TEST_BYTES:
        return Outcome.BUDGET_SPENT
    return None


def test_bytes(conditions: ProbeConditions) -> int:
    """Returns what one speed test may cost: at most a tenth of what is left this
    month. Pure."""
    if conditions.left_bytes is None:
        return TEST_BYTES_UNLIMITED
    return min(TEST_BYTES, conditions.left_bytes // 10)


def on_battery() -> bool:
    """Returns whether the laptop runs on its battery."""
    battery = system_load.battery()
    return battery is not None and battery.plugged is False


class InterfaceTraffic(NamedTuple):
    """The traffic of one interface in one second."""

    bytes: int
    packets_out: int
    packets_in: int


async def is_busy(watch_s: int = WATCH_S) -> bool:
    """Returns whether the connection carries a call, or much other traffic, in the next
    `watch_s` seconds."""
    before = _counters()
    seconds: list[dict[str, InterfaceTraffic]] = []
    for _ in range(watch_s):
        await asyncio.sleep(1.0)
        now = _counters()
        seconds.append(
            {
                name: InterfaceTraffic(
                    *(b - a for a, b in zip(before[name], now[name], strict=True))
                )
                for name in now.keys() & before.keys()
            }
        )
        before = now
    return in_use(seconds)


def in_use(seconds: Sequence[Mapping[str, InterfaceTraffic]]) -> bool:
    """Returns whether the traffic of these seconds is a call or other use. Pure.

    A call is small packets at a steady pace: in every second many in one direction and
    some in the other (a muted user still receives). A download is bytes. Each interface
    is judged separately, because a tunnel's traffic appears on the physical link too.
    """
    names = set[str]().union(*seconds)
    for name in names:
        traffic = [second[name] for second in seconds if name in second]
        if len(traffic) < len(seconds):
            continue
        if sum(second.bytes for second in traffic) > BUSY_BYTES_PER_S * len(traffic):
            return True
        most = min(max(second.packets_out, second.packets_in) for second in traffic)
        least = min(min(second.packets_out, second.packets_in) for second in traffic)
        if most >= CALL_PACKETS_PER_S and least >= 1:
            return True
    return False


def _counters() -> dict[str, tuple[int, int, int]]:
    return {
        name: (counters.bytes, counters.packets_out, counters.packets_in)
        for name, counters in system_load.link_counters().items()
        if not name.lower().startswith(("lo", "loopback"))
    }


def last_test_ms(folder: Path) -> int:
    """Returns when the last speed test ran; 0 if none is known."""
    try:
        return int((folder / _LAST_TEST).read_text("ascii")[:16])
    except (OSError, ValueError):
        return 0


def record_test(folder: Path, now_ms: int) -> None:
    """Records when a speed test ran. On a full disk the record is lost, no more."""
    with contextlib.suppress(OSError):
        replace_file(folder / _LAST_TEST, str(now_ms).encode(), durable=True)
