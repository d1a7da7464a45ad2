"""Units and scales, as MIB authors write them."""

from __future__ import annotations

import re

UNIT_WORDS = (
    # Pattern for units, class, factor to the sensor's unit.
    (r"celsius\|fahrenheit", "temperature", 1.0),
    (r"fahrenheit|\bdeg(rees?)? ?f\b|^f$|°f", "temperature", None),
    (r"celsius|centigrade|\bdeg(rees?)? ?c\b|^c$|°c|celcius", "temperature", 1.0),
    (r"^dbm$|\bdbm\b|decibel[- ]?milliwatts?", "dbm", 1.0),
    (r"\bmbm\b", "dbm", 0.01),
    (r"kilo-?watt-?hours?|\bkwh\b", "power_consumed", 1.0),
    (r"watt-?hours?|\bwh\b", "power_consumed", 0.001),
    (r"micro[- ]?volts?|\buv\b", "voltage", 1e-6),
    (r"milli[- ]?volts?|\bmv\b", "voltage", 0.001),
    (r"milli[- ]?amp(ere)?s?|\bma\b", "current", 0.001),
    (r"micro[- ]?amp(ere)?s?|\bua\b", "current", 1e-6),
    (r"milli[- ]?watts?|\bmw\b", "power", 0.001),
    (r"micro[- ]?watts?|\buw\b", "power", 1e-6),
    (r"kilo-?(watts?|volt-?amp)|\bkw\b|\bkva\b", "power", 1000.0),
    (r"volt-?amp|\bva\b", "power", 1.0),
    (r"watts?|\bw\b", "power", 1.0),
    (r"volts?|\bv\b|\bvolt\b", "voltage", 1.0),
    (r"amp(ere)?s?|\ba\b|\bamp\b", "current", 1.0),
    (r"\bmhz\b|megahertz", "frequency", 1e6),
    (r"\bkhz\b|kilohertz", "frequency", 1e3),
    (r"hertz|\bhz\b", "frequency", 1.0),
    (r"\brpm\b|revolutions", "fanspeed", 1.0),
    (r"humidity|\brh\b", "humidity", 1.0),
    (r"\bkpa\b", "pressure", 1.0),
    (r"\bhpa\b|\bmbar\b|millibar", "pressure", 0.1),
    (r"pascals?|\bpa\b", "pressure", 0.001),
    (r"\bbars?\b", "pressure", 100.0),
    (r"\bpsig?\b", "pressure", 6.894757),
    (r"\bcfm\b", "airflow", 1.0),
)
# Whether they are Celsius or Fahrenheit is often a setting of the device.
DEGREES = re.compile(r"[\d.]*(tenths?|deci|hundredths?|centi)?(-| |of )*degrees?")
# Said of what has none: "N/A" is no ampere.
NO_UNIT = re.compile(r"n[./]?a\.?|not applicable|none|no units?|-+")
SCALES = (
    (r"1000ths|thousandths?|0?\.001(?!\d)|/ ?1000\b|milli-?degrees?", 1000.0),
    (r"hundredths?|centi(?!grade)|(?<!\d)0?\.01(?!\d)|/ ?100\b", 100.0),
    (r"tenths?|\bdeci(?!bel)|(?<!\d)0?\.1(?!\d)|1/10\b|/ ?10\b", 10.0),
)
# A DISPLAY-HINT, or one scale in the description whose direction is certain.
STATED_SCALE = re.compile(r"\bdisplay=d-[1-9]\b|\bscale=[^\s?|]+(?=\s|$)")


def hint_word(hint: str, key: str) -> str:
    found = re.search(rf"\b{key}=(\S+)", hint)
    return found[1] if found else ""


def stated_divisor(units: str, hint: str) -> float:
    """Return what the raw number must be divided by, as far as it is stated."""
    for pattern, divisor in SCALES:
        if re.search(pattern, units):
            return divisor
    stated = hint_word(hint, "scale")
    for words, divisor in (
        (("0.5",), 2.0),
        (("0.1", "tenths", "tenth"), 10.0),
        (("0.01", "hundredths", "hundredth", "centi"), 100.0),
        (("0.001", "thousandths", "milli"), 1000.0),
    ):
        if stated.rstrip("?") in words and "|" not in stated:
            # Millivolts and the like have their factor in the unit.
            return 1.0 if divisor == 1000 and "milli" in hint + units else divisor
    shown = re.search(r"\bdisplay=d-([1-9])\b", hint)
    if shown is None or (shown[1] == "3" and "milli" in hint + units):
        return 1.0
    return 10.0 ** int(shown[1])
