"""Which objects of MIBs are readings of radios: channel, noise, power, signal, rate.
Pure.

MIBs of wireless networks, of mobile modems and of radio links have them in tables of
radios, of access points or of links, and some as scalars. Tables of the clients, of
other networks in the air, of settings and of the past are left out.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence, Set

import msgspec

from collectors.snmp.drafting.mib_objects import NUMBERS, MibObject
from collectors.snmp.drafting.mib_words import WORD_LISTS
from collectors.snmp.drafting.unit_words import hint_word, stated_divisor
from collectors.snmp.profiles.label_severity import split_words


class RadioObject(msgspec.Struct, frozen=True):
    """A reading of a radio: class of wireless reading, and how to scale it.

    `within`: what such a reading can be. Another value shows that the scale is another
    one, or that there is no link, and is left out. `divisor`: 0 if only the number of
    its digits shows the unit. `side`: transmit or receive.
    `is_now`: the name says that it is what there is, beside what is set. `is_channel`:
    the number of a Wi-Fi channel.
    """

    class_: str
    within: tuple[float, float]
    divisor: float = 1
    multiplier: float = 1
    side: str = ""
    is_now: bool = False
    is_channel: bool = False


class _Kind(msgspec.Struct, frozen=True):
    """A class of readings: the last words of their names, their units, and what they
    can be. `is_plain`: the name alone says that it is radio. `needs_unit`: without its
    unit nothing is certain."""

    class_: str
    names: str
    units: str
    within: tuple[float, float]
    is_plain: bool = False
    needs_unit: bool = False


_DBM = r"dbm|decibel-milliwatts?|milliwatt\|db"
_DB = rf"{_DBM}|db|decibels?"
_PERCENT = r"%|per ?cent(age)?"
_SENT, _RECEIVED = r"\w?tx|transmit(ted)?|output", r"\w?rx|receiv(e|ed|er)|input|rcv"
_POWER = "(power|pwr|pow)"
_SIDES = (
    ("transmit", {"tx", "transmit", "transmitted", "output"}),
    ("receive", {"rx", "receive", "received", "receiver", "input", "rcv"}),
)
_KINDS = (
    _Kind("snr", r"snr|cinr|snir|signal (to )?noise ratio", _DB, (-20, 80)),
    _Kind(
        "noise-floor",
        r"(?<!to )noise ?(floor|level|power)",
        _DBM,
        (-130, -30),
        is_plain=True,
    ),
    _Kind("noise-floor", r"(?<!to )noise", _DBM, (-130, -30)),
    _Kind("rsrp", r"\w*rsrp", _DBM, (-145, -30), is_plain=True),
    _Kind("rsrq", r"\w*rsrq", _DB, (-40, 0), is_plain=True),
    _Kind("sinr", r"\w*sinr", _DB, (-30, 50), is_plain=True),
    _Kind(
        "rssi",
        r"\w*rssi|rsl|rss|signal (strength|level)|rx signal|signal",
        _DB,
        (-125, -10),
    ),
    _Kind(
        "power",
        rf"({_SENT}|rf) ?{_POWER}( level)?|txpower|eirp|{_POWER} ?(tx|transmit)|ptx",
        _DBM,
        (-20, 60),
    ),
    _Kind("power", rf"({_RECEIVED}|rx) ?({_POWER}|level)|prx", _DBM, (-125, -10)),
    _Kind("ccq", r"ccq", _PERCENT, (0, 100), is_plain=True),
    _Kind("quality", r"(link|signal|air ?max|rf) quality", _PERCENT, (0, 100)),
    _Kind(
        "utilization",
        r"(channel|chan|radio|medium|rf|rx|tx|air ?time|down ?link|up ?link)"
        r"( \w+)? ?(utili[sz]ation|util|busy|load|usage)|(rx|tx|busy|total) ?airtime",
        _PERCENT,
        (0, 100),
    ),
    _Kind("error-ratio", r"(rx|tx) per", _PERCENT, (0, 100), needs_unit=True),
    _Kind(
        "rate",
        r"((tx|rx|up|down|link|phy|net|data|transmit|receive|uplink|downlink|dl|ul)\w*)"
        r" ?(data |bit |phy |link |net )?(bit ?)?(rate|speed|capacity)"
        r"|(rate|speed) (rx|tx)",
        r"[kmg]?(bps|bits?/s(ec)?|b/s)|(kilo|mega)?bits? ?(per |/)s(ec(ond)?)?",
        (1, 10**12),
        needs_unit=True,
    ),
    _Kind(
        "distance", r"distance", r"k?m|(kilo)?met(er|re)s?", (0, 1000), needs_unit=True
    ),
    _Kind("mse", r"mse", _DB, (-60, 0)),
)
_FREQUENCY = re.compile(r"\b(freq|frequency)( carrier)?( ?[mk]?hz)?$")
_CHANNEL = re.compile(r"\b(channel|chan)( (num|number|no|id))?$")
# What a Wi-Fi channel's number, and that of a mobile network's carrier, can be.
_WIFI_MHZ, _CARRIERS = (2400, 7200), (1, 4_000_000)
_MEGAHERTZ = {"hz": 1e6, "khz": 1e3, "mhz": 1.0, "ghz": 1e-3}
# Of a frequency whose unit the MIB does not name.
_MHZ_WITHIN = (300, 100_000)
_PER_SECOND = {"k": 1e3, "m": 1e6, "g": 1e9}
_ENDS_OF_RADIO = ("radio", "modem")
_NOW = {"actual", "curr", "current", "now", "oper", "operational", "real"}
# Last words that say nothing of what it is.
_PLAIN_ENDS = {"dbm", "db", "float", "status", "value", "val", "now", "reading"}
_PLAIN_ENDS |= {"percent", "pct"} | _NOW
# Modules of what is sent as a notification.
_NOTICES = {"trap", "traps", "notification", "notifications"}
_NO_DBM_POWER = (1, 33)


def _radio_of(
    mib_object: MibObject, holder: MibObject | None, around: Collection[str]
) -> RadioObject | None:
    """Return what reading of a radio the object is, or None. `holder`: its table;
    `around`: words of the objects beside it that are of radio."""
    if not (mib_object.base in NUMBERS or "STRING" in mib_object.syntax):
        return None
    if mib_object.labels:
        return None
    words = _words_of(mib_object)
    said = {*words, *split_words(mib_object.module.lower()), *around}
    if holder is not None:
        table = split_words(holder.name)
        index = {w for name in holder.index.split(",") for w in split_words(name)}
        if WORD_LISTS.no_radio_tables & {*table} or WORD_LISTS.no_radio_index & index:
            return None
        said |= {*table}
    if said & WORD_LISTS.other_signals or WORD_LISTS.no_radio & {*words}:
        return None
    if said & _NOTICES:
        return None
    is_radio = _is_of_radio(said)
    is_now = bool(_NOW & {*words})
    words = _without_ends(words)
    side = next((side for side, named in _SIDES if named & {*words}), "")
    found = _frequency(mib_object, words, said) if is_radio else None
    found = found or _of_kinds(mib_object, words, is_radio)
    if found is None:
        return None
    return msgspec.structs.replace(found, side=side, is_now=is_now)


def kind_of(radio: RadioObject) -> tuple[str, str]:
    """Return what a radio has once, as it is set and as it is now."""
    return radio.class_, radio.side


def _words_of(mib_object: MibObject) -> list[str]:
    return split_words(mib_object.name.replace("dBm", "Dbm"))


def _is_of_radio(words: Collection[str]) -> bool:
    return bool({*words} & (WORD_LISTS.wireless | WORD_LISTS.radio_context)) or any(
        word.endswith(_ENDS_OF_RADIO) for word in words
    )


def _without_ends(words: Sequence[str]) -> list[str]:
    words = [w for w in words if not w.isdigit()]
    while len(words) > 1 and words[-1] in _PLAIN_ENDS:
        words = words[:-1]
    return [w for w in words if w not in _NOW] or words


def _frequency(
    mib_object: MibObject, words: Sequence[str], said: Set[str]
) -> RadioObject | None:
    """Return the frequency or the channel that the object is, or None."""
    name = " ".join(words)
    if _FREQUENCY.search(name) and mib_object.base in NUMBERS:
        unit = mib_object.units.lower().strip()
        if unit in _MEGAHERTZ:
            factor = _MEGAHERTZ[unit]
            divisor, multiplier = max(factor, 1.0), max(1 / factor, 1.0)
            return RadioObject("frequency", _MHZ_WITHIN, divisor, multiplier)
        return None if unit else RadioObject("frequency", _MHZ_WITHIN, 0)
    if _CHANNEL.search(name) and not mib_object.units:
        if WORD_LISTS.mobile & said:
            return RadioObject("channel", _CARRIERS)
        if WORD_LISTS.wireless & said and not WORD_LISTS.other_channels & said:
            return RadioObject("frequency", _WIFI_MHZ, is_channel=True)
    return None


def _of_kinds(
    mib_object: MibObject, words: Sequence[str], is_radio: bool
) -> RadioObject | None:
    name, unit = " ".join(words), _unit_of(mib_object)
    is_certain = is_radio and not mib_object.base.startswith("Counter")
    for kind in _KINDS:
        if not (kind.is_plain or is_certain):
            continue
        if not re.search(rf"\b(?:{kind.names})$", name):
            continue
        is_stated = bool(unit) and re.fullmatch(kind.units, unit) is not None
        if (unit and not is_stated) or (kind.needs_unit and not is_stated):
            return None
        if kind.class_ == "power" and not is_stated:
            if kind.within[1] < 0 or "level" in words:
                return None
            return RadioObject("power", _NO_DBM_POWER)
        divisor, multiplier = 1.0, 1.0
        if mib_object.base in NUMBERS:
            # A text has its decimals itself.
            divisor = stated_divisor(mib_object.units.lower(), mib_object.hint.lower())
        if kind.class_ == "rate":
            multiplier = _PER_SECOND.get(unit[0], 1.0)
            if count := re.match(r"\d+", mib_object.units):
                # 500Kb/s
                multiplier *= int(count[0])
        elif kind.class_ == "distance" and unit[0] == "m":
            divisor *= 1000
        if kind.class_ == "mse" and divisor == 1:
            # Most are in tenths.
            return None
        return RadioObject(kind.class_, kind.within, divisor, multiplier)
    return None


def _unit_of(mib_object: MibObject) -> str:
    """Return the unit that the MIB states, without a scale; a description with several
    units states none."""
    units = re.sub(r"^[\d./]+ *", "", mib_object.units.lower().strip())
    return units or hint_word(mib_object.hint.lower(), "unit")


def radios_of(
    members: Sequence[MibObject], holder: MibObject | None
) -> Mapping[str, RadioObject]:
    """Return the readings of radios by OID."""
    words = {word for member in members for word in _words_of(member)}
    is_radio = _is_of_radio(words) or bool(words & {"rssi", "rss", "rsl"})
    around = {"rf"} if is_radio and not words & WORD_LISTS.other_signals else set()
    return {m.oid: radio for m in members if (radio := _radio_of(m, holder, around))}
