"""What differs between a board of ours and the one that Grafana holds. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

# Grafana sets these itself, or they only say where the board is.
_OF_GRAFANA = frozenset({"id", "uid", "version", "iteration", "gnetId"})
# Keys of a board or panel → the words for them.
_WORDS = {
    "annotations": "annotations",
    "datasource": "data source",
    "description": "description",
    "fieldConfig": "units, texts, colours or limits",
    "gridPos": "position",
    "interval": "interval",
    "links": "links",
    "options": "display options",
    "refresh": "refresh",
    "repeat": "repeat",
    "tags": "tags",
    "targets": "queries",
    "templating": "variables",
    "time": "time range",
    "timeFrom": "time range",
    "title": "title",
    "transformations": "transformations",
    "type": "type",
}


def content_hash(board: Mapping[str, Any]) -> str:
    """Returns 12 hexadecimal digits that follow from the content alone."""
    text = json.dumps(_own(board), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def is_same(board: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """True if two boards differ in nothing but what Grafana sets itself."""
    return _own(board) == _own(other)


def is_contained(ours: Any, stored: Any) -> bool:
    """True if Grafana holds all of `ours`. Newer versions add defaults and leave out
    nulls; a list must have the same length, so that an added panel counts."""
    if isinstance(ours, Mapping):
        return isinstance(stored, Mapping) and all(
            value is None if key not in stored else is_contained(value, stored[key])
            for key, value in ours.items()
        )
    if isinstance(ours, list):
        return (
            isinstance(stored, list)
            and len(ours) == len(stored)
            and all(map(is_contained, ours, stored))
        )
    return bool(ours == stored)


def holds(board: Mapping[str, Any], stored: Mapping[str, Any]) -> bool:
    """True if Grafana holds all of `board`."""
    return is_contained(_own(board), _own(stored))


def describe_changes(
    before: Mapping[str, Any], after: Mapping[str, Any], exact: bool = False
) -> list[str]:
    """Returns one line per difference between two boards, panels by their titles.

    `exact`: both are Grafana's. Otherwise `after` is ours, and what Grafana has added
    to `before` does not count.
    """
    lines = []
    old_panels, new_panels = dict(_panels(before)), dict(_panels(after))
    lines += [f"- panel {name!r}" for name in old_panels if name not in new_panels]
    for name, panel in new_panels.items():
        if name not in old_panels:
            lines.append(f"+ panel {name!r}")
        elif words := _differing(
            old_panels[name], panel, frozenset({"id", "panels"}), exact
        ):
            lines.append(f"~ panel {name!r}: {', '.join(words)}")
    rest = _OF_GRAFANA | {"panels", "schemaVersion"}
    return [*lines, *(f"~ {word}" for word in _differing(before, after, rest, exact))]


def _own(board: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in board.items() if key not in _OF_GRAFANA}


def _panels(board: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Title → panel, those in collapsed rows included. The second of a title has a
    number."""
    count: dict[str, int] = {}
    for panel in board.get("panels") or ():
        for one_panel in (panel, *(panel.get("panels") or ())):
            title = str(one_panel.get("title", ""))
            if one_panel.get("type") == "row":
                title += " (row)"
            count[title] = count.get(title, 0) + 1
            suffix = f" ({count[title]})" if count[title] > 1 else ""
            yield title + suffix, one_panel


def _differing(
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    without: frozenset[str],
    exact: bool,
) -> list[str]:
    """Returns words for the keys whose values differ."""
    words: dict[str, None] = {}
    for key in (*after, *(key for key in before if key not in after)):
        old, new = before.get(key), after.get(key)
        same = old == new if exact else is_contained(new, old)
        if key not in without and not same and (exact or key in after):
            words[_WORDS.get(key, key)] = None
    return list(words)
