"""What data cannot say: named functions of one row, for `function:` in a profile.

Each takes a `Row` and gives the value of its item, None where there is none. A value
that a sensor's divisor and multiplier apply to is given as the device has it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from collectors.snmp.profiles.row import Row

Function = Callable[[Row], float | str | None]

_UNITS_SCALE = 9
# Beyond this, entPhySensorPrecision is garbage (Cisco: 1615384784).
_PRECISE = range(-8, 10)
# The last channel of 2.4 GHz stands apart from the others.
_JAPAN = 14


def entity_sensor(row: Row) -> float | None:
    """EntitySensorValue (RFC 3433): value · 10^scale / 10^precision.

    Columns value, scale, precision. A negative precision tells exact digits only.
    """
    raw, scale, precision = (row.number(n) for n in ("value", "scale", "precision"))
    if raw is None:
        return None
    exponent = (int(scale or _UNITS_SCALE) - _UNITS_SCALE) * 3
    if precision is not None and precision in _PRECISE and precision > 0:
        exponent -= int(precision)
    return raw * 10.0**exponent if exponent >= 0 else raw / 10.0**-exponent


def float32(row: Row) -> float | None:
    """Four or eight octets as an IEEE 754 number, most significant first."""
    raw = row.raw("value")
    if not isinstance(raw, bytes) or len(raw) not in (4, 8):
        return row.number("value")
    return float(struct.unpack(">f" if len(raw) == 4 else ">d", raw)[0])


def channel_mhz(row: Row) -> float | None:
    """The centre of a Wi-Fi channel, the first number of column `channel` (`161E`).

    IEEE 802.11: 2.4 GHz for 1 to 14, 5 GHz above; a column `band` that says 6 tells
    that the channel is of 6 GHz, where numbers start again.
    """
    channel = row.number("channel")
    if channel is None or channel < 1:
        return None
    if "6" in (row.text("band") or ""):
        return 5950 + 5 * channel
    if channel == _JAPAN:
        return 2484
    return 2407 + 5 * channel if channel < _JAPAN else 5000 + 5 * channel


FUNCTIONS: dict[str, Function] = {
    "channel_mhz": channel_mhz,
    "entity_sensor": entity_sensor,
    "float32": float32,
}
