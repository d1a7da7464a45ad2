"""Whether a UPS runs on battery, told from its sensors. Pure.

Every maker has words of its own for it; what profiles call these sensors and states is
matched here, so that rules need not know them.
"""

from __future__ import annotations

import re

from collectors.snmp.profiles.readings import Sensor

# What the output, or the power, comes from.
_SOURCE = re.compile(r"(output|output source|output status|power|power source)")
_BATTERY = re.compile(
    r"(on )?battery|(battery )?discharging|battery discharge spotmode"
)
# Of "Power" only a state that speaks of it says something: switches have one, too.
_MAINS = re.compile(r"(on )?(mains|line|utility)|online|on line")
# What the battery itself does. That it is charged is no sign of mains.
_CHARGES = re.compile(r"(battery )?(charging|floating|resting)")
# Sensors that are asked as a question.
_ASKED = re.compile(r"on battery|utility (off|failure)|mains (off|failure)")
_TIME = re.compile(r"time on battery")


def on_battery(sensor: Sensor) -> int | None:
    """1 if the sensor says that the UPS runs on battery, 0 if it says that it does not,
    None if it says nothing of it."""
    name = _plain(sensor.descr)
    if sensor.class_ == "runtime":
        if not _TIME.fullmatch(name) or sensor.value is None:
            return None
        return int(sensor.value > 0)
    if sensor.class_ != "state" or sensor.state is None:
        return None
    state = _plain(sensor.state)
    if _ASKED.fullmatch(name):
        return {"yes": 1, "no": 0}.get(state)
    if name == "battery":
        if _CHARGES.fullmatch(state):
            return 0
        return 1 if state != "battery" and _BATTERY.fullmatch(state) else None
    if not _SOURCE.fullmatch(name) or sensor.severity == "unknown":
        return None
    if _BATTERY.fullmatch(state):
        return 1
    if name.startswith("output") or _MAINS.fullmatch(state):
        return 0
    return None


def _plain(text: str) -> str:
    """`onBattery`, `On battery` and `ON_BATTERY` as `on battery`."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)
    return " ".join(re.findall(r"[a-z]+", spaced.casefold()))
