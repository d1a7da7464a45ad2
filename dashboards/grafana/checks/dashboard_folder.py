"""Checks a folder of dashboards, such as a council's own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dashboards.grafana.boards import BOARDS
from dashboards.grafana.checks.dashboard_checks import check_dashboard
from dashboards.grafana.checks.dashboard_document import (
    DashboardDocument,
    Json,
    mapping,
    read_dashboard,
    text,
)
from dashboards.grafana.checks.dashboard_v2 import classic_of, is_v2
from dashboards.grafana.checks.finding import Finding
from dashboards.grafana.checks.query_checks import shown
from probes.wire.catalogue import Catalogue

MAX_BYTES = 16 << 20


class _NotADashboardError(ValueError):
    """A file that is not a dashboard; the text is why."""


def check_folder(folder: Path, catalogue: Catalogue) -> list[Finding]:
    """Returns every fault of the dashboards (`*.json`) in `folder` and below it."""
    findings: list[Finding] = []
    dashboards: list[tuple[Path, DashboardDocument]] = []
    paths = sorted(folder.rglob("*.json"))
    if not paths:
        return [Finding("file", str(folder), "there is no dashboard (*.json)")]
    for path in paths:
        try:
            document = _classic(_load(path))
        except _NotADashboardError as error:
            findings.append(Finding("file", str(path), str(error)))
        else:
            dashboards.append((path, read_dashboard(str(path), document)))
    findings += _check_names_of_boards(dashboards)
    boards = {board.uid: frozenset(v.name for v in board.variables) for board in BOARDS}
    boards |= {board.uid: frozenset(board.variables) for _, board in dashboards}
    for _, dashboard in dashboards:
        findings += dict.fromkeys(check_dashboard(dashboard, catalogue, boards))
    return findings


def _load(path: Path) -> Json:
    try:
        size = path.stat().st_size
        if not path.is_file():
            # A pipe would never end.
            raise _NotADashboardError("is not a file")
        if size > MAX_BYTES:
            raise _NotADashboardError(
                f"is {size / (1 << 20):.0f} MB, expected {MAX_BYTES >> 20} MB at most"
            )
        document: Any = json.loads(path.read_text(encoding="utf-8-sig"))
    except RecursionError:
        raise _NotADashboardError("is nested too deeply") from None
    except OSError as error:
        raise _NotADashboardError(
            f"cannot be read: {error.strerror or error}"
        ) from None
    except _NotADashboardError:
        raise
    except ValueError as error:
        raise _NotADashboardError(f"is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise _NotADashboardError("is not a dashboard: it is not an object")
    return document


def _classic(document: Json) -> Json:
    """Returns the classic JSON of a dashboard: alone, as Grafana's API returns it, as a
    resource of Grafana 12 and later, or of the schema v2."""
    version, uid = text(document.get("apiVersion")), ""
    if "spec" in document and "panels" not in document:
        if version and not version.startswith("dashboard.grafana.app/"):
            raise _NotADashboardError(f"is not a dashboard but of {shown(version)}")
        uid = text(mapping(document.get("metadata")).get("name"))
        document = mapping(document.get("spec"))
    elif "dashboard" in document and "panels" not in document:
        document = mapping(document.get("dashboard"))
    if is_v2(document):
        return classic_of(document, uid or text(document.get("uid")))
    if not isinstance(document.get("panels", document.get("rows")), list):
        raise _NotADashboardError("is not a dashboard: it has no panels")
    return {**document, "uid": document.get("uid") or uid}


def _check_names_of_boards(
    dashboards: list[tuple[Path, DashboardDocument]],
) -> Iterator[Finding]:
    uids: dict[str, Path] = {}
    titles: dict[tuple[Path, str], Path] = {}
    for path, board in dashboards:
        if not board.uid:
            yield Finding("file", str(path), "has no uid")
        elif board.uid in uids:
            text = f"uid {shown(board.uid)} is already that of {uids[board.uid]}"
            yield Finding("file", str(path), text)
        uids.setdefault(board.uid, path)
        place = (path.parent, board.title)
        if place in titles:
            text = f"title {shown(board.title)} is already that of {titles[place]}"
            yield Finding("file", str(path), text)
        titles.setdefault(place, path)
