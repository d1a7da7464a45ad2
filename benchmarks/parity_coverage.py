"""Experience parity where the worse laptops are at home more often: how many of its
intervals contain the truth, paired within laptops and, to compare, unpaired.

`--seeds 50 --laptops 120`. Also the processor time for 2,200 laptops. `--borders 400`
shows how often the verdict is wrong if the true difference is the margin itself. The
hardest case is few laptops, some of which were nearly always at one place or seldom
measured. At most one in forty may be called kept, and as many not kept. `--shapes`
shows councils of other shapes, of `--counts` laptops each.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from collectors.experience.paired_difference import (
    ENOUGH,
    REPLICATES,
    PlaceCounts,
    paired_difference,
)
from dashboards.report.parity import verdict_of

# At home the same laptop has three points fewer good quarters of an hour, on average.
TRUTH = -0.03
_DAYS = 21
_QUARTER_HOURS = 36


class Coverage(NamedTuple):
    """In how many of `seeds` the interval contained the truth, and its mean width."""

    seeds: int
    paired: int
    unpaired: int
    width: float
    unpaired_bias: float


def confounded_laptops(seed: int, count: int = 120) -> list[PlaceCounts]:
    """Returns a month of laptops of which the worse are at home more often: the worst
    sixth always, the best sixth never. Bad days are bad for the whole day."""
    draw = random.Random(seed)
    laptops = []
    for _ in range(count):
        rank = draw.random()
        quality = 0.80 + 0.17 * rank
        effect = draw.gauss(TRUTH, 0.02)
        at_home = min(1.0, max(0.0, 1.25 - 1.5 * rank))
        one = PlaceCounts()
        for _ in range(_DAYS):
            is_home = draw.random() < at_home
            share = quality + (effect if is_home else 0.0) + draw.gauss(0.0, 0.05)
            seen = draw.randrange(_QUARTER_HOURS // 2, _QUARTER_HOURS)
            good = sum(draw.random() < share for _ in range(seen))
            _count(one, is_home, good, seen)
        laptops.append(one)
    return laptops


def _count(laptop: PlaceCounts, is_home: bool, good: int, seen: int) -> None:
    """Adds a day at one place."""
    if is_home:
        laptop.home_seen += seen
        laptop.home_good += good
    else:
        laptop.office_seen += seen
        laptop.office_good += good


class Border(NamedTuple):
    """Councils whose true difference is the margin: in how many the interval contained
    it, and how many were wrongly certain."""

    laptops: int
    quarter_hours: int
    seeds: int
    covered: int
    kept: int
    not_kept: int


def uneven_laptops(seed: int, count: int, quarter_hours: int) -> list[PlaceCounts]:
    """Returns a month of laptops of which two thirds are nearly always at one place,
    and which are measured in very unequal numbers of quarters of an hour, at most
    `quarter_hours` a day; and as many laptops seen at one place only."""
    draw = random.Random(seed)
    laptops = []
    for _ in range(count):
        quality, effect = draw.uniform(0.65, 0.80), draw.gauss(TRUTH, 0.02)
        at_home = draw.choice((0.05, 0.5, 0.95))
        most = quarter_hours * draw.choice((0.05, 0.3, 1, 1))
        one = PlaceCounts()
        for _ in range(_DAYS):
            is_home = draw.random() < at_home
            share = quality + (effect if is_home else 0.0) + draw.gauss(0.0, 0.05)
            seen = max(1, int(most * draw.uniform(0.5, 1.0)))
            good = sum(draw.random() < share for _ in range(seen))
            _count(one, is_home, good, seen)
        laptops.append(one)
    alone = [PlaceCounts(home_good=300, home_seen=500), PlaceCounts(0, 0, 490, 500)]
    return [*laptops, *(alone * count)[:count]]


def at_the_border(seeds: int, count: int, quarter_hours: int) -> Border:
    """Returns the verdicts on councils whose margin is `TRUTH`."""
    covered = kept = not_kept = 0
    for seed in range(seeds):
        found = paired_difference(uneven_laptops(seed, count, quarter_hours), seed)
        if found is None:
            continue
        covered += found.low <= TRUTH <= found.high
        verdict, _ = verdict_of(found.low, found.high, -TRUTH, found.effective)
        kept += verdict == "kept"
        not_kept += verdict == "not kept"
    return Border(count, quarter_hours, seeds, covered, kept, not_kept)


class Shape(NamedTuple):
    """How the laptops of a council differ. `at_home`: shares of their days;
    `effects`: by how much each may be worse at home; `quarter_hours`: the most of a
    day that each may be measured in; `day_spread`: of good shares between days."""

    name: str
    at_home: tuple[float, ...]
    effects: tuple[float, ...] = (TRUTH - 0.02, TRUTH, TRUTH + 0.02)
    quarter_hours: tuple[int, ...] = (_QUARTER_HOURS,)
    day_spread: float = 0.05


SHAPES = (
    Shape("all alike, day by day", (0.5,), (TRUTH,), day_spread=0.0),
    Shape("nearly always at home", (0.97,)),
    Shape("at one place, unequal", (0.02, 0.02, 0.98), quarter_hours=(2, 36)),
    Shape("seldom measured", (0.3, 0.7), quarter_hours=(4,)),
    Shape("one in twenty far worse", (0.3, 0.7), (20 * TRUTH, *(19 * (0.0,)))),
)


def shaped_laptops(shape: Shape, seed: int, count: int) -> list[PlaceCounts]:
    """Returns a month of a council's laptops, with `TRUTH` as their mean effect."""
    draw = random.Random(f"{shape.name} {seed}")
    laptops = []
    for _ in range(count):
        quality, effect = 0.80 + 0.15 * draw.random(), draw.choice(shape.effects)
        at_home, most = draw.choice(shape.at_home), draw.choice(shape.quarter_hours)
        one = PlaceCounts()
        for _ in range(_DAYS):
            is_home = draw.random() < at_home
            spread = draw.gauss(0.0, shape.day_spread)
            share = quality + (effect if is_home else 0.0) + spread
            seen = draw.randrange(most // 2, most) + 1
            _count(one, is_home, sum(draw.random() < share for _ in range(seen)), seen)
        laptops.append(one)
    return laptops


class ShapeCoverage(NamedTuple):
    """In how many of `enough` intervals of enough laptops for a verdict the truth was,
    and in how many of `few` others."""

    covered: int
    enough: int
    few_covered: int
    few: int


def shape_coverage(shape: Shape, seeds: int, count: int) -> ShapeCoverage:
    found = [
        paired_difference(shaped_laptops(shape, seed, count), seed)
        for seed in range(seeds)
    ]
    intervals = [one for one in found if one is not None]
    enough = [one for one in intervals if one.effective >= ENOUGH]
    few = [one for one in intervals if one.effective < ENOUGH]
    covered, few_covered = (
        sum(one.low <= TRUTH <= one.high for one in some) for some in (enough, few)
    )
    return ShapeCoverage(covered, len(enough), few_covered, len(few))


def unpaired_interval(
    laptops: Sequence[PlaceCounts], seed: int
) -> tuple[float, float, float]:
    """Returns all home minus all office quarters of an hour and the 95 % interval of a
    bootstrap over laptops: what pairing is compared with."""
    draw = random.Random(seed).choices

    def difference(drawn: Sequence[PlaceCounts]) -> float:
        home = sum(one.home_good for one in drawn) / sum(one.home_seen for one in drawn)
        return home - sum(one.office_good for one in drawn) / sum(
            one.office_seen for one in drawn
        )

    means = sorted(difference(draw(laptops, k=len(laptops))) for _ in range(400))
    return difference(laptops), means[10], means[-11]


def coverage(seeds: int, laptops: int) -> Coverage:
    """Returns how often each interval contains `TRUTH`."""
    paired = unpaired = 0
    width = bias = 0.0
    for seed in range(seeds):
        month = confounded_laptops(seed, laptops)
        found = paired_difference(month, seed)
        if found is None:
            continue
        paired += found.low <= TRUTH <= found.high
        width += found.high - found.low
        middle, low, high = unpaired_interval(month, seed)
        unpaired += low <= TRUTH <= high
        bias += middle - TRUTH
    return Coverage(seeds, paired, unpaired, width / seeds, bias / seeds)


def run(options: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(prog="python -m benchmarks parity_coverage")
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--laptops", type=int, default=120)
    parser.add_argument("--borders", type=int, default=0)
    parser.add_argument("--shapes", action="store_true")
    parser.add_argument(
        "--counts", type=int, nargs="+", default=[10, 40, 65, 80, 120, 300]
    )
    given = parser.parse_args(options or [])
    found = coverage(given.seeds, given.laptops)
    many = confounded_laptops(0, 2_200)
    begun = time.process_time()
    paired_difference(many, 0)
    took_s = time.process_time() - begun
    print(
        f"truth {TRUTH:+.3f}: in {found.paired} of {found.seeds} paired ones (mean "
        f"width {found.width:.3f}), in {found.unpaired} unpaired ones (mean error "
        f"{found.unpaired_bias:+.3f})\n{REPLICATES} replicates of 2,200 laptops: "
        f"{took_s:.2f} s of processor time"
    )
    for count in (30, 90, 120, 200) if given.borders else ():
        for quarter_hours in (2, 36):
            border = at_the_border(given.borders, count, quarter_hours)
            print(
                f"{count} laptops, {quarter_hours} quarters of an hour a day at most: "
                f"in {border.covered} of {border.seeds} intervals; kept {border.kept}, "
                f"not kept {border.not_kept}"
            )
    for shape in SHAPES if given.shapes else ():
        for count in given.counts:
            one = shape_coverage(shape, given.seeds, count)
            print(
                f"{shape.name}, {count} laptops: in {one.covered} of {one.enough}; "
                f"cannot tell, too few laptops: in {one.few_covered} of {one.few}",
                flush=True,
            )
    return {**found._asdict(), "laptops": given.laptops, "cpu_s_2200": took_s}
