"""What a measured quantity can be. Data, and the functions that apply it. Pure.

Devices have three ways to give a number that is no measurement: a code for "no value",
a negative number in an unsigned type, and nonsense. All readings pass here, of every
profile and table, and so do their limits.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

# Ends of the types of 32 and 64 bits: "not known", or more than fits.
WIDE_CODES = frozenset(
    {2**31 - 1, 2**31, -(2**31), 2**32 - 1, 2**63 - 1, -(2**63), 2**64 - 1}
)
# Those of 16 bits, what comes near them in old firmware, and EntitySensorValue's
# underflow and overflow (RFC 3433).
CODES = WIDE_CODES | frozenset(
    {2**15 - 1, -(2**15), 2**16 - 1, 65530, 2**31 - 2, 10**9, -(10**9)}
)
# Two's complement in these widths.
_WIDTHS = (16, 32, 64)


class Quantity(msgspec.Struct, frozen=True):
    """Its unit, and the least and most that equipment can show. `codes`: raw values
    that mean "no value"; of what counts, only those no count comes by."""

    unit: str | None
    least: float
    most: float
    codes: frozenset[int] = CODES

    def has(self, value: float) -> bool:
        return self.least <= value <= self.most

    def known(self, value: float | None) -> float | None:
        """`value` if it is a measurement, for those that come from a plain column."""
        if value is None or value in self.codes or not self.has(value):
            return None
        return value


# By class of sensor, after scaling.
SENSORS = {
    "airflow": Quantity("cfm", 0, 1_000_000),
    "charge": Quantity("%", 0, 110),
    "count": Quantity(None, 0, 2**62, WIDE_CODES),
    "current": Quantity("A", -5000, 5000),
    # Pluggable optics; amplifiers and radios have more, and say so (`within`).
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
    # Low voltage, as IEC 60038 has it.
    "voltage": Quantity("V", -1500, 1500),
}
# By class of wireless figure.
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
# Of a measurement that a device makes itself (IP SLA).
DELAY = Quantity("ms", 0, 3_600_000, WIDE_CODES)
MOS = Quantity(None, 1, 5)
ICPIF = Quantity(None, 0, 200)
# In use, of a processor, memory or disk; a rounding may pass 100 by a little.
USAGE = Quantity("%", 0, 101)
# At its end an Integer32 means "this or more".
SIZE = Quantity("B", 0, 2**60, WIDE_CODES - {2**31, -(2**31)})


class Implausible(Exception):
    """A number that nothing of its quantity can have."""

    def __init__(self, value: float) -> None:
        super().__init__(f"{value:g}")
        self.value = value


class Encoding(msgspec.Struct, frozen=True):
    """How the raw numbers of a device are read: `codes` are none, and those of the
    upper half of `width` bits are negative."""

    codes: frozenset[int] = frozenset()
    width: int = 0

    def read(self, raw: float | None) -> float | None:
        if raw is None or raw in self.codes:
            return None
        if self.width and 2 ** (self.width - 1) <= raw < 2**self.width:
            raw -= 2**self.width
            return None if raw in self.codes else raw
        return raw


def to_measurement(
    quantity: Quantity, value: Callable[[Encoding], float | None]
) -> float | None:
    """The value of a reading; None if the device gives none.

    `value` makes it of the raw numbers, scaled. If it cannot be as it stands, a device
    may have put a negative number into an unsigned type: -3 as 65533 or 4294967293.
    Raises `Implausible` if it cannot be in any way.
    """
    plain = value(Encoding(quantity.codes))
    if plain is None or quantity.has(plain):
        return plain
    if quantity.least < 0:
        for width in _WIDTHS:
            signed = value(Encoding(quantity.codes, width))
            if signed is None or quantity.has(signed):
                return signed
    raise Implausible(plain)
