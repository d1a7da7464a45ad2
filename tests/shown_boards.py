"""What is wrong with boards as Grafana's own code shows them. Pure: `grafana_libraries`
returns what is shown."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from dashboards.grafana.board import OF_ROWS, Board, Panel
from dashboards.grafana.classic_fields import ref_id

# Values of a link's variable that name nothing.
_NOTHING = {"", "-", "Value", "Time", "null", "undefined", "[object Object]"}
# An alert's link names the device and the port for every board.
_OF_ALERTS = {"site", "device", "port"}
_ALL = frozenset({"$__all", "All"})
# A value that a link has from the board itself.
_CONSTANT = re.compile(r"var-\w+=([\w-]+)")
Shown = Mapping[str, Any]


class ShownBoards:
    """Counts and faults of boards. `boards`: all, as links may lead to each. `sites`:
    id → name of those that tables are to show by name."""

    def __init__(
        self, boards: Sequence[Board], sites: Mapping[str, str] | None = None
    ) -> None:
        self._sites = sites or {}
        self._variables = {
            board.uid: {variable.name for variable in board.variables}
            for board in boards
        }
        self._texts = _texts_of_keys(boards)
        self.counts: Counter[str] = Counter()
        self.faults: list[str] = []

    def add(self, board: Board, document: Shown, shown: Shown) -> None:
        """Checks what a board shows. `document`: its JSON."""
        self.counts["boards"] += 1
        self.counts["variables"] += len(shown["variables"])
        panels = {panel.title: panel for panel in board.panels}
        documents = {panel["id"]: panel for panel in _panels(document)}
        for variable in shown["variables"]:
            if variable["error"]:
                self._fault(board, variable["name"], variable["error"])
        chosen = _chosen(shown["variables"])
        for shown_panel in shown["panels"]:
            written = documents[shown_panel["id"]]
            panel = panels[written["title"]]
            for fault in self._of_panel(panel, written, shown_panel, chosen):
                self._fault(board, panel.title, fault)

    def _fault(self, board: Board, where: str, fault: str) -> None:
        text = f"{board.title}, {where!r}: {fault}"
        if text not in self.faults:
            self.faults.append(text)

    def _of_panel(
        self, panel: Panel, written: Shown, shown: Shown, chosen: frozenset[str]
    ) -> Iterator[str]:
        known = chosen | {*_CONSTANT.findall(json.dumps(written))}
        # The text of an empty cell, which a link passes on as it is.
        known |= {column.absent for column in panel.columns.values()}
        self.counts["panels"] += 1
        if "error" in shown:
            yield shown["error"]
            return
        if "${" in shown["title"]:
            yield f"the title is {shown['title']!r}"
        for href in shown["links"]:
            yield from self._of_link(href, known)
        if not shown.get("rows"):
            return
        self.counts["panels with rows"] += 1
        overrides = written["fieldConfig"]["overrides"]
        self.counts["overrides"] += len(overrides)
        for frame in shown["frames"]:
            rows = [
                known | {_key(field["cells"][n]["raw"]) for field in frame["fields"]}
                for n in range(min(len(field["cells"]) for field in frame["fields"]))
            ]
            for field in frame["fields"]:
                yield from self._of_field(panel, field, rows)
        if panel.kind in OF_ROWS:
            self.counts["tables"] += panel.kind == "table"
            yield from _of_rows(panel, shown)
        for tile in shown["tiles"]:
            self.counts["tiles"] += 1
            if panel.tile and tile["title"] in self._texts.get(panel.tile, {}):
                yield f"a tile shows the key {tile['title']!r}"
            if "${" in tile["title"] or tile["title"] in _NOTHING - {""}:
                yield f"a tile is called {tile['title']!r}"
            for link in tile["links"]:
                yield from self._of_link(link["href"])

    def _of_field(
        self, panel: Panel, field: Shown, rows: Sequence[frozenset[str]]
    ) -> Iterator[str]:
        if field["type"] == "time":
            return
        # A tile is named by another column of its row.
        if not panel.tile and ("${" in field["title"] or "$tag_" in field["title"]):
            yield f"a line is called {field['title']!r}"
        name, labels = field["name"], field["labels"]
        title = field["title"]
        for tag, value in labels.items():
            if title == value and value in self._texts.get(tag, {}):
                yield f"a line is called {value!r}, not {self._texts[tag][value]!r}"
        is_hidden = _is_hidden(field)
        mapped = field["texts"]
        for known, cell in zip(rows, field["cells"], strict=True):
            raw, text = cell["raw"], cell["text"]
            for link in cell["links"]:
                if not is_hidden and raw not in (None, ""):
                    yield from self._of_link(link["href"], known | {*labels.values()})
            if raw is None or is_hidden:
                continue
            key = _key(raw)
            if key in mapped:
                self.counts["mapped values"] += 1
                if text != mapped[key]["text"]:
                    yield f"{name} {raw!r} is shown as {text!r}"
                if mapped[key]["color"] not in ("", cell["color"]):
                    yield f"{name} {raw!r} has the colour {cell['color']}"
            elif name in ("site", "home_site", "Site") and raw in self._sites:
                if panel.kind == "table":
                    yield f"{name} shows the id {raw!r}, not {self._sites[raw]!r}"
            elif isinstance(raw, str) and text == raw and panel.kind in OF_ROWS:
                expected = self._texts.get(name, {}).get(raw)
                if expected is not None and title != "Id":
                    yield f"{name} shows the key {raw!r}, not {expected!r}"
            elif mapped and panel.kind == "state-timeline":
                yield f"{name} {raw!r} has no text"

    def _of_link(
        self, href: str, known_values: frozenset[str] | None = None
    ) -> Iterator[str]:
        """`known_values`: those of the row or line, and what is chosen."""
        self.counts["links"] += 1
        if "${" in href or "$tag_" in href:
            yield f"a link is {href}"
            return
        parts = urlsplit(href)
        uid = parts.path.removeprefix("/d/")
        if uid not in self._variables:
            yield f"a link leads to {parts.path}"
            return
        query = parse_qsl(parts.query, keep_blank_values=True)
        names = {name for name, _ in query}
        if not {"from", "to"} <= names:
            yield f"a link to {uid} loses the time range"
        known = self._variables[uid]
        if {f"var-{name}" for name in _OF_ALERTS} <= names:
            known = known | _OF_ALERTS
        for name, value in query:
            variable = name.removeprefix("var-")
            if name == variable:
                continue
            if variable not in known:
                yield f"a link to {uid} sets {variable}, which it does not have"
            elif value in _NOTHING and value not in (known_values or ()):
                yield f"a link to {uid} sets {variable} to {value!r}"
            elif known_values is not None and value not in known_values:
                yield f"a link to {uid} sets {variable} to {value!r}, which is nowhere"


def _of_rows(panel: Panel, shown: Shown) -> Iterator[str]:
    """A table has all its columns, no others, and one row a subject. The figures of a
    query without any row have no column."""
    absent = _absent_titles(panel, shown)
    if unmatched := [title for title in shown["unmatched"] if title not in absent]:
        yield f"overrides match nothing: {', '.join(unmatched)}"
    tags = panel.targets[0].query.group_by
    if panel.grouped is not None:
        tags = panel.grouped.by
    for frame in shown["frames"]:
        titles = {field["title"]: field for field in frame["fields"]}
        for column in panel.columns.values():
            if column.title not in titles and column.title not in absent:
                yield f"the column {column.title!r} is missing"
        known = {column.title for column in panel.columns.values()}
        for title, field in titles.items():
            if title not in known and not _is_hidden(field) and panel.kind == "table":
                yield f"the column {title!r} is not wanted"
        keys = [field for field in frame["fields"] if field["name"] in tags]
        if keys:
            rows = [
                tuple(str(field["cells"][n]["raw"]) for field in keys)
                for n in range(len(keys[0]["cells"]))
            ]
            repeated = [row for row, count in Counter(rows).items() if count > 1]
            if repeated:
                yield f"several rows of {repeated[0]}"


def _absent_titles(panel: Panel, shown: Shown) -> set[str]:
    absent = {
        pick.name
        for n, target in enumerate(panel.targets)
        if ref_id(n) not in shown.get("answered", [ref_id(n)])
        for pick in target.query.picks
    }
    return {c.title for name, c in panel.columns.items() if name in absent}


def _chosen(variables: Sequence[Shown]) -> frozenset[str]:
    """Returns what is chosen on a board, and everything that may be."""
    values = {*_ALL}
    for variable in variables:
        value = variable.get("value", "")
        values |= {str(one) for one in (value if isinstance(value, list) else [value])}
        values |= {str(option["value"]) for option in variable.get("options", ())}
    return frozenset(values)


def _is_hidden(field: Shown) -> bool:
    return bool(field["custom"].get("hidden"))


def _key(raw: Any) -> str:
    if isinstance(raw, float) and raw.is_integer():
        return str(int(raw))
    return str(raw)


def _panels(document: Shown) -> Iterator[Shown]:
    for panel in document["panels"]:
        if panel["type"] == "row":
            yield from panel["panels"]
        else:
            yield panel


def _texts_of_keys(boards: Sequence[Board]) -> dict[str, dict[str, str]]:
    """Column or tag → key → its text, of all keys that a board has words for."""
    found: dict[str, dict[str, str]] = {}
    for board in boards:
        for panel in board.panels:
            for name, column in panel.columns.items():
                for key, (text, _) in column.value_texts.items():
                    if isinstance(key, str) and key != text and not column.hidden:
                        found.setdefault(name, {})[key] = text
            for target in panel.targets:
                for tag in target.query.group_by:
                    if re.search(rf"\$tag_{tag}\b", target.legend):
                        for key, (text, _) in panel.line_texts.items():
                            if key != text:
                                found.setdefault(tag, {}).setdefault(key, text)
    return found
