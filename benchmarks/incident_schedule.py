"""When which fault happens. Faults overlap, also at one site.

None hides another altogether, since nobody can be paged for a fan that fails and is
mended where the power is off. But `overlaps` second faults begin within a larger one
and outlast it, or begin before it, as when a switch has been dead for an hour and then
its whole site goes dark: both are incidents.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence
from typing import NamedTuple

from benchmarks.incident_council import Council
from benchmarks.incident_faults import MINUTE_MS, Effect, Fault, NothingToBreak
from benchmarks.incident_kinds import KINDS
from benchmarks.incident_rows import STEP_MS, World

# A Monday, 00:00 UTC.
START_MS = 1_777_852_800_000
_HOUR_MS, _DAY_MS = 3_600_000, 86_400_000
_WARM_MS = 40 * MINUTE_MS
# After a fault, its alerts end within this time.
_SETTLE_MS = 25 * MINUTE_MS
# The earlier of two faults is paged before the later one begins.
_APART_MS = 12 * MINUTE_MS
_TRIES = 300
# In UTC: nobody is paged for a full line before its site opens.
_WORK_HOURS = range(9, 16)


class Placed(NamedTuple):
    """A fault, the devices that it makes unreachable, and all that it is about."""

    fault: Fault
    unreachable: frozenset[str]
    things: frozenset[str]

    @property
    def touched(self) -> frozenset[str]:
        return self.unreachable | self.things


def schedule(
    council: Council,
    dice: random.Random,
    count: int,
    mix: str,
    until_ms: int,
    overlaps: int = 0,
) -> list[Fault]:
    """`count` faults of the kinds of `mix` at random times, and `overlaps` more: fewer
    if the council has no such thing, or the time is too short."""
    shares = dict.fromkeys(KINDS, 1.0)
    if mix:
        parts = [part.partition("=") for part in mix.split(",")]
        shares = {name: float(share or 1) for name, _, share in parts}
    names = dice.choices(tuple(shares), weights=tuple(shares.values()), k=count)
    if not mix and count >= len(KINDS):
        names[: len(KINDS)] = KINDS
    placed: list[Placed] = []
    for name in names:
        for _ in range(_TRIES):
            try:
                fault = KINDS[name](council, dice)
            except NothingToBreak:
                break
            latest_ms = until_ms - fault.lasts_ms - _SETTLE_MS
            begin_ms = dice.randint(START_MS + _WARM_MS, latest_ms)
            if _reads(fault, "experience", "line"):
                # Laptops report, and a full line disturbs, while people work.
                day_ms = (begin_ms - START_MS) // _DAY_MS * _DAY_MS
                begin_ms = START_MS + day_ms + dice.choice(_WORK_HOURS) * _HOUR_MS
            candidate = _place(council, fault, begin_ms)
            if begin_ms <= latest_ms and not _hides_any(candidate, placed):
                placed.append(candidate)
                break
    for _ in range(overlaps):
        _overlap(council, dice, tuple(shares), placed, until_ms)
    return sorted((p.fault for p in placed), key=lambda fault: fault.begin_ms)


def _overlap(
    council: Council,
    dice: random.Random,
    names: Sequence[str],
    placed: list[Placed],
    until_ms: int,
) -> None:
    """Adds a smaller fault to one that makes more unreachable."""
    larger = [p for p in placed if len(p.unreachable) > 1]
    for _ in range(_TRIES if larger else 0):
        first = dice.choice(larger)
        try:
            fault = KINDS[dice.choice(names)](council, dice)
        except NothingToBreak:
            continue
        if _reads(fault, "experience") or fault.lasts_ms < _APART_MS + _SETTLE_MS:
            continue
        begin_ms, end_ms = first.fault.begin_ms, first.fault.end_ms
        if dice.random() < 0.5:
            # Within, and longer.
            least_ms = max(begin_ms + MINUTE_MS, end_ms + _SETTLE_MS - fault.lasts_ms)
            begins = (least_ms, end_ms - MINUTE_MS)
        else:
            # Before.
            begins = (begin_ms - fault.lasts_ms + MINUTE_MS, begin_ms - _APART_MS)
        if begins[0] > begins[1] or begins[0] < START_MS + _WARM_MS:
            continue
        begin_ms = dice.randint(*begins)
        hour = (begin_ms - START_MS) % _DAY_MS // _HOUR_MS
        if _reads(fault, "line") and hour not in _WORK_HOURS:
            continue
        candidate = _place(council, fault, begin_ms)
        inside = (
            candidate.touched & first.unreachable
            and candidate.unreachable < first.unreachable
            and not candidate.fault.causes & first.fault.causes
        )
        others = [p for p in placed if p is not first]
        latest_ms = until_ms - _SETTLE_MS
        if (
            inside
            and candidate.fault.end_ms <= latest_ms
            and not _hides_any(candidate, others)
        ):
            placed.append(candidate)
            return


def _reads(fault: Fault, *measurements: str) -> bool:
    return any(e.what == "reading" and e.key[0] in measurements for e in fault.effects)


def _hides_any(candidate: Placed, placed: Sequence[Placed]) -> bool:
    a = candidate.fault
    for other in placed:
        b = other.fault
        apart = a.end_ms + _SETTLE_MS < b.begin_ms or b.end_ms + _SETTLE_MS < a.begin_ms
        if not apart and candidate.touched & other.touched:
            return True
    return False


def _place(council: Council, fault: Fault, begin_ms: int) -> Placed:
    middle = dataclasses.replace(
        fault,
        begin_ms=0,
        effects=tuple(
            e._replace(from_ms=0, to_ms=fault.lasts_ms) for e in fault.effects
        ),
    )
    world = World(council, [middle], 0, 0)
    world.batches(STEP_MS)
    things = {thing for effect in fault.effects for thing in _things(effect)}
    return Placed(
        dataclasses.replace(fault, begin_ms=begin_ms),
        frozenset(set(council.devices) - world.reachable),
        frozenset(things | {cause for cause in fault.causes if ":" in cause}),
    )


def _things(effect: Effect) -> Sequence[str]:
    if isinstance(effect.key, str):
        return (effect.key,)
    if effect.what == "cable":
        return (effect.key.a, effect.key.b)
    return [str(part) for part in effect.key[:2]]
