"""Panels about the media edges of teams: the servers of a vendor that take the calls of
a contact centre."""

from collectors.store.query import Where
from dashboards.grafana.board import Panel, TableColumn, busiest, select, verdict_steps
from dashboards.grafana.boards.call_panels import (
    LINES,
    WEIGHTED_TEXT,
    figure_column,
    graph,
    limits_text,
    of_groups,
)
from dashboards.grafana.boards.rule_texts import what_to_do

_WHICH = f"The {LINES} teams with most tests."
_OK, _RTT = "media_edge_ok_ratio", "media_edge_rtt_p95_ms"
EDGE_TEAMS = busiest(
    "edge_teams",
    "Teams that measure their media edges most",
    select(
        "experience",
        ("media_edge_checks", "mean"),
        by=("group",),
        where=(Where("by", ("team",)),),
    ),
    LINES,
    {},
)
MEDIA_EDGES = Panel(
    "Do teams and sites reach the servers that take their calls?",
    "Media edges of the teams ([[teams.media_edges]]), as the teams' laptops measure "
    "them; one row per group of the kind chosen at the top, the worst first. "
    f"{limits_text(_OK)} {what_to_do('media_edge_unreachable_team')} {WEIGHTED_TEXT}",
    (
        of_groups(
            ("media_edge_checks", "sum"),
            (_OK, "mean"),
            (_RTT, "mean"),
            by="by",
            group="group",
        ),
    ),
    "short",
    "table",
    width=24,
    height=6,
    columns={
        "group": TableColumn("Group"),
        **dict(
            (
                figure_column(_OK, "Answered", 120, verdict_steps(_OK)),
                figure_column(_RTT, "Round trip, p95", 150, verdict_steps(_RTT), 0),
            )
        ),
        "media_edge_checks_sum": TableColumn(
            "Tests", "short", decimals=0, width=110, absent="none"
        ),
    },
    sort=(f"{_OK}_mean", False),
    no_value="No media edge is measured, or too few laptops measure one",
)
MEDIA_EDGES_OVER_TIME = (
    graph(
        "When did a team's media edges not answer?",
        f"Share of tests with an answer. {limits_text(_OK)} {_WHICH}",
        of_groups((_OK, "mean"), kind="team", group=EDGE_TEAMS.name),
        verdict_steps(_OK),
        soft=(0.5, 1),
    ),
    graph(
        "How long was the way to them?",
        f"95th percentile of the round trips. {limits_text(_RTT)} {_WHICH}",
        of_groups((_RTT, "mean"), kind="team", group=EDGE_TEAMS.name),
        verdict_steps(_RTT),
        decimals=0,
        soft=(0, 120),
    ),
)
