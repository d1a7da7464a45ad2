"""Panels about the machines of Towpath: their versions and their clocks."""

from __future__ import annotations

from dashboards.grafana.board import (
    AMBER,
    GREEN,
    BoardRow,
    Panel,
    PanelQuery,
    select,
    steps_of_rule,
)
from dashboards.grafana.boards.rule_texts import what_to_do

NEWER_LOGS = Panel(
    "Do rows wait for a newer version?",
    "Logs of the journal that a reader does not read because a newer version of "
    "Towpath wrote them. Nothing is lost meanwhile. "
    f"If it is not 0: {what_to_do('rows_of_newer_version')}",
    (
        PanelQuery(
            select("self_reader", ("newer_logs", "max"), by=("process", "reader")),
            "$tag_process $tag_reader",
        ),
    ),
    "short",
    steps=steps_of_rule("rows_of_newer_version"),
    soft_minimum=0,
    soft_maximum=1,
    decimals=0,
)
CLOCK_IS_TRUSTED = Panel(
    "Are the clocks of its machines trusted?",
    "Data is deleted by its age only while the clock does not run ahead. "
    f"If it does: {what_to_do('clock_not_trusted')}",
    (
        PanelQuery(
            select("self_clock", ("trusted", "min"), by=("process",)), "$tag_process"
        ),
    ),
    "short",
    "state-timeline",
    value_texts={1: ("trusted", GREEN), 0: ("runs ahead", AMBER)},
)
CLOCK_AHEAD = Panel(
    "How far do their clocks run ahead?",
    "Since the last time that was trusted. 0 while the clock is trusted.",
    (
        PanelQuery(
            select("self_clock", ("ahead_s", "max"), by=("process",)), "$tag_process"
        ),
    ),
    "s",
    soft_minimum=0,
)
MACHINES = BoardRow(
    "Versions and clocks",
    (NEWER_LOGS, CLOCK_IS_TRUSTED, CLOCK_AHEAD),
    collapsed=True,
)
