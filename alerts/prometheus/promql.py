"""One rule as PromQL. Pure.

A recording rule remembers for which subjects the conditions hold, and reads its own
last result: what holds is compared with `clear`, and without rows nothing ends. The
alert follows it with `for` and `keep_firing_for`. The value is the first condition's.
"""

from __future__ import annotations

import re

from alerts.prometheus.metric_names import age_name, field_name, value_name
from alerts.rule import Comparison, Condition, Rule
from alerts.window import current_ms
from collectors.server_measurements import CATALOGUE

_OPPOSITES: dict[Comparison, Comparison] = {
    ">": "<=",
    ">=": "<",
    "<": ">=",
    "<=": ">",
    "==": "!=",
    "!=": "==",
}
# As in `alerts.evaluation.conditions.least_ratio`: 95 %, one-sided.
_Z = 1.645


def labels_of(rule: Rule) -> tuple[str, ...]:
    """The labels of the rule's alerts that rows give: its subject, and the site."""
    tags = CATALOGUE.measurement(rule.measurement).identity
    extra = ("site",) if "site" in tags and rule.subject else ()
    return tuple(dict.fromkeys((*rule.subject, *extra)))


def site_label(rule: Rule) -> str:
    """The label that holds the site of a row; empty if its rows have none."""
    if rule.where.get("by") == ("site",):
        return "group"
    tags = CATALOGUE.measurement(rule.measurement).identity
    return next((tag for tag in ("site", "home_site") if tag in tags), "")


def memory_expression(
    rule: Rule, memory: str, alert_matchers: str, unless: str = ""
) -> str:
    """The expression of the recording rule `memory`. `alert_matchers` select its alert;
    `unless`: an expression without labels during which nothing begins."""
    on = f"on ({', '.join(labels_of(rule))})"
    begins, measured, ended = (
        _of_all_rows(rule) if rule.across == "all" else _of_one_row(rule)
    )
    if unless:
        begins = f"{begins} unless on () ({unless})"
    parts = [f"({begins})"]
    if any(condition.clear is not None for condition in rule.when):
        parts.append(f"(({measured}) and {memory} unless ({ended}))")
    rows = f"{_age(rule)} < {rule.ends_after // 1000}"
    firing = f'ALERTS{{{alert_matchers}, alertstate="firing"}}'
    parts.append(f"({memory} and {on} {firing} and ({rows}) unless ({ended}))")
    return "\nor ".join(parts)


def _of_one_row(rule: Rule) -> tuple[str, str, str]:
    """(what begins it, the value while all is measured, what ends it)"""
    needed = [c for c in rule.when if not _holds_if_missing(c)]
    others = [c for c in rule.when if _holds_if_missing(c)]
    begins = " and ".join(f"({_begins(rule, condition)})" for condition in needed)
    begins += "".join(f" unless ({_fails(rule, c, c.threshold)})" for c in others)
    measured = " and ".join(_value(rule, condition) for condition in needed)
    ends = [
        f"({_fails(rule, c, c.threshold if c.clear is None else c.clear)})"
        for c in rule.when
    ]
    reach_s = current_ms(CATALOGUE.measurement(rule.measurement)) // 1000
    ends += [
        f"(({_age(rule)} <= {reach_s}) unless {_value(rule, condition)})"
        for condition in needed
        if rule.absent == "clear" or condition.missing is not None
    ]
    return begins, measured, " or ".join(ends)


def _holds_if_missing(condition: Condition) -> bool:
    return condition.missing is not None and condition.holds(condition.missing, False)


def _of_all_rows(rule: Rule) -> tuple[str, str, str]:
    """For a rule that needs all rows of its subject; the value is their number."""
    [condition] = rule.when
    selector = _selector(rule, value_name(rule.measurement, condition))
    by = f"count by ({', '.join(labels_of(rule))})"
    known = f"{by} ({selector})"
    bad = f"{by} ({selector} {condition.comparison} {condition.threshold:.10g})"
    begins = f"({bad} == {known}) >= {rule.least}"
    return begins, known, f"{known} unless ({begins})"


def _begins(rule: Rule, condition: Condition) -> str:
    value = _value(rule, condition)
    if condition.sure:
        value = f"({_least_ratio(rule, condition)})"
    return f"{value} {condition.comparison} {condition.threshold:.10g}"


def _fails(rule: Rule, condition: Condition, against: float) -> str:
    opposite = _OPPOSITES[condition.comparison]
    return f"{_value(rule, condition)} {opposite} {against:.10g}"


def _least_ratio(rule: Rule, condition: Condition) -> str:
    """Wilson's lower bound of the ratio."""
    ratio = f"clamp({_value(rule, condition)}, 0, 1)"
    weight = CATALOGUE.measurement(rule.measurement).field(condition.field).weight
    count = _maximum(rule, field_name(rule.measurement, weight))
    z_squared = f"{_Z * _Z:.10g}"
    middle = f"{ratio} + {z_squared} / (2 * {count})"
    spread = (
        f"{_Z} * sqrt({ratio} * (1 - {ratio}) / {count} + ({_Z} / (2 * {count})) ^ 2)"
    )
    return f"({middle} - {spread}) / (1 + {z_squared} / {count})"


def _value(rule: Rule, condition: Condition) -> str:
    return _maximum(rule, value_name(rule.measurement, condition))


def _age(rule: Rule) -> str:
    metric = _selector(rule, age_name(rule.measurement))
    return f"min by ({', '.join(labels_of(rule))}) ({metric})"


def _maximum(rule: Rule, metric: str) -> str:
    """One series for each subject, without the labels that a scrape adds."""
    return f"max by ({', '.join(labels_of(rule))}) ({_selector(rule, metric)})"


def _selector(rule: Rule, metric: str) -> str:
    matchers = [_matcher(tag, values) for tag, values in sorted(rule.where.items())]
    if tag := site_label(rule):
        matchers += [_matcher(tag, rule.sites)] if rule.sites else []
        matchers += [_matcher(tag, rule.not_sites, "!")] if rule.not_sites else []
    return f"{metric}{{{', '.join(matchers)}}}" if matchers else metric


def _matcher(tag: str, values: tuple[str, ...], negate: str = "") -> str:
    if len(values) == 1:
        return f"{tag}{negate or ''}={_quoted(values[0])}"
    pattern = "|".join(re.escape(value) for value in values)
    return f"{tag}{negate or '='}~{_quoted(pattern)}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
