"""The files generated for Grafana, parsed."""

from __future__ import annotations

import functools
import json
from typing import Any

from alerts import rule_files as alert_rules
from collectors.server_measurements import CATALOGUE
from dashboards.grafana import BOARDS, render_files
from dashboards.grafana.grafana_rules import rules_document
from dashboards.grafana_config import GrafanaConfig

RULES = alert_rules.load_rules(CATALOGUE)


def grafana_texts(**config: Any) -> dict[str, str]:
    return dict(_texts(tuple(sorted(config.items()))))


@functools.cache
def _texts(config: tuple[tuple[str, Any], ...]) -> dict[str, str]:
    return render_files(GrafanaConfig(**dict(config)), RULES)[0]


@functools.cache
def grafana_dashboard(uid: str, personal: bool = False) -> Any:
    """One board, parsed once: to read, not to change."""
    folder = "personal" if personal else "shared"
    return json.loads(grafana_texts(personal=True)[f"dashboards/{folder}/{uid}.json"])


def grafana_dashboards() -> dict[str, Any]:
    """The boards, parsed anew, so that a test may change them."""
    return {
        name: json.loads(text)
        for name, text in grafana_texts(personal=True).items()
        if name.endswith(".json")
    }


def all_panels(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The panels of a dashboard, with those inside collapsed rows."""
    return [
        panel
        for row in document["panels"]
        for panel in (row, *row.get("panels", ()))
        if panel["type"] != "row"
    ]


def collapsed_titles(document: Any) -> set[str]:
    """The titles of panels that nobody sees until their row is opened."""
    return {
        panel["title"]
        for row in document["panels"]
        if row.get("collapsed")
        for panel in row["panels"]
    }


def grafana_alerting(**config: Any) -> Any:
    """The exported rules, parsed once: to read, not to change."""
    return _alerting(tuple(sorted(config.items())))


@functools.cache
def _alerting(config: tuple[tuple[str, Any], ...]) -> Any:
    # Without boards and their checks, which take a second each time.
    document, _ = rules_document(RULES, BOARDS, GrafanaConfig(**dict(config)))
    return json.loads(json.dumps(document))
