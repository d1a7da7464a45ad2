"""The limits of a sensor, without those that are not plausible. Pure.

A limit that was never set is often 0, or random memory of the module. It must not turn
a healthy reading into an alarm, so limits that contradict each other are dropped.
"""

from __future__ import annotations

import msgspec

from collectors.snmp.tables.quantities import Quantity

LIMIT_NAMES = ("low", "low_warn", "high_warn", "high")


class SensorLimits(msgspec.Struct, frozen=True):
    """Limits in the sensor's unit, or None if not set: `low` (alarm), `low_warn`,
    `high_warn`, `high` (alarm)."""

    low: float | None = None
    low_warn: float | None = None
    high_warn: float | None = None
    high: float | None = None


# Limits that may really be 0: frost, and an optical overload at 1 mW.
_ZERO_IS_SET = {("C", "low"), ("dBm", "high")}


def drop_contradictions(
    limits: SensorLimits, quantity: Quantity, value: float
) -> SensorLimits:
    """Return `limits` without implausible ones: an alarm that comes before its warning,
    a high limit that is not above the low ones, an unconfirmed 0.

    None are returned for a `value` of exactly 0 dBm above them, which some modules
    report for light that they do not measure.
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
    """Return (low, high), unless there is nothing between them."""
    if low is not None and high is not None and low >= high:
        return None, None
    return low, high


def _drop_unset(
    alarm: float | None, warning: float | None, side: str, quantity: Quantity
) -> tuple[float | None, float | None]:
    """Return (alarm, warning) without limits that were never set."""
    if not alarm and not warning:
        # Two zeros, or one alone.
        if alarm == warning or (quantity.unit, side) not in _ZERO_IS_SET:
            return None, None
        return alarm, warning
    if alarm is None or warning is None:
        return alarm, warning
    if alarm <= warning if side == "low" else alarm >= warning:
        return alarm, warning
    if alarm and warning:
        return None, None
    # A 0 beside a real limit was never set.
    return alarm or None, warning or None
