"""The names of a council's sites, for columns and lines that have ids. Pure.

Rows have the ids of sites, which do not change when a site is renamed. Where rows also
have the name, boards show that. Everywhere else, boards that are made with the
council's estate have a text for each id.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from dashboards.grafana.board import (
    NEUTRAL,
    Board,
    Panel,
    TableColumn,
    ValueTexts,
    column,
)

Text = tuple[str, str]
_OF_SITES = ("site", "home_site")
# The values of `by` whose groups of laptops are sites.
_BY_SITE = frozenset({"site", "home_site"})


def name_sites(
    boards: tuple[Board, ...], names: Mapping[str, str]
) -> tuple[Board, ...]:
    """Returns `boards` that show the name of each site. `names`: id → name."""
    if not names:
        return boards
    return tuple(
        dataclasses.replace(
            board,
            rows=tuple(
                dataclasses.replace(
                    row, panels=tuple(_named(panel, names) for panel in row.panels)
                )
                for row in board.rows
            ),
        )
        for board in boards
    )


def site_tags(panel: Panel) -> set[str]:
    """Returns the tags of a panel's queries that are sites, or may be: groups are if
    the board's reader chooses what they are of."""
    tags = {*_OF_SITES}
    for target in panel.targets:
        fixed = {where.tag: where.values for where in target.query.where}
        if "by" in target.variables or _BY_SITE & {*fixed.get("by", ())}:
            tags.add("group")
    return tags & {tag for t in panel.targets for tag in t.query.group_by}


def named_columns(panel: Panel) -> dict[str, TableColumn]:
    """Returns the columns that show sites by their ids. One that a link of another
    column takes the id from must keep it: Grafana links with what a cell shows."""
    links = [
        (name, address)
        for name, shown in panel.columns.items()
        for address in shown.addresses
    ]
    return {
        name: shown
        for name, shown in panel.columns.items()
        if name in site_tags(panel)
        and not shown.hidden
        and not any(column(name) in link for other, link in links if other != name)
    }


def _named(panel: Panel, names: Mapping[str, str]) -> Panel:
    columns = {
        name: dataclasses.replace(
            shown,
            value_texts={
                **{id: (text, NEUTRAL) for id, text in names.items()},
                **_texts_of_both(names, shown.value_texts),
            },
            colour="none",
        )
        for name, shown in named_columns(panel).items()
    }
    legends = {target.legend for target in panel.targets}
    lines = {}
    if legends & {f"$tag_{tag}" for tag in site_tags(panel)} and not panel.is_of_rows:
        lines = {id: (text, NEUTRAL) for id, text in names.items()}
    return dataclasses.replace(
        panel,
        columns={**panel.columns, **columns},
        line_texts={
            **lines,
            **(_texts_of_both(names, panel.line_texts) if lines else panel.line_texts),
        },
    )


def _texts_of_both(names: Mapping[str, str], texts: ValueTexts) -> dict[str, Text]:
    """Returns the texts of the board, such as "At home" where the reader chooses what
    groups are of. If a site has such an id, it may be either."""
    return {
        str(key): (f"{text} or {names[str(key)]}", colour)
        if str(key) in names
        else (text, colour)
        for key, (text, colour) in texts.items()
    }
