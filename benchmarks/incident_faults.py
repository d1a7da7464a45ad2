"""The kinds of faults: what breaks, for how long, and the causes that a page may name.

A fault breaks things, not alerts: what Towpath then measures follows from the council
(`incident_rows`). `causes` are all names between which nothing that is measured
decides: of a branch whose line is measured only from inside, nobody can tell from
outside whether its line or its power has failed.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from benchmarks.incident_council import HUB, Council

_T = TypeVar("_T")
MINUTE_MS = 60_000


class Effect(NamedTuple):
    """One thing that is wrong between two times, counted from the start of the fault.

    `what`: dead, cable, circuit, deaf (a line that passes nothing), mains, shut,
    gateway, unreadable, monitor; `reading` replaces fields of rows; `event` is a trap;
    `maintenance` is planned: its key is what it covers, such as ("site", "s001").
    """

    what: str
    key: Any = ""
    from_ms: int = 0
    to_ms: int = 0
    fields: tuple[tuple[str, Any], ...] = ()


@dataclasses.dataclass(frozen=True)
class Fault:
    """`footprint`: what it touches, so that a page can be matched to it."""

    kind: str
    causes: frozenset[str]
    footprint: frozenset[str]
    effects: tuple[Effect, ...]
    lasts_ms: int
    begin_ms: int = 0

    @property
    def end_ms(self) -> int:
        return self.begin_ms + self.lasts_ms


Build = Callable[[Council, random.Random], Fault]


def make_fault(
    kind: str,
    causes: set[str],
    effects: list[Effect],
    minutes: float,
    footprint: set[str] | None = None,
) -> Fault:
    lasts_ms = round(minutes * MINUTE_MS)
    return Fault(
        kind,
        frozenset(causes),
        frozenset(causes | (footprint or set())),
        tuple(e._replace(to_ms=e.to_ms or lasts_ms) for e in effects),
        lasts_ms,
    )


class NothingToBreak(LookupError):
    """The council has none of what this kind of fault needs, such as a backup line."""


def choose(dice: random.Random, among: Sequence[_T]) -> _T:
    if not among:
        raise NothingToBreak
    return dice.choice(among)


def branches(council: Council) -> list[str]:
    return [site for site in council.sites if site not in (HUB, "hub-a")]


def whole_sites(council: Council, *sites: str) -> set[str]:
    """Everything at these sites."""
    found = {f"site:{site}" for site in sites}
    found |= {
        f"device:{d}" for d, (site, _) in council.devices.items() if site in sites
    }
    return found | {f"line:{c.id}" for c in council.circuits if c.site in sites}


def sites_behind(council: Council, router: str) -> list[str]:
    return [c.site for c in council.circuits if c.far == router]
