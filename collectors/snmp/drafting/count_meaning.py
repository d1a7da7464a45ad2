"""Which objects of MIBs count what there is now: sessions, calls, users. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from collectors.snmp.drafting.mib_objects import GAUGES, NUMBERS, MibObject
from collectors.snmp.drafting.mib_words import WORD_LISTS

# Sessions and the like that come each second, although "second" is the unit of times.
_RATE_UNITS = re.compile(
    r"(new )?(sessions?|connections?|calls?|conns?)( per |/)s(ec(ond)?)?"
)
# These types are of what there is, and of a scalar its name need not say "now".
_CERTAIN_GAUGES = {"Gauge32", "Unsigned32"}
_CERTAINLY_NOW = {"curr", "current", "concurrent"}
# Of a counter that began again: the current day, in total.
_PERIODS = {"attempted", "day", "frames", "hour", "interval", "min", "pkts", "total"}
_NOW = _CERTAINLY_NOW | {"active", "connected", "established", "login", "registered"}
_PAST = {"limit", "peak", "high", "low", "watermark", "failed", "rejected", "cps"}
# Of a session, not how many of them.
_PAST |= {
    "allowed",
    "attempt",
    "completed",
    "dest",
    "duration",
    "ended",
    "gen",
    "id",
    "idle",
}
_PAST |= {"index", "instance", "module", "rate", "role", "time", "timeout", "vlan"}


# What a printer has done, which says when it needs service.
_PAGES = {"copies", "impressions", "jam", "jams", "page", "pages", "prints", "sheets"}
_COUNTED = {"count", "counter", "total"}


def is_count(mib_object: MibObject, words: Sequence[str]) -> bool:
    """Return True if it is a number of sessions, calls, users or the like that there
    are now; in a table, only if the name says so for certain."""
    named, base = set(words), mib_object.base
    if _RATE_UNITS.fullmatch(mib_object.units.lower().strip()):
        return base in GAUGES and not named & (
            WORD_LISTS.never_now | WORD_LISTS.settings | {"limit", "peak"}
        )
    if mib_object.kind == "scalar" and _PAGES & named and _COUNTED & named:
        unsure = WORD_LISTS.settings | WORD_LISTS.never_now | {"limit", "time", "size"}
        return base in NUMBERS and not named & unsure
    if "ses" in words and "count" not in words:
        return False  # Severely errored seconds of a line.
    if words[-1] == "cps":
        # Connections a second, of those that are active.
        named = {*words[:-1], "connections"}
    now = WORD_LISTS.now if mib_object.kind == "scalar" else _NOW
    # What there is now is no counter, whatever type the MIB gives it.
    is_gauge = base in GAUGES or (bool(_CERTAINLY_NOW & named) and not named & _PERIODS)
    is_plain = (
        mib_object.kind == "scalar"
        and base in _CERTAIN_GAUGES
        and words[-1] in WORD_LISTS.counted
    )
    settings = WORD_LISTS.settings - {"dhcp"}
    return (
        is_gauge
        and bool(WORD_LISTS.counted & named and (now & named or is_plain))
        and not re.search(r"second|%|percent", mib_object.units + mib_object.hint)
        and not named & (WORD_LISTS.never_now | settings | _PAST)
    )
