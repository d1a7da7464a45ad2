"""Words for groups of laptops. Names of sites, providers and products are their own, so
a site with the id `home` is not called "At home" where only sites are listed. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from dashboards.grafana.board import NEUTRAL, Board, Panel

_OTHER = {"unknown": "Not known"}
_PLACES = {"home": "At home", "office": "In offices", "elsewhere": "Elsewhere"}
# Kind of group (the tag `by`) → key → text.
_OF_KIND: Mapping[str, Mapping[str, str]] = {
    "all": {"all": "All laptops"},
    "place": {**_PLACES, **_OTHER},
    "connection": {
        "wifi": "Wi-Fi",
        "wired": "Cable",
        "mobile": "Mobile network",
        **_OTHER,
    },
    "vpn": {"down": "VPN down", "absent": "No VPN client", **_OTHER},
    "provider": _OTHER,
    "site": {},
    "home_site": {},
    "home_site_place": {},
    "team": {},
}


def name_groups(boards: tuple[Board, ...]) -> tuple[Board, ...]:
    """Returns `boards` whose tables and lines have words for the keys of groups."""
    return tuple(
        dataclasses.replace(
            board,
            rows=tuple(
                dataclasses.replace(row, panels=tuple(map(_named, row.panels)))
                for row in board.rows
            ),
        )
        for board in boards
    )


def group_texts(panel: Panel) -> dict[str, tuple[str, str]]:
    """Returns key → text and colour of the groups that a panel may list: of the kinds
    that its queries name, or of all if the board's reader chooses the kind."""
    texts: dict[str, tuple[str, str]] = {}
    for target in panel.targets:
        if "group" not in target.query.group_by:
            continue
        fixed = {where.tag: where.values for where in target.query.where}
        for kind in fixed.get("by", tuple(_OF_KIND)):
            of_kind = _OF_KIND.get(kind, {})
            texts |= {key: (text, NEUTRAL) for key, text in of_kind.items()}
    return texts


def _named(panel: Panel) -> Panel:
    texts = group_texts(panel)
    columns = dict(panel.columns)
    if "group" in columns and panel.is_of_rows:
        column = columns["group"]
        own = {str(key): text for key, text in column.value_texts.items()}
        # Not coloured, so that a link has its own colour.
        columns["group"] = dataclasses.replace(
            column, value_texts={**texts, **own}, colour="none"
        )
    is_named = any(target.legend == "$tag_group" for target in panel.targets)
    lines = dict(panel.line_texts)
    if is_named and not panel.is_of_rows:
        lines = {**texts, **lines}
    return dataclasses.replace(panel, columns=columns, line_texts=lines)
