"""How good calls are, by groups of laptops, and how many calls each figure is from."""

from dashboards.grafana.board import (
    Board,
    BoardRow,
    Panel,
    PanelQuery,
    TableColumn,
    Variable,
    busiest,
    cell,
    choice,
    choice_of,
    link_to,
    select,
    verdict_steps,
)
from dashboards.grafana.boards.call_panels import (
    ALL,
    CALL_PICKS,
    CALL_TESTS_TEXT,
    LINES,
    WEIGHTED_TEXT,
    call_columns,
    graph,
    limits_text,
    newest_figure,
    of_groups,
)
from dashboards.grafana.boards.cause_panels import causes_by_group, causes_over_time
from dashboards.grafana.boards.media_edge_panels import (
    EDGE_TEAMS,
    MEDIA_EDGES,
    MEDIA_EDGES_OVER_TIME,
)
from dashboards.grafana.boards.newest_rows import newest_rows
from dashboards.grafana.boards.phone_panels import PHONE_CALLS
from dashboards.grafana.boards.recorded_call_panels import RECORDED_CALLS
from dashboards.grafana.boards.route_panels import route_row
from dashboards.grafana.boards.rule_texts import what_to_do
from dashboards.grafana.boards.wire_panels import WIRE_CALLS

_KINDS = {
    "site": "Office that laptops are in",
    "place": "Home, office, elsewhere",
    "home_site": "Site that users belong to",
    "home_site_place": "Site that users belong to, and place",
    "provider": "Provider",
    "connection": "Wi-Fi, cable, mobile",
    "vpn": "VPN product",
    "team": "Team, such as a contact centre",
    "all": "All laptops together",
}
TEAMS = Panel(
    "Which teams are measured, and do their laptops report?",
    "Teams of the estate ([[teams]]), whose laptops joined when they enrolled. Counts "
    "are rounded up to 5; a team of too few has none. Choose “Team” as the group above "
    f"to see calls. {what_to_do('team_silent')}",
    newest_rows("self_team", "name", "state_text", "expected", "heard", by=("team",)),
    "short",
    "table",
    width=24,
    height=5,
    columns={
        "team": TableColumn("Id", hidden=True),
        "name_last": TableColumn("Team"),
        "state_text_last": TableColumn("Measured?"),
        "expected_last": TableColumn("Laptops, 30 days", decimals=0, absent="too few"),
        "heard_last": TableColumn(
            "Reported in the last hour", decimals=0, absent="too few"
        ),
    },
    sort=("name_last", False),
    newest=True,
    no_value="The estate has no team",
)
_CHOSEN = {"by": "by", "group": "group"}
_WORST = {"by": "by", "group": "worst_groups"}


def _of_successful(title: str, text: str, name: str, decimals: int) -> Panel:
    """A failed call has none of these figures."""
    about = (
        f"{text} {limits_text(name)} Of all laptops, the newest figure, up to 25 "
        "minutes old. If all calls are poor and this is empty or does not change, none "
        "succeeds."
    )
    nothing = "None succeeded, or too few laptops"
    return newest_figure(title, about, name, verdict_steps(name), decimals, nothing)


NOW = (
    newest_figure(
        "How many calls are poor?",
        "Share of all laptops' test calls that missed a media target or failed, the "
        f"newest figure. {limits_text('call_poor_ratio')} If it is not green: "
        f"{what_to_do('calls_poor_everywhere')}",
        "call_poor_ratio",
        verdict_steps("call_poor_ratio"),
        1,
    ),
    _of_successful(
        "How good do calls sound?",
        "Median estimated MOS (narrowband E-model), not ratings by people.",
        "mos_estimated_p50",
        1,
    ),
    _of_successful(
        "How long is the round trip?",
        "95th percentile of the test calls' mean round trips.",
        "rtt_p95_ms",
        0,
    ),
    _of_successful("How much is lost?", "Mean packet loss.", "loss_mean_ratio", 2),
    _of_successful(
        "How uneven is the delay?", "95th percentile of jitter.", "jitter_p95_ms", 0
    ),
    newest_figure(
        "How many test calls is this from?",
        "Test calls of all laptops within 15 minutes. Fewer than 20: the figures "
        "beside it depend on a few people.",
        "calls",
    ),
)
POOR_EVERYWHERE = Panel(
    "When were calls poor everywhere?",
    "Share of all laptops' test calls that missed a media target. "
    f"{limits_text('call_poor_ratio')} {what_to_do('calls_poor_everywhere')} "
    f"{WEIGHTED_TEXT}",
    (
        PanelQuery(
            select("experience", ("call_poor_ratio", "mean"), where=ALL), "all laptops"
        ),
    ),
    "percentunit",
    height=9,
    steps=verdict_steps("call_poor_ratio"),
    soft_minimum=0,
    soft_maximum=0.2,
)
CAUSES_EVERYWHERE = causes_over_time(
    "When did poor calls fail, and where?", "All laptops.", where=ALL
)
GROUPS = Panel(
    "Which groups have poor calls?",
    "One row per group of the kind selected at the top, the worst first. Select a "
    f"group to see only that one below. {CALL_TESTS_TEXT} "
    f"If one is red: {what_to_do('calls_poor_site')}",
    (of_groups(*CALL_PICKS, **_CHOSEN),),
    "short",
    "table",
    width=24,
    height=10,
    columns=call_columns(
        "Group",
        link_to("towpath-calls", by=choice("by"), group=cell()),
        "Show only this group",
    ),
    sort=("call_poor_ratio_mean", True),
    no_value="No group has enough laptops",
)
CAUSES = causes_by_group(
    "Where do poor calls fail, by group?",
    "One bar per group, the one with most poor calls first.",
    24,
    **_CHOSEN,
)
CAUSES_OF_CHOSEN = causes_over_time(
    "When did calls of the chosen groups fail, and where?",
    f"The {LINES} chosen groups with most poor calls, together.",
    24,
    # Eight queries that add up 200 sites take InfluxDB six seconds over 30 days.
    variables=_WORST,
)


def _over_time(
    title: str,
    text: str,
    name: str,
    soft: tuple[float, float],
    decimals: int | None = None,
) -> Panel:
    return graph(
        title,
        f"{text} {limits_text(name)} The {LINES} chosen groups with most poor calls.",
        of_groups((name, "mean"), **_WORST),
        verdict_steps(name),
        decimals=decimals,
        soft=soft,
    )


OVER_TIME = (
    _over_time(
        "When were calls poor?",
        "Share of test calls that missed a media target or failed.",
        "call_poor_ratio",
        soft=(0, 0.2),
    ),
    _over_time(
        "How did calls sound?",
        "Median estimated MOS. A line that ends while poor calls go on: no call "
        "succeeded.",
        "mos_estimated_p50",
        decimals=1,
        soft=(3, 4.5),
    ),
    _over_time(
        "How long was the round trip?",
        "95th percentile of the test calls' mean round trips.",
        "rtt_p95_ms",
        decimals=0,
        soft=(0, 120),
    ),
    _over_time(
        "How much was lost?", "Mean packet loss.", "loss_mean_ratio", soft=(0, 0.02)
    ),
    _over_time(
        "How uneven was the delay?",
        "95th percentile of jitter.",
        "jitter_p95_ms",
        decimals=0,
        soft=(0, 40),
    ),
    graph(
        "How many test calls are behind these figures?",
        "Test calls within 15 minutes, the fewest of each interval. Figures of few "
        f"calls jump. The {LINES} chosen groups with most poor calls.",
        of_groups(("calls", "min"), **_WORST),
        decimals=0,
    ),
)

CALLS = Board(
    "towpath-calls",
    "Call quality",
    "How good are calls, for whom, and where do poor ones fail? Each figure with the "
    "number of calls and laptops behind it.",
    (
        BoardRow("All laptops", (*NOW, POOR_EVERYWHERE, CAUSES_EVERYWHERE)),
        BoardRow("Groups", (GROUPS, CAUSES)),
        BoardRow("Over time", OVER_TIME),
        RECORDED_CALLS,
        PHONE_CALLS,
        WIRE_CALLS,
        BoardRow(
            "Teams of the estate, and the servers that take their calls",
            (TEAMS, MEDIA_EDGES, *MEDIA_EDGES_OVER_TIME),
            collapsed=True,
        ),
        BoardRow(
            "When calls of the chosen groups failed, and where",
            (CAUSES_OF_CHOSEN,),
            collapsed=True,
        ),
        route_row("Along the route of the chosen groups", **_WORST),
    ),
    (
        choice_of("by", "Laptops by", _KINDS),
        Variable("group", "Group", "experience", "group", {"by": "by"}),
        busiest(
            "worst_groups",
            "Groups with most poor calls",
            select("experience", ("call_poor_ratio", "mean"), by=("group",)),
            LINES,
            _CHOSEN,
        ),
        EDGE_TEAMS,
    ),
    links=("towpath-estate", "towpath-remote", "towpath-vpn"),
)
