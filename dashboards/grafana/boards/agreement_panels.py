"""How often test calls saw what Microsoft recorded."""

from __future__ import annotations

from collections.abc import Mapping

from collectors.store.query import Aggregate
from dashboards.grafana.board import Panel, PanelQuery, TableColumn, select
from dashboards.grafana.boards.call_panels import record_column

_HOUR_PICKS: tuple[tuple[str, Aggregate], ...] = (
    ("seen_ratio", "mean"),
    ("seen_streams_ratio", "mean"),
    ("same_ratio", "mean"),
    ("hours", "sum"),
    ("recorded_poor", "sum"),
    ("both", "sum"),
    ("record_only", "sum"),
    ("tests_only", "sum"),
    ("neither", "sum"),
)
_HOUR_COLUMNS: Mapping[str, TableColumn] = {
    "seen_ratio_mean": record_column("probe_agreement", "seen_ratio", "Poor, seen"),
    "seen_streams_ratio_mean": record_column(
        "probe_agreement", "seen_streams_ratio", "Streams, seen"
    ),
    "same_ratio_mean": record_column("probe_agreement", "same_ratio", "Same"),
    **{
        f"{name}_sum": record_column("probe_agreement", name, title, 0)
        for name, title in (
            ("hours", "Hours"),
            ("recorded_poor", "Poor in record"),
            ("both", "In both"),
            ("record_only", "Record only"),
            ("tests_only", "Tests only"),
            ("neither", "In neither"),
        )
    },
}
_AGREEMENT_TEXT = (
    "Working hours of groups with 30 streams of audio in Microsoft's record and 10 "
    "test calls, by which of the two was poor: above 8 % of streams, above 10 % of "
    "test calls. Poor, seen: of the hours that were poor in the record, those in which "
    "tests were poor, too. Fewer than 20 hours say little. A day is there at noon of "
    "the next."
)
AGREEMENT = Panel(
    "How often did Towpath's tests see what Microsoft recorded?",
    f"A check on Towpath itself. {_AGREEMENT_TEXT}",
    (PanelQuery(select("probe_agreement", *_HOUR_PICKS, by=("by",))),),
    "short",
    "table",
    width=24,
    height=7,
    columns={
        "by": TableColumn("Groups by", width=140),
        **_HOUR_COLUMNS,
    },
    sort=("hours_sum", True),
)
AGREEMENT_GROUPS = Panel(
    "Of which groups did tests and Microsoft's record say the same?",
    f"{_AGREEMENT_TEXT} In record, in tests: hours with anything on that side.",
    (
        PanelQuery(
            select(
                "probe_agreement",
                *_HOUR_PICKS[:5],
                ("in_record", "sum"),
                ("in_tests", "sum"),
                ("state", "last"),
                by=("by", "group"),
            )
        ),
    ),
    "short",
    "table",
    width=24,
    height=8,
    columns={
        "by": TableColumn("By", width=110),
        "group": TableColumn("Group", width=150),
        **dict(list(_HOUR_COLUMNS.items())[:5]),
        "in_record_sum": record_column("probe_agreement", "in_record", "In record", 0),
        "in_tests_sum": record_column("probe_agreement", "in_tests", "In tests", 0),
        "state_last": TableColumn("Last day", width=120),
    },
    sort=("recorded_poor_sum", True),
)
