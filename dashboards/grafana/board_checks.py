"""Holds boards against the catalogue: as values, and as the JSON files made of them.

Every finding is one sentence: file or board, panel, name, did you mean.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from collectors.store.query import check as check_query
from dashboards.grafana.board import PERSONAL, Board, Panel, PanelQuery
from probes.wire.catalogue import Catalogue, Measurement, Misfit, UnknownName

_FROM = re.compile(r'\bFROM\s+"((?:[^"\\]|\\.)*)"', re.IGNORECASE)
_FIELD = re.compile(r'\b[a-z]+\(\s*"((?:[^"\\]|\\.)*)"', re.IGNORECASE)
_BY_TIME = re.compile(r"\bGROUP\s+BY\b.*\btime\s*\(", re.IGNORECASE | re.DOTALL)
_ALIAS = re.compile(r'\bAS\s+"((?:[^"\\]|\\.)*)"', re.IGNORECASE)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_LITERAL = re.compile(r"'(?:[^'\\]|\\.)*'|=~\s*/(?:[^/\\]|\\.)*/")


def check_boards(boards: Sequence[Board], catalogue: Catalogue) -> list[str]:
    """What is wrong with the boards as values; empty where nothing is."""
    found = _twice([board.uid for board in boards], "uid")
    found += _twice([board.title for board in boards], "title")
    for board in boards:
        where = f"board {board.title!r}"
        found += _twice([p.title for p in board.panels], f"panel title in {where}")
        if not board.description:
            found.append(f"{where} has no description")
        for panel in board.panels:
            at = f"{where}, panel {panel.title!r}"
            if not panel.description:
                found.append(f"{at} has no description")
            if not panel.unit:
                found.append(f"{at} has no unit")
            if not panel.targets:
                found.append(f"{at} asks nothing")
            for target in panel.targets:
                query = target.query
                try:
                    check_query(query, catalogue)
                    declared = catalogue.measurement(query.measurement)
                    for tag in target.variables:
                        declared.tag(tag)
                except (Misfit, UnknownName) as misfit:
                    found.append(f"{at}: {misfit}")
                    continue
                found += _belongs(at, query.measurement, board.personal, catalogue)
                found += _ambiguous(at, target, board, declared)
            found += _hidden_states(at, panel)
        for variable in board.variables:
            at = f"{where}, variable {variable.name!r}"
            try:
                declared = catalogue.measurement(variable.measurement)
                for tag in (variable.tag, *variable.within):
                    declared.tag(tag)
            except UnknownName as unknown:
                found.append(f"{at}: {unknown}")
                continue
            found += _belongs(at, variable.measurement, board.personal, catalogue)
            known = {each.name for each in board.variables}
            found += [
                f"{at} is narrowed by {name!r}, which the board does not have"
                for name in variable.within.values()
                if name not in known
            ]
    return found


def check_folder(folder: Path, catalogue: Catalogue) -> list[str]:
    """What is wrong with every dashboard (`*.json`) in `folder` and below it."""
    found: list[str] = []
    uids: dict[str, Path] = {}
    titles: dict[tuple[Path, str], Path] = {}
    paths = sorted(folder.rglob("*.json"))
    if not paths:
        return [f"{folder}: there is no dashboard (*.json)"]
    for path in paths:
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            found.append(f"{path}: is not JSON: {error}")
            continue
        if not isinstance(document, dict) or "panels" not in document:
            found.append(f"{path}: is not a dashboard: it has no panels")
            continue
        uid, title = str(document.get("uid") or ""), str(document.get("title") or "")
        if not uid:
            found.append(f"{path}: has no uid")
        elif uid in uids:
            found.append(f"{path}: uid {uid!r} is already that of {uids[uid]}")
        uids.setdefault(uid, path)
        place = (path.parent, title)
        if place in titles:
            found.append(f"{path}: title {title!r} is already that of {titles[place]}")
        titles.setdefault(place, path)
        found += list(_document(path, document, catalogue))
    return found


def _document(
    path: Path, document: dict[str, Any], catalogue: Catalogue
) -> Iterator[str]:
    for panel in _flat(document.get("panels", [])):
        if panel.get("type") in ("row", "text"):
            continue
        where = f"{path}, panel {panel.get('title') or panel.get('id')!r}"
        defaults = panel.get("fieldConfig", {}).get("defaults", {})
        if not panel.get("description"):
            yield f"{where}: has no description"
        if not defaults.get("unit"):
            yield f"{where}: has no unit"
        yield from _colours(where, panel, catalogue)
        for target in panel.get("targets", ()):
            yield from _asked(where, target, panel, catalogue)
            query = str(target.get("query"))
            if panel.get("type") == "table" and _BY_TIME.search(query):
                yield (
                    f"{where}: is a table grouped by time, so each subject has a row "
                    "per interval; leave time() out of GROUP BY"
                )
    for variable in document.get("templating", {}).get("list", ()):
        if variable.get("type") == "query":
            where = f"{path}, variable {variable.get('name')!r}"
            yield from _asked(where, variable, variable, catalogue)
    for mark in document.get("annotations", {}).get("list", ()):
        if mark.get("query"):
            where = f"{path}, annotation {mark.get('name')!r}"
            yield from _asked(where, mark, mark, catalogue)


def _colours(where: str, panel: dict[str, Any], catalogue: Catalogue) -> Iterator[str]:
    """With threshold colours Grafana merges the states of a timeline by threshold and
    ignores their words: one step paints every state alike."""
    if panel.get("type") not in ("state-timeline", "status-history"):
        return
    config = panel.get("fieldConfig", {})
    shared = config.get("defaults", {})
    kinds = [("", shared)]
    for override in config.get("overrides", ()):
        own = {each["id"]: each.get("value") for each in override.get("properties", ())}
        if {"color", "mappings"} & own.keys():
            name = override.get("matcher", {}).get("options")
            kinds.append((f" for {name!r}", {**shared, **own}))
    has_texts = _asks_for_text(panel, catalogue)
    for about, settings in kinds:
        mode = (settings.get("color") or {}).get("mode")
        if mode == "thresholds" and (settings.get("mappings") or has_texts):
            yield (
                f"{where}: is a state timeline of words with threshold colours{about}, "
                "so an outage may not show; expected color mode 'palette-classic'"
            )


def _asks_for_text(panel: dict[str, Any], catalogue: Catalogue) -> bool:
    texts = {
        field.name for each in catalogue for field in each.fields if field.type == "str"
    }
    return any(
        texts & set(_FIELD.findall(str(target.get("query"))))
        for target in panel.get("targets", ())
    )


def _flat(panels: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for panel in panels:
        yield panel
        yield from _flat(panel.get("panels") or ())


def _asked(
    where: str, asks: dict[str, Any], around: dict[str, Any], catalogue: Catalogue
) -> Iterator[str]:
    """Findings about one InfluxQL text. What Towpath does not write is not judged
    beyond its names: measurement, fields inside functions, the rest as tags."""
    query = asks.get("query")
    if not isinstance(query, str):
        yield f"{where}: has no InfluxQL text as its query"
        return
    source = asks.get("datasource") or around.get("datasource") or {}
    uid = source.get("uid", "") if isinstance(source, dict) else str(source)
    bare = _LITERAL.sub(" ", query)
    for measurement in _FROM.findall(bare) or [""]:
        try:
            declared = catalogue.measurement(measurement)
        except UnknownName as unknown:
            yield f"{where}: {unknown}"
            return
        if declared.personal != (uid == PERSONAL):
            yield (
                f"{where}: {measurement!r} is about one laptop and may only be asked "
                f"of the data source {PERSONAL!r}"
                if declared.personal
                else f"{where}: {measurement!r} does not lie in {PERSONAL!r}"
            )
        rest = _ALIAS.sub(" ", _FROM.sub(" ", bare))
        fields, own = set(_FIELD.findall(rest)), set(_ALIAS.findall(bare))
        for name in sorted(fields - own):
            try:
                declared.field(name)
            except UnknownName as unknown:
                yield f"{where}: {unknown}"
        for name in sorted(set(_QUOTED.findall(rest)) - fields - own):
            if any(name == field.name for field in declared.fields):
                # Calculated with, in a query within the query.
                continue
            try:
                declared.tag(name)
            except UnknownName as unknown:
                yield f"{where}: {unknown}"


# Tags that follow from the subject, so that they need not be asked for.
_FOLLOWING = frozenset({"site", "role", "supplier", "severity"})


def _ambiguous(
    where: str, target: PanelQuery, board: Board, declared: Measurement
) -> Iterator[str]:
    """`last` of several subjects is the value of any one of them: each tag has to be
    grouped by, or narrowed to one value."""
    query = target.query
    if all(pick.aggregate != "last" for pick in query.picks):
        return
    single = {variable.name for variable in board.variables if not variable.several}
    fixed = {
        *_FOLLOWING,
        *query.group_by,
        *(each.tag for each in query.where if len(each.values) == 1),
        *(tag for tag, name in target.variables.items() if name in single),
    }
    for tag in declared.tags:
        if tag.name not in fixed:
            yield (
                f"{where}: takes the last value of {query.measurement!r} over every "
                f"{tag.name!r}, which is that of any one; group by {tag.name!r}"
            )


def _hidden_states(where: str, panel: Panel) -> Iterator[str]:
    """A state shorter than an interval has to show: the worst of it is drawn."""
    if panel.kind != "state-timeline":
        return
    if not panel.words:
        yield f"{where}: is a state timeline without words for its states"
    for target in panel.targets:
        for pick in target.query.picks:
            if pick.aggregate not in ("min", "max"):
                yield (
                    f"{where}: draws {pick.aggregate} of {pick.field!r}, which hides "
                    "what is shorter than an interval; expected min or max"
                )


def _belongs(
    where: str, measurement: str, personal: bool, catalogue: Catalogue
) -> list[str]:
    is_personal = catalogue.measurement(measurement).personal
    if is_personal and not personal:
        return [
            f"{where}: {measurement!r} is about one laptop and may not be on a shared "
            "board; ask 'experience' for groups large enough"
        ]
    if personal and not is_personal:
        return [f"{where}: {measurement!r} does not lie in the personal database"]
    return []


def _twice(names: list[str], what: str) -> list[str]:
    return [
        f"{what} {name!r} is there {names.count(name)} times"
        for name in dict.fromkeys(names)
        if names.count(name) > 1
    ]
