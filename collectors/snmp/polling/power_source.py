"""Whether a UPS runs on battery, from its sensors. Pure.

Every vendor has its own words for this. The names of sensors and states in profiles are
matched here, so that rules need not know them.
"""

from __future__ import annotations

import re

from collectors.snmp.profiles.readings import Sensor

# Sensors of the source of power.
_SOURCE = re.compile(
    r"((pwr state )?ups |basic |base )?out(put)?( group)?( source| status)?"
    r"|(server )?power( source| state| operational status)?|(power )?supply state"
    r"|(basic )?system status"
)
# Sensors of the battery of a UPS.
_OF_BATTERY = re.compile(
    r"([drx]?ups |pwr |power |lithium |ita com (addr |stander )?"
    r"|.* (?=bat negative group))?"
    r"bat(tery)?( negative)?( group)?( detail)?( charge)?( ?status| state| abm status)?"
    r"|(measure )?charging state|rups is charging"
)
_BATTERY = re.compile(
    r"(on ?)?battery|(battery )?discharging|battery discharge spotmode"
)
# States that name the mains. Switches have a sensor "Power" too, with other states.
_MAINS = re.compile(r"(on )?(mains|line|utility)|online|on line")
# States of the battery that show mains. That it is full does not show mains.
_CHARGES = re.compile(r"(battery )?(charging|floating|resting)")
# Sensors that are questions, with yes or no.
_YES_OR_NO = re.compile(r"on battery|utility (off|failure)|mains (off|failure)")
_TIME = re.compile(r"time on battery")


def on_battery(sensor: Sensor) -> int | None:
    """1 if the sensor shows that the UPS runs on battery, 0 if it shows that it does
    not, None if it shows neither."""
    name = _plain(sensor.descr)
    if sensor.class_ == "runtime":
        if not _TIME.fullmatch(name) or sensor.value is None:
            return None
        return int(sensor.value > 0)
    if sensor.class_ != "state" or sensor.state is None:
        return None
    state = _plain(sensor.state)
    if _YES_OR_NO.fullmatch(name):
        return {"yes": 1, "no": 0}.get(state)
    if _OF_BATTERY.fullmatch(name):
        if _CHARGES.fullmatch(state):
            return 0
        return 1 if state != "battery" and _BATTERY.fullmatch(state) else None
    if not _SOURCE.fullmatch(name) or sensor.severity == "unknown":
        return None
    if _BATTERY.fullmatch(state):
        return 1
    if "out" in name or _MAINS.fullmatch(state):
        return 0
    return None


def _plain(text: str) -> str:
    """`onBattery`, `On battery` and `ON_BATTERY` as `on battery`."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)
    return " ".join(re.findall(r"[a-z]+", spaced.casefold()))
