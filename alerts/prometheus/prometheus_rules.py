"""Towpath's rules as Prometheus alerting rules, as far as PromQL can hold them. Pure.

They read what `metrics.rows` exposes. A rule is exported only if it fires for the same
subjects at the same time in both (`tests/test_prometheus_rules_agree.py` evaluates both
on the same rows). What differs for every rule is in `DIFFERENCES`.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable
from typing import Any

import yaml

from alerts.alert_text import value_unit
from alerts.prometheus.metric_names import duration
from alerts.prometheus.promql import labels_of, memory_expression, site_label
from alerts.rule import Rule
from alerts.rule_export import (
    UnsupportedRule,
    exported_text,
    has_other_series,
    rules_void_while_cut_off,
    value_template,
)

# Shorter than any `for`; Prometheus finds a result for five minutes.
INTERVAL_MS = 30_000
FILE_NAME = "towpath-rules.yml"
DIFFERENCES = (
    "Prometheus counts `for` from the evaluation that first sees a bad row, Towpath "
    "from the row itself: an alert may begin and end up to a scrape and an evaluation "
    "later.",
    "If rows stop before an alert fires, Prometheus counts from the beginning when "
    "they are back. If they stop while it recovers, it ends without them.",
    "Towpath keeps an alert firing that starts three times in a quarter of an hour, "
    "suppresses what another alert explains, knows a baseline, and keeps some pages "
    "until the site opens.",
    "If nothing of Towpath can be scraped, all alerts end but `towpath_stopped`.",
)
_CUT_OFF = "min(towpath_self_poll_cut_off) >= 1"


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as such."""


def _represent_text(dumper: _Dumper, text: str) -> yaml.Node:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def prometheus_document(
    rules: Iterable[Rule],
) -> tuple[str, list[UnsupportedRule]]:
    """Returns the text of the rules file, and the rules left out."""
    rules = tuple(rules)
    void = rules_void_while_cut_off(rules)
    unsupported: list[UnsupportedRule] = []
    exported: list[dict[str, Any]] = []
    variants: Counter[str] = Counter()
    for rule in rules:
        if why := why_not_prometheus(rule):
            unsupported.append(UnsupportedRule(rule.id, why))
            continue
        variants[rule.id] += 1
        variant = variants[rule.id]
        memory = f"towpath:{rule.id}" + (f":{variant}" if variant > 1 else "")
        exported += _rule_pair(rule, memory, _CUT_OFF if rule.id in void else "")
    groups = [
        _group("towpath_itself", [_watch()]),
        *([_group("towpath_rules", exported)] if exported else []),
    ]
    body = yaml.dump(
        {"groups": groups},
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=88,
    )
    return _head() + body, unsupported


def why_not_prometheus(rule: Rule) -> str:
    """Returns why PromQL cannot hold `rule`; empty if it can."""
    if rule.function:
        return f"it uses the Python function {rule.function!r}"
    if not rule.when or rule.silence == "blind":
        return "it is about silence, and Prometheus does not know which rows to expect"
    if rule.measurement == "event":
        return "a device reports an event once, and Prometheus needs a value to scrape"
    if rule.across == "all":
        condition = rule.when[0]
        plain = (condition.clear, condition.missing, condition.sure)
        if len(rule.when) > 1 or plain != (None, None, False):
            return "it compares several figures of several rows of one subject"
    elif rule.least > 1 or has_other_series(rule):
        return "it compares several rows of one subject"
    if rule.sites and not site_label(rule):
        return "its rows do not name the site"
    return ""


def _rule_pair(rule: Rule, memory: str, unless: str) -> list[dict[str, Any]]:
    """The recording rule that remembers, and the alert."""
    labels = labels_of(rule)

    def text(template: str) -> str:
        return exported_text(
            template,
            rule,
            labels,
            lambda label: "{{ $labels." + label + " }}",
            _value_template(rule),
        )

    alert: dict[str, Any] = {"alert": rule.id, "expr": memory}
    if rule.page_after_ms:
        alert["for"] = duration(rule.page_after_ms)
    if rule.keep_for:
        alert["keep_firing_for"] = duration(rule.keep_for)
    alert["labels"] = {
        "severity": rule.severity,
        "owner": rule.owner,
        "towpath": "rule",
    }
    alert["annotations"] = {
        "summary": text(rule.summary),
        "description": rule.title,
        "cause": text(rule.cause),
        "runbook": text(rule.runbook),
    }
    expression = memory_expression(rule, memory, f'alertname="{rule.id}"', unless)
    return [{"record": memory, "expr": expression}, alert]


def _value_template(rule: Rule) -> str:
    unit = value_unit(rule)
    if unit == "ratio":
        return "{{ $value | humanizePercentage }}"
    return value_template(unit, "$value")


def _watch() -> dict[str, Any]:
    return {
        "alert": "towpath_stopped",
        "expr": "absent(towpath_self_journal_bytes_total)",
        "for": "5m",
        "labels": {"severity": "critical", "owner": "towpath", "towpath": "itself"},
        "annotations": {
            "summary": "Towpath cannot be scraped: nothing is being monitored",
            "runbook": "Check the service (systemctl status towpath) and that "
            "Prometheus reaches its metrics port.",
        },
    }


def _group(name: str, rules: list[dict[str, Any]]) -> dict[str, Any]:
    return {"name": name, "interval": duration(INTERVAL_MS), "rules": rules}


def _head() -> str:
    lines = [
        "Made by `towpath rules export prometheus`; changes here are lost. Needs "
        "Prometheus 2.42, `metrics.rows = true`, and a scrape every 30 s of all of "
        "Towpath's processes.",
        "Towpath pages for these rules too. Send what has the label `towpath: rule` to "
        "nobody, or let Towpath notify nobody.",
        "What differs for every rule:",
        *(f"- {difference}" for difference in DIFFERENCES),
    ]
    return "".join(
        textwrap.fill(line, 88, initial_indent="# ", subsequent_indent="#   ") + "\n"
        for line in lines
    )
