"""Rows of `self_agents` and `self_team`: whether the laptops of each site and team
report. Pure.

Counts are rounded up to five, and there are none for a site or team of too few: who is
on leave must not be seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from collectors.estate.estate_model import SMALL_SITES, Team
from collectors.ingest.registry_records import EnrolledAgent
from probes.wire.sample import Sample, Value

_HOUR_MS = 3_600_000
_EXPECTED_MS = 30 * 24 * _HOUR_MS
_STEP = 5


def expected_and_heard(
    agents: Iterable[EnrolledAgent],
    group_of: Callable[[EnrolledAgent], str],
    now_ms: int,
) -> tuple[Counter[str], Counter[str]]:
    """How many agents of each group are expected and heard.

    Expected agents were seen in the last 30 days; heard ones in this clock hour or the
    one before, because the registry keeps only the hour. Agents that were
    revoked, or replaced when their computer was set up again, do not count.
    """
    hour_ms = now_ms - now_ms % _HOUR_MS
    expected: Counter[str] = Counter()
    heard: Counter[str] = Counter()
    for agent in agents:
        if agent.counts:
            group = group_of(agent)
            expected[group] += agent.last_seen_ms >= hour_ms - _EXPECTED_MS
            heard[group] += agent.last_seen_ms >= hour_ms - _HOUR_MS
    return expected, heard


def enrolled_samples(
    agents: Sequence[EnrolledAgent], teams: Iterable[Team], least: int, now_ms: int
) -> list[Sample]:
    """The rows of all home sites and teams."""
    sites = agents_samples(agents, least, now_ms)
    return sites + team_samples(agents, teams, least, now_ms)


def agents_samples(
    agents: Iterable[EnrolledAgent], least: int, now_ms: int
) -> list[Sample]:
    """A row for each home site, and one for all of too few laptops together. `least`:
    the smallest group that is counted."""
    expected, heard = expected_and_heard(agents, lambda agent: agent.home_site, now_ms)
    small = [site for site in expected if expected[site] < least]
    if small:
        expected[SMALL_SITES] = sum(expected[site] for site in small)
        heard[SMALL_SITES] = sum(heard[site] for site in small)
    return [
        Sample(
            "self_agents",
            {"home_site": site},
            _counts(expected[site], heard[site], least),
            now_ms,
        )
        for site in expected
    ]


def team_samples(
    agents: Iterable[EnrolledAgent], teams: Iterable[Team], least: int, now_ms: int
) -> list[Sample]:
    """A row for each team of the estate. `least`: the smallest that is counted."""
    expected, heard = expected_and_heard(agents, lambda agent: agent.team, now_ms)
    samples = []
    for team in teams:
        fields = _counts(expected[team.id], heard[team.id], least)
        fields["name"] = team.name or team.id
        fields["state_text"] = (
            "measured" if fields["enough"] else f"fewer than {least} laptops"
        )
        tags = {"team": team.id, "site": team.site or ""}
        samples.append(Sample("self_team", tags, fields, now_ms))
    return samples


def _counts(expected: int, heard: int, least: int) -> dict[str, Value]:
    if expected < least:
        return {"enough": 0}
    return {
        "enough": 1,
        "expected": _rounded_up(expected),
        "heard": _rounded_up(heard),
    }


def _rounded_up(count: int) -> int:
    """To five: one laptop that reports is not none."""
    return -(-count // _STEP) * _STEP
