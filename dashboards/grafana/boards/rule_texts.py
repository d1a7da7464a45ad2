"""Words of the alert rules, for boards: their titles, and what to do."""

from __future__ import annotations

from functools import cache

from alerts.alert_text import GENERIC_VALUES
from alerts.rule import Rule
from alerts.rule_files import load_rules
from collectors.server_measurements import CATALOGUE
from dashboards.grafana.board import NEUTRAL


@cache
def shipped_rules() -> tuple[Rule, ...]:
    """Returns the rules that Towpath comes with."""
    return tuple(load_rules(CATALOGUE))


def what_to_do(rule: str) -> str:
    """Returns the rule's advice as a panel's description gives it: about no alert in
    particular. Raises `KeyError` if there is no such rule."""
    runbooks = {known.id: known.runbook for known in shipped_rules()}
    return " ".join(runbooks[rule].format_map(GENERIC_VALUES).split())


def rule_titles() -> dict[str, tuple[str, str]]:
    """Returns id → title of every rule, as value texts of a column. A council's own
    rules are shown by their ids."""
    return {rule.id: (rule.title, NEUTRAL) for rule in shipped_rules()}
