"""Towpath's rules as Grafana alert rules, as far as Grafana can say them. Pure.

They are exported paused: Towpath's own engine pages, and two engines must not page for
one fault. The exception watches Towpath itself, as a dead monitor cannot.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from alerts.alert_text import GENERIC_VALUES, format_value, value_unit
from alerts.rule import Condition, Rule
from collectors.server_measurements import CATALOGUE
from collectors.store.influxql import Grafana, render
from collectors.store.query import Aggregate, Pick, Query, Where
from dashboards.grafana.board import SHARED, Board
from dashboards.grafana.classic import panel_ids
from dashboards.grafana.grafana_config import GrafanaConfig
from dashboards.grafana.provisioning import CONTACT
from dashboards.observed.blind_spans import CUT_OFF

# Grafana 9 does not know the word and would not start.
KEEP_LAST_SINCE = 12
NOTIFICATION_SETTINGS_SINCE = 11
WATCH_UID = "towpath-watch"
_SIGNS = {">": ">", ">=": ">=", "<": "<", "<=": "<=", "==": "==", "!=": "!="}


@dataclass(frozen=True)
class Left:
    """A rule that Grafana cannot say, and why."""

    rule: str
    why: str


def document(
    rules: Iterable[Rule], boards: Sequence[Board], config: GrafanaConfig
) -> tuple[dict[str, Any], list[Left]]:
    """The provisioning file of alert rules, and what had to be left out."""
    exported: list[dict[str, Any]] = []
    left: list[Left] = []
    rules = tuple(rules) if config.export_rules else ()
    doubtful = _doubtful(rules)
    for rule in rules:
        why = unsayable(rule)
        if why:
            left.append(Left(rule.id, why))
        else:
            exported.append(_rule(rule, boards, config, rule.id in doubtful))
    groups = [_group(config, "Towpath itself", [watch(config)])]
    if exported:
        groups.append(_group(config, "Towpath rules", exported))
    return {"apiVersion": 1, "groups": groups}, left


def _doubtful(rules: Iterable[Rule]) -> set[str]:
    """Rules that mean nothing while Towpath itself is cut off. Grafana has no rule that
    explains another, so each of them looks for that itself."""
    return {
        effect
        for rule in rules
        if rule.id == CUT_OFF
        for each in rule.explains
        for effect in each.rules
    }


def unsayable(rule: Rule) -> str:
    """Why Grafana cannot say `rule`; empty where it can."""
    if rule.function:
        return f"it is the function {rule.function!r}, which is Python"
    if not rule.when:
        return "it is about silence: a series that vanishes raises nothing in Grafana"
    if rule.across == "all" or rule.least > 1:
        return "it compares several rows of one subject"
    if any(condition.aggregate == "rise" for condition in rule.when):
        return "it counts the rise of a counter over restarts"
    if any(condition.missing is not None for condition in rule.when):
        return "it is also of rows without the field that it compares"
    return ""


def queries(rule: Rule) -> list[Query]:
    """One question a condition; over the condition's own window."""
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
            (Pick(condition.field, cast(Aggregate, condition.aggregate)),),
            0,
            _window_ms(condition, measurement.period_s),
            tuple(where),
            (*rule.subject, *extra),
        )
        for condition in rule.when
    ]


def watch(config: GrafanaConfig) -> dict[str, Any]:
    """Fires where Towpath has written nothing about itself for five minutes: also by
    having no data at all."""
    query = Query("self_journal", (Pick("bytes", "count"),), 0, 300_000)
    watching = {
        "uid": WATCH_UID,
        "title": "Towpath has gone quiet",
        "condition": "C",
        "for": "2m",
        "noDataState": "Alerting",
        "execErrState": "Alerting",
        "isPaused": False,
        "labels": {"severity": "critical", "towpath": "itself"},
        "annotations": {
            "summary": "Towpath has written nothing for five minutes",
            "description": "Nobody is watching. Look at the service (systemctl status "
            "towpath), its journal's disk, and whether InfluxDB takes writes.",
        },
        "data": [
            _question("A", query),
            _reduced("B", "A"),
            _math("C", "$B < 1"),
        ],
    }
    contact = config.contact_email or config.contact_webhook
    if contact and config.target >= NOTIFICATION_SETTINGS_SINCE:
        watching["notification_settings"] = {"receiver": CONTACT}
    return watching


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
    rule: Rule, boards: Sequence[Board], config: GrafanaConfig, doubtful: bool = False
) -> dict[str, Any]:
    data: list[dict[str, Any]] = []
    tests = []
    for n, (condition, query) in enumerate(
        zip(rule.when, queries(rule), strict=True), 1
    ):
        data.append(_question(f"A{n}", query))
        data.append(_reduced(f"B{n}", f"A{n}"))
        tests.append(
            f"$B{n} {_SIGNS[condition.comparison]} {_plain(condition.threshold)}"
        )
    if doubtful:
        # Of several pollers all must be cut off.
        cut_off = Query("self_poll", (Pick("cut_off", "min"),), 0, 180_000)
        data += [_question("O", cut_off), _reduced("P", "O")]
        tests.append("$P < 1")
    only = rule.when[0]
    if len(tests) == 1 and only.comparison in (">", "<"):
        data.append(_threshold("C", "B1", only))
    else:
        data.append(_math("C", " && ".join(tests)))
    found: dict[str, Any] = {
        "uid": uid_of(rule),
        "title": rule.title + _where_said(rule),
        "condition": "C",
        "for": _duration(max(rule.page_after_ms, 60_000)),
        "noDataState": "OK",
        "execErrState": "KeepLast" if config.target >= KEEP_LAST_SINCE else "Error",
        "isPaused": True,
        "labels": {"severity": rule.severity, "rule": rule.id, "towpath": "rule"},
        "annotations": {
            "summary": _said(rule.summary, rule),
            "description": _said(f"{rule.cause} {rule.runbook}".strip(), rule),
        },
        "data": data,
    }
    if rule.keep_for:
        found["keepFiringFor"] = _duration(rule.keep_for)
    panel = _panel_of(rule, boards)
    if panel is not None:
        found["dashboardUid"], found["panelId"] = panel
    return found


def uid_of(rule: Rule) -> str:
    """Stable and at most 40 characters; variants for some sites have their own."""
    name = f"towpath-{rule.id}".replace("_", "-")
    if len(name) <= 40 and not rule.sites and not rule.not_sites:
        return name
    whole = f"{rule.id}/{rule.sites}/{rule.not_sites}"
    return f"{name[:31]}-{hashlib.sha256(whole.encode()).hexdigest()[:8]}"


def _where_said(rule: Rule) -> str:
    if rule.sites:
        return f" ({', '.join(rule.sites)})"
    return f" (not {', '.join(rule.not_sites)})" if rule.not_sites else ""


def _panel_of(rule: Rule, boards: Sequence[Board]) -> tuple[str, int] | None:
    """The graph that shows the rule's field, else its measurement, over time."""
    fields = {condition.field for condition in rule.when}
    if "up" in fields:
        # The same, but for time in which Towpath itself was cut off.
        fields.add("answered")
    near: tuple[str, int] | None = None
    for board in boards:
        if board.personal:
            continue
        ids = panel_ids(board)
        for panel in board.panels:
            if panel.kind not in ("timeseries", "state-timeline"):
                continue
            for target in panel.targets:
                if target.query.measurement != rule.measurement:
                    continue
                here = (board.uid, ids[panel.title])
                near = near or here
                if fields & {pick.field for pick in target.query.picks}:
                    return here
    return near


def _question(ref: str, query: Query) -> dict[str, Any]:
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


def _reduced(ref: str, of: str) -> dict[str, Any]:
    return _expression(
        ref,
        {
            "type": "reduce",
            "expression": of,
            "reducer": "last",
            "settings": {"mode": "dropNN"},
        },
    )


def _math(ref: str, expression: str) -> dict[str, Any]:
    return _expression(ref, {"type": "math", "expression": expression})


_ELSEWHERE = {
    "expected_why": "Towpath's page says why",
    "outcome": "Towpath's page says why",
    "text": "see Towpath's page",
}


def _threshold(ref: str, of: str, condition: Condition) -> dict[str, Any]:
    kind, back = ("gt", "lt") if condition.comparison == ">" else ("lt", "gt")
    tested: dict[str, Any] = {
        "evaluator": {"type": kind, "params": [condition.threshold]}
    }
    if condition.clear is not None:
        tested["unloadEvaluator"] = {"type": back, "params": [condition.clear]}
    return _expression(
        ref, {"type": "threshold", "expression": of, "conditions": [tested]}
    )


def _expression(ref: str, model: dict[str, Any]) -> dict[str, Any]:
    source = {"type": "__expr__", "uid": "__expr__"}
    return {
        "refId": ref,
        "relativeTimeRange": {"from": 0, "to": 0},
        "datasourceUid": "__expr__",
        "model": {"refId": ref, "datasource": source, **model},
    }


def _window_ms(condition: Condition, period_s: int) -> int:
    # The latest value may be two periods old before it is no value.
    return condition.over or 3 * period_s * 1000


def _said(text: str, rule: Rule) -> str:
    """Towpath's placeholders as Grafana's; `$` would be eaten by provisioning. What
    Grafana has no label for is said in general."""
    labels = set(queries(rule)[0].group_by)
    aliases = {
        "device_name": "device",
        "gateway_name": "gateway",
        # Groups of laptops have their site as the name of the group.
        "site_name": "site" if "site" in labels else "group",
    }

    def swap(found: re.Match[str]) -> str:
        name = found[1]
        if name == "value":
            return _figure('(index .Values "B1").Value', value_unit(rule))
        if name == "threshold" and rule.when:
            return format_value(rule.when[0].threshold, value_unit(rule))
        label = aliases.get(name, name)
        if label in labels:
            return "{{ .Labels." + label + " }}"
        spoken = name.replace("_", " ")
        return _ELSEWHERE.get(name) or GENERIC_VALUES.get(name, spoken)

    return " ".join("".join(_pieces(text, swap)).replace("$", "").split())


def _figure(value: str, unit: str) -> str:
    """The template by which Grafana writes `value` as people read it, with its unit.

    The functions are those that Grafana's alert templates share with Prometheus'.
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


def _pieces(text: str, swap: Any) -> Iterator[str]:
    yield re.sub(r"\{([a-z_]+)\}", swap, text)


def _plain(number: float) -> str:
    return f"{number:.10g}"


def _duration(ms: int) -> str:
    return f"{-(-ms // 1000)}s"
