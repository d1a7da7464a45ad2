"""Which panel shows what an alert rule is about. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from urllib.parse import quote

from alerts.rule import Rule
from dashboards.grafana.board import (
    OVER_TIME,
    Board,
    BoardRow,
    Panel,
    PanelQuery,
    TableColumn,
)
from dashboards.grafana.classic import panel_ids


def panel_of(rule: Rule, boards: Sequence[Board]) -> tuple[str, int] | None:
    """Returns the board and the panel that draws the rule's field over time or, failing
    that, its measurement; None if no board has either. A panel of the rule's own rows
    (its `where`) comes before one of all, and one of other rows last."""
    graph = _graph_of_rule(rule, boards)
    return None if graph is None else (graph.board.uid, graph.number)


class _Graph(NamedTuple):
    board: Board
    number: int
    target: PanelQuery


def _graph_of_rule(rule: Rule, boards: Sequence[Board]) -> _Graph | None:
    measurement = rule.measurement
    fields = {condition.field for condition in rule.when} | set(rule.fields)
    if measurement == "device" and not rule.subject:
        # It is about the poller, which cannot see any device.
        measurement, fields = "self_poll", {"cut_off"}
    if "up" in fields:
        # The same, without the time in which Towpath itself was cut off.
        fields.add("answered")

    def rank(graph: _Graph) -> tuple[bool, bool, bool]:
        shows, is_of_rule = _rows_shown(rule, graph.target)
        has_field = not fields.isdisjoint(_fields_of(graph.target))
        return shows, has_field, is_of_rule

    graphs = [
        _Graph(board, number, target)
        for board, panel, number in _graphs(boards, measurement)
        for target in panel.targets
        if target.query.measurement == measurement
    ]
    # The first of equal ones.
    return max(graphs, key=rank, default=None)


def _rows_shown(rule: Rule, target: PanelQuery) -> tuple[bool, bool]:
    """Returns whether a query shows rows that the rule tests, and only such rows."""
    fixed = {where.tag: where for where in target.query.where if where.values}
    shows, is_of_rule = True, bool(rule.where)
    for tag, values in rule.where.items():
        where = fixed.get(tag)
        if where is None:
            is_of_rule = False
            continue
        of_rule = [(value in where.values) is not where.negate for value in values]
        shows = shows and any(of_rule)
        is_of_rule = is_of_rule and not where.negate and set(where.values) <= {*values}
    return shows, shows and is_of_rule


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
    rule, the address of its panel: `towpath-wan?viewPanel=12`, and what to choose there
    to see the rule's rows: `&var-by=provider`."""
    addresses: dict[str, tuple[str, str]] = {}
    for rule in rules:
        graph = _graph_of_rule(rule, boards)
        panel = panel_of(rule, boards) or table_of(rule, boards)
        if panel is not None:
            choices = "" if graph is None else _choices(rule, graph.target)
            address = f"{panel[0]}?viewPanel={panel[1]}{choices}"
            addresses[rule.id] = (address, "text")
    return tuple(
        dataclasses.replace(
            board,
            rows=tuple(_linked(row, column, addresses) for row in board.rows),
        )
        for board in boards
    )


def _choices(rule: Rule, target: PanelQuery) -> str:
    """Returns the values of the board's variables that the rule's rows have."""
    return "".join(
        f"&var-{target.variables[tag]}={quote(values[0], safe='')}"
        for tag, values in rule.where.items()
        if len(values) == 1 and tag in target.variables
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
        name
        for target in panel.targets
        if target.query.measurement == measurement
        for name in _fields_of(target)
    }


def _fields_of(target: PanelQuery) -> set[str]:
    return {pick.field for pick in target.query.picks}
