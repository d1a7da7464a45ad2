"""Chooses the scale of a sensor by what its rows show. Pure.

Firmware of one maker sends whole degrees where another version sends hundredths, and
the device does not say which. One scale holds for all rows of a table, so the rows
together show it, or nothing is shown.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial

from collectors.snmp.profiles.items import ProcessorRule, SensorRule
from collectors.snmp.session.octet_text import as_number
from collectors.snmp.session.session import Value
from collectors.snmp.tables.quantities import CODES, DESCRIBED, SENSORS, USAGE, USUAL

# The most that eight bits hold is no number of degrees or volts.
_END_OF_8_BITS = 255
# As degrees or volts, these are the ends of eight bits with a sign.
_SIGNED_ENDS = (127, -128)
# 100 per cent in tenths and in hundredths.
_MOST_TENTHS, _MOST_HUNDREDTHS = 1000, 10_000
# What circuits run on, in volts: the cores of processors, and the usual voltages.
_RAILS = (
    *((0.68, 1.32), (1.41, 1.59), (1.69, 1.92), (2.35, 2.65), (3.1, 3.5)),
    *((4.7, 5.3), (11.2, 12.8)),
)
_MILLIVOLTS = 1000.0
_LEAST_RAILS, _RAIL_SPREAD = 3, 2.5
_CODES = CODES | {_END_OF_8_BITS, *_SIGNED_ENDS}
_DECIMAL = re.compile(rb"\d[.,]\d")


def with_certain_scale(
    rule: SensorRule, raws: Iterable[Value | None]
) -> SensorRule | None:
    """Return the rule with the one divisor that fits the rows' raw values; None if
    there is no such one. A `described` rule's first divisor counts if it fits.

    Zeros and codes for "no value" show nothing, nor do a maker's own codes. If there is
    nothing else, the rule is returned as it is, and `measure` shows only zeros. A text
    with decimals is scaled.
    """
    if len(rule.divisor) == 1 and rule.usual is None:
        return rule
    values = [raw for raw in raws if raw is not None]
    if 1 in rule.divisor and any(map(_has_decimals, values)):
        return rule.model_copy(update={"divisor": (1.0,)})
    numbers = [number for raw in values if (number := as_number(raw)) is not None]
    shown = [n for n in numbers if n != 0 and n not in _CODES]
    if not shown:
        return rule if numbers and rule.class_ != "temperature" else None
    if (of_rails := _divisor_of_rails(rule, shown)) is not None:
        return _with_divisor(rule, of_rails, frozenset())
    codes = _find_codes(rule, shown)
    for own_codes in (codes,) if len(rule.divisor) == 1 else (frozenset(), codes):
        evidence = [number for number in shown if number not in own_codes]
        fitting = [d for d in rule.divisor if _fits(rule, d, evidence)]
        if rule.described and _fits_described(rule, evidence):
            return _with_divisor(rule, rule.divisor[0], own_codes)
        if fitting:
            certain = len(fitting) == 1
            return _with_divisor(rule, fitting[0], own_codes) if certain else None
    return None


def _divisor_of_rails(rule: SensorRule, numbers: Iterable[float]) -> float | None:
    """Return the one divisor with which most numbers are the voltages of circuits:
    several of them, and far apart, as neither mains nor batteries are."""
    if rule.class_ != "voltage" or rule.usual or _MILLIVOLTS not in rule.divisor:
        return None
    different = {*numbers}

    def are_rails(divisor: float) -> bool:
        volts = {n / divisor for n in different}
        rails = {v for v in volts if any(low <= v <= high for low, high in _RAILS)}
        return (
            len(rails) >= _LEAST_RAILS
            and max(rails) >= _RAIL_SPREAD * min(rails)
            and 4 * len(rails) >= 3 * len(volts)
        )

    fitting = [divisor for divisor in rule.divisor if are_rails(divisor)]
    return fitting[0] if len(fitting) == 1 else None


def with_shared_scale(
    rule: SensorRule, raws: Sequence[Value | None], others: Sequence[Value | None]
) -> SensorRule | None:
    """Return the rule with the divisor that its rows and `others` of the same scale
    show together; None if its own rows show another one."""
    own, shared = with_certain_scale(rule, raws), with_certain_scale(rule, others)
    if shared is None:
        return own
    return shared if own is None or own.divisor == shared.divisor else None


def with_certain_share(
    rule: ProcessorRule, raws: Iterable[Value | None]
) -> ProcessorRule | None:
    """Return the rule with the scale that the rows' shares of a processor show: per
    cent, or hundredths of it if one is more than a thousand. None if neither fits."""
    numbers = [n for raw in raws if (n := as_number(raw)) is not None]
    most = max(numbers, default=0) / rule.divisor
    if USAGE.contains(most):
        return rule
    if _MOST_TENTHS < most <= _MOST_HUNDREDTHS:
        return rule.model_copy(update={"divisor": 100 * rule.divisor})
    return None


def _fits_described(rule: SensorRule, numbers: Sequence[float]) -> bool:
    usual = rule.usual or DESCRIBED.get(rule.class_)
    described = rule.model_copy(update={"usual": usual})
    return _fits(described, rule.divisor[0], numbers)


def _find_codes(rule: SensorRule, numbers: Sequence[float]) -> frozenset[float]:
    """Return the numbers that are a maker's own codes.

    A code is impossible with one of the divisors, and either several rows have it, or
    it is negative although such sensors never are. Likewise one negative number that
    several rows have, if all others are positive.
    """
    quantity, times = SENSORS[rule.class_], Counter(numbers)

    def is_code(number: float) -> bool:
        values = (number * rule.multiplier / d + rule.add for d in rule.divisor)
        return (times[number] > 1 or (number < 0 <= quantity.least)) and not all(
            map(quantity.contains, values)
        )

    codes = {number for number in times if is_code(number)}
    negative = {number for number in times if number < 0} - codes
    others = times.keys() - codes - negative
    if len(negative) == 1 and others and all(times[n] > 1 for n in negative):
        codes |= negative
    return frozenset(codes)


def _with_divisor(
    rule: SensorRule, divisor: float, codes: frozenset[float]
) -> SensorRule:
    # A number that is usual with this divisor is a measurement that several rows have.
    is_described = rule.described and divisor == rule.divisor[0]
    fits = _fits_described if is_described else partial(_fits, divisor=divisor)
    true_codes = [code for code in codes if not fits(rule, numbers=[code])]
    whole = sorted(int(code) for code in true_codes if code == int(code))
    skip = (*rule.skip, *whole)
    if len(rule.divisor) > 1:
        skip = (*skip, _END_OF_8_BITS)
        if divisor == 1:
            skip = (*skip, *_SIGNED_ENDS)
    return rule.model_copy(update={"divisor": (divisor,), "skip": skip})


def _has_decimals(value: Value) -> bool:
    return isinstance(value, bytes) and _DECIMAL.search(value) is not None


def _fits(rule: SensorRule, divisor: float, numbers: Sequence[float]) -> bool:
    """Return True if half of the rows are usual, and none is impossible."""
    quantity = SENSORS[rule.class_]
    usual_of_class = USUAL.get(rule.class_, (quantity.least, quantity.most))
    least, most = rule.usual or usual_of_class
    values = [number * rule.multiplier / divisor + rule.add for number in numbers]
    if rule.milliwatts:
        values = [10 * math.log10(value) for value in values if value > 0]
    usual = sum(least <= value <= most for value in values)
    return 0 < len(values) <= 2 * usual and all(map(quantity.contains, values))
