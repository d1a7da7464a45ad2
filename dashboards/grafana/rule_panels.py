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

# The same fact under other names: without the time in which Towpath itself was cut off,
# with the reason why a port is down, and with that why a device cannot be read.
_SAME = {"up": ("answered", "state"), "readable": ("outcome",)}


def panel_of(rule: Rule, boards: Sequence[Board]) -> tuple[str, int] | None:
    """Returns the board and the panel that show best what a rule is about: the field of
    its first condition, over time if a panel does that. Failing that, another panel of
    its measurement; None if there is none. Of panels with the field, one of the rule's
    own rows (its `where`) comes before one of all, and one of other rows last."""
    shown = _shown_best(rule, boards)
    return None if shown is None else (shown.board.uid, shown.number)


class _Shown(NamedTuple):
    """One query of a panel, with the panel's board and number."""

    board: Board
    panel: Panel
    number: int
    target: PanelQuery


def _shown_best(rule: Rule, boards: Sequence[Board]) -> _Shown | None:
    measurement = rule.measurement
    read = fields_read(rule)
    if measurement == "device" and not rule.subject:
        # It is about the poller, which cannot see any device.
        measurement, read = "self_poll", [{"cut_off"}]
    first, others = read[0], set().union(*read)

    def rank(shown: _Shown) -> tuple[int, ...]:
        of_panel = _fields_of(shown.target)
        shows, is_of_rule = _rows_shown(rule, shown.target)
        # What a query tests beyond the rule, such as events of radios only.
        extra = sum(bool(w.values) for w in shown.target.query.where)
        return (
            bool(first & of_panel),
            shows,
            shown.panel.kind in OVER_TIME,
            # Others show the present, and not the time of the alert.
            not (shown.panel.time_from or shown.panel.newest),
            len(others & of_panel),
            is_of_rule,
            # Such as all lines of a supplier, and not those of one site.
            {*rule.subject} <= {*shown.target.query.group_by, *shown.target.variables},
            len(of_panel & {*rule.shows}),
            shown.panel.kind == "table",
            -extra,
        )

    # The first of equal ones.
    return max(_all_shown(boards, measurement), key=rank, default=None)


def fields_read(rule: Rule) -> list[set[str]]:
    """Returns the names of each field that a rule reads, of its first condition first.
    A rule that reads none is about whether something is there at all."""
    names = [condition.field for condition in rule.when] + sorted(rule.fields)
    return [{name, *_SAME.get(name, ())} for name in names or ["up"]]


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
    graphs = [
        shown
        for shown in _all_shown(boards, measurement)
        if shown.panel.kind in OVER_TIME
    ]
    best = max(
        graphs, key=lambda shown: field in _fields_of(shown.target), default=None
    )
    return None if best is None else (best.board.uid, best.number)


def link_alerts(
    boards: tuple[Board, ...], rules: Sequence[Rule], column: str
) -> tuple[Board, ...]:
    """Returns `boards` in which every `column` of rule ids has, as the text of each
    rule, the address of its panel: `towpath-wan?viewPanel=12`, and what to choose there
    to see the rule's rows: `&var-by=provider`."""
    addresses: dict[str, tuple[str, str]] = {}
    for rule in rules:
        shown = _shown_best(rule, boards)
        if shown is not None:
            address = f"{shown.board.uid}?viewPanel={shown.number}"
            addresses[rule.id] = (address + _choices(rule, shown.target), "text")
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


def _all_shown(boards: Sequence[Board], measurement: str) -> Iterator[_Shown]:
    for board in boards:
        if board.personal:
            continue
        ids = panel_ids(board)
        for panel in board.panels:
            for target in panel.targets:
                if target.query.measurement == measurement:
                    yield _Shown(board, panel, ids[panel.title], target)


def _fields_of(target: PanelQuery) -> set[str]:
    return {pick.field for pick in target.query.picks}
