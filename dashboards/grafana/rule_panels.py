"""Which panel shows what an alert rule is about. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from alerts.rule import Rule
from dashboards.grafana.board import OVER_TIME, Board, BoardRow, Panel, TableColumn
from dashboards.grafana.classic import panel_ids


def panel_of(rule: Rule, boards: Sequence[Board]) -> tuple[str, int] | None:
    """Returns the board and the panel that draws the rule's field over time or, failing
    that, its measurement; None if no board has either."""
    measurement = rule.measurement
    fields = {condition.field for condition in rule.when} | set(rule.fields)
    if measurement == "device" and not rule.subject:
        # It is about the poller, which cannot see any device.
        measurement, fields = "self_poll", {"cut_off"}
    if "up" in fields:
        # The same, without the time in which Towpath itself was cut off.
        fields.add("answered")
    near: tuple[str, int] | None = None
    for board, panel, number in _graphs(boards, measurement):
        near = near or (board.uid, number)
        if fields & _fields(panel, measurement):
            return board.uid, number
    return near


def graph_of(
    measurement: str, field: str, boards: Sequence[Board]
) -> tuple[str, int] | None:
    """Returns a graph of `field` or, failing that, of `measurement`."""
    near: tuple[str, int] | None = None
    for board, panel, number in _graphs(boards, measurement):
        near = near or (board.uid, number)
        if field in _fields(panel, measurement):
            return board.uid, number
    return near


def link_alerts(
    boards: tuple[Board, ...], rules: Sequence[Rule], column: str
) -> tuple[Board, ...]:
    """Returns `boards` in which every `column` of rule ids has, as the text of each
    rule, the address of its panel: `towpath-wan?viewPanel=12`."""
    addresses: dict[str, tuple[str, str]] = {}
    for rule in rules:
        panel = panel_of(rule, boards) or table_of(rule, boards)
        if panel is not None:
            addresses[rule.id] = (f"{panel[0]}?viewPanel={panel[1]}", "text")
    return tuple(
        dataclasses.replace(
            board,
            rows=tuple(_linked(row, column, addresses) for row in board.rows),
        )
        for board in boards
    )


def _linked(
    row: BoardRow, column: str, addresses: dict[str, tuple[str, str]]
) -> BoardRow:
    def linked(shown: TableColumn) -> TableColumn:
        return dataclasses.replace(
            shown, value_texts=addresses, otherwise="towpath-site?"
        )

    return dataclasses.replace(
        row,
        panels=tuple(
            dataclasses.replace(
                panel,
                columns={
                    name: linked(shown) if name == column and shown.hidden else shown
                    for name, shown in panel.columns.items()
                },
            )
            for panel in row.panels
        ),
    )


def _graphs(
    boards: Sequence[Board], measurement: str
) -> Iterator[tuple[Board, Panel, int]]:
    for board in boards:
        if board.personal:
            continue
        ids = panel_ids(board)
        for panel in board.panels:
            if panel.kind in OVER_TIME and _fields(panel, measurement):
                yield board, panel, ids[panel.title]


def table_of(rule: Rule, boards: Sequence[Board]) -> tuple[str, int] | None:
    """Returns any panel of the rule's measurement; None if there is none."""
    for board in boards:
        for panel in board.panels:
            if not board.personal and _fields(panel, rule.measurement):
                return board.uid, panel_ids(board)[panel.title]
    return None


def _fields(panel: Panel, measurement: str) -> set[str]:
    return {
        pick.field
        for target in panel.targets
        if target.query.measurement == measurement
        for pick in target.query.picks
    }
