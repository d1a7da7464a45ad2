"""Words of the alert rules, for boards: their titles, and what to do."""

from __future__ import annotations

from alerts.alert_text import GENERIC_VALUES
from dashboards.grafana.board import NEUTRAL
from dashboards.grafana.shipped_rules import shipped_rules


def what_to_do(rule: str) -> str:
    """Returns the rule's advice as a panel's description gives it: about no alert in
    particular. Raises `KeyError` if there is no such rule."""
    runbook = shipped_rules()[rule].runbook
    return " ".join(runbook.format_map(GENERIC_VALUES).split())


def rule_titles() -> dict[str, tuple[str, str]]:
    """Returns id → title of every rule, as value texts of a column. A council's own
    rules are shown by their ids."""
    return {rule.id: (rule.title, NEUTRAL) for rule in shipped_rules().values()}
