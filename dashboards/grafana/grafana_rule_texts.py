"""Texts of Grafana alert rules: our placeholders become Grafana's templates. Pure.

Only `printf` and the `humanize` functions are used, which Grafana has had since 8.
"""

from __future__ import annotations

from collections.abc import Collection

from alerts.alert_text import value_unit
from alerts.rule import Rule
from alerts.rule_export import exported_text, value_template

# The node that holds the value in the unit of the text.
VALUE_REF = "V"
_PERCENT = "100"


def value_expression(rule: Rule, ref: str) -> str:
    """Returns the expression of the value that the texts show."""
    return f"${ref} * {_PERCENT}" if value_unit(rule) == "ratio" else f"${ref} * 1"


def grafana_text(text: str, rule: Rule, labels: Collection[str]) -> str:
    """Replaces Towpath's placeholders by Grafana's; provisioning would swallow a `$`.
    If Grafana has no label for one, a general text replaces it."""
    return exported_text(
        text,
        rule,
        labels,
        lambda label: "{{ .Labels." + label + " }}",
        value_template(value_unit(rule), f'(index .Values "{VALUE_REF}").Value'),
    )
