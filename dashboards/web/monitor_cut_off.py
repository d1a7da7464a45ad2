"""Whether Towpath itself is cut off now, and what is left of its polls then. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from alerts.alert import Alert
from dashboards.observed.blind_spans import CUT_OFF
from dashboards.web.site_state import DeviceNow


def is_cut_off(devices: Sequence[DeviceNow], alerts: Iterable[Alert]) -> bool:
    """True if Towpath itself is cut off rather than everything down: the rule says so,
    or none of at least three devices in two sites answers."""
    if any(each.rule == CUT_OFF and each.state == "firing" for each in alerts):
        return True
    seen = [each for each in devices if each.level != "none"]
    return (
        len(seen) >= 3
        and len({each.device.site for each in seen}) >= 2
        and all(each.level == "bad" for each in seen)
    )


def not_observed(devices: Iterable[DeviceNow]) -> list[DeviceNow]:
    """`devices` as they are while Towpath is cut off: a poll without an answer says
    nothing of them."""
    return [
        replace(each, level="none", word="No data", cut_off=True)
        if each.level == "bad"
        else each
        for each in devices
    ]
