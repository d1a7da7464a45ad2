"""Which enumerations and texts of MIBs are states, and how bad each is. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import msgspec

from collectors.snmp.drafting.mib_objects import GAUGES, MibObject
from collectors.snmp.drafting.mib_words import WORD_LISTS
from collectors.snmp.profiles.label_severity import severity, split_words

_YES, _NO = {"yes", "true"}, {"no", "false"}
_ON, _OFF = {"on", "active", "raised", "set"}, {"off", "inactive", "cleared", "clear"}
_THERE = {"present", "online", "installed"}
# As the last word only: connectedRoutes says something else.
_THERE_LAST = {"alive", "connected", "running"}
# Likewise of the whole device; in a table there may be thousands of them.
_SO_LAST = {"active", "charging", "complete", "operational", "ready", "up"}
# What has a contact: it is on or off, and neither is better.
_CONTACTS = {"breaker", "outlet", "relay", "contact", "socket", "receptacle"}
# Last words of modes that are what there is now, and no setting.
_MODES_NOW = ({"oper", "mode"}, {"operational", "mode"})
# Likewise of the whole device; in a table, they may be those of ports.
_DEVICE_MODES = ({"operating", "mode"}, {"ha", "mode"})
_MOST_STATES = 40
# Last words of names that are certainly those of states, whatever their labels.
_LAST_WORDS = {"status", "state", "role", "health", "condition"}
# Last words of the names of what made something happen.
_CAUSES = {"cause", "reason"}
# Last words of the names of texts that are states, and of those that say whether
# something is so.
_TEXT_STATES = {"status", "state", "health", "condition"}
_SO_TEXTS = {"connected", "registered", "running", "started"}
# Last words of names of states that numbers give, of what is a fault if it is not 0,
# and of what may also count.
_CODE_STATES = {"status", "state", "health"}
# Likewise of contacts, and of what a battery does.
_CODE_STATES |= {"charging", "contact", "discharging", "relay"}
_SENSORS = {"sen", "sensor"}
_FAULTS = {"alarm", "fault", "leak", "overheat", "overload", "smoke"}
_FAILURES = {"fail", "failed", "failure"}
_PARTS = {"ac", "battery", "charger", "dc", "fan", "fuse", "input", "inverter"}
_PARTS |= {"mains", "module", "output", "power", "psu", "rectifier", "sensor", "supply"}
_PARTS |= {"utility"}
# Words of numbers that count, or say how something is set.
_NO_CODES = {"conf", "count", "debug", "distance", "in", "nbr", "neighbor", "num"}
_NO_CODES |= {"number", "send", "stat", "statistics", "stats", "total", "tx", "rx"}
# Before alarm they name a threshold: low alarm. Too low is none.
_LEVELS = {"hi", "high", "lo", "low", "lower", "max", "min", "upper"}
# What has one of these words in its name is no alarm either.
_NO_ALARMS = {"delay", "events", "id", "index", "interval", "output", "release", "time"}
_NO_ALARMS |= {"trigger", "unlock", "value", "window"}
_MEASURED = {"amp", "charge", "humidity", "speed", "temp", "temperature", "voltage"}


class EnumeratedObject(msgspec.Struct, frozen=True):
    """A state: (label, severity) by number."""

    states: dict[int, tuple[str, str]]


class TextStateObject(msgspec.Struct, frozen=True):
    """A state that the device gives as a text, in words that the MIB does not list."""


class CodeStateObject(msgspec.Struct, frozen=True):
    """A state that the device gives as a number that the MIB does not explain.

    `is_trouble`: the name is that of a fault, so 0 means that there is none.
    """

    is_trouble: bool = False


def state_of(
    mib_object: MibObject, words: Sequence[str]
) -> EnumeratedObject | TextStateObject | CodeStateObject | None:
    """Return what state the object is, or None if that is not certain."""
    labels = mib_object.labels
    settings = WORD_LISTS.settings & {*words}
    is_result = words[-1] in _TEXT_STATES and settings <= WORD_LISTS.results
    modes: tuple[set[str], ...] = _MODES_NOW
    if mib_object.kind == "scalar":
        modes = (*_MODES_NOW, *_DEVICE_MODES)
    if labels and {*words[-2:]} in modes and len(labels) <= _MOST_STATES:
        # A mode is neither good nor bad.
        return EnumeratedObject({n: (label, "unknown") for n, label in labels.items()})
    if settings and not is_result:
        return None
    is_cause = words[-1] in _CAUSES and mib_object.kind == "scalar"
    if labels and is_cause and len(labels) <= _MOST_STATES:
        # What happened to the device itself may be over.
        return EnumeratedObject({n: (label, "unknown") for n, label in labels.items()})
    if not labels:
        is_text = mib_object.syntax.startswith("OCTET STRING:") and any(
            kind in mib_object.syntax for kind in ("DisplayString", "AdminString")
        )
        if is_text and _without_number(words)[-1] in _TEXT_STATES | _SO_TEXTS:
            return TextStateObject()
        return None if settings else _code_of(mib_object)
    if len(labels) > _MOST_STATES or words[-1] in ("unit", "units"):
        return None
    lower = {label.lower() for label in labels.values()}
    trouble = bool(WORD_LISTS.trouble & _with_pairs(words))
    if trouble and lower & _ON and lower & _OFF:
        # An alarm that is on is not well, although a lamp that is on would be.
        return EnumeratedObject(
            {number: (label, _raised(label)) for number, label in labels.items()}
        )
    if lower & _YES and lower & _NO:
        if trouble:
            if_yes, if_no = "critical", "ok"
        elif (
            _THERE & {*words}
            or words[-1] in _THERE_LAST
            or (mib_object.kind == "scalar" and words[-1] in _SO_LAST)
        ):
            if_yes, if_no = "ok", "unknown"
        elif words[-1] in ("status", "state"):
            if_yes, if_no = "unknown", "unknown"
        else:
            return None
        return EnumeratedObject(
            {
                number: (label, if_yes if label.lower() in _YES else if_no)
                for number, label in labels.items()
            }
        )
    severities = {number: severity(label) for number, label in labels.items()}
    if trouble:
        # An alarm that is active may have been raised, or may only be watching.
        severities |= {n: "unknown" for n in labels if labels[n].lower() in _ON}
    known = set(severities.values())
    if known <= {"critical", "warning"}:
        # If nothing is well, the object chooses a level.
        return None
    is_clear = "ok" in known and bool(known & {"critical", "warning"})
    is_contact = bool(_CONTACTS & {*words}) and "ok" in known
    if settings and not is_clear and not is_contact:
        return None
    if not WORD_LISTS.states & {*words} and not is_clear and not is_contact:
        return None
    is_named = words[-1] in _LAST_WORDS
    if "ok" not in known and "critical" not in known and not is_named:
        return None
    return EnumeratedObject(
        {number: (label, severities[number]) for number, label in labels.items()}
    )


def _code_of(mib_object: MibObject) -> CodeStateObject | None:
    """Return the state that a number without an enumeration is, by its name alone."""
    words: Sequence[str] = split_words(mib_object.name)
    if mib_object.base not in GAUGES or _NO_CODES & {*words}:
        return None
    if mib_object.units or mib_object.hint:
        return None
    words = _without_number(words)
    if words[0] == "alarm" and mib_object.kind == "scalar" and len(words) > 1:
        is_level = bool((_LEVELS | _MEASURED | _NO_ALARMS) & {*words[1:]})
        return None if is_level else CodeStateObject(is_trouble=True)
    if words[-2:-1] == ["switch"] and words[-1] in _SENSORS:
        return CodeStateObject()
    if words[-2:-1] and words[-2] in _LEVELS and "too" not in words:
        return None
    if words[-1] in _FAULTS or (
        words[-1] in _FAILURES and mib_object.base == "INTEGER" and _PARTS & {*words}
    ):
        return CodeStateObject(is_trouble=True)
    # A temperature status may be the temperature; a sensor's status is not.
    is_value = bool(_MEASURED & {*words}) and "sensor" not in words
    return CodeStateObject() if words[-1] in _CODE_STATES and not is_value else None


def _without_number(words: Sequence[str]) -> Sequence[str]:
    """Return the words of a name without the numbers at its end: status1."""
    while len(words) > 1 and words[-1].isdecimal():
        words = words[:-1]
    return words


def _with_pairs(words: Sequence[str]) -> set[str]:
    """Return the words, and each two or three that follow each other as one: over
    load, on by pass."""
    pairs = [a + b for a, b in pairwise(words)]
    triples = (a + b[-1] for a, b in zip(pairs, pairwise(words[1:]), strict=False))
    return {*words, *pairs, *triples}


def _raised(label: str) -> str:
    """The severity of an alarm that is on or off."""
    if label.lower() in _ON:
        return "warning"
    return "ok" if label.lower() in _OFF else "unknown"
