"""Chooses the scale of a sensor by what its rows show. Pure.

Firmware of one maker sends whole degrees where another version sends hundredths, and
the device does not say which. One scale holds for all rows of a table, so the rows
together show it, or nothing is shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from collectors.snmp.profiles.items import SensorRule
from collectors.snmp.tables.quantities import CODES, SENSORS, USUAL


def with_certain_scale(
    rule: SensorRule, numbers: Iterable[float | None]
) -> SensorRule | None:
    """Return the rule with the one divisor that fits the rows' raw `numbers`; None if
    there is no such one. Zeros and codes for "no value" show nothing."""
    if len(rule.divisor) == 1:
        return rule
    shown = [n for n in numbers if n is not None and n != 0 and n not in CODES]
    if not shown:
        return None
    fitting = [divisor for divisor in rule.divisor if _fits(rule, divisor, shown)]
    if len(fitting) != 1:
        return None
    return rule.model_copy(update={"divisor": (fitting[0],)})


def _fits(rule: SensorRule, divisor: float, numbers: Sequence[float]) -> bool:
    """Return True if half of the rows are usual, and none is impossible."""
    quantity = SENSORS[rule.class_]
    usual_of_class = USUAL.get(rule.class_, (quantity.least, quantity.most))
    least, most = rule.usual or usual_of_class
    values = [number * rule.multiplier / divisor + rule.add for number in numbers]
    usual = sum(least <= value <= most for value in values)
    return 2 * usual >= len(values) and all(map(quantity.contains, values))
