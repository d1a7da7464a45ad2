"""What the exports of rules to other engines share. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

from alerts.alert_text import GENERIC_VALUES, format_value, value_unit
from alerts.rule import CUT_OFF, Rule
from collectors.server_measurements import CATALOGUE

# Tags that follow from the others of their measurement.
_DETERMINED = frozenset({"description", "name", "port", "role", "site", "supplier"})
_ON_STATUS_PAGE = {
    "event_text": "the event is on Towpath's status page",
    "expected_why": "the reason is on Towpath's status page",
    "file": "the file that this setting names",
    "mostly": "a place that Towpath's status page names",
    "outcome": "the reason is on Towpath's status page",
    "state_text": "the reason is on Towpath's status page",
    "stream_text": "the reason is on Towpath's status page",
    "text": "see Towpath's status page",
}

# Unit → the words after the number, and how many digits it has.
_UNIT_WORDS = {
    "1": ("", ".0f"),
    "d": (" days", ".0f"),
    "flag": ("", ".0f"),
    "h": (" hours", ".0f"),
    "ms": (" ms", ".0f"),
    "packet": ("", ".0f"),
    "ratio": (" %", ".3g"),
}


class UnsupportedRule(NamedTuple):
    """A rule that the other engine cannot express, and why."""

    rule: str
    why: str


def has_other_series(rule: Rule) -> bool:
    """True if one subject has rows that differ in tags which are not its own."""
    tags = {tag.name for tag in CATALOGUE.measurement(rule.measurement).tags}
    fixed = {tag for tag, values in rule.where.items() if len(values) == 1}
    if rule.where.get("by") == ("all",):
        # There is one group of all laptops.
        fixed.add("group")
    return bool(tags - set(rule.subject) - _DETERMINED - fixed)


def rules_void_while_cut_off(rules: Iterable[Rule]) -> set[str]:
    """The rules that mean nothing while Towpath itself is cut off. In other engines no
    rule can explain another, so each of them checks that itself."""
    return {
        effect
        for rule in rules
        if rule.id == CUT_OFF
        for explains in rule.explains
        for effect in explains.rules
    }


def exported_text(
    text: str,
    rule: Rule,
    labels: Collection[str],
    label_template: Callable[[str], str],
    value_template: str,
) -> str:
    """Replaces the placeholders by templates of the other engine. If it has no label
    for one, a general text replaces it."""
    aliases = {
        "device_name": "device",
        "gateway_name": "gateway",
        "room_name": "room",
        "team_name": "team",
        # A group of laptops at a site is named after the site.
        "site_name": "site" if "site" in labels else "group",
    }

    def replacement(match: re.Match[str]) -> str:
        name = match[1]
        if name == "value":
            return value_template
        if name == "threshold" and rule.when:
            return format_value(rule.when[0].threshold, value_unit(rule))
        label = aliases.get(name, name)
        if label in labels:
            return label_template(label)
        plain_name = name.replace("_", " ")
        return _ON_STATUS_PAGE.get(name) or GENERIC_VALUES.get(name, plain_name)

    # What begins a variable in the templates of both must not come from a rule.
    plain = text.replace("$", "")
    return " ".join(re.sub(r"\{([a-z_]+)\}", replacement, plain).split())


def value_template(unit: str, value: str) -> str:
    """Returns the template that writes `value` with its unit: `87 %`, `1h 30m 0s`.
    `printf` and the `humanize` functions are the same in Grafana and Prometheus."""
    if unit == "s":
        return "{{ humanizeDuration " + value + " }}"
    if unit in ("bit/s", "byte"):
        return "{{ humanize " + value + " }}" + {"byte": "B"}.get(unit, unit)
    words, digits = _UNIT_WORDS.get(unit, (f" {unit}", ".3g"))
    return '{{ printf "%' + digits + '" ' + value + " }}" + words
