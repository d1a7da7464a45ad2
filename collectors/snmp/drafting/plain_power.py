"""Which powers without a unit may be read, and how their scale is found. Pure.

What a device or one of its ports uses is in watts or in milliwatts. No device uses what
these numbers would be in the other unit, if they are large or small enough. In power
plants it may as well be kilowatts or tenths of them, so these are left out, and so is
power in dBm.
"""

from __future__ import annotations

from collectors.snmp.drafting.mib_objects import MibObject
from collectors.snmp.drafting.mib_words import WORD_LISTS
from collectors.snmp.profiles.label_severity import split_words

# 1 may be a switch that is on.
WATTS_OR_LESS = ("divisor: [1, 1000]", "usual: [2, 9000]")
# Of a scalar's name: power that flows, not a source of it.
_FLOWS = {"active", "actual", "avail", "available", "avg", "average", "chassis", "in"}
_FLOWS |= {"capacity", "consumed", "consumption", "cur", "current", "draw", "drawn"}
_FLOWS |= {"input", "load", "measured", "out", "output", "poe", "real", "remain"}
_FLOWS |= {"remaining", "total", "true", "usage", "used", "watt", "watts"}
# First letters of words of plants, of cooling, of light and of what is not there now.
_OTHERS = (
    *(
        "ups",
        "rups",
        "inv",
        "rect",
        "genset",
        "pv",
        "solar",
        "batt",
        "conv",
        "bypass",
        "phase",
    ),
    *("generator", "dc", "charg", "grid", "tower", "antenna", "cool", "compr"),
    *("speed", "bluetooth", "freecool", "stulz", "edf", "compat"),
    *("opt", "opic", "laser", "light", "edfa", "roadm", "span", "voa", "orrf", "laddr"),
    *("hfc", "catv", "docsis", "stream", "fm", "rds", "forward", "reverse", "reflect"),
    *("reactive", "expect", "request", "requir", "desir", "grant", "fallback", "trap"),
    *("old", "new", "base", "typical", "reserv", "hist", "neighbor", "remote", "lldp"),
    *("mirror", "dll", "tx", "rx", "receiv", "transm", "signal", "noise", "fade"),
)
_OTHER_WORDS = {"bat", "ct", "odu", "osc", "pon", "epon", "gpon", "onu", "ont", "olt"}
_OTHER_WORDS |= {"channel", "carrier", "span", "dot11", "mpscom", "ac", "mppt"}
_OTHER_WORDS |= {"electric", "fec", "instant", "res", "sfp", "t", "trs", "wdm"}


def may_be_watts(mib_object: MibObject) -> bool:
    """Return True if a power of this name is what a device or its port uses."""
    if mib_object.labels.keys() - {-1}:
        # A number that is labelled is a switch.
        return False
    named = {*split_words(mib_object.name)}
    words = named | {*split_words(mib_object.module)}
    if words & (WORD_LISTS.radio | _OTHER_WORDS):
        return False
    if any(word.startswith(_OTHERS) for word in words):
        return False
    return mib_object.kind == "column" or bool(_FLOWS & named)
