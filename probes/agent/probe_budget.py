"""What must not be measured now, and what a speed test may cost. Pure rules, and the
few facts of the machine they need. That a laptop is in use never leaves it: such a
result is shown to its user and not sent (`probes/agent/agent.py`)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from probes.wire.atomic_file import replace_file
from probes.wire.failure import Outcome

BUSY_BYTES_PER_S = 125_000
# Voice is 50 packets a second; some codecs make 33 or 25 of it.
CALL_PACKETS_PER_S = 20
LOOKS = 5
# 10 s each way of a usual line (40 Mbit/s down, 10 up) are 63 MB.
TEST_BYTES = 80_000_000
TEST_BYTES_UNLIMITED = 250_000_000

_LAST_TEST = "speed-test"
# Without a budget left, what costs no data is still looked at.
_FREE = frozenset({"vpn", "wifi", "laptop", "agent"})


class ProbeConditions(msgspec.Struct, frozen=True):
    """What holds now. `left_bytes`: of this month's budget for what is to be measured,
    None where unlimited; `brief`: a short round between two usual ones."""

    metered: bool = False
    on_battery: bool = False
    busy: bool = False
    left_bytes: int | None = None
    brief: bool = False


def not_now(probe: str, opted_out: bool, facts: ProbeConditions) -> Outcome | None:
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


def test_bytes(facts: ProbeConditions) -> int:
    """What one speed test may cost: at most a tenth of what is left this month."""
    if facts.left_bytes is None:
        return TEST_BYTES_UNLIMITED
    return min(TEST_BYTES, facts.left_bytes // 10)


def on_battery() -> bool:
    """True where the machine runs on its battery."""
    import psutil

    battery = getattr(psutil, "sensors_battery", lambda: None)()
    return battery is not None and battery.power_plugged is False


class Moved(NamedTuple):
    """What one interface moved in one second."""

    bytes: int
    packets_out: int
    packets_in: int


async def is_busy(looks: int = LOOKS) -> bool:
    """True where the connection carries a call, or much else, in the next seconds."""
    before = _counters()
    seconds: list[dict[str, Moved]] = []
    for _ in range(looks):
        await asyncio.sleep(1.0)
        now = _counters()
        seconds.append(
            {
                name: Moved(
                    *(b - a for a, b in zip(before[name], now[name], strict=True))
                )
                for name in now.keys() & before.keys()
            }
        )
        before = now
    return in_use(seconds)


def in_use(seconds: Sequence[Mapping[str, Moved]]) -> bool:
    """Whether these seconds look like a call or like work in hand. Pure.

    A call is small packets at a steady pace: in every second many one way and some the
    other (who is muted still hears). A download is bytes. Each interface is looked at
    for itself, as a tunnel's traffic is its line's once more.
    """
    names = set[str]().union(*seconds)
    for name in names:
        moved = [each[name] for each in seconds if name in each]
        if len(moved) < len(seconds):
            continue
        if sum(each.bytes for each in moved) > BUSY_BYTES_PER_S * len(moved):
            return True
        most = min(max(each.packets_out, each.packets_in) for each in moved)
        least = min(min(each.packets_out, each.packets_in) for each in moved)
        if most >= CALL_PACKETS_PER_S and least >= 1:
            return True
    return False


def _counters() -> dict[str, tuple[int, int, int]]:
    import psutil

    return {
        name: (
            each.bytes_sent + each.bytes_recv,
            each.packets_sent,
            each.packets_recv,
        )
        for name, each in psutil.net_io_counters(pernic=True).items()
        if not name.lower().startswith(("lo", "loopback"))
    }


def last_test_ms(folder: Path) -> int:
    """When the last speed test was made; 0 where none is known of."""
    try:
        return int((folder / _LAST_TEST).read_text("ascii")[:16])
    except (OSError, ValueError):
        return 0


def note_test(folder: Path, now_ms: int) -> None:
    """Keeps when a speed test was made. A full disk forgets it, no more."""
    with contextlib.suppress(OSError):
        replace_file(folder / _LAST_TEST, str(now_ms).encode(), durable=True)
