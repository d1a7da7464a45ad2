"""The plausible range of each measured quantity, and how to apply it. Pure.

A number from a device may not be a measurement: it may be a code for "no value", a
negative number in an unsigned type, or nonsense. All readings of profiles and tables,
and their limits, are checked here.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

# The ends of 32-bit and 64-bit types, which mean "unknown" or "too large".
WIDE_CODES = frozenset(
    {2**31 - 1, 2**31, -(2**31), 2**32 - 1, 2**63 - 1, -(2**63), 2**64 - 1}
)
# The ends of 16-bit types, numbers near them in old firmware, and the underflow and
# overflow of EntitySensorValue (RFC 3433).
CODES = WIDE_CODES | frozenset(
    {2**15 - 1, -(2**15), 2**16 - 1, 65530, 2**31 - 2, 10**9, -(10**9)}
)
# In a wider type, the least of eight bits: a sensor that is not there.
_END_OF_8_BITS = -128
# Two's complement in these widths.
_WIDTHS = (16, 32, 64)


class Quantity(msgspec.Struct, frozen=True):
    """A unit, and the smallest and largest value that equipment can show. `codes`: raw
    values that mean "no value"; for counts, only those that no count reaches."""

    unit: str | None
    least: float
    most: float
    codes: frozenset[int] = CODES

    def contains(self, value: float) -> bool:
        return self.least <= value <= self.most

    def plausible(self, value: float | None) -> float | None:
        """Return `value` if it is a plausible measurement, for values of plain
        columns."""
        if value is None or value in self.codes or not self.contains(value):
            return None
        return value


# By class of sensor, after scaling.
SENSORS = {
    "airflow": Quantity("cfm", 0, 1_000_000),
    "charge": Quantity("%", 0, 110),
    "count": Quantity(None, 0, 2**62, WIDE_CODES),
    "current": Quantity("A", -5000, 5000),
    # For pluggable optics; profiles of amplifiers and radios widen it with `within`.
    "dbm": Quantity("dBm", -70, 20),
    "delay": Quantity("s", 0, 86_400),
    "fanspeed": Quantity("rpm", 0, 60_000),
    "frequency": Quantity("Hz", 0, 1_000_000),
    "humidity": Quantity("%", 0, 105),
    "load": Quantity("%", 0, 300),
    "loss": Quantity("%", 0, 100),
    "percent": Quantity("%", 0, 110),
    "power": Quantity("W", -10_000_000, 10_000_000),
    "power_consumed": Quantity("kWh", -(10**9), 10**9),
    "power_factor": Quantity(None, -1.1, 1.1),
    "pressure": Quantity("kPa", -500, 10_000),
    "runtime": Quantity("min", 0, 150_000),
    "signal": Quantity("dBm", -200, 50),
    "snr": Quantity("dB", -50, 100),
    "state": Quantity(None, -(2**63), 2**63, frozenset()),
    "temperature": Quantity("C", -60, 200),
    # Low voltage, as defined in IEC 60038.
    "voltage": Quantity("V", -1500, 1500),
}
# What sensors of a class usually show, to tell apart the scales that firmware may use:
# never to refuse a reading.
USUAL = {
    "temperature": (6, 90),
    "humidity": (12, 100),
    "voltage": (9, 500),
    "frequency": (40, 70),
    "dbm": (-40, 9),
    "power_factor": (0.25, 1),
}
# The same, if a description gives the scale: wider, as there is less to tell apart.
DESCRIBED = {
    "temperature": (3, 110),
    "humidity": (3, 100),
    "voltage": (0.6, 500),
    "current": (0.0005, 1000),
    "power": (0.05, 100_000),
}
# By class of wireless reading.
WIRELESS = {
    "ap-count": Quantity(None, 0, 100_000, WIDE_CODES),
    "capacity": Quantity(None, 0, 10**12, WIDE_CODES),
    "ccq": Quantity("%", 0, 100),
    "channel": Quantity(None, 0, 4_000_000, WIDE_CODES),
    "clients": Quantity(None, 0, 60_000, WIDE_CODES),
    "distance": Quantity(None, 0, 1_000_000),
    "error-rate": Quantity(None, 0, 10**12, WIDE_CODES),
    "error-ratio": Quantity(None, 0, 100),
    "errors": Quantity(None, 0, 2**62, WIDE_CODES),
    "frequency": Quantity("MHz", 0, 300_000, WIDE_CODES),
    "mse": Quantity("dB", -100, 100),
    "noise-floor": Quantity("dBm", -150, 0),
    "power": Quantity("dBm", -100, 100),
    "quality": Quantity("%", 0, 100),
    "rate": Quantity("bit/s", 0, 10**12, WIDE_CODES),
    "rsrp": Quantity("dBm", -160, 0),
    "rsrq": Quantity("dB", -50, 30),
    "rssi": Quantity("dBm", -150, 100),
    "sinr": Quantity("dB", -50, 60),
    "snr": Quantity("dB", -50, 100),
    "ssr": Quantity("dB", -100, 100),
    "utilization": Quantity("%", 0, 100),
    "xpi": Quantity("dB", -100, 100),
}
# Of measurements that a device makes itself (IP SLA).
DELAY = Quantity("ms", 0, 3_600_000, WIDE_CODES)
MOS = Quantity(None, 1, 5)
ICPIF = Quantity(None, 0, 200)
# Use of a processor, memory or disk; rounding may exceed 100 a little.
USAGE = Quantity("%", 0, 101)
# 2^31 - 1, the maximum of an Integer32, means "this or more", so it stays a code; 2^31
# is a possible size.
SIZE = Quantity("B", 0, 2**60, WIDE_CODES - {2**31, -(2**31)})


class Implausible(Exception):
    """A number outside the range of its quantity."""

    def __init__(self, value: float) -> None:
        super().__init__(f"{value:g}")
        self.value = value


class Encoding(msgspec.Struct, frozen=True):
    """How to read a device's raw numbers: `codes` mean "no value", and numbers in the
    upper half of `width` bits are negative."""

    codes: frozenset[int] = frozenset()
    width: int = 0

    def decode(self, raw: float | None) -> float | None:
        if raw is None or raw in self.codes:
            return None
        if self.width and 2 ** (self.width - 1) <= raw < 2**self.width:
            raw -= 2**self.width
            return None if raw in self.codes or raw == _END_OF_8_BITS else raw
        return raw


def to_measurement(
    quantity: Quantity, value: Callable[[Encoding], float | None]
) -> float | None:
    """Return the value of a reading, or None if the device gives none.

    `value` computes the scaled value from the raw numbers. If the result is not
    plausible, it is tried as a negative number in an unsigned type: -3 may come as
    65533 or 4294967293. Raises `Implausible` if no way of reading it is plausible.
    """
    plain = value(Encoding(quantity.codes))
    if plain is None or quantity.contains(plain):
        return plain
    if quantity.least < 0:
        for width in _WIDTHS:
            signed = value(Encoding(quantity.codes, width))
            if signed is None or quantity.contains(signed):
                return signed
    raise Implausible(plain)
