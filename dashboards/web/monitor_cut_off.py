"""Whether Towpath itself is cut off, and which polls then still count. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from alerts.alert import Alert
from alerts.rule import CUT_OFF
from dashboards.web.site_state import DeviceNow


def is_cut_off(devices: Sequence[DeviceNow], alerts: Iterable[Alert]) -> bool:
    """Returns True if Towpath itself is cut off, rather than everything down: its alert
    fires, or none of at least three devices at two sites answers."""
    if any(alert.rule == CUT_OFF and alert.state == "firing" for alert in alerts):
        return True
    seen = [device for device in devices if device.level != "none"]
    return (
        len(seen) >= 3
        and len({device.device.site for device in seen}) >= 2
        and all(device.level == "bad" for device in seen)
    )


def not_observed(devices: Iterable[DeviceNow]) -> list[DeviceNow]:
    """Returns `devices` as seen while Towpath is cut off: a poll without an answer then
    means nothing."""
    return [
        replace(device, level="none", word="No data", cut_off=True)
        if device.level == "bad"
        else device
        for device in devices
    ]
