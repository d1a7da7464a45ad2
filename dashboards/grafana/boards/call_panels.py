"""What boards show of groups of laptops: columns of tables, lines of graphs, words.

A figure over a range is the mean of its windows, weighted by the calls, checks or
laptops behind each (`experience`). The limits are those of the status page.
"""

from __future__ import annotations

from collectors.experience.group_figures import (
    MEASURED,
    NO_CALL_SUCCEEDED,
    NOT_MEASURED,
    TOO_FEW_LAPTOPS,
)
from collectors.store.query import Aggregate, Where
from dashboards import figure_text
from dashboards.call_quality import BY_FIELD
from dashboards.grafana.board import (
    BAD,
    LOOK,
    NEUTRAL,
    PLAIN,
    Panel,
    PanelQuery,
    Steps,
    TableColumn,
    select,
    unit_of,
    verdict_steps,
)

WEIGHTED_TEXT = (
    "Over longer intervals it is the mean, weighted by the number of tests. Groups of "
    "too few laptops are never shown."
)
ALL = (Where("by", ("all",)), Where("group", ("all",)))
# More lines than this cannot be told apart.
LINES = 8


def limits_text(field: str) -> str:
    """Returns what is good and poor of a figure of calls, with the limits."""
    limits = BY_FIELD[field]
    good, poor = limits.limit(limits.good), limits.limit(limits.poor)
    if limits.is_less_worse:
        return f"Good: at least {good}. Poor: below {poor}."
    return f"Good: at most {good}. Poor: above {poor}."


def of_groups(
    *picks: tuple[str, Aggregate], kind: str = "", **variables: str
) -> PanelQuery:
    """Returns the query of groups: those of one kind, such as `place`, or those that
    the board's `variables` select: `by="by", group="group"`."""
    where = (Where("by", (kind,)),) if kind else ()
    return PanelQuery(
        select("experience", *picks, by=("group",), where=where),
        "$tag_group",
        variables,
    )


# What a panel of groups says if it has no figure: the table of its board says which.
NO_FIGURE = "Too few laptops, or not measured"


def newest_figure(
    title: str,
    text: str,
    name: str,
    steps: Steps = PLAIN,
    decimals: int = 0,
    no_value: str = NO_FIGURE,
) -> Panel:
    """Returns a tile of the newest figure of all laptops."""
    return Panel(
        title,
        text,
        (PanelQuery(select("experience", (name, "last"), where=ALL)),),
        unit_of("experience", name),
        "stat",
        width=4,
        height=4,
        steps=steps,
        decimals=decimals,
        newest=True,
        no_value=no_value,
    )


def graph(
    title: str,
    text: str,
    target: PanelQuery,
    steps: Steps = PLAIN,
    width: int = 12,
    height: int = 8,
    decimals: int | None = None,
    soft: tuple[float, float] | None = None,
) -> Panel:
    """Returns a graph of one figure with one line for each group."""
    [pick] = target.query.picks
    lowest, highest = soft or (0, None)
    return Panel(
        title,
        f"{text} {WEIGHTED_TEXT}",
        (target,),
        unit_of("experience", pick.field),
        width=width,
        height=height,
        steps=steps,
        draw_thresholds=steps != PLAIN,
        decimals=decimals,
        soft_minimum=lowest,
        soft_maximum=highest,
        no_value=NO_FIGURE,
    )


CALL_PICKS: tuple[tuple[str, Aggregate], ...] = (
    ("agents", "max"),
    ("calls_once", "sum"),
    ("call_tests", "last"),
    ("call_poor_ratio", "mean"),
    ("mos_estimated_p50", "mean"),
    ("rtt_p95_ms", "mean"),
    ("loss_mean_ratio", "mean"),
    ("jitter_p95_ms", "mean"),
    ("mostly", "last"),
)
# A failed call has neither delay nor quality: the column of call tests states why.
_NO_FIGURE = "-"


def record_column(
    measurement: str,
    field: str,
    title: str,
    decimals: int = 1,
    steps: Steps = (),
    width: int = 92,
    absent: str = _NO_FIGURE,
) -> TableColumn:
    """Returns the column of one figure."""
    return TableColumn(
        title,
        unit_of(measurement, field),
        steps=steps,
        width=width,
        decimals=decimals,
        absent=absent,
    )


def _call_column(title: str, field: str, width: int, decimals: int = 1) -> TableColumn:
    steps = verdict_steps(field)
    return record_column("experience", field, title, decimals, steps, width)


def call_columns(
    title: str, link: str = "", link_title: str = ""
) -> dict[str, TableColumn]:
    """Returns the columns of `CALL_PICKS` by group, the group's own named `title`."""
    return {
        "group": TableColumn(title, link=link, link_title=link_title, width=140),
        "call_poor_ratio_mean": _call_column("Poor calls", "call_poor_ratio", 95),
        "mos_estimated_p50_mean": _call_column(
            "Estimated MOS", "mos_estimated_p50", 125
        ),
        "rtt_p95_ms_mean": _call_column("Round trip, p95", "rtt_p95_ms", 130, 0),
        "loss_mean_ratio_mean": _call_column("Loss", "loss_mean_ratio", 80, 2),
        "jitter_p95_ms_mean": _call_column("Jitter, p95", "jitter_p95_ms", 100, 0),
        "mostly_last": TableColumn("Most fail at", absent=_NO_FIGURE),
        "calls_once_sum": TableColumn(
            "Test calls", "short", decimals=0, width=95, absent=_NO_FIGURE
        ),
        "agents_max": TableColumn("Laptops", "short", decimals=0, width=90),
        "call_tests_last": TableColumn(
            "Measured?",
            value_texts=CALL_TESTS,
            width=126,
            absent=NOT_MEASURED,
        ),
    }


CALL_TESTS = {
    MEASURED: (MEASURED, NEUTRAL),
    NO_CALL_SUCCEEDED: (NO_CALL_SUCCEEDED, BAD),
    TOO_FEW_LAPTOPS: (TOO_FEW_LAPTOPS, LOOK),
    NOT_MEASURED: (NOT_MEASURED, LOOK),
}
CALL_TESTS_TEXT = (
    "A group is not listed if too few laptops were there. No call succeeded: there is "
    "neither delay nor quality. The figures are means of the selected range, weighted "
    "by calls; the number of test calls, and the most laptops at a time, are what is "
    "behind them."
)


def figure_column(
    field: str, title: str, width: int, steps: Steps = (), decimals: int = 1
) -> tuple[str, TableColumn]:
    """Returns the name and the column of one more weighted mean."""
    column = record_column(
        "experience", field, title, decimals, steps, width, figure_text.TOO_FEW
    )
    return f"{field}_mean", column
