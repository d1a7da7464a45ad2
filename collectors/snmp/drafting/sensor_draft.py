"""The sensors of a draft: their scales, if these are certain, and states. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import median

import msgspec

from collectors.snmp.drafting.mib_objects import MibObject
from collectors.snmp.drafting.mib_words import WORD_LISTS
from collectors.snmp.drafting.object_meaning import MeasuredObject
from collectors.snmp.drafting.plain_power import WATTS_OR_LESS, may_be_watts
from collectors.snmp.drafting.state_meaning import CodeStateObject, TextStateObject
from collectors.snmp.drafting.unit_words import DEGREES
from collectors.snmp.profiles.label_severity import split_words
from collectors.snmp.session.octet_text import as_number
from collectors.snmp.session.session import Value
from collectors.snmp.tables.quantities import CODES, DESCRIBED, SENSORS, USUAL

# Words of mains voltages, which have a narrower range than all voltages, and of others.
_MAINS = {"input", "output", "bypass", "phase", "outlet", "inlet", "utility", "mains"}
_NOT_MAINS = {"dc", "battery", "batt", "rectifier", "rect", "converter", "board", "psu"}
# The input of a rectifier is mains.
_RECTIFIERS, _FROM_MAINS = {"rectifier", "rect"}, {"ac", "input", "inlet", "mains"}
# Words of probes, which may be anywhere.
_AMBIENT = {
    "ambient",
    "room",
    "external",
    "ext",
    "outdoor",
    "outside",
    "outer",
    "probe",
}
_AMBIENT |= {"water", "air", "inlet", "intake", "supply", "return", "rack", "zone"}
_AMBIENT |= {
    "envir",
    "environment",
    "remote",
    "dew",
    "coolant",
    "fridge",
    "cabinet",
    "sens",
    "digital",
}
_DIVISORS = (1, 10, 100, 1000)
# Volts may come as millivolts, and power factors as thousandths.
_THOUSANDTHS = ("voltage", "power_factor")
# Words of pluggable optics, which may send the numbers of SFF-8472 as they are: degrees
# times 256, volts times 10,000.
_OPTICS = {"ddm", "ddmi", "dom", "optic", "optical", "sfp", "trans", "transceiver"}
_OPTICS |= {"xcvr", "xfp", "qsfp"}
_OPTICS_DIVISORS = {"temperature": 256, "voltage": 10_000}
# All of them need 3.3 volts, and none is as cold as a probe.
_OPTICS_USUAL = {"temperature": "[12, 80]", "voltage": "[2.9, 3.8]"}
# Of these, the light of amplifiers and the power of radio may be anything.
_STRONG = {"amplifier", "catv", "edfa", "microwave", "radio", "wireless"}
_RECEIVED = {"rx", "receive", "received", "receiver"}
_SENT = {"tx", "transmit", "transmitted", "transmitter", "trans"}
_POWER = {"power", "pwr", "optical"}
_DEGREES = re.compile(r"cels|centigrade|fahrenheit|\bdeg(rees?)? ?[cf]\b|temp_?c$")
# A word or a few, and not a number.
_SHORT_TEXT = r"'^([^\d\s].{0,31})$'"
# Larger ones are rather masks, or values.
_SMALL_NUMBER = r"'^\d{1,2}$'"
# 1 need not be the fault: some MIBs begin with 1 for none.
_NO_FAULT = '{0: ["no", ok]}'


def sensor_items(
    found: MeasuredObject,
    values: Mapping[str, Value],
    key: str,
    descr: str,
    mib_object: MibObject,
    is_optics: bool = False,
) -> Iterator[str]:
    """Yield the items of a table that read the object; none if its scale is not
    certain, and no evidence could show it. `is_optics`: of a pluggable optic."""
    fitted = _fit(found, values)
    if fitted is None:
        return
    found, is_certain = fitted
    name = mib_object.name
    if found.class_ == "dbm" and not is_certain:
        words = split_words(f"{name} {mib_object.module.lower()}")
        if _STRONG & {*words}:
            return
    if found.class_ == "temperature" and found.is_described and not values:
        # Inside equipment, whole degrees and tenths can be told apart.
        is_certain = is_certain and bool(_AMBIENT & {*split_words(name)})
    if found.class_ == "fanspeed" and mib_object.base == "OCTET":
        # A text may say that it is a share.
        yield f"{{class: percent, of: {key}, when: {{{key}: '%'}}, descr: {descr}}}"
        key = f"{key}, unless: {{{key}: '%'}}"
    if not is_certain and found.class_ == "fanspeed":
        # It may be revolutions, a share, or a step.
        yield f"{{class: fanspeed, of: {key}, usual: [300, 30000], descr: {descr}}}"
        yield f"{{class: percent, of: {key}, usual: [15, 100], descr: {descr}}}"
        return
    parts = [f"class: {found.class_}", f"of: {key}"]
    if not is_certain and found.class_ == "power" and not found.has_unit:
        if not may_be_watts(mib_object):
            return
        parts += WATTS_OR_LESS
    elif not is_certain:
        if found.class_ not in USUAL:
            return
        words = split_words(name)
        is_optics = is_optics or bool(_OPTICS & {*words})
        module = split_words(mib_object.module)
        is_mains = _is_mains(words, module)
        parts += _possible_scales(found, words, is_optics, is_mains)
    elif found.divisor != 1:
        parts.append(f"divisor: {found.divisor:g}")
    if found.class_ == "signal" and found.is_described:
        # Others send a step, or a share.
        parts.append("usual: [-125, -20]")
    if is_certain and found.is_described and not values and found.class_ in DESCRIBED:
        least, most = DESCRIBED[found.class_]
        parts.append(f"usual: [{least:g}, {most:g}]")
    is_room = found.class_ == "temperature" and (
        _AMBIENT & {*split_words(name)} or DEGREES.fullmatch(mib_object.units.lower())
    )
    if is_room and is_certain and not _DEGREES.search(_texts(mib_object)):
        # It may be Fahrenheit. No room is as warm as that in degrees Celsius.
        parts.append("usual: [6, 55]")
    if found.multiplier != 1:
        parts.append(f"multiplier: {found.multiplier:g}")
    if found.add:
        parts.append(f"add: {found.add:g}")
    if found.is_light:
        parts.append("milliwatts: true")
        if found.is_described and not values:
            # SFF-8472 counts tenths of microwatts, and descriptions often omit that.
            tenths = f"{found.divisor:g}, {10 * found.divisor:g}"
            parts = [part for part in parts if not part.startswith("divisor")]
            parts += [f"divisor: [{tenths}]", "described: true", "usual: [-35, 5]"]
    absent = found.absent
    if is_optics and found.class_ == "voltage":
        # Without its supply voltage, the module is not there.
        absent = (*absent, 0)
    if absent:
        parts.append(f"skip: [{', '.join(map(str, absent))}]")
    yield f"{{{', '.join([*parts, f'descr: {descr}'])}}}"


def _texts(mib_object: MibObject) -> str:
    """Return what the MIB says of the unit, in lower case."""
    return " ".join(
        (mib_object.units, mib_object.hint, mib_object.syntax, mib_object.name)
    ).lower()


def are_of_optics(members: Iterable[MibObject]) -> bool:
    """Return True if these columns have the light that a module sends and receives."""
    names = [{*split_words(member.name)} for member in members]
    if any((WORD_LISTS.radio | _STRONG) & words for words in names):
        return False
    lights = [words for words in names if _POWER & words]
    return all(any(side & words for words in lights) for side in (_RECEIVED, _SENT))


def _possible_scales(
    found: MeasuredObject, words: Sequence[str], is_optics: bool, is_mains: bool
) -> Iterator[str]:
    divisors = [1, 10, 100]
    if found.class_ in _THOUSANDTHS:
        divisors.append(1000)
    if is_optics and found.class_ in _OPTICS_DIVISORS:
        divisors.append(_OPTICS_DIVISORS[found.class_])
    described = int(found.divisor)
    is_whole = found.multiplier == 1 and described == found.divisor
    if found.has_unit and is_whole:
        # What the description gives comes first.
        divisors = [described, *(d for d in divisors if d != described)]
        yield "described: true"
    yield f"divisor: [{', '.join(map(str, divisors))}]"
    if is_optics and found.class_ in _OPTICS_USUAL:
        yield f"usual: {_OPTICS_USUAL[found.class_]}"
        return
    if found.class_ == "voltage" and is_mains:
        yield "usual: [85, 500]"
    if found.class_ == "dbm" and _RECEIVED & {*words}:
        # Stronger light that is received is rather a number of microwatts.
        yield "usual: [-40, 0]"
    if found.class_ == "temperature" and not _AMBIENT & {*words}:
        # Inside equipment it is not as cold as a probe can be.
        yield "usual: [9.5, 95]"


def _is_mains(words: Sequence[str], module: Sequence[str]) -> bool:
    """Return True if a voltage of this name, or one of a PDU, is that of mains."""
    named = {*words}
    if _FROM_MAINS & named and _RECTIFIERS & named:
        return True
    is_of_pdu = any(word.endswith("pdu") for word in module)
    return (is_of_pdu or bool(_MAINS & named)) and not _NOT_MAINS & named


def _fit(
    found: MeasuredObject, values: Mapping[str, Value]
) -> tuple[MeasuredObject, bool] | None:
    """Return `found` with a scale that fits the values, and whether that is certain;
    None if the values cannot be such measurements.

    A stated scale is kept if the values are plausible with it.
    """
    numbers = [
        number
        for value in values.values()
        if (number := as_number(value)) is not None and number and number not in CODES
    ]
    if not numbers:
        if any(map(_has_letters, values.values())):
            return None
        return found, found.is_stated or (found.class_ not in USUAL and found.has_unit)
    quantity = SENSORS[found.class_]
    middle = median(map(abs, numbers))
    scaled = middle * found.multiplier / found.divisor + found.add
    if quantity.contains(scaled) and (found.is_stated or found.class_ not in USUAL):
        return found, found.is_stated or found.has_unit
    least, most = USUAL.get(found.class_, (quantity.least, quantity.most))
    fitting = [divisor for divisor in _DIVISORS if least <= middle / divisor <= most]
    if len(fitting) == 1:
        plain = msgspec.structs.replace(found, divisor=float(fitting[0]))
        return msgspec.structs.replace(plain, multiplier=1.0, add=0.0), True
    return (found, False) if fitting else None


def _has_letters(value: Value) -> bool:
    return isinstance(value, bytes) and as_number(value) is None


def plain_state_item(
    found: TextStateObject | CodeStateObject, key: str, descr: str
) -> str:
    """Return the item that shows a short text, or a small number, as a state."""
    if isinstance(found, CodeStateObject):
        shown = f"states: {_NO_FAULT}, when: {{{key}: [0, 1]}}, "
        if not found.is_trouble:
            shown = f"when: {{{key}: {_SMALL_NUMBER}}}, "
        return f"{{class: state, of: {key}, {shown}descr: {descr}}}"
    return (
        f"{{class: state, of: {key}, states: words, find: {_SHORT_TEXT}, "
        f"descr: {descr}}}"
    )
