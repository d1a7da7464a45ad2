"""The limits of a sensor, and which of them can be believed. Pure.

A limit that was never set is often 0, or what the memory of the module held. Such a
limit must not make an alarm of a healthy reading, so limits that contradict each other
are not used.
"""

from __future__ import annotations

import msgspec

from collectors.snmp.tables.quantities import Quantity

LIMIT_NAMES = ("low", "low_warn", "high_warn", "high")


class SensorLimits(msgspec.Struct, frozen=True):
    """In the sensor's unit; None is not set. In order: `low` (alarm), `low_warn`,
    `high_warn`, `high` (alarm)."""

    low: float | None = None
    low_warn: float | None = None
    high_warn: float | None = None
    high: float | None = None


# Where 0 alone is a limit that somebody set: frost, and an overload of 1 mW.
_ZERO_IS_SET = {("C", "low"), ("dBm", "high")}


def drop_contradictions(
    limits: SensorLimits, quantity: Quantity, value: float
) -> SensorLimits:
    """`limits` without those that cannot be meant: an alarm that comes before its
    warning, a high limit that is not above the low ones, a 0 that nothing confirms.

    There are none for a `value` of exactly 0 dBm above them: some modules give it for
    light that they do not measure.
    """
    low, high = _drop_empty_band(limits.low, limits.high)
    low_warn, high_warn = _drop_empty_band(limits.low_warn, limits.high_warn)
    low, low_warn = _drop_unset(low, low_warn, "low", quantity)
    high, high_warn = _drop_unset(high, high_warn, "high", quantity)
    lows = [limit for limit in (low, low_warn) if limit is not None]
    highs = [limit for limit in (high, high_warn) if limit is not None]
    if lows and highs and max(lows) >= min(highs):
        return SensorLimits()
    if value == 0 and quantity.unit == "dBm" and highs and min(highs) < 0:
        return SensorLimits()
    return SensorLimits(low, low_warn, high_warn, high)


def _drop_empty_band(
    low: float | None, high: float | None
) -> tuple[float | None, float | None]:
    """(low, high), unless there is nothing between them."""
    if low is not None and high is not None and low >= high:
        return None, None
    return low, high


def _drop_unset(
    alarm: float | None, warning: float | None, side: str, quantity: Quantity
) -> tuple[float | None, float | None]:
    """Those of (alarm, warning) that can be believed."""
    if not alarm and not warning:
        # A pair of zeros, or one alone.
        if alarm == warning or (quantity.unit, side) not in _ZERO_IS_SET:
            return None, None
        return alarm, warning
    if alarm is None or warning is None:
        return alarm, warning
    if alarm <= warning if side == "low" else alarm >= warning:
        return alarm, warning
    if alarm and warning:
        return None, None
    # The one that is 0 was never set.
    return alarm or None, warning or None
