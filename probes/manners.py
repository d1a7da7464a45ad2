"""What must not be measured now, and what a speed test may cost. Pure rules, and the
few facts of the machine they need. That a laptop is in use never leaves it: such a
result is shown to its user and not sent (`probes/agent.py`)."""

from __future__ import annotations

import asyncio

import msgspec

from probes.failure import Outcome

BUSY_BYTES_PER_S = 125_000
TEST_BYTES = 25_000_000
TEST_BYTES_UNLIMITED = 250_000_000

_FREE = frozenset({"vpn", "agent"})


class Facts(msgspec.Struct, frozen=True):
    """What holds now. `left_bytes`: of this month's budget, None where unlimited."""

    metered: bool = False
    on_battery: bool = False
    busy: bool = False
    left_bytes: int | None = None


def not_now(probe: str, opted_out: bool, facts: Facts) -> Outcome | None:
    """Why `probe` must not run now; None where it may."""
    if opted_out:
        return Outcome.NOT_PERMITTED
    if probe in _FREE:
        return None
    if facts.left_bytes is not None and facts.left_bytes <= 0:
        return Outcome.BUDGET_SPENT
    if probe != "bandwidth":
        return None
    if facts.metered:
        return Outcome.METERED
    if facts.on_battery:
        return Outcome.ON_BATTERY
    if facts.busy:
        return Outcome.IN_USE
    if test_bytes(facts) < 1_000_000:
        return Outcome.BUDGET_SPENT
    return None


def test_bytes(facts: Facts) -> int:
    """What one speed test may cost: at most a tenth of what is left this month."""
    if facts.left_bytes is None:
        return TEST_BYTES_UNLIMITED
    return min(TEST_BYTES, facts.left_bytes // 10)


def on_battery() -> bool:
    """True where the machine runs on its battery."""
    import psutil

    battery = getattr(psutil, "sensors_battery", lambda: None)()
    return battery is not None and battery.power_plugged is False


async def is_busy(look_s: float = 1.0) -> bool:
    """True where more than 1 Mbit/s goes over the interfaces: a call, a download."""
    before_bytes = _moved_bytes()
    await asyncio.sleep(look_s)
    return (_moved_bytes() - before_bytes) / look_s > BUSY_BYTES_PER_S


def _moved_bytes() -> int:
    import psutil

    counters = psutil.net_io_counters(pernic=True)
    return sum(
        each.bytes_sent + each.bytes_recv
        for name, each in counters.items()
        if not name.lower().startswith(("lo", "loopback"))
    )
