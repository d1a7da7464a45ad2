"""Boards have words for the keys of closed lists."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from collectors.server_measurements import CATALOGUE
from collectors.snmp.tables import ip_sla
from dashboards.grafana import BOARDS, absent_texts, check_boards
from dashboards.grafana.board import TableColumn
from dashboards.grafana.boards import key_texts
from dashboards.grafana.boards.firing_alerts import ALERTS
from dashboards.grafana.boards.wan_lines import WAN
from probes.wire.failure import Outcome


@pytest.mark.parametrize(
    ("title", "name", "message"),
    [
        ("Which devices answer badly?", "role", "shows the keys of 'role'"),
        ("Which devices answer badly?", "outcome_last", "keys of 'outcome_last'"),
        ("What have the journals kept and dropped?", "full_last", "yes or no"),
    ],
)
def test_a_column_of_keys_without_words_is_refused(
    title: str, name: str, message: str
) -> None:
    changed = [
        _without_texts(board, title, name)
        if any(panel.title == title for panel in board.panels)
        else board
        for board in BOARDS
    ]
    [finding] = check_boards(changed, CATALOGUE)
    assert finding.check == "words"
    assert message in finding.text


def _without_texts(board: Any, title: str, name: str) -> Any:
    def plain(panel: Any) -> Any:
        if panel.title != title:
            return panel
        column: TableColumn = panel.columns[name]
        columns = {
            **panel.columns,
            name: dataclasses.replace(column, value_texts={}),
        }
        return dataclasses.replace(panel, columns=columns)

    rows = tuple(
        dataclasses.replace(row, panels=tuple(map(plain, row.panels)))
        for row in board.rows
    )
    return dataclasses.replace(board, rows=rows)


def test_every_outcome_of_a_poll_and_of_an_operation_has_words() -> None:
    assert key_texts.POLL_OUTCOMES.keys() == {outcome.value for outcome in Outcome}
    assert key_texts.OPERATION_KINDS.keys() == {*ip_sla._TYPES.values()}
    assert key_texts.OPERATION_RESULTS.keys() == {*ip_sla._SENSES.values()}
    assert key_texts.ROLES["access_point"][0] == "Access point"
    assert key_texts.ROLES["ups"][0] == "UPS"


def test_a_panel_without_anything_to_show_says_what_that_means() -> None:
    shown = {
        target.query.measurement
        for board in BOARDS
        if not board.personal
        for panel in board.panels
        for target in panel.targets
    }
    assert absent_texts.NOTHING.keys() == shown
    [firing] = [p for p in ALERTS.panels if p.title == "What is firing now?"]
    assert absent_texts.nothing_text(firing) == "None"
    own = dataclasses.replace(firing, no_value="Nobody is paged")
    assert absent_texts.nothing_text(own) == "Nobody is paged"
    lines = dataclasses.replace(firing, rows_if=(), targets=WAN.panels[2].targets)
    assert absent_texts.nothing_text(lines) == "No line in the estate"
