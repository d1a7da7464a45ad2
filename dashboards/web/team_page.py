"""Teams such as a contact centre: whether they are ready for calls, before a shift."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from collectors.estate.estate_model import SMALL_TEAMS, Team
from dashboards import call_quality, figure_text
from dashboards.query_cache import rounded
from dashboards.state_levels import Level
from dashboards.web import page_queries
from dashboards.web.laptop_groups import Group, groups
from dashboards.web.page_views import Views
from probes.wire.counted_text import counted
from probes.wire.sample import Value

# The verdict of `call_quality`, as the answer to "are they ready for calls?".
_ANSWERS: dict[str, str] = {
    "Good": "Ready for calls",
    "Fair": "Calls may not be good",
    "Poor": "Not ready for calls",
}


class EdgeNow(NamedTuple):
    """The servers that take a team's calls, as its laptops see them."""

    level: Level
    word: str
    text: str = ""
    is_set: bool = True


_NO_EDGE = EdgeNow("none", "none is set", is_set=False)
_EDGE_WORDS: dict[Level, str] = {
    "ok": "Answering",
    "warn": "Slow, or not always answering",
    "bad": "Not answering well enough",
}


@dataclass(frozen=True)
class TeamNow:
    """A team and the figures of its laptops, if they may be shown. `why`: why they are
    not. `expected`, `heard`: its laptops, rounded, if they are enough. `members`: the
    teams of a row that has several. `edge`: where its calls go."""

    name: str
    site: str
    group: Group | None
    level: Level
    word: str
    why: str
    expected: Value | None = None
    heard: Value | None = None
    members: tuple[str, ...] = ()
    edge: EdgeNow = _NO_EDGE


class TeamPage:
    """`show` renders a template with values, and returns the answer."""

    def __init__(self, views: Views, show: Callable[..., Response]) -> None:
        self._views, self._show = views, show

    async def page(self, request: Request) -> Response:
        view = await self._views.overview()
        rows = await self._views.experience()
        absent = await self._views.absent(rows)
        counted = await self._views.answers.query(
            page_queries.teams_now(rounded(view.now_ms))
        )
        counts = {row.tags.get("team", ""): row.values for row in counted or ()}
        by_team = {group.group: group for group in groups(rows, "team")}
        merged = by_team.get(SMALL_TEAMS)
        small = small_teams(view.estate.teams, counts) if merged else ()
        teams = [
            replace(
                team_now(
                    _name(team),
                    team.site or "",
                    by_team.get(team.id),
                    absent("team", team.id),
                    counts.get(team.id, {}),
                ),
                edge=edge_now([team], by_team.get(team.id)),
            )
            for team in view.estate.teams
            if team not in small
        ]
        if small:
            name = f"Teams of fewer than {self._views.least}"
            together = team_now(name, "", merged, "", {})
            members = tuple(_name(team) for team in small)
            edge = edge_now(small, merged)
            teams.append(replace(together, members=members, edge=edge))
        return self._show(
            "teams.html",
            here="teams",
            view=view,
            teams=teams,
            has_edges=any(team.media_edges for team in view.estate.teams),
        )


def small_teams(
    teams: Iterable[Team], counts: Mapping[str, Mapping[str, Value]]
) -> tuple[Team, ...]:
    """Returns the teams that are too small to have figures of their own. Pure."""
    return tuple(
        team for team in teams if counts.get(team.id, {}).get("enough_last") == 0
    )


def edge_now(teams: Iterable[Team], group: Group | None) -> EdgeNow:
    """Returns how the media edges of these teams are, by their figures. Pure."""
    if not any(team.media_edges for team in teams):
        return _NO_EDGE
    if group is None:
        return EdgeNow("none", "Not known")
    answered, rtt_ms = (
        group.values.get(f"media_edge_{name}_last")
        for name in ("ok_ratio", "rtt_p95_ms")
    )
    if answered is None:
        text = group.why_missing("media_edge_ok_ratio")
        return EdgeNow("none", "Not known", text)
    level = call_quality.verdict(
        group.values, criteria=call_quality.MEDIA_EDGE_CRITERIA
    ).level
    checks = group.values.get("media_edge_checks_last")
    tests = "" if checks is None else f" of about {counted(int(checks), 'test')}"
    parts = [f"{figure_text.percent(answered)}{tests} answered"]
    if rtt_ms is not None:
        parts.append(f"round trip {figure_text.number(rtt_ms, 'ms')}")
    return EdgeNow(level, _EDGE_WORDS[level], ", ".join(parts))


def _name(team: Team) -> str:
    return team.name or team.id


def team_now(
    name: str,
    site: str,
    group: Group | None,
    absent: str,
    counts: Mapping[str, Value],
) -> TeamNow:
    """Returns a team's state. Pure. `absent`: why it has no figures."""
    expected, heard = (counts.get(f"{name}_last") for name in ("expected", "heard"))
    if group is None:
        return TeamNow(name, site, None, "none", "Not known", absent, expected, heard)
    verdict = call_quality.team_verdict(group.values)
    word = _ANSWERS.get(verdict.word, verdict.word)
    return TeamNow(name, site, group, verdict.level, word, verdict.why, expected, heard)
