"""Rows of `self_team`: whether the laptops of each team report. Pure.

Counts are rounded up to five, and there are none for a team of too few: who is on
leave must not be seen.
"""

from __future__ import annotations

from collections.abc import Iterable

from collectors.estate.estate_model import Team
from collectors.ingest.ingest_stats import expected_and_heard
from collectors.ingest.registry_records import EnrolledAgent
from probes.wire.sample import Sample, Value

_STEP = 5


def team_samples(
    agents: Iterable[EnrolledAgent], teams: Iterable[Team], least: int, now_ms: int
) -> list[Sample]:
    """A row for each team of the estate. `least`: the smallest that is counted."""
    expected, heard = expected_and_heard(agents, lambda agent: agent.team, now_ms)
    samples = []
    for team in teams:
        enough = expected[team.id] >= least
        fields: dict[str, Value] = {
            "name": team.name or team.id,
            "enough": int(enough),
            "state_text": "measured" if enough else f"fewer than {least} laptops",
        }
        if enough:
            fields["expected"] = _rounded_up(expected[team.id])
            fields["heard"] = _rounded_up(heard[team.id])
        tags = {"team": team.id, "site": team.site or ""}
        samples.append(Sample("self_team", tags, fields, now_ms))
    return samples


def _rounded_up(count: int) -> int:
    """To five: one laptop that reports is not none."""
    return -(-count // _STEP) * _STEP
