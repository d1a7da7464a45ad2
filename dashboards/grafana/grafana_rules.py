"""Towpath's rules as Grafana alert rules, as far as Grafana can express them. Pure.

They are exported paused: Towpath's own engine sends pages, and two engines must not
page for one fault. The exception watches Towpath itself, because a dead monitor cannot.

A rule is exported only if it fires for the same subjects at the same time in both
(`tests/test_grafana_rules_agree.py` evaluates both on the same rows). What Grafana has
no word for, for any rule, is in the head of the file: `DIFFERENCES`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, cast

from alerts.rule import Rule
from alerts.rule_export import (
    UnsupportedRule,
    has_other_series,
    rules_void_while_cut_off,
)
from alerts.window import FORGET_MS, reach_ms
from collectors.server_measurements import CATALOGUE
from collectors.store.query import Aggregate, Pick, Query, Where
from dashboards.grafana.board import Board
from dashboards.grafana.grafana_rule_nodes import (
    condition_nodes,
    math_node,
    query_node,
    reduce_node,
)
from dashboards.grafana.grafana_rule_texts import (
    VALUE_REF,
    grafana_text,
    value_expression,
)
from dashboards.grafana.provisioning import CONTACT
from dashboards.grafana.rule_panels import graph_of, panel_of
from dashboards.grafana_config import GrafanaConfig

# Grafana 9 does not know this value and would not start.
KEEP_LAST_SINCE = 12
NOTIFICATION_SETTINGS_SINCE = 11
WATCHDOG_UID = "towpath-watch"
# All `for` and `keepFiringFor` are multiples of this, so neither engine rounds them.
INTERVAL_MS = 30_000
DIFFERENCES = (
    "Towpath counts its `hold` from the first bad row, and Grafana from the last time "
    "that it began: what comes and goes within `hold` may fire later here.",
    "Towpath keeps an alert firing that starts three times in a quarter of an hour, "
    "and suppresses what another alert explains.",
    "Towpath forgets what had not fired yet if its rows stop, and Grafana remembers it "
    "until they are back.",
    "Grafana before 10.4 has no recovery thresholds, before 11.6 no keepFiringFor, and "
    "before 12 it ends an alert whose rows stop: there an alert may end earlier.",
)


def rules_document(
    rules: Iterable[Rule], boards: Sequence[Board], config: GrafanaConfig
) -> tuple[dict[str, Any], list[UnsupportedRule]]:
    """Returns the provisioning file of alert rules, and the rules left out."""
    exported: list[dict[str, Any]] = []
    unsupported: list[UnsupportedRule] = []
    rules = tuple(rules) if config.export_rules else ()
    void_rules = rules_void_while_cut_off(rules)
    for rule in rules:
        why = why_unsupported(rule)
        if why:
            unsupported.append(UnsupportedRule(rule.id, why))
        else:
            exported.append(_rule(rule, boards, config, rule.id in void_rules))
    groups = [_group(config, "Towpath itself", [watchdog_rule(config, boards)])]
    if exported:
        groups.append(_group(config, "Towpath rules", exported))
    return {"apiVersion": 1, "groups": groups}, unsupported


def why_unsupported(rule: Rule) -> str:
    """Returns why Grafana cannot express `rule`; empty if it can."""
    if rule.function:
        return f"it uses the Python function {rule.function!r}"
    if not rule.when:
        return "it is about silence, and a series that ends raises nothing in Grafana"
    if rule.across == "all" or rule.least > 1 or has_other_series(rule):
        return "it compares several rows of one subject"
    if any(condition.aggregate == "rise" for condition in rule.when):
        return "it follows a counter across restarts"
    if rule.measurement == "event":
        return (
            "a device reports an event once, and Grafana needs a row at each evaluation"
        )
    if any(condition.aggregate != "last" for condition in rule.when):
        return (
            "its figure is of the rows up to the newest one, and Grafana's windows end "
            "at the evaluation"
        )
    if any(condition.sure for condition in rule.when):
        return "it weighs a ratio by how many it is of"
    if any(condition.missing is not None for condition in rule.when):
        return "it also applies to rows that lack the field that it compares"
    if rule.absent == "clear":
        return (
            "a row without the field ends it, and Grafana cannot tell that from silence"
        )
    return ""


def condition_queries(rule: Rule) -> list[Query]:
    """Returns one query per condition, of the time in which a row counts as current."""
    measurement = CATALOGUE.measurement(rule.measurement)
    where = [Where(tag, values) for tag, values in rule.where.items()]
    tags = {tag.name for tag in measurement.tags}
    if "site" in tags:
        where += [Where("site", rule.sites)] if rule.sites else []
        where += [Where("site", rule.not_sites, negate=True)] if rule.not_sites else []
    extra = ("site",) if "site" in tags and "site" not in rule.subject else ()
    reach = reach_ms(rule, CATALOGUE)
    # If nobody makes calls there is a count of calls (0), but no share of poor ones. So
    # the last condition decides whether there are rows, and the others are read for as
    # long as an alert lasts without rows.
    windows = [FORGET_MS] * (len(rule.when) - 1) + [reach]
    return [
        Query(
            rule.measurement,
            (Pick(condition.field, cast("Aggregate", condition.aggregate)),),
            0,
            window_ms,
            tuple(where),
            (*rule.subject, *extra),
        )
        for condition, window_ms in zip(rule.when, windows, strict=True)
    ]


def watchdog_rule(
    config: GrafanaConfig, boards: Sequence[Board] = ()
) -> dict[str, Any]:
    """Returns the rule that fires if Towpath has written nothing about itself for
    five minutes, or if there is no data at all."""
    query = Query("self_journal", (Pick("bytes", "count"),), 0, 300_000)
    rule = {
        "uid": WATCHDOG_UID,
        "title": "Towpath has stopped reporting",
        "condition": "C",
        "for": "2m",
        "noDataState": "Alerting",
        "execErrState": "Alerting",
        "isPaused": False,
        "labels": {"severity": "critical", "towpath": "itself"},
        "annotations": {
            "summary": "Towpath has written nothing for five minutes",
            "description": "Nothing is being monitored. Check the service (systemctl "
            "status towpath), its journal's disk, and that InfluxDB accepts writes.",
        },
        "data": [
            query_node("A", query),
            reduce_node("B", "A"),
            math_node("C", "$B < 1"),
        ],
    }
    panel = graph_of("self_journal", "bytes", boards)
    if panel is not None:
        rule["dashboardUid"], rule["panelId"] = panel
    contact = config.contact_email or config.contact_webhook
    if contact and config.target >= NOTIFICATION_SETTINGS_SINCE:
        rule["notification_settings"] = {"receiver": CONTACT}
    return rule


def _group(
    config: GrafanaConfig, name: str, rules: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "orgId": config.organisation,
        "name": name,
        "folder": config.folder,
        "interval": _duration(INTERVAL_MS),
        "rules": rules,
    }


def _rule(
    rule: Rule,
    boards: Sequence[Board],
    config: GrafanaConfig,
    void_while_cut_off: bool = False,
) -> dict[str, Any]:
    queries = condition_queries(rule)
    labels = queries[0].group_by
    data: list[dict[str, Any]] = []
    for n, query in enumerate(queries, 1):
        data += [query_node(f"A{n}", query), reduce_node(f"B{n}", f"A{n}")]
    others = []
    if void_while_cut_off:
        # If there are several pollers, all must be cut off.
        cut_off = Query("self_poll", (Pick("cut_off", "min"),), 0, 180_000)
        data += [query_node("O", cut_off), reduce_node("P", "O")]
        others = ["$P < 1"]
    data.append(math_node(VALUE_REF, value_expression(rule, "B1")))
    data += condition_nodes(
        [(f"B{n}", condition) for n, condition in enumerate(rule.when, 1)], others
    )
    keeps_last = config.target >= KEEP_LAST_SINCE
    exported: dict[str, Any] = {
        "uid": uid_of(rule),
        "title": rule.title + _site_suffix(rule),
        "condition": "C",
        "for": _duration(rule.page_after_ms),
        "noDataState": "KeepLast" if keeps_last else "OK",
        "execErrState": "KeepLast" if keeps_last else "Error",
        # Without rows an alert is neither over nor new, for a day.
        "missing_series_evals_to_resolve": FORGET_MS // INTERVAL_MS,
        "isPaused": True,
        "labels": {"severity": rule.severity, "rule": rule.id, "towpath": "rule"},
        "annotations": {
            "summary": grafana_text(rule.summary, rule, labels),
            "description": grafana_text(
                f"{rule.cause} {rule.runbook}".strip(), rule, labels
            ),
        },
        "data": data,
    }
    if rule.keep_for:
        exported["keepFiringFor"] = _duration(rule.keep_for)
    panel = panel_of(rule, boards)
    if panel is not None:
        exported["dashboardUid"], exported["panelId"] = panel
    return exported


def uid_of(rule: Rule) -> str:
    """Returns a stable id of at most 40 characters; variants for some sites differ."""
    name = f"towpath-{rule.id}".replace("_", "-")
    if len(name) <= 40 and not rule.sites and not rule.not_sites:
        return name
    whole = f"{rule.id}/{rule.sites}/{rule.not_sites}"
    return f"{name[:31]}-{hashlib.sha256(whole.encode()).hexdigest()[:8]}"


def _site_suffix(rule: Rule) -> str:
    if rule.sites:
        return f" ({', '.join(rule.sites)})"
    return f" (not {', '.join(rule.not_sites)})" if rule.not_sites else ""


def _duration(ms: int) -> str:
    return f"{-(-ms // 1000)}s"
