"""What colours mean on every board, and the values at which they change.

No board has limits of its own: they come from the alert rules (`steps_of_rule`) or from
the limits for calls (`verdict_steps`).
"""

from __future__ import annotations

from alerts.rule import Condition, Rule
from collectors.server_measurements import CATALOGUE
from dashboards.call_quality import BY_FIELD
from dashboards.grafana.shipped_rules import shipped_rules

GREEN, AMBER, RED, BLUE, PURPLE = "green", "orange", "red", "blue", "purple"
GOOD, LOOK, BAD, INFORMATION, MAINTENANCE = GREEN, AMBER, RED, BLUE, PURPLE
# The colour of the text around it: neither good nor bad.
NEUTRAL = "text"
# Each step is the lowest value that has the colour; the first one has no lower limit.
Steps = tuple[tuple[float | None, str], ...]
PLAIN: Steps = ((None, BLUE),)
_WORSE_ABOVE, _WORSE_BELOW = (">", ">="), ("<", "<=")
# Grafana colours a value that equals a step, and `> 0` does not hold for 0.
_JUST_ABOVE_ZERO = {"int": 1, "float": 1e-6}


def steps_of_rule(*ids: str, field: str = "") -> Steps:
    """Returns colour steps from alert rules that test one field in one direction.

    Red from the threshold of the last rule, orange from that of the ones before it:
    give the milder rule first. With one rule, orange starts at its `clear`, if any.
    `field`: which of the rule's conditions; if omitted, the first. Raises `KeyError` if
    there is no such rule or condition, `ValueError` if the values cannot be steps.
    """
    rules = [shipped_rules()[name] for name in ids]
    conditions = [_condition(rule, field) for rule in rules]
    values = [_step(rule, c) for rule, c in zip(rules, conditions, strict=True)]
    [last] = conditions[-1:]
    if len(values) == 1 and last.clear is not None and last.clear != last.threshold:
        values.insert(0, last.clear)
    colours = [AMBER] * (len(values) - 1) + [RED]
    signs = {condition.comparison for condition in conditions}
    if signs <= set(_WORSE_ABOVE) and values == sorted(values):
        return ((None, GREEN), *zip(values, colours, strict=True))
    if signs <= set(_WORSE_BELOW) and values == sorted(values, reverse=True):
        # From the worst upwards: each colour reaches up to the next limit.
        rising = [*colours[::-1], GREEN]
        return tuple(zip([None, *values[::-1]], rising, strict=True))
    raise ValueError(
        f"the rules {', '.join(ids)} do not make steps: expected one direction, and "
        "the milder rule first"
    )


def verdict_steps(name: str) -> Steps:
    """Returns the colour steps of a call figure, by its limits for good and poor."""
    limits = BY_FIELD[name]
    if limits.is_less_worse:
        return ((None, RED), (limits.poor, AMBER), (limits.good, GREEN))
    return ((None, GREEN), (limits.good, AMBER), (limits.poor, RED))


def _condition(rule: Rule, field: str) -> Condition:
    for condition in rule.when:
        if field in ("", condition.field):
            return condition
    raise KeyError(f"rule {rule.id!r} does not test {field!r}")


def _step(rule: Rule, condition: Condition) -> float:
    if condition.threshold or condition.comparison != ">":
        return condition.threshold
    declared = CATALOGUE.measurement(rule.measurement).field(condition.field)
    return _JUST_ABOVE_ZERO[declared.type]


UP = {1: ("Up", GOOD), 0: ("Down", BAD)}
# How full a line, and so any link, may be.
BUSY: Steps = steps_of_rule("line_full_down")
