"""What an object of a MIB measures, by its name, units and enumeration. Pure.

MIB authors have no common rules, but common words. A word that is not certain gives no
meaning: a wrong sensor is worse than a missing one, which can be added by hand.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

import msgspec

from collectors.snmp.drafting.count_meaning import is_count
from collectors.snmp.drafting.mib_objects import NUMBERS, MibObject
from collectors.snmp.drafting.mib_words import WORD_LISTS
from collectors.snmp.drafting.state_meaning import (
    CodeStateObject,
    EnumeratedObject,
    TextStateObject,
    state_of,
)
from collectors.snmp.drafting.unit_words import (
    DEGREES,
    NO_UNIT,
    STATED_SCALE,
    UNIT_WORDS,
    hint_word,
    stated_divisor,
)
from collectors.snmp.drafting.usage_meaning import (
    AmountObject,
    UsageObject,
    WirelessObject,
    usage_of,
    wireless_of,
)
from collectors.snmp.profiles.label_severity import severity, split_words


class MeasuredObject(msgspec.Struct, frozen=True):
    """A number: class of sensor, and how to scale it.

    `is_stated`: the MIB's UNITS give the unit, or its texts the scale, so that this is
    not a guess; `has_unit`: at least its description gives the unit; `is_described`:
    nothing else gives unit or scale, and descriptions may be wrong. `absent`: numbers
    that the MIB names, such as -1 for "not available". `is_light`: in milliwatts, to be
    shown in dBm.
    """

    class_: str
    divisor: float = 1
    multiplier: float = 1
    add: float = 0
    is_stated: bool = False
    has_unit: bool = False
    is_described: bool = False
    absent: tuple[int, ...] = ()
    is_light: bool = False


ObjectMeaning = (
    MeasuredObject
    | EnumeratedObject
    | TextStateObject
    | CodeStateObject
    | UsageObject
    | AmountObject
    | WirelessObject
)

# By words of the name, for objects without units: the class that they mean.
_NAME_WORDS = (
    (
        "temperature",
        {"temperature", "temp", "celsius", "heat", "degree", "degc"}
        | {"temperture", "tempr", "tmp", "temper"},
    ),
    ("humidity", {"humidity", "humid", "rh", "humi"}),
    ("voltage", {"voltage", "volt", "volts", "vcc", "vdc", "vac", "vlotage"}),
    ("frequency", {"frequency", "freq"}),
    ("fanspeed", {"fanspeed"}),
    ("power_consumed", {"energy", "kwh"}),
    ("runtime", {"runtime"}),
)
# A name with a unit states it, as far as the values are usual with it.
_NAMED_UNITS = (
    ("power", {"milliwatt", "milliwatts"}, 0.001),
    ("power", {"watt", "watts"}, 1.0),
    ("current", {"milliamp", "milliamps", "milliamperes"}, 0.001),
    ("current", {"amp", "amps", "amperes"}, 1.0),
)
# Likewise a pressure, whose unit is the last word.
_PRESSURES = {"kpa": 1.0, "pa": 0.001, "psi": 6.894757, "bar": 100.0}
_PRESSED = {"pres", "press", "pressure"}
_WARM = {"temp", "temperature", "tmp"}
_QUANTITIES = frozenset().union(*(names for _, names in _NAME_WORDS))
_RADIO_QUALITY = (
    ("signal", {"rsrp", "rssi", "rscp"}, "dbm"),
    ("snr", {"sinr", "snr", "rsrq"}, "db"),
)
# A mobile network, whose signal is in dBm if it is negative.
_MOBILE = {"cdma", "cell", "cellular", "gsm", "lte", "mobile", "modem", "umts", "wcdma"}
_PERCENT_NAMES = {"percent", "percentage", "pct"}
# Of a probe, whether it is there or which one it is.
_NO_VALUES = {"avail", "available", "exists", "indx", "serial", "valid"}
_LAST_NAMES = {"hz": "frequency", "rpm": "fanspeed"}
_HUNDREDTHS = 100.0
# After the word power: how much of it flows.
_DRAWN = {"consumed", "consumption", "draw", "drawn", "remain", "remaining", "usage"}
_MOST_CODES = 3


def meaning(mib_object: MibObject) -> ObjectMeaning | None:
    """Return what the object means, or None if that is not certain."""
    words = _without_value(split_words(mib_object.name))
    if "capacity" in words and "current" in words:
        return None
    labels = mib_object.labels
    state = state_of(mib_object, words)
    if state is not None or (labels and not _are_codes(labels)):
        return state
    base = mib_object.base
    time_left = _time_left(mib_object, words)
    if time_left is not None:
        return time_left
    if base not in NUMBERS and not (base == "OCTET" and _is_text(mib_object)):
        return None
    if (wireless := wireless_of(mib_object)) is not None:
        return wireless
    if (usage := usage_of(mib_object)) is not None:
        return usage
    if is_count(mib_object, words):
        return MeasuredObject("count", is_stated=True)
    if not labels and (factor := _power_factor(mib_object, words)) is not None:
        return factor
    if _is_not_now(words):
        return None
    is_amount = bool({"power", "watts"} & {*words})
    if words[-1] in WORD_LISTS.texts or (words[-1] in _NO_VALUES and not is_amount):
        return None
    if base.startswith("Counter") and not (mib_object.units or mib_object.hint):
        return None
    found = _measured(mib_object, words)
    if words[-1] == "position" and getattr(found, "class_", "percent") != "percent":
        # It may be how far a valve is open, or where a probe is mounted.
        return None
    if _contradicts(found, set(words)) or _is_doubtful(found, mib_object, words):
        return None
    if labels and isinstance(found, MeasuredObject):
        return msgspec.structs.replace(found, absent=tuple(sorted(labels)))
    return None if labels else found


def _without_value(words: list[str]) -> list[str]:
    """Return the words of a name without last ones such as `value`."""
    while len(words) > 1 and words[-1] in {"value", "val", "reading", "raw"}:
        words = words[:-1]
    for at, pair in enumerate(pairwise(words)):
        if pair == ("real", "time"):
            # Not a time: what there is now.
            words = [*words[:at], *words[at + 2 :]] or words
            break
    if words[-2:-1] in (["status"], ["state"]) and words[-1] in {"string", "str"}:
        return words[:-1]
    return words


def _time_left(mib_object: MibObject, words: Sequence[str]) -> MeasuredObject | None:
    """Return how long a battery lasts, if the type or UNITS state the scale."""
    named, units = set(words), mib_object.units.lower().strip()
    if not named & {"remaining", "remain", "left"} or not named & _BATTERY:
        return None
    if named & WORD_LISTS.never_now or mib_object.labels:
        return None
    if mib_object.base == "TimeTicks":
        return MeasuredObject("runtime", 6000, is_stated=True)
    if re.search(r"^(min|minutes?)$", units) or (not units and "minutes" in named):
        return MeasuredObject("runtime", is_stated=True)
    if re.search(r"^(s|sec|seconds?)$", units) or (not units and "seconds" in named):
        return MeasuredObject("runtime", 60, is_stated=True)
    return None


def _power_factor(mib_object: MibObject, words: Sequence[str]) -> MeasuredObject | None:
    units, hint = mib_object.units.lower(), mib_object.hint.lower()
    is_named = words[-2:] == ["power", "factor"] or "power factor" in units
    if not is_named or {*words} & WORD_LISTS.never_now - {"factor"}:
        return None
    divisor = stated_divisor(units, hint)
    if re.search(r"%|percent", f"{units} {hint}"):
        divisor *= 100
    return MeasuredObject("power_factor", divisor, is_stated=divisor != 1)


def _are_codes(labels: Mapping[int, str]) -> bool:
    """Return True if the labels only say why there is no number."""
    return len(labels) <= _MOST_CODES and {*map(severity, labels.values())} == {
        "unknown"
    }


def _is_doubtful(
    found: ObjectMeaning | None, mib_object: MibObject, words: Sequence[str]
) -> bool:
    """Return True if only a description has the unit, and the name does not fit it: a
    description may name many units."""
    if not isinstance(found, MeasuredObject) or mib_object.units:
        return False
    if re.search(r"\bunit=(celsius|dbm)\b", mib_object.hint):
        return False
    stems = tuple(WORD_LISTS.signs.get(found.class_, ()))
    return bool(stems) and not any(word.startswith(stems) for word in words)


def _is_not_now(words: Sequence[str]) -> bool:
    """Return True if the name is that of a setting, a limit or the past."""
    last = words[-_LAST_WORDS:]
    if words[-1] in _QUANTITIES:
        # Of a unit or a control board, not its number.
        last = [word for word in last if word not in WORD_LISTS.owners]
    return bool(WORD_LISTS.not_now & {*last}) or bool(
        {"threshold", "setpoint", "slope", "cal"} & {*words}
    )


def _contradicts(found: ObjectMeaning | None, named: set[str]) -> bool:
    """Return True if the name says something else than the unit."""
    if not isinstance(found, MeasuredObject):
        return False
    if found.class_ in ("dbm", "frequency"):
        return bool(WORD_LISTS.radio & named)
    return (
        found.class_ in ("voltage", "current")
        and "power" in named
        and bool(named & {"apparent", "active", "real", "total", "va", "watts"})
    )


# A description that names the small unit and its base means the small one.
_SMALL_UNIT = re.compile(r"\b(milli|micro)\|?(volt|amp|watt)(?:\|\2)?(?!\|)\b")
_BATTERY = {"battery", "batt", "bat", "ups"}
_LAST_WORDS = 3


def _is_text(mib_object: MibObject) -> bool:
    return "STRING" in mib_object.syntax and "Mac" not in mib_object.syntax


def _measured(mib_object: MibObject, words: list[str]) -> MeasuredObject | None:
    units = mib_object.units.lower().strip()
    if NO_UNIT.fullmatch(units):
        return None
    if (radio := _radio_quality(mib_object, words)) is not None:
        return radio
    hint = _SMALL_UNIT.sub(r"\1\2", mib_object.hint.lower())
    type_ = " ".join(split_words(mib_object.syntax.partition(":")[2]))
    scale = stated_divisor(units, f"{hint} {type_}")
    if DEGREES.fullmatch(units) and {*words} & _WARM and "unit=" not in hint:
        return MeasuredObject("temperature", scale, is_stated=True)
    several = hint_word(hint, "unit").split("|")
    if not units and "percent" in several and _PERCENT_NAMES & {*words}:
        # The name says which of the units of a description it is.
        hint = re.sub(r"\bunit=\S+", "unit=percent", hint)
    # 0.1V, 0.01A
    plain = re.sub(r"^[\d./]+ *", "", units)
    for pattern, class_, factor in UNIT_WORDS:
        stated = plain or type_
        if not re.search(pattern, stated):
            stated = "" if units else hint_word(hint, "unit")
        if not re.search(pattern, stated):
            continue
        if factor is None:
            # Which of both is often a setting of the device.
            is_stated = bool(units) and "cels" not in stated
            add = round(-32 / 1.8, 6)
            return MeasuredObject(class_, 1.8 * scale, add=add, is_stated=is_stated)
        # A description with several units does not state one.
        is_one = bool(units) or "|" not in hint_word(hint, "unit")
        is_stated = bool(units) or STATED_SCALE.search(hint) is not None
        is_described = not units and not type_ and "display=" not in hint
        if class_ == "power" and _is_light(words, factor):
            found = _scaled("dbm", 1000 * factor / scale, is_stated or is_one, True)
            return msgspec.structs.replace(
                found, is_light=True, is_described=is_described
            )
        found = _scaled(class_, factor / scale, is_stated, is_one)
        return msgspec.structs.replace(found, is_described=is_described)
    named = set(words)
    if re.search(r"%|percent", units) or "percent" in hint:
        share = _percent_class(named)
        return None if share is None else _scaled(share, 1 / scale, bool(units), True)
    if units:
        return None
    for class_, names, factor in _NAMED_UNITS:
        if named & names:
            found = _scaled(class_, factor / scale, "scale" in hint, True)
            return msgspec.structs.replace(found, is_described=True)
    if words[-1] in _PRESSURES and named & _PRESSED:
        factor = _PRESSURES[words[-1]] / scale
        found = _scaled("pressure", factor, "scale" in hint, True)
        return msgspec.structs.replace(found, is_described=True)
    for class_, names in _NAME_WORDS:
        if named & names or _LAST_NAMES.get(words[-1]) == class_:
            return _scaled(class_, 1 / scale, "scale" in hint)
    if named & {"fan"} and named & {"speed"}:
        return _scaled("fanspeed", 1 / scale, False)
    if named & {"rx", "tx", "receive", "transmit", "optical"} and "power" in named:
        return _scaled("dbm", 1 / scale, "scale" in hint)
    if words[-1] in ("current", "amps", "amp") or {"current", "load"} <= named:
        return _scaled("current", 1 / scale, "scale" in hint)
    if words[-1] in ("power", "watts", "watt") or (
        words[-1] in _DRAWN and named & {"power", "poe"}
    ):
        if scale == _HUNDREDTHS:
            # The unit is more likely 0.01 kW than 0.01 W.
            return None
        return _scaled("power", 1 / scale, "scale" in hint)
    return None


def _radio_quality(
    mib_object: MibObject, words: Sequence[str]
) -> MeasuredObject | None:
    """Return what a mobile network's signal is like, if its name and unit say so."""
    unit = mib_object.units.lower() or hint_word(mib_object.hint.lower(), "unit")
    unit = re.sub(r"decibel[- ]?milliwatts?", "dbm", unit)
    if words[-1] == "rssi" and not unit and _MOBILE & {*words}:
        return MeasuredObject("signal", has_unit=True, is_described=True)
    for class_, names, wanted in _RADIO_QUALITY:
        if words[-1].endswith(tuple(names)) and unit == wanted:
            scale = stated_divisor("", mib_object.hint.lower())
            return MeasuredObject(class_, scale, is_stated=True)
    return None


def _is_light(words: Sequence[str], factor: float) -> bool:
    """Return True if small powers of this name are those of light in a fibre."""
    sides = {"rx", "tx", "receive", "received", "transmit", "transmitted", "optical"}
    return factor < 1 and bool(sides & set(words)) and not WORD_LISTS.radio & set(words)


def _percent_class(named: set[str]) -> str | None:
    if named & {"humidity", "humid", "rh"} or (
        "hum" in named and not named & WORD_LISTS.shares - {"hum"}
    ):
        return "humidity"
    if named & {"charge", "capacity"} and named & {"charge", "xups", *_BATTERY}:
        return "charge"
    if named & {"load", "utilization", "utilisation", "util"}:
        return "load"
    return "percent" if named & WORD_LISTS.shares else None


def _scaled(
    class_: str, factor: float, is_stated: bool, has_unit: bool = False
) -> MeasuredObject:
    """Return a sensor with a divisor or a multiplier, whichever is a whole number."""
    multiplier = float(f"{factor:.9g}") if factor >= 1 else 1.0
    divisor = float(f"{1 / factor:.9g}") if factor < 1 else 1.0
    return MeasuredObject(
        class_,
        divisor,
        multiplier,
        is_stated=is_stated,
        has_unit=is_stated or has_unit,
    )
