"""Checks our own boards as values, and then as the JSON that they become. Pure.

What the JSON shows too is checked there only, so that a council's boards are checked
by the same code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from collectors.store.query import check_query
from dashboards.grafana.board import Board, Panel, PanelQuery
from dashboards.grafana.board_links import column as column_of
from dashboards.grafana.checks.dashboard_checks import check_dashboard
from dashboards.grafana.checks.dashboard_document import read_dashboard
from dashboards.grafana.checks.finding import Finding
from dashboards.grafana.checks.unit_checks import unit_fault
from dashboards.grafana.classic import dashboard_json
from dashboards.grafana.classic_fields import width_px
from probes.wire.catalogue import Catalogue, Measurement, Misfit, UnknownName

# Tags and fields whose values are keys of closed lists.
_KEYS = frozenset(
    {"class", "expected_why", "kind", "outcome", "protocol", "role", "sense"}
)
# A mean of a flag is a share of time.
_STATES = frozenset({"last", "max", "min"})
# Tags that follow from the subject, so no query needs to group by them.
_IMPLIED = frozenset({"site", "role", "supplier", "severity"})
# Where one laptop was: its newest value is the newest wherever that was.
_WHEREABOUTS = frozenset({"home_site", "place", "connection", "vpn", "provider"})
# Measurements that have the estate's name of their subject, and the tag of its id.
_NAMED = {
    "device": "device",
    "inventory": "device",
    "site": "site",
    "vpn_gateway": "gateway",
}
# What has a board of its own.
_LED_TO = frozenset({"device", "line", "port", "site"})
# Not what a network engineer would call it.
_ODD_WORDS = re.compile(
    r"\b(told|tells|tell|heard|hears|said|says|asked|asks|knows|mends?)\b",
    re.IGNORECASE,
)


# A column of 24, of a window of 1,600 pixels, and what surrounds a table.
_COLUMN_PX, _FRAME_PX = 66, 26


def check_boards(boards: Sequence[Board], catalogue: Catalogue) -> list[Finding]:
    """Returns every fault of our boards."""
    findings = [
        *_duplicates([board.uid for board in boards], "uid"),
        *_duplicates([board.title for board in boards], "title"),
    ]
    known = {
        board.uid: frozenset(variable.name for variable in board.variables)
        for board in boards
    }
    for board in boards:
        faults = list(_check_names(board, catalogue))
        findings += faults
        if faults:
            # There is no JSON of a board with unknown names.
            continue
        findings += _check_values(board, catalogue)
        document = read_dashboard(_where(board), dashboard_json(board, tuple(boards)))
        findings += check_dashboard(document, catalogue, known)
    return list(dict.fromkeys(findings))


def _where(board: Board) -> str:
    return f"board {board.title!r}"


def _check_names(board: Board, catalogue: Catalogue) -> Iterator[Finding]:
    for panel in board.panels:
        where = f"{_where(board)}, panel {panel.title!r}"
        for target in panel.targets:
            query = target.query
            try:
                check_query(query, catalogue)
                declared = catalogue.measurement(query.measurement)
                for tag in target.variables:
                    declared.tag(tag)
            except (Misfit, UnknownName) as misfit:
                yield Finding("names", where, str(misfit))
    names = {variable.name for variable in board.variables}
    for variable in board.variables:
        where = f"{_where(board)}, variable {variable.name!r}"
        if variable.kind != "query" or variable.influxql:
            continue
        try:
            declared = catalogue.measurement(variable.measurement)
            for tag in (variable.tag, *variable.within):
                declared.tag(tag)
        except UnknownName as unknown:
            yield Finding("names", where, str(unknown))
        for name in variable.within.values():
            if name not in names:
                text = f"is narrowed by {name!r}, which the board does not have"
                yield Finding("variables", where, text)


def _check_values(board: Board, catalogue: Catalogue) -> Iterator[Finding]:
    for panel in board.panels:
        where = f"{_where(board)}, panel {panel.title!r}"
        if panel.kind != "text" and not panel.targets:
            yield Finding("names", where, "has no query")
        yield from _check_words(where, panel)
        yield from _hidden_states(where, panel)
        yield from _check_drill_down(where, panel, board)
        yield from _check_ids(where, panel)
        yield from _check_passed_on(where, panel)
        yield from _check_absent(where, panel)
        yield from _check_widths(where, panel)
        for target in panel.targets:
            declared = catalogue.measurement(target.query.measurement)
            yield from _ambiguous_last(where, target, board, declared)
            yield from _check_units(where, panel, target, declared)
            if panel.kind == "table":
                yield from _check_keys(where, panel, target, declared)


def _check_drill_down(where: str, panel: Panel, board: Board) -> Iterator[Finding]:
    """A table of sites, devices … leads to each of them."""
    if panel.kind != "table" or any(column.link for column in panel.columns.values()):
        return
    single = {variable.name for variable in board.variables if not variable.multiple}
    for target in panel.targets:
        fixed = {tag for tag, name in target.variables.items() if name in single}
        subjects = _LED_TO.intersection(target.query.group_by) - fixed
        if subjects:
            text = f"is a table of each {min(subjects)!r} without a link to its board"
            yield Finding("links", where, text)
            return


def _check_passed_on(where: str, panel: Panel) -> Iterator[Finding]:
    """A link to a column takes what its cell shows, which may be another text."""
    for shown in panel.columns.values():
        for name, other in panel.columns.items():
            if other.value_texts and any(column_of(name) in a for a in shown.addresses):
                yield Finding(
                    "links",
                    where,
                    f"passes on the text that the column {name!r} shows for its "
                    "value; expected cell() in the column itself, or a column without "
                    "texts",
                )


def _check_absent(where: str, panel: Panel) -> Iterator[Finding]:
    """A cell without a value leads nowhere: a board that is given nothing shows
    something else than what the row is about."""
    for name, shown in panel.columns.items():
        if panel.kind == "table" and shown.link and shown.absent and not shown.hidden:
            yield Finding(
                "links",
                where,
                f"has a link from the column {name!r} also where it says "
                f"{shown.absent!r}; expected no text there",
            )


def _check_widths(where: str, panel: Panel) -> Iterator[Finding]:
    """All columns are in view in a window that is 1,600 pixels wide."""
    if panel.kind != "table":
        return
    room_px = panel.width * _COLUMN_PX - _FRAME_PX
    needed_px = sum(width_px(c) for c in panel.columns.values() if not c.hidden)
    if needed_px > room_px:
        text = f"needs {needed_px} pixels for its columns, expected {room_px} at most"
        yield Finding("widths", where, text)


def _check_ids(where: str, panel: Panel) -> Iterator[Finding]:
    """A table has the name of what it lists if that is stored beside the id."""
    if panel.kind != "table" or "name_last" in panel.columns:
        return
    for target in panel.targets:
        tag = _NAMED.get(target.query.measurement, "")
        column = panel.columns.get(tag)
        if tag in target.query.group_by and column and not column.hidden:
            text = f"lists the ids of each {tag!r}; expected ('name', 'last') of it"
            yield Finding("words", where, text)


def _check_words(where: str, panel: Panel) -> Iterator[Finding]:
    for text in (panel.title, *(column.title for column in panel.columns.values())):
        odd = _ODD_WORDS.search(text)
        if odd:
            shown = f"says {odd[0]!r} in {text!r}; expected the field's word"
            yield Finding("words", where, shown)
    if panel.kind != "text" and not panel.title.endswith("?"):
        yield Finding("words", where, "has a title that is not a question")
    for column in panel.columns.values():
        if not column.hidden and "_" in column.title:
            text = f"has the column {column.title!r}; expected a title in words"
            yield Finding("words", where, text)


def _check_keys(
    where: str, panel: Panel, target: PanelQuery, declared: Measurement
) -> Iterator[Finding]:
    """A table has words for the keys of closed lists, and for yes and no."""
    fields = {
        pick.name: declared.field(pick.field)
        for pick in target.query.picks
        if pick.aggregate != "count"
    }
    states = {p.name for p in target.query.picks if p.aggregate in _STATES}
    shown = fields.keys() | {*target.query.group_by}
    for name, column in panel.columns.items():
        if name not in shown or column.hidden or column.value_texts:
            continue
        field = fields.get(name)
        if (field.name if field else name) in _KEYS:
            text = f"shows the keys of {name!r} as they are; expected value texts"
            yield Finding("words", where, text)
        if field and field.unit == "flag" and name in states:
            text = f"shows {name!r}, which is yes or no, as a number; expected words"
            yield Finding("words", where, text)


def _check_units(
    where: str, panel: Panel, target: PanelQuery, declared: Measurement
) -> Iterator[Finding]:
    """The same as of the JSON, for means with weights too, whose InfluxQL is longer."""
    for pick in target.query.picks:
        column = panel.columns.get(pick.name)
        texts = column.value_texts if column else panel.value_texts
        is_hidden = column is not None and column.hidden
        if pick.aggregate in ("count", "weight") or texts or is_hidden:
            continue
        if panel.is_of_rows and column is None:
            continue
        unit = (column.unit if column else target.unit) or panel.unit
        fault = unit_fault(pick.name, declared.field(pick.field), unit)
        if fault:
            yield Finding("units", where, fault)


def _ambiguous_last(
    where: str, target: PanelQuery, board: Board, declared: Measurement
) -> Iterator[Finding]:
    """`last` over several subjects is the value of any one of them, so each tag must be
    grouped by or fixed to one value."""
    query = target.query
    if all(pick.aggregate != "last" for pick in query.picks):
        return
    single = {variable.name for variable in board.variables if not variable.multiple}
    fixed = {
        *_IMPLIED,
        *declared.descriptions,
        *query.group_by,
        *(filter.tag for filter in query.where if len(filter.values) == 1),
        *(tag for tag, name in target.variables.items() if name in single),
        *(_WHEREABOUTS if declared.personal else ()),
    }
    for tag in declared.tags:
        if tag.name not in fixed:
            yield Finding(
                "rows",
                where,
                f"takes the last value of {query.measurement!r} over every "
                f"{tag.name!r}, which is that of any one; group by {tag.name!r}",
            )


def _hidden_states(where: str, panel: Panel) -> Iterator[Finding]:
    """A state shorter than an interval must show, so the worst of it is drawn."""
    if panel.kind != "state-timeline":
        return
    if not panel.value_texts:
        yield Finding("states", where, "is a state timeline without texts for states")
    for target in panel.targets:
        for pick in target.query.picks:
            if pick.aggregate not in ("min", "max"):
                yield Finding(
                    "states",
                    where,
                    f"draws {pick.aggregate} of {pick.field!r}, which hides what is "
                    "shorter than an interval; expected min or max",
                )


def _duplicates(names: list[str], what: str) -> list[Finding]:
    return [
        Finding("file", f"{what} {name!r}", f"is used {names.count(name)} times")
        for name in dict.fromkeys(names)
        if names.count(name) > 1
    ]
