"""Checks boards against the catalogue: as values, and as JSON files.

Every finding is one sentence: file or board, panel, name, "did you mean".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from collectors.store.query import check_query as check_query
from collectors.store.rolled_measurements import (
    rolled_fields,
    rolled_name,
    rolled_steps,
)
from dashboards.grafana.board import PERSONAL, Board, Panel, PanelQuery
from probes.wire.catalogue import Catalogue, Measurement, Misfit, UnknownName

_FROM = re.compile(r'\bFROM\s+"((?:[^"\\]|\\.)*)"', re.IGNORECASE)
_FIELD = re.compile(r'\b[a-z]+\(\s*"((?:[^"\\]|\\.)*)"', re.IGNORECASE)
_BY_TIME = re.compile(r"\bGROUP\s+BY\b.*\btime\s*\(", re.IGNORECASE | re.DOTALL)
_ALIAS = re.compile(r'\bAS\s+"((?:[^"\\]|\\.)*)"', re.IGNORECASE)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_LITERAL = re.compile(r"'(?:[^'\\]|\\.)*'|=~\s*/(?:[^/\\]|\\.)*/")


def check_boards(boards: Sequence[Board], catalogue: Catalogue) -> list[str]:
    """Returns every error in the boards as values."""
    errors = _duplicates([board.uid for board in boards], "uid")
    errors += _duplicates([board.title for board in boards], "title")
    for board in boards:
        where = f"board {board.title!r}"
        errors += _duplicates(
            [p.title for p in board.panels], f"panel title in {where}"
        )
        if not board.description:
            errors.append(f"{where} has no description")
        for panel in board.panels:
            at = f"{where}, panel {panel.title!r}"
            if not panel.description:
                errors.append(f"{at} has no description")
            if panel.kind == "text":
                continue
            if not panel.unit:
                errors.append(f"{at} has no unit")
            if not panel.targets:
                errors.append(f"{at} has no query")
            for target in panel.targets:
                query = target.query
                try:
                    check_query(query, catalogue)
                    declared = catalogue.measurement(query.measurement)
                    for tag in target.variables:
                        declared.tag(tag)
                except (Misfit, UnknownName) as misfit:
                    errors.append(f"{at}: {misfit}")
                    continue
                errors += _database_errors(
                    at, query.measurement, board.personal, catalogue
                )
                errors += _ambiguous_last(at, target, board, declared)
            errors += _hidden_states(at, panel)
        for variable in board.variables:
            at = f"{where}, variable {variable.name!r}"
            if variable.kind != "query" or variable.influxql:
                continue
            try:
                declared = catalogue.measurement(variable.measurement)
                for tag in (variable.tag, *variable.within):
                    declared.tag(tag)
            except UnknownName as unknown:
                errors.append(f"{at}: {unknown}")
                continue
            errors += _database_errors(
                at, variable.measurement, board.personal, catalogue
            )
            known = {variable.name for variable in board.variables}
            errors += [
                f"{at} is narrowed by {name!r}, which the board does not have"
                for name in variable.within.values()
                if name not in known
            ]
    return errors


def check_folder(folder: Path, catalogue: Catalogue) -> list[str]:
    """Returns every error in the dashboards (`*.json`) in `folder` and below it."""
    errors: list[str] = []
    uids: dict[str, Path] = {}
    titles: dict[tuple[Path, str], Path] = {}
    paths = sorted(folder.rglob("*.json"))
    if not paths:
        return [f"{folder}: there is no dashboard (*.json)"]
    for path in paths:
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            errors.append(f"{path}: is not JSON: {error}")
            continue
        if not isinstance(document, dict) or "panels" not in document:
            errors.append(f"{path}: is not a dashboard: it has no panels")
            continue
        uid, title = str(document.get("uid") or ""), str(document.get("title") or "")
        if not uid:
            errors.append(f"{path}: has no uid")
        elif uid in uids:
            errors.append(f"{path}: uid {uid!r} is already that of {uids[uid]}")
        uids.setdefault(uid, path)
        place = (path.parent, title)
        if place in titles:
            errors.append(f"{path}: title {title!r} is already that of {titles[place]}")
        titles.setdefault(place, path)
        errors += list(_dashboard_errors(path, document, catalogue))
    return errors


def _dashboard_errors(
    path: Path, document: dict[str, Any], catalogue: Catalogue
) -> Iterator[str]:
    for panel in _all_panels(document.get("panels", [])):
        if panel.get("type") in ("row", "text"):
            continue
        where = f"{path}, panel {panel.get('title') or panel.get('id')!r}"
        defaults = panel.get("fieldConfig", {}).get("defaults", {})
        if not panel.get("description"):
            yield f"{where}: has no description"
        if not defaults.get("unit"):
            yield f"{where}: has no unit"
        yield from _colour_errors(where, panel, catalogue)
        for target in panel.get("targets", ()):
            yield from _query_errors(where, target, panel, catalogue)
            query = str(target.get("query"))
            outer = _without_subqueries(query)
            if panel.get("type") == "table" and _BY_TIME.search(outer):
                yield (
                    f"{where}: is a table grouped by time, so each subject has a row "
                    "per interval; leave time() out of GROUP BY"
                )
    for variable in document.get("templating", {}).get("list", ()):
        if variable.get("type") == "query":
            where = f"{path}, variable {variable.get('name')!r}"
            yield from _query_errors(where, variable, variable, catalogue)
    for mark in document.get("annotations", {}).get("list", ()):
        if mark.get("query"):
            where = f"{path}, annotation {mark.get('name')!r}"
            yield from _query_errors(where, mark, mark, catalogue)


def _colour_errors(
    where: str, panel: dict[str, Any], catalogue: Catalogue
) -> Iterator[str]:
    """With threshold colours, Grafana merges the states of a timeline by threshold and
    ignores their value texts: one step gives every state the same colour."""
    if panel.get("type") not in ("state-timeline", "status-history"):
        return
    config = panel.get("fieldConfig", {})
    shared = config.get("defaults", {})
    kinds = [("", shared)]
    for override in config.get("overrides", ()):
        own = {item["id"]: item.get("value") for item in override.get("properties", ())}
        if {"color", "mappings"} & own.keys():
            name = override.get("matcher", {}).get("options")
            kinds.append((f" for {name!r}", {**shared, **own}))
    has_texts = _queries_text(panel, catalogue)
    for about, settings in kinds:
        mode = (settings.get("color") or {}).get("mode")
        if mode == "thresholds" and (settings.get("mappings") or has_texts):
            yield (
                f"{where}: is a state timeline of texts with threshold colours{about}, "
                "so an outage may not show; expected color mode 'palette-classic'"
            )


def _queries_text(panel: dict[str, Any], catalogue: Catalogue) -> bool:
    texts = {
        field.name
        for measurement in catalogue
        for field in measurement.fields
        if field.type == "str"
    }
    return any(
        texts & set(_FIELD.findall(str(target.get("query"))))
        for target in panel.get("targets", ())
    )


def _all_panels(panels: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for panel in panels:
        yield panel
        yield from _all_panels(panel.get("panels") or ())


def _query_errors(
    where: str, holder: dict[str, Any], parent: dict[str, Any], catalogue: Catalogue
) -> Iterator[str]:
    """Errors in one InfluxQL text. Only names are checked: the measurement, fields
    inside functions, and everything else as tags."""
    query = holder.get("query")
    if not isinstance(query, str):
        yield f"{where}: has no InfluxQL text as its query"
        return
    source = holder.get("datasource") or parent.get("datasource") or {}
    uid = source.get("uid", "") if isinstance(source, dict) else str(source)
    bare = _LITERAL.sub(" ", query)
    for measurement in _FROM.findall(bare) or [""]:
        try:
            declared = _declared(measurement, catalogue)
        except UnknownName as unknown:
            yield f"{where}: {unknown}"
            return
        # A query may read rows for short ranges and roll-ups for long ones.
        parts = rolled_fields(declared) if rolled_steps(declared) else ()
        rolled = {part.name for part in parts}
        if declared.personal != (uid == PERSONAL):
            yield (
                f"{where}: {measurement!r} is about one laptop and may only be queried "
                f"from the data source {PERSONAL!r}"
                if declared.personal
                else f"{where}: {measurement!r} is not in {PERSONAL!r}"
            )
        rest = _ALIAS.sub(" ", _FROM.sub(" ", bare))
        fields, own = set(_FIELD.findall(rest)), set(_ALIAS.findall(bare))
        for name in sorted(fields - own - rolled):
            try:
                declared.field(name)
            except UnknownName as unknown:
                yield f"{where}: {unknown}"
        for name in sorted(set(_QUOTED.findall(rest)) - fields - own):
            if any(name == field.name for field in declared.fields):
                # Used for a calculation, in a query within the query.
                continue
            try:
                declared.tag(name)
            except UnknownName as unknown:
                yield f"{where}: {unknown}"


def _without_subqueries(query: str) -> str:
    """Returns InfluxQL without what is in `(SELECT …)`."""
    outer, depth, opened = [], 0, []
    for at, sign in enumerate(query):
        if sign == "(":
            depth += 1
            if query[at + 1 : at + 7].upper() == "SELECT":
                opened.append(depth)
        if not opened:
            outer.append(sign)
        if sign == ")":
            if opened and opened[-1] == depth:
                opened.pop()
            depth -= 1
    return "".join(outer)


def _declared(name: str, catalogue: Catalogue) -> Measurement:
    """Returns the measurement of that name, or the one that is rolled up as it. Raises
    `UnknownName`."""
    for declared in catalogue:
        if name in {
            rolled_name(declared.name, step) for step in rolled_steps(declared)
        }:
            return declared
    return catalogue.measurement(name)


# Tags that follow from the subject, so no query needs to group by them.
_IMPLIED = frozenset({"site", "role", "supplier", "severity"})


def _ambiguous_last(
    where: str, target: PanelQuery, board: Board, declared: Measurement
) -> Iterator[str]:
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
    }
    for tag in declared.tags:
        if tag.name not in fixed:
            yield (
                f"{where}: takes the last value of {query.measurement!r} over every "
                f"{tag.name!r}, which is that of any one; group by {tag.name!r}"
            )


def _hidden_states(where: str, panel: Panel) -> Iterator[str]:
    """A state shorter than an interval must show, so the worst of it is drawn."""
    if panel.kind != "state-timeline":
        return
    if not panel.value_texts:
        yield f"{where}: is a state timeline without texts for its states"
    for target in panel.targets:
        for pick in target.query.picks:
            if pick.aggregate not in ("min", "max"):
                yield (
                    f"{where}: draws {pick.aggregate} of {pick.field!r}, which hides "
                    "what is shorter than an interval; expected min or max"
                )


def _database_errors(
    where: str, measurement: str, personal: bool, catalogue: Catalogue
) -> list[str]:
    is_personal = catalogue.measurement(measurement).personal
    if is_personal and not personal:
        return [
            f"{where}: {measurement!r} is about one laptop and may not be on a shared "
            "board; use 'experience' for groups large enough"
        ]
    if personal and not is_personal:
        return [f"{where}: {measurement!r} is not in the personal database"]
    return []


def _duplicates(names: list[str], what: str) -> list[str]:
    return [
        f"{what} {name!r} is used {names.count(name)} times"
        for name in dict.fromkeys(names)
        if names.count(name) > 1
    ]
