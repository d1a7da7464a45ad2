"""Chooses the scale of a sensor by what its rows show. Pure.

Firmware of one maker sends whole degrees where another version sends hundredths, and
the device does not say which. One scale holds for all rows of a table, so the rows
together show it, or nothing is shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from collectors.snmp.profiles.items import SensorRule
from collectors.snmp.session.octet_text import as_number
from collectors.snmp.session.session import Value
from collectors.snmp.tables.quantities import CODES, SENSORS, USUAL

_DECIMAL = re.compile(rb"\d[.,]\d")


def with_certain_scale(
    rule: SensorRule, raws: Iterable[Value | None]
) -> SensorRule | None:
    """Return the rule with the one divisor that fits the rows' raw values; None if
    there is no such one.

    Zeros and codes for "no value" show nothing. If there is nothing else, the rule is
    returned as it is, and `measure` shows only zeros. A text with decimals is scaled.
    """
    if len(rule.divisor) == 1 and rule.usual is None:
        return rule
    values = [raw for raw in raws if raw is not None]
    if 1 in rule.divisor and any(map(_has_decimals, values)):
        return rule.model_copy(update={"divisor": (1.0,)})
    numbers = [number for raw in values if (number := as_number(raw)) is not None]
    shown = [n for n in numbers if n != 0 and n not in CODES]
    if not shown:
        return rule if numbers and rule.class_ != "temperature" else None
    fitting = [divisor for divisor in rule.divisor if _fits(rule, divisor, shown)]
    if len(fitting) != 1:
        return None
    return rule.model_copy(update={"divisor": (fitting[0],)})


def _has_decimals(value: Value) -> bool:
    return isinstance(value, bytes) and _DECIMAL.search(value) is not None


def _fits(rule: SensorRule, divisor: float, numbers: Sequence[float]) -> bool:
    """Return True if half of the rows are usual, and none is impossible."""
    quantity = SENSORS[rule.class_]
    usual_of_class = USUAL.get(rule.class_, (quantity.least, quantity.most))
    least, most = rule.usual or usual_of_class
    values = [number * rule.multiplier / divisor + rule.add for number in numbers]
    usual = sum(least <= value <= most for value in values)
    return 2 * usual >= len(values) and all(map(quantity.contains, values))
