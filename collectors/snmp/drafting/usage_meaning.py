"""Which objects of MIBs are the use of processors and memory, or count the clients and
access points of wireless networks. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from collectors.snmp.drafting.mib_objects import NUMBERS, MibObject
from collectors.snmp.drafting.mib_words import WORD_LISTS
from collectors.snmp.drafting.unit_words import stated_divisor
from collectors.snmp.profiles.label_severity import split_words


class UsageObject(msgspec.Struct, frozen=True):
    """A share in per cent, of a processor or of memory.

    `period_s`: the time that it is the mean of, or None if the name has none.
    `is_stated`: the MIB says that it is in per cent, or a fraction of it (`divisor`).
    """

    section: str
    is_idle: bool = False
    period_s: int | None = None
    is_stated: bool = False
    divisor: float = 1


class AmountObject(msgspec.Struct, frozen=True):
    """An amount of memory: used, free or total, in units of so many octets. `is_wide`:
    it has 64 bits. `may_be_share`: it may be a share in per cent as well."""

    part: str
    unit_bytes: int = 1
    is_wide: bool = False
    may_be_share: bool = False


class WirelessObject(msgspec.Struct, frozen=True):
    """A number of clients or of access points. `of_network`: of one network name."""

    class_: str
    of_network: bool = False


# Capitals that small letters follow: CPUutilization.
_ABBREVIATION = re.compile(r"(?<![A-Z])(CPU|DRAM|RAM)(?=[a-z])")
_TIMES = {"s": 1, "sec": 1, "secs": 1, "second": 1, "seconds": 1}
_TIMES |= {"m": 60, "min": 60, "mins": 60, "minute": 60, "minutes": 60}
_TIMES |= {"hour": 3600, "hours": 3600}
_COUNTS = {"one": 1, "five": 5, "ten": 10, "fifteen": 15, "thirty": 30, "last": 1}
_MEANS = {"average", "avg", "ave", "mean", "last", "during", "period", "interval"}
# Whose processor it is.
_OWNERS = {"unit", "system", "control", "part", "module"}
_MEMORY = {"memory", "mem", "ram", "dram"}
_FREE = {"free", "freed", "available", "avail", "left", "unused"}
# Of these, a number may be a share or an amount.
_MAYBE_SHARES = {"usage", "busy", "idle", "rate"}
_AMOUNTS = (
    ("free", _FREE | {"idle"}),
    ("used", {"used", "allocated", "allocate", "alloc", "inuse", "busy", "usage"}),
    ("total", {"total", "size", "capacity", "installed"}),
)
_STATIONS = {"station", "stations", "sta", "stas"}
# One maker calls stations mobile units.
_CLIENTS = {"client", "clients", "mu"} | _STATIONS
_UNITS = ({"mobile", "unit"}, {"assoc", "node"})
_POINTS = {"ap", "aps", "wtp", "wtps"}
_NETWORKS = {"ssid", "ssids", "essid", "wlan", "vap"}


def usage_of(mib_object: MibObject) -> UsageObject | AmountObject | None:
    """Return what use of a processor or memory the object is, or None."""
    words = split_words(_ABBREVIATION.sub(r"\1_", mib_object.name))
    if mib_object.labels or words[-1] in WORD_LISTS.texts:
        return None
    if mib_object.base not in NUMBERS and "STRING" not in mib_object.syntax:
        return None
    words, period_s = _without_period(words)
    banned = WORD_LISTS.not_now - _OWNERS - _MEANS
    if banned & {*words} or (not words or words[-1] in _OWNERS):
        return None
    if _MEMORY & {*words}:
        return _memory(mib_object, words)
    return _processor(mib_object, words, period_s)


def _without_period(words: Sequence[str]) -> tuple[list[str], int | None]:
    """Return the words without those of a time, such as `last 5 minutes`, and the
    time in seconds."""
    rest, period_s, at = [], None, 0
    while at < len(words):
        count = int(words[at]) if words[at].isdigit() else _COUNTS.get(words[at])
        following = words[at + 1] if at + 1 < len(words) else ""
        if count and following in _TIMES:
            period_s = count * _TIMES[following]
            at += 2
            continue
        if words[at] not in _MEANS:
            rest.append(words[at])
        at += 1
    return rest, period_s


def _processor(
    mib_object: MibObject, words: Sequence[str], period_s: int | None
) -> UsageObject | None:
    named = {*words}
    is_processor = "processor" in named or any(w.endswith("cpu") for w in words)
    if not is_processor or named & (WORD_LISTS.no_processor | WORD_LISTS.other_devices):
        return None
    is_stated = _is_in_percent(mib_object)
    if not (
        is_stated
        or named & WORD_LISTS.usage
        or (period_s and words[-1].endswith("cpu"))
    ):
        return None
    divisor = stated_divisor(mib_object.units, mib_object.hint) if is_stated else 1
    return UsageObject("processors", "idle" in named, period_s, is_stated, divisor)


def _is_in_percent(mib_object: MibObject) -> bool:
    units = mib_object.units.lower()
    type_ = mib_object.syntax.partition(":")[2].lower()
    return bool(
        "%" in units
        or "percent" in units
        or "percent" in mib_object.hint
        or re.search(r"percent|utilization", type_)
    )


def _memory(
    mib_object: MibObject, words: Sequence[str]
) -> UsageObject | AmountObject | None:
    named, units = {*words}, mib_object.units.lower()
    of_processes = mib_object.kind == "column" and named & {"process", "processes"}
    if of_processes or named & WORD_LISTS.no_memory:
        return None
    is_sized = bool(re.search(r"byte|octet|kb|mb|^b$", units))
    is_stated = _is_in_percent(mib_object)
    if is_stated or (
        named & (WORD_LISTS.usage - _MAYBE_SHARES - {"used"}) and not is_sized
    ):
        is_idle = bool(named & (_FREE | {"idle"}))
        return UsageObject("memory", is_idle, is_stated=is_stated)
    for part, said in _AMOUNTS:
        if named & said:
            size = _unit_bytes(f"{units} {' '.join(words)}")
            may_be_share = bool(named & _MAYBE_SHARES) and not is_sized
            return AmountObject(
                part, size, mib_object.base == "Counter64", may_be_share
            )
    return None


def _unit_bytes(said: str) -> int:
    if re.search(r"\bk(b|bytes|ilo[ -]?bytes|ib)?\b|\bkilo", said):
        return 1024
    return 1024**2 if re.search(r"\bm(b|bytes|ib)?\b|\bmega", said) else 1


def wireless_of(mib_object: MibObject) -> WirelessObject | None:
    """Return what the object counts in wireless networks, or None."""
    words = split_words(mib_object.name)
    named = {*words}
    if mib_object.base not in NUMBERS or mib_object.labels:
        return None
    if named & WORD_LISTS.client_events:
        return None
    not_now = WORD_LISTS.never_now | WORD_LISTS.settings | {"lowest", "highest"}
    if mib_object.kind == "scalar" and words[-2:] == ["wtp", "sessions"]:
        # Those of the access points with their controller.
        return WirelessObject("ap-count")
    if named & not_now or not named & WORD_LISTS.counting or _is_in_percent(mib_object):
        return None
    is_unit = any(unit <= named for unit in _UNITS)
    if is_unit or (named & _CLIENTS and named & (WORD_LISTS.wireless | _STATIONS)):
        return WirelessObject("clients", bool(named & _NETWORKS))
    is_whole = mib_object.kind == "scalar" and not named & (_CLIENTS | {"radio"})
    if is_whole and words[-1] in _POINTS | WORD_LISTS.counting and named & _POINTS:
        return WirelessObject("ap-count")
    return None
