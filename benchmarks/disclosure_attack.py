"""An attack on the rule that nothing is shown of fewer than ten laptops.

Made-up councils publish `experience` by the code of the server, window after window,
while laptops come, go and move. The attacker has every row that boards, the status
page, the API and the reports can read (a total, a spreadsheet, a month or any range is
a sum of these rows), knows each group's exact number of test calls and of poor ones,
and which laptops there can be. For each group and window that is hidden because it has
fewer than ten laptops, linear programming gives the least and the most of its calls and
of its poor calls. If they are equal, the cell is derivable. That a share of 0 % or
100 % holds for every part of a group is not counted: any share says that.

`--councils 40 --laptops 90 --windows 6 --seed 1`. `--shape nested`: the sites of a
district have one provider nearly all, teams are in sites, and VPNs follow the place.
`--shape closing`: sites close, and all their laptops stop at once or are of another
site and provider from then on; what is left of them is the known risk of decision 012.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from benchmarks.known_sums import KnownSums
from collectors.batch import batch_samples
from collectors.estate.estate_model import SMALL_TEAMS
from collectors.experience.agent_results import AgentPlace
from collectors.experience.disclosure_control import GroupName
from collectors.experience.groups import (
    LEAST,
    ExperienceWindow,
    GroupsConfig,
)
from collectors.experience.window_groups import group_names
from probes.wire.sample import Sample

CONFIG = GroupsConfig()
PERIOD_MS = CONFIG.period_s * 1000
SLICES = CONFIG.window_s // CONFIG.period_s
# A round of test calls every ten minutes.
_ROUND = 2
START_MS = 1_700_000_100_000 // PERIOD_MS * PERIOD_MS


class Call(NamedTuple):
    """One test call. `slice`: which period it was in, from 0."""

    laptop: int
    place: AgentPlace
    slice: int
    poor: int


class Attack(NamedTuple):
    """Hidden cells of fewer than ten laptops, and how many of them are derivable; the
    cells shown beside them."""

    hidden: int
    derivable: int
    shown: int

    def __add__(self, other: Attack) -> Attack:  # type: ignore[override]
        return Attack(*(a + b for a, b in zip(self, other, strict=True)))


def council_calls(seed: int, laptops: int, slices: int) -> list[Call]:
    """Returns the calls of a council whose groups have about ten laptops, some more
    and some fewer, and in which laptops come, go and move."""
    draw = random.Random(seed)
    sites = [f"site-{n}" for n in range(draw.randint(2, 4))]
    providers = [f"provider-{n}" for n in range(draw.randint(2, 3))]
    calls = []
    for laptop in range(laptops):
        home_site = draw.choice(sites)
        provider = draw.choices(providers, [6, 2, 1][: len(providers)])[0]
        begin = draw.choice([0, 0, 0, draw.randrange(slices)])
        end = draw.choice([slices, slices, slices, draw.randrange(slices)])
        phase = draw.randrange(_ROUND)
        poorness = draw.choice([0.0, 0.02, 0.3])
        office = draw.random() < 0.5
        for at in range(begin, end):
            if draw.random() < 0.02:
                office = not office
            if at % _ROUND != phase:
                continue
            place = _place(office, home_site, provider)
            calls.append(Call(laptop, place, at, int(draw.random() < poorness)))
    return calls


def nested_calls(seed: int, laptops: int, slices: int) -> list[Call]:
    """Returns the calls of a council whose groups are nearly inside one another: sites
    in districts that have a provider each, teams in sites, VPNs by place."""
    draw = random.Random(seed)
    sites = [f"site-{n}" for n in range(draw.randint(3, 5))]
    district = {site: n % 2 for n, site in enumerate(sites)}
    calls = []
    for laptop in range(laptops):
        home_site = draw.choices(sites, [5, 3, 2, 2, 1][: len(sites)])[0]
        supplier = district[home_site]
        if draw.random() < 0.1:
            supplier = 1 - supplier
        office, is_strict = draw.random() < 0.4, draw.random() < 0.9
        team = draw.choice(["", f"team-{home_site}", f"crew-{home_site}", "all-sites"])
        begin = draw.choice([0, 0, 0, draw.randrange(slices)])
        phase, poorness = draw.randrange(_ROUND), draw.choice([0.0, 0.02, 0.3])
        for at in range(begin, slices):
            if draw.random() < 0.02:
                office = not office
            if at % _ROUND == phase:
                place = AgentPlace(
                    "office" if office else "home",
                    home_site if office else "unknown",
                    home_site,
                    "council" if office and is_strict else f"provider-{supplier}",
                    "wired" if office else "wifi",
                    "absent" if office else "down",
                    team,
                )
                calls.append(Call(laptop, place, at, int(draw.random() < poorness)))
    return calls


def closing_calls(seed: int, laptops: int, slices: int) -> list[Call]:
    """Returns the calls of a council of which each site may close. Its laptops stop at
    once, or are of another site, with another provider, from then on."""
    draw = random.Random(seed)
    sites = [f"site-{n}" for n in range(draw.randint(2, 4))]
    providers = [f"provider-{n}" for n in range(3)]
    closes = {
        site: draw.choice([slices, draw.randrange(1, slices)]) for site in sites[1:]
    }
    calls = []
    for laptop in range(laptops):
        home_site, provider = draw.choice(sites), draw.choice(providers)
        office, moves = draw.random() < 0.5, draw.random() < 0.5
        phase, poorness = draw.randrange(_ROUND), draw.choice([0.0, 0.02, 0.3])
        for at in range(slices):
            if at == closes.get(home_site):
                if not moves:
                    break
                home_site, provider = sites[0], draw.choice(providers)
            if at % _ROUND == phase:
                place = _place(office, home_site, provider)
                calls.append(Call(laptop, place, at, int(draw.random() < poorness)))
    return calls


def _place(is_office: bool, home_site: str, provider: str) -> AgentPlace:
    return AgentPlace(
        "office" if is_office else "home",
        home_site if is_office else "unknown",
        home_site,
        "council" if is_office else provider,
        "wifi",
    )


SHAPES = {"mixed": council_calls, "nested": nested_calls, "closing": closing_calls}


def published(calls: Sequence[Call], windows: int) -> list[dict[GroupName, Sample]]:
    """Returns the rows of each window, by the code of the server."""
    window = ExperienceWindow(CONFIG)
    teams = {f"a{call.laptop}": call.place.team for call in calls if call.place.team}
    samples = []
    for call in calls:
        time_ms = START_MS + call.slice * PERIOD_MS + call.laptop % PERIOD_MS
        place = call.place
        tags = {
            "agent": f"a{call.laptop}",
            "place": place.place,
            "site": place.site,
            "home_site": place.home_site,
            "provider": place.provider,
            "connection": place.connection,
            "vpn": place.vpn,
            "target": "reflector",
        }
        fields = {"outcome": "ok", "poor": call.poor, "rtt_ms": 20.0}
        samples.append(Sample("call_path", tags, fields, time_ms))
    for sample in sorted(samples, key=lambda one: one.time_ms):
        for batch in batch_samples([sample], "attack", sample.time_ms):
            window.add(batch)
    return [
        {
            (row.tags["by"], row.tags["group"]): row
            for row in window.samples(START_MS + (SLICES + at) * PERIOD_MS, teams)
        }
        for at in range(windows)
    ]


def only_large(calls: Sequence[Call], windows: int) -> list[dict[GroupName, Sample]]:
    """Returns rows of every group with enough laptops and nothing else hidden: what the
    attack must succeed on."""
    row = Sample("experience", {}, {"call_poor_ratio": 0.0}, 0)
    return [
        {
            group: row
            for group, own in _groups(calls, at).items()
            if len({call.laptop for call in own}) >= LEAST
        }
        for at in range(windows)
    ]


def attack(calls: Sequence[Call], rows: Sequence[Mapping[GroupName, Sample]]) -> Attack:
    """Returns what an attacker with all of `rows` can work out."""
    unknowns: dict[tuple[AgentPlace, int], int] = {}
    for call in calls:
        unknowns.setdefault((call.place, call.slice), len(unknowns))
    cells = [_cells(calls, unknowns, at) for at in range(len(rows))]
    totals: dict[frozenset[int], int] = {}
    poors: dict[frozenset[int], int] = {}
    for window, shown in zip(cells, rows, strict=True):
        for group, (members, own) in window.items():
            if "call_poor_ratio" in shown.get(group, _NOTHING).fields:
                totals[members] = len(own)
                poors[members] = sum(call.poor for call in own)
    if not totals:
        return Attack(0, 0, 0)
    known = KnownSums(totals)
    shares = [
        _Share(poors, calls, unknowns),
        _Share({one: totals[one] - poors[one] for one in poors}, calls, unknowns),
    ]
    result = Attack(0, 0, len(totals))
    for window in cells:
        for members, own in window.values():
            small = len({call.laptop for call in own}) < LEAST
            if not small or members in totals:
                continue
            exact = known.bounds(members).is_exact or any(
                share.reveals(members) for share in shares
            )
            result += Attack(1, int(exact), 0)
    return result


class _Share:
    """The poor calls, or the good ones, that the attacker knows of."""

    def __init__(
        self,
        sums: Mapping[frozenset[int], int],
        calls: Iterable[Call],
        unknowns: Mapping[tuple[AgentPlace, int], int],
    ) -> None:
        self._known = KnownSums(sums)
        none = {
            one
            for one in frozenset().union(*sums)
            if self._known.bounds([one]).most == 0
        }
        laptops = {
            call.laptop for call in calls if unknowns[call.place, call.slice] in none
        }
        # That none of at least ten laptops has any is a figure of ten laptops.
        self._none = none if len(laptops) >= LEAST else set()

    def reveals(self, members: frozenset[int]) -> bool:
        return self._known.bounds(members).is_exact and not members <= self._none


_NOTHING = Sample("experience", {}, {}, 0)


def _cells(
    calls: Iterable[Call], unknowns: Mapping[tuple[AgentPlace, int], int], at: int
) -> dict[GroupName, tuple[frozenset[int], list[Call]]]:
    """Returns each group of the window that begins with slice `at`: its unknowns and
    its calls."""
    return {
        group: (frozenset(unknowns[one.place, one.slice] for one in own), own)
        for group, own in _groups(calls, at).items()
    }


def _groups(calls: Iterable[Call], at: int) -> dict[GroupName, list[Call]]:
    calls = tuple(calls)
    sizes = Counter({call.laptop: call.place.team for call in calls}.values())
    found: dict[GroupName, list[Call]] = {}
    for call in calls:
        if at <= call.slice < at + SLICES:
            groups = group_names(call.place)
            if call.place.team and sizes[call.place.team] < LEAST:
                # As it is shown together with other small ones.
                groups.append(("team", SMALL_TEAMS))
            for group in groups:
                found.setdefault(group, []).append(call)
    return found


def run(options: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(prog="python -m benchmarks disclosure_attack")
    parser.add_argument("--councils", type=int, default=40)
    parser.add_argument("--laptops", type=int, default=90)
    parser.add_argument("--windows", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--shape", choices=SHAPES, default="mixed")
    given = parser.parse_args(options or [])
    begun = time.process_time()
    figures: dict[str, Any] = {}
    for name, windows, rows_of in (
        ("only small groups hidden", 1, only_large),
        ("single windows", 1, published),
        ("overlapping windows", given.windows, published),
    ):
        total = Attack(0, 0, 0)
        for seed in range(given.seed, given.seed + given.councils):
            calls = SHAPES[given.shape](seed, given.laptops, windows + SLICES - 1)
            total += attack(calls, rows_of(calls, windows))
        figures[name] = total._asdict()
        print(
            f"{name}: of {total.hidden:,} hidden cells below {LEAST} laptops, "
            f"{total.derivable:,} are derivable from {total.shown:,} shown ones"
        )
    print(f"{time.process_time() - begun:.0f} s of processor time")
    return figures
