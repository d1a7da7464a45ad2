"""The alert rules that Towpath comes with: boards take limits, titles and advice from
them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from alerts.rule import Rule
from alerts.rule_files import load_rules
from collectors.server_measurements import CATALOGUE


@cache
def shipped_rules() -> Mapping[str, Rule]:
    """Returns id → rule, in the order of the files."""
    return {rule.id: rule for rule in load_rules(CATALOGUE)}
