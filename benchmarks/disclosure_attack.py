"""An attack on the rule that nothing is shown of fewer than ten laptops.

Made-up councils publish `experience` by the code of the server, window after window,
while laptops come, go and move, deliver late, and deliver twice. The attacker has every
row that boards, the status page, the API and the reports can read (a total, a
spreadsheet, a month or any range is a sum of these rows). He knows which laptops there
are, where each was, and each one's exact number of test calls in each window, and for
every group that is shown the exact number of poor ones. Of each group and window that
is hidden because it has fewer than ten laptops, linear programming gives the least and
the most poor calls. If they are equal, the cell is derivable. That a share of 0 % or
100 % holds for every part of a group of at least ten is not counted: any share says
that. No call is in two windows, so no window says anything of the calls of another;
that each row has the calls of its window and no others is checked.

`--councils 40 --laptops 90 --windows 2 --seed 1`. `--shape nested`: the sites of a
district have one provider nearly all, teams are in sites, and VPNs follow the place.
`--shape closing`: sites close, and all their laptops stop at once or are of another
site and provider from then on. `--shape changing`: sites open, get another name and are
merged, whole teams stop and start, and laptops work at other sites for an hour.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

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
from collectors.experience.window_groups import ALL, group_names
from probes.wire.sample import Sample

CONFIG = GroupsConfig()
PERIOD_MS = CONFIG.period_s * 1000
WINDOW_MS = CONFIG.window_s * 1000
SLICES = CONFIG.window_s // CONFIG.period_s
# A round of test calls every ten minutes.
_ROUND = 2
START_MS = 1_700_000_100_000 // WINDOW_MS * WINDOW_MS


class Call(NamedTuple):
    """One test call. `slice`: which period it was in, from 0; `late`: how many periods
    later it arrived, and `again`: it then arrived twice."""

    laptop: int
    place: AgentPlace
    slice: int
    poor: int
    late: int = 0
    again: bool = False

    @property
    def window(self) -> int:
        """The window in which it counts, from 0."""
        return (self.slice + self.late) // SLICES


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


def changing_calls(seed: int, laptops: int, slices: int) -> list[Call]:
    """Returns the calls of a council whose sites open, get another name and are merged,
    whose teams stop and start, and whose laptops are at other sites for an hour."""
    draw = random.Random(seed)
    sites = [f"site-{n}" for n in range(draw.randint(3, 5))]
    begins = {site: draw.choice([0, draw.randrange(slices)]) for site in sites[1:]}
    renamed = {
        site: (draw.randrange(slices), draw.choice([f"new-{site}", sites[0]]))
        for site in sites[1:]
        if draw.random() < 0.5
    }
    pauses = {f"team-{n}": draw.randrange(slices) for n in range(5)}
    calls = []
    for laptop in range(laptops):
        home_site, provider = draw.choice(sites), f"provider-{draw.randrange(3)}"
        team, office = draw.choice(["", *pauses]), draw.random() < 0.6
        away, visited = draw.randrange(4 * slices), draw.choice(sites)
        phase, poorness = draw.randrange(_ROUND), draw.choice([0.0, 0.02, 0.3])
        for at in range(begins.get(home_site, 0), slices):
            if at % _ROUND != phase or 0 <= at - pauses.get(team, at + 1) < SLICES:
                continue
            since, name = renamed.get(home_site, (slices, ""))
            named = name if at >= since else home_site
            place = _place(office, named, provider)
            if office and 0 <= at - away < 4 * SLICES:
                place = msgspec.structs.replace(place, site=visited)
            place = msgspec.structs.replace(place, team=team)
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


SHAPES = {
    "mixed": council_calls,
    "nested": nested_calls,
    "closing": closing_calls,
    "changing": changing_calls,
}


def delivered(calls: Iterable[Call], seed: int) -> list[Call]:
    """Returns the calls as they arrive: each tenth late, half of these twice."""
    draw = random.Random(seed)
    return [
        call._replace(late=draw.randint(1, SLICES - 1), again=draw.random() < 0.5)
        if draw.random() < 0.1
        else call
        for call in calls
    ]


def published(calls: Sequence[Call], windows: int) -> list[dict[GroupName, Sample]]:
    """Returns the rows of each window, by the code of the server."""
    window = ExperienceWindow(CONFIG)
    teams = {f"a{call.laptop}": call.place.team for call in calls if call.place.team}
    arriving = []
    for call in calls:
        time_ms = START_MS + call.slice * PERIOD_MS + call.laptop % PERIOD_MS
        received_ms = time_ms + call.late * PERIOD_MS
        received_ms += CONFIG.settle_s * 1000 if call.late else 0
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
        sample = Sample("call_path", tags, fields, time_ms)
        arriving.append((received_ms, sample))
        if call.again:
            arriving.append((received_ms + PERIOD_MS, sample))
    for received_ms, sample in sorted(arriving, key=lambda one: one[0]):
        for batch in batch_samples([sample], "attack", received_ms):
            window.add(batch)
    shown = []
    for at in range(windows):
        end_ms = START_MS + (at + 1) * WINDOW_MS
        copies = [
            window.samples(end_ms + more * PERIOD_MS, teams) for more in range(SLICES)
        ]
        rows = [(row.tags, row.fields) for row in copies[0]]
        if any([(row.tags, row.fields) for row in other] != rows for other in copies):
            raise AssertionError("the rows of a window differ")
        shown.append({(row.tags["by"], row.tags["group"]): row for row in copies[0]})
    return shown


def only_large(calls: Sequence[Call], windows: int) -> list[dict[GroupName, Sample]]:
    """Returns rows of every group with enough laptops and nothing else hidden: what the
    attack must succeed on."""
    row = Sample("experience", {}, {"call_poor_ratio": 0.0}, 0)
    small = _small_teams(calls)
    return [
        {
            group: row
            for group, own in _groups(calls, at, small).items()
            if len({call.laptop for call in own}) >= LEAST
        }
        for at in range(windows)
    ]


def attack(calls: Sequence[Call], rows: Sequence[Mapping[GroupName, Sample]]) -> Attack:
    """Returns what an attacker with all of `rows` can work out."""
    small = _small_teams(calls)
    result = Attack(0, 0, 0)
    for at, shown in enumerate(rows):
        result += _window_attack(_groups(calls, at, small), shown)
    return result


def _window_attack(
    groups: Mapping[GroupName, Sequence[Call]], rows: Mapping[GroupName, Sample]
) -> Attack:
    calls = groups.get(ALL, ())
    atoms = {place: at for at, place in enumerate({call.place: 0 for call in calls})}
    cells = {
        group: (frozenset(atoms[call.place] for call in own), own)
        for group, own in groups.items()
    }
    poors: dict[frozenset[int], int] = {}
    for group, (members, own) in cells.items():
        fields = rows.get(group, _NOTHING).fields
        if "call_poor_ratio" in fields:
            poors[members] = sum(call.poor for call in own)
            if fields.get("calls", len(own)) != len(own):
                raise AssertionError(f"{group} has calls of another window")
    if not poors:
        return Attack(0, 0, 0)
    # What was poor at each place, and what was good, from -1 down.
    numbers = Counter(atoms[call.place] for call in calls)
    both = {frozenset({at, -1 - at}): count for at, count in numbers.items()}
    known = KnownSums(poors | both)
    bounds = {at: known.bounds({at}) for at in atoms.values()}
    laptops = {
        at: {call.laptop for call in calls if call.place == place}
        for place, at in atoms.items()
    }
    # That none of at least ten laptops has any, or each only poor ones, is a figure of
    # ten laptops.
    none, every = (
        _if_of_many({at for at, one in bounds.items() if holds(one, at)}, laptops)
        for holds in (
            lambda one, at: one.most == 0,
            lambda one, at: one.least == numbers[at],
        )
    )
    result = Attack(0, 0, len(poors))
    for members, own in cells.values():
        if len({call.laptop for call in own}) < LEAST and members not in poors:
            exact = known.bounds(members).is_exact and not (
                members <= none or members <= every
            )
            result += Attack(1, int(exact), 0)
    return result


def _if_of_many(atoms: set[int], laptops: Mapping[int, set[int]]) -> set[int]:
    people = set().union(*(laptops[at] for at in atoms))
    return atoms if len(people) >= LEAST else set()


_NOTHING = Sample("experience", {}, {}, 0)


def _small_teams(calls: Iterable[Call]) -> set[str]:
    teams = Counter({call.laptop: call.place.team for call in calls}.values())
    return {team for team, size in teams.items() if team and size < LEAST}


def _groups(
    calls: Iterable[Call], window: int, small: Container[str]
) -> dict[GroupName, list[Call]]:
    """Returns the groups of a window; `small` teams also as they are shown together."""
    found: dict[GroupName, list[Call]] = {}
    for call in calls:
        if call.window == window:
            groups = group_names(call.place)
            if call.place.team in small:
                groups.append(("team", SMALL_TEAMS))
            for group in groups:
                found.setdefault(group, []).append(call)
    return found


def run(options: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(prog="python -m benchmarks disclosure_attack")
    parser.add_argument("--councils", type=int, default=40)
    parser.add_argument("--laptops", type=int, default=90)
    parser.add_argument("--windows", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--shape", choices=[*SHAPES, "all"], default="all")
    given = parser.parse_args(options or [])
    begun = time.process_time()
    figures: dict[str, Any] = {}
    for shape in SHAPES if given.shape == "all" else (given.shape,):
        found = dict.fromkeys(("small hidden", "published"), Attack(0, 0, 0))
        for seed in range(given.seed, given.seed + given.councils):
            slices = given.windows * SLICES
            calls = delivered(SHAPES[shape](seed, given.laptops, slices), seed)
            for name, rows_of in zip(found, (only_large, published), strict=True):
                found[name] += attack(calls, rows_of(calls, given.windows))
        small, shown = found.values()
        print(
            f"{shape}: of {shown.hidden:,} hidden cells below {LEAST} laptops, "
            f"{shown.derivable:,} are derivable from {shown.shown:,} shown ones; if "
            f"only small groups are hidden, {small.derivable:,} of {small.hidden:,} "
            f"from {small.shown:,}",
            flush=True,
        )
        figures[shape] = {name: one._asdict() for name, one in found.items()}
    print(f"{time.process_time() - begun:.0f} s of processor time")
    return figures
