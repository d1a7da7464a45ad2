"""Texts of Grafana alert rules: our placeholders become Grafana's templates. Pure.

Only `printf` and the `humanize` functions are used, which Grafana has had since 8.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from alerts.alert_text import GENERIC_VALUES, format_value, value_unit
from alerts.rule import Rule

# The node that holds the value in the unit of the text.
VALUE_REF = "V"
_ON_STATUS_PAGE = {
    "expected_why": "the reason is on Towpath's status page",
    "mostly": "a place that Towpath's status page names",
    "outcome": "the reason is on Towpath's status page",
    "text": "see Towpath's status page",
}
_PERCENT = "100"
# Unit → the words after the number, and how many digits it has.
_WORDS = {
    "1": ("", ".0f"),
    "d": (" days", ".0f"),
    "flag": ("", ".0f"),
    "h": (" hours", ".0f"),
    "ms": (" ms", ".0f"),
    "packet": ("", ".0f"),
    "ratio": (" %", ".3g"),
}


def value_expression(rule: Rule, ref: str) -> str:
    """Returns the expression of the value that the texts show."""
    return f"${ref} * {_PERCENT}" if value_unit(rule) == "ratio" else f"${ref} * 1"


def grafana_text(text: str, rule: Rule, labels: Collection[str]) -> str:
    """Replaces Towpath's placeholders by Grafana's; provisioning would swallow a `$`.
    If Grafana has no label for one, a general text replaces it."""
    aliases = {
        "device_name": "device",
        "gateway_name": "gateway",
        # A group of laptops at a site is named after the site.
        "site_name": "site" if "site" in labels else "group",
    }

    def replacement(match: re.Match[str]) -> str:
        name = match[1]
        if name == "value":
            return _value_template(value_unit(rule))
        if name == "threshold" and rule.when:
            return format_value(rule.when[0].threshold, value_unit(rule))
        label = aliases.get(name, name)
        if label in labels:
            return "{{ .Labels." + label + " }}"
        plain_name = name.replace("_", " ")
        return _ON_STATUS_PAGE.get(name) or GENERIC_VALUES.get(name, plain_name)

    filled_in = re.sub(r"\{([a-z_]+)\}", replacement, text)
    return " ".join(filled_in.replace("$", "").split())


def _value_template(unit: str) -> str:
    """Returns the template that writes the value with its unit: `87 %`, `1h 30m 0s`."""
    value = f'(index .Values "{VALUE_REF}").Value'
    if unit == "s":
        return "{{ humanizeDuration " + value + " }}"
    if unit in ("bit/s", "byte"):
        return "{{ humanize " + value + " }}" + {"byte": "B"}.get(unit, unit)
    words, digits = _WORDS.get(unit, (f" {unit}", ".3g"))
    return '{{ printf "%' + digits + '" ' + value + " }}" + words
