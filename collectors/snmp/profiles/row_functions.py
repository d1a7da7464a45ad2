"""Functions of a row, for values that a profile cannot describe as data (`function:`).

Each takes a `ProfileRow` and returns the item's value, or None if there is none. A
sensor's divisor and multiplier are applied to the result.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from collectors.snmp.profiles.row import ProfileRow
from collectors.snmp.session.opaque import as_real
from probes.wire.numbers import finite

Function = Callable[[ProfileRow], float | str | None]

# EntitySensorDataScale: the number for units, and its range from yocto to yotta.
_UNITS_SCALE, _SCALES = 9, range(1, 18)
# Outside this range, entPhySensorPrecision is garbage (Cisco: 1615384784).
_PRECISE = range(-8, 10)
# The last channel of 2.4 GHz has a larger distance from the others.
_JAPAN = 14


def entity_sensor(row: ProfileRow) -> float | None:
    """Return EntitySensorValue (RFC 3433): value · 10^scale / 10^precision.

    Columns: value, scale, precision. A negative precision only gives the number of
    exact digits.
    """
    raw = row.number("value")
    return None if raw is None else _scale_entity_value(row, raw)


def _scale_entity_value(row: ProfileRow, raw: float) -> float:
    scale = row.number("scale")
    exponent = -max(0, _plausible_digits(row.number("precision")))
    if scale is not None and scale in _SCALES:
        exponent += (int(scale) - _UNITS_SCALE) * 3
    return raw * 10.0**exponent if exponent >= 0 else raw / 10.0**-exponent


def _plausible_digits(precision: float | None) -> int:
    return int(precision) if precision is not None and precision in _PRECISE else 0


def decimal_digits(row: ProfileRow) -> float | None:
    """Return column value with column digits as its number of decimal places."""
    raw = row.number("value")
    return (
        None if raw is None else raw / 10.0 ** _plausible_digits(row.number("digits"))
    )


def quotient(row: ProfileRow) -> float | None:
    """Return column value divided by column divisor, which each row has for itself."""
    raw, divisor = row.number("value"), row.number("divisor")
    return None if raw is None else raw / (divisor or 1)


def signed_scale(row: ProfileRow) -> float | None:
    """Return column value, multiplied by column scale, or divided by it if that is
    negative (Rittal)."""
    raw, scale = row.number("value"), row.number("scale") or 1
    return None if raw is None else raw / -scale if scale < 0 else raw * scale


def share_pct(row: ProfileRow) -> float | None:
    """Return column value in per cent of column total. None if either is a code, such
    as Printer-MIB's negative ones (RFC 3805) for "some" and "unknown"."""
    raw, total = row.number("value"), row.number("total")
    if raw is None or total is None or raw < 0 or total <= 0:
        return None
    return 100.0 * raw / total


def float32(row: ProfileRow) -> float | None:
    """Return four or eight octets as an IEEE 754 number, most significant first."""
    raw = row.raw("value")
    if not isinstance(raw, bytes) or len(raw) not in (4, 8):
        return row.number("value")
    return finite(as_real(raw))


def channel_mhz(row: ProfileRow) -> float | None:
    """Return the centre frequency of a Wi-Fi channel: the first number in column
    `channel` (`161E`).

    IEEE 802.11: channels 1 to 14 are in 2.4 GHz, higher ones in 5 GHz. A 6 in column
    `band` means 6 GHz, in which the numbers start again.
    """
    channel = row.number("channel")
    if channel is None or channel < 1:
        return None
    if "6" in (row.text("band") or ""):
        return 5950 + 5 * channel
    if channel == _JAPAN:
        return 2484
    return 2407 + 5 * channel if channel < _JAPAN else 5000 + 5 * channel


def huawei_receive(row: ProfileRow) -> float | None:
    """Return the power in dBm from columns rx, rx_low, rx_high: see `_huawei_power`."""
    return _huawei_power(row, "rx")


def huawei_transmit(row: ProfileRow) -> float | None:
    """Return the power in dBm from columns tx, tx_low, tx_high: see `_huawei_power`."""
    return _huawei_power(row, "tx")


def _huawei_power(row: ProfileRow, name: str) -> float | None:
    """Return the optical power in dBm.

    HUAWEI-ENTITY-EXTENT-MIB's hwEntityOpticalRxPower and TxPower are in microwatts on
    some boards and in hundredths of dBm on others; their limits are always in the
    latter. The value is read as hundredths if only that is within the limits.
    """
    raw = row.number(name)
    if raw is None or -100 < raw <= 0:
        return None
    if raw < 0:
        # No microwatts are negative.
        return raw / 100
    dbm = round(10 * math.log10(raw / 1000), 3)
    low, high = row.number(f"{name}_low"), row.number(f"{name}_high")
    if low is None or high is None or low <= 100 * dbm <= high:
        return dbm
    return raw / 100 if low <= raw <= high else dbm


# Bits of hrPrinterDetectedErrorState (RFC 2790) in its first octet, the worst first:
# jammed, no toner, offline, door open, no paper, service, low toner, low paper.
_PRINTER_ERRORS = (4, 16, 2, 8, 64, 1, 32, 128)


def worst_printer_error(row: ProfileRow) -> float | None:
    """Return the worst error of column value, as its bit; 0 if there is none."""
    raw = row.raw("value")
    if not isinstance(raw, bytes):
        return None
    octet = raw[0] if raw else 0
    return float(next((bit for bit in _PRINTER_ERRORS if octet & bit), 0))


_LESS, _GREATER = (1, 2), (3, 4)
_MINOR, _MAJOR, _CRITICAL = 10, 20, 30


def cisco_thresholds(row: ProfileRow) -> dict[str, float]:
    """Return the limits of entSensorThresholdTable: up to four (severity, relation,
    value).

    Columns: severity1, relation1, threshold1 …, and those of `entity_sensor`. A minor
    threshold is the warning; a major or critical one is the limit. Without a minor
    threshold, major is the warning and critical the limit.
    """
    limits: dict[str, float] = {}
    for relations, name, nearest in ((_LESS, "low", max), (_GREATER, "high", min)):
        by_severity: dict[int, list[float]] = {}
        for n in range(1, 5):
            severity = row.number(f"severity{n}")
            raw = row.number(f"threshold{n}")
            if severity is None or raw is None:
                continue
            if row.number(f"relation{n}") in relations:
                by_severity.setdefault(int(severity), []).append(
                    _scale_entity_value(row, raw)
                )
        minor, major, critical = (
            by_severity.get(level, []) for level in (_MINOR, _MAJOR, _CRITICAL)
        )
        if not minor and major and critical:
            minor, major = major, []
        if minor:
            limits[f"{name}_warn"] = nearest(minor)
        if major or critical:
            limits[name] = nearest(major or critical)
    return limits


def arista_thresholds(row: ProfileRow) -> dict[str, float]:
    """Return the limits of a sensor of ENTITY-SENSOR-MIB, scaled as its value is."""
    limits: dict[str, float] = {}
    for name, column in (
        ("low_warn", "low_warning"),
        ("low", "low_critical"),
        ("high_warn", "high_warning"),
        ("high", "high_critical"),
    ):
        raw = row.number(column)
        if raw is not None:
            limits[name] = _scale_entity_value(row, raw)
    return limits


# For a sensor's `limits: {function: NAME}`; the results are scaled as values are.
LIMITS: dict[str, Callable[[ProfileRow], dict[str, float]]] = {
    "arista_thresholds": arista_thresholds,
    "cisco_thresholds": cisco_thresholds,
}
FUNCTIONS: dict[str, Function] = {
    "channel_mhz": channel_mhz,
    "decimal_digits": decimal_digits,
    "entity_sensor": entity_sensor,
    "float32": float32,
    "huawei_receive": huawei_receive,
    "huawei_transmit": huawei_transmit,
    "quotient": quotient,
    "share_pct": share_pct,
    "signed_scale": signed_scale,
    "worst_printer_error": worst_printer_error,
}
