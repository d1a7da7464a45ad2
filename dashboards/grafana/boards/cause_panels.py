"""Where poor calls fail: laptop, Wi-Fi, line, provider, VPN, edge or Microsoft."""

from __future__ import annotations

from collections.abc import Mapping

from collectors.store.query import Where
from dashboards.figure_text import CAUSES
from dashboards.grafana.board import Panel, PanelQuery, TableColumn, select
from dashboards.grafana.boards.call_panels import (
    WEIGHTED_TEXT,
    of_groups,
)

# None of them is good or bad, so none is green, orange or red.
CAUSE_COLOURS = {
    "laptop": "super-light-blue",
    "wifi": "blue",
    "line": "dark-blue",
    "provider": "light-purple",
    "vpn": "dark-purple",
    "edge": "yellow",
    "microsoft": "#4fb3a5",
    "unknown": "#8e8e8e",
}
CAUSES_TEXT = (
    "Share of laptops whose test call was poor, by where it failed. Laptop: busy, or "
    "its cable is bad. Wi-Fi: weak or disturbed. Line: from the router to the "
    "provider. Council's edge: its own network. Microsoft: the call was good, but the "
    "route to Microsoft poor. The longest part is where to begin."
)
# A bar chart reads well up to here.
_BARS = 12


def causes_by_group(
    title: str, text: str, width: int = 12, kind: str = "", **variables: str
) -> Panel:
    """Returns bars of the groups with most poor calls, the longest part first to look
    at."""
    causes = of_groups(
        ("call_poor_ratio", "mean"),
        *((f"cause_{name}_ratio", "mean") for name in CAUSES),
        kind=kind,
        **variables,
    )
    return Panel(
        title,
        f"{text} {CAUSES_TEXT} {WEIGHTED_TEXT}",
        (causes,),
        "percentunit",
        "barchart",
        width,
        height=9,
        stacked=True,
        decimals=1,
        columns={
            "group": TableColumn("Group"),
            "call_poor_ratio_mean": TableColumn("Poor calls", hidden=True),
            **{
                f"cause_{name}_ratio_mean": TableColumn(
                    text, "percentunit", steps=((None, CAUSE_COLOURS[name]),)
                )
                for name, text in CAUSES.items()
            },
        },
        sort=("call_poor_ratio_mean", True),
        rows_at_most=_BARS,
        no_value="Too few laptops",
    )


def causes_over_time(
    title: str,
    text: str,
    width: int = 12,
    where: tuple[Where, ...] = (),
    variables: Mapping[str, str] | None = None,
) -> Panel:
    """Returns stacked areas of the causes, of all laptops selected together."""
    return Panel(
        title,
        f"{text} {CAUSES_TEXT} {WEIGHTED_TEXT}",
        # InfluxDB reads long ranges once for each column of a query with times, so
        # one query of all columns takes eight times as long as a query for each.
        tuple(
            PanelQuery(
                select("experience", (f"cause_{name}_ratio", "mean"), where=where),
                text,
                variables or {},
                colour=CAUSE_COLOURS[name],
            )
            for name, text in CAUSES.items()
        ),
        "percentunit",
        width=width,
        height=9,
        stacked=True,
        draw_thresholds=False,
        soft_minimum=0,
        soft_maximum=0.05,
    )
