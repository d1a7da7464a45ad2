"""Towpath's rules as Grafana alert rules, as far as Grafana can express them. Pure.

They are exported paused: Towpath's own engine sends pages, and two engines must not
page for one fault. The exception watches Towpath itself, because a dead monitor cannot.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from alerts.alert_text import GENERIC_VALUES, format_value, value_unit
from alerts.rule import Condition, Rule
from collectors.server_measurements import CATALOGUE
from collectors.store.influxql import Grafana, render
from collectors.store.query import Aggregate, Pick, Query, Where
from dashboards.grafana.board import SHARED, Board
from dashboards.grafana.grafana_config import GrafanaConfig
from dashboards.grafana.provisioning import CONTACT
from dashboards.grafana.rule_panels import panel_of
from dashboards.observed.blind_spans import CUT_OFF

# Grafana 9 does not know this value and would not start.
KEEP_LAST_SINCE = 12
NOTIFICATION_SETTINGS_SINCE = 11
WATCHDOG_UID = "towpath-watch"
_SIGNS = {">": ">", ">=": ">=", "<": "<", "<=": "<=", "==": "==", "!=": "!="}


@dataclass(frozen=True)
class UnsupportedRule:
    """A rule that Grafana cannot express, and why."""

    rule: str
    why: str


def rules_document(
    rules: Iterable[Rule], boards: Sequence[Board], config: GrafanaConfig
) -> tuple[dict[str, Any], list[UnsupportedRule]]:
    """Returns the provisioning file of alert rules, and the rules left out."""
    exported: list[dict[str, Any]] = []
    unsupported: list[UnsupportedRule] = []
    rules = tuple(rules) if config.export_rules else ()
    void_rules = _void_while_cut_off(rules)
    for rule in rules:
        why = why_unsupported(rule)
        if why:
            unsupported.append(UnsupportedRule(rule.id, why))
        else:
            exported.append(_rule(rule, boards, config, rule.id in void_rules))
    groups = [_group(config, "Towpath itself", [watchdog_rule(config)])]
    if exported:
        groups.append(_group(config, "Towpath rules", exported))
    return {"apiVersion": 1, "groups": groups}, unsupported


def _void_while_cut_off(rules: Iterable[Rule]) -> set[str]:
    """The rules that mean nothing while Towpath itself is cut off. In Grafana no rule
    can explain another, so each of them checks that itself."""
    return {
        effect
        for rule in rules
        if rule.id == CUT_OFF
        for explains in rule.explains
        for effect in explains.rules
    }


def why_unsupported(rule: Rule) -> str:
    """Returns why Grafana cannot express `rule`; empty if it can."""
    if rule.function:
        return f"it uses the Python function {rule.function!r}"
    if not rule.when:
        return "it is about silence, and a series that ends raises nothing in Grafana"
    if rule.across == "all" or rule.least > 1:
        return "it compares several rows of one subject"
    if any(condition.aggregate == "rise" for condition in rule.when):
        return "it follows a counter across restarts"
    if any(condition.missing is not None for condition in rule.when):
        return "it also applies to rows that lack the field that it compares"
    return ""


def condition_queries(rule: Rule) -> list[Query]:
    """Returns one query per condition, over the condition's own window."""
    measurement = CATALOGUE.measurement(rule.measurement)
    where = [Where(tag, values) for tag, values in rule.where.items()]
    tags = {tag.name for tag in measurement.tags}
    if "site" in tags:
        where += [Where("site", rule.sites)] if rule.sites else []
        where += [Where("site", rule.not_sites, negate=True)] if rule.not_sites else []
    extra = ("site",) if "site" in tags and "site" not in rule.subject else ()
    return [
        Query(
            rule.measurement,
            (Pick(condition.field, cast("Aggregate", condition.aggregate)),),
            0,
            _window_ms(condition, measurement.period_s),
            tuple(where),
            (*rule.subject, *extra),
        )
        for condition in rule.when
    ]


def watchdog_rule(config: GrafanaConfig) -> dict[str, Any]:
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
            _query_node("A", query),
            _reduce_node("B", "A"),
            _math_node("C", "$B < 1"),
        ],
    }
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
        "interval": "60s",
        "rules": rules,
    }


def _rule(
    rule: Rule,
    boards: Sequence[Board],
    config: GrafanaConfig,
    void_while_cut_off: bool = False,
) -> dict[str, Any]:
    data: list[dict[str, Any]] = []
    tests = []
    for n, (condition, query) in enumerate(
        zip(rule.when, condition_queries(rule), strict=True), 1
    ):
        data.append(_query_node(f"A{n}", query))
        data.append(_reduce_node(f"B{n}", f"A{n}"))
        tests.append(
            f"$B{n} {_SIGNS[condition.comparison]} {_number(condition.threshold)}"
        )
    if void_while_cut_off:
        # If there are several pollers, all must be cut off.
        cut_off = Query("self_poll", (Pick("cut_off", "min"),), 0, 180_000)
        data += [_query_node("O", cut_off), _reduce_node("P", "O")]
        tests.append("$P < 1")
    only = rule.when[0]
    if len(tests) == 1 and only.comparison in (">", "<"):
        data.append(_threshold_node("C", "B1", only))
    else:
        data.append(_math_node("C", " && ".join(tests)))
    exported: dict[str, Any] = {
        "uid": uid_of(rule),
        "title": rule.title + _site_suffix(rule),
        "condition": "C",
        "for": _duration(max(rule.page_after_ms, 60_000)),
        "noDataState": "OK",
        "execErrState": "KeepLast" if config.target >= KEEP_LAST_SINCE else "Error",
        "isPaused": True,
        "labels": {"severity": rule.severity, "rule": rule.id, "towpath": "rule"},
        "annotations": {
            "summary": _grafana_text(rule.summary, rule),
            "description": _grafana_text(f"{rule.cause} {rule.runbook}".strip(), rule),
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


def _query_node(ref: str, query: Query) -> dict[str, Any]:
    source = {"type": "influxdb", "uid": SHARED}
    return {
        "refId": ref,
        "relativeTimeRange": {"from": query.to_ms // 1000, "to": 0},
        "datasourceUid": SHARED,
        "model": {
            "refId": ref,
            "datasource": source,
            "rawQuery": True,
            "resultFormat": "time_series",
            "intervalMs": 60_000,
            "maxDataPoints": 43_200,
            "query": render(
                query, CATALOGUE.measurement(query.measurement), Grafana(interval="")
            ),
        },
    }


def _reduce_node(ref: str, of: str) -> dict[str, Any]:
    return _expression_node(
        ref,
        {
            "type": "reduce",
            "expression": of,
            "reducer": "last",
            "settings": {"mode": "dropNN"},
        },
    )


def _math_node(ref: str, expression: str) -> dict[str, Any]:
    return _expression_node(ref, {"type": "math", "expression": expression})


_ON_STATUS_PAGE = {
    "expected_why": "the reason is on Towpath's status page",
    "outcome": "the reason is on Towpath's status page",
    "text": "see Towpath's status page",
}


def _threshold_node(ref: str, of: str, condition: Condition) -> dict[str, Any]:
    kind, back = ("gt", "lt") if condition.comparison == ">" else ("lt", "gt")
    tested: dict[str, Any] = {
        "evaluator": {"type": kind, "params": [condition.threshold]}
    }
    if condition.clear is not None:
        tested["unloadEvaluator"] = {"type": back, "params": [condition.clear]}
    return _expression_node(
        ref, {"type": "threshold", "expression": of, "conditions": [tested]}
    )


def _expression_node(ref: str, model: dict[str, Any]) -> dict[str, Any]:
    source = {"type": "__expr__", "uid": "__expr__"}
    return {
        "refId": ref,
        "relativeTimeRange": {"from": 0, "to": 0},
        "datasourceUid": "__expr__",
        "model": {"refId": ref, "datasource": source, **model},
    }


def _window_ms(condition: Condition, period_s: int) -> int:
    # The latest value counts until it is more than two periods old.
    return condition.over or 3 * period_s * 1000


def _grafana_text(text: str, rule: Rule) -> str:
    """Replaces Towpath's placeholders by Grafana's; provisioning would swallow a `$`.
    If Grafana has no label for one, a general text replaces it."""
    labels = set(condition_queries(rule)[0].group_by)
    aliases = {
        "device_name": "device",
        "gateway_name": "gateway",
        # A group of laptops at a site is named after the site.
        "site_name": "site" if "site" in labels else "group",
    }

    def replacement(match: re.Match[str]) -> str:
        name = match[1]
        if name == "value":
            return _value_template('(index .Values "B1").Value', value_unit(rule))
        if name == "threshold" and rule.when:
            return format_value(rule.when[0].threshold, value_unit(rule))
        label = aliases.get(name, name)
        if label in labels:
            return "{{ .Labels." + label + " }}"
        plain_name = name.replace("_", " ")
        return _ON_STATUS_PAGE.get(name) or GENERIC_VALUES.get(name, plain_name)

    filled_in = re.sub(r"\{([a-z_]+)\}", replacement, text)
    return " ".join(filled_in.replace("$", "").split())


def _value_template(value: str, unit: str) -> str:
    """Returns the template by which Grafana writes `value` with its unit.

    It uses only functions that Grafana's alert templates share with Prometheus.
    """
    if unit == "ratio":
        return "{{ humanizePercentage " + value + " }}"
    if unit == "s":
        return "{{ humanizeDuration " + value + " }}"
    if unit in ("bit/s", "byte"):
        return "{{ humanize " + value + " }}" + {"byte": "B"}.get(unit, unit)
    digits = {"1": ".0f", "flag": ".0f", "packet": ".0f", "ms": ".0f", "d": ".0f"}
    words = {"1": "", "flag": "", "packet": "", "d": " days"}.get(unit, f" {unit}")
    return '{{ printf "%' + digits.get(unit, ".3g") + '" ' + value + " }}" + words


def _number(number: float) -> str:
    return f"{number:.10g}"


def _duration(ms: int) -> str:
    return f"{-(-ms // 1000)}s"
