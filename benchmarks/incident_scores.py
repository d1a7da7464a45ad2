"""Which message belongs to which incident, and whether it names its cause. Pure.

Only the first alert of a message counts: it makes the subject, and what is named
further down is not what wakes somebody. A message that belongs to no incident is a
false page.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.incident_engine import Message
from benchmarks.incident_faults import Fault

_EARLY_MS, _LATE_MS = 0, 15 * 60_000
# Rules whose subject does not name what has failed.
_NAMES = {
    "monitor_cut_off": "monitor:",
    "monitor_blind": "monitor:",
    "vpn_slow_everywhere": "vpn:",
    "vpn_slow": "vpn:",
}
_NAME_PREFIXES = {"names_": "dns:", "dns_": "dns:", "microsoft_": "microsoft:"}


@dataclasses.dataclass
class Outcome:
    """What became of one incident: its first messages in order."""

    fault: Fault
    messages: list[Message] = dataclasses.field(default_factory=list)
    right: int = 0

    @property
    def delay_s(self) -> float | None:
        if not self.messages:
            return None
        return (self.messages[0].time_ms - self.fault.begin_ms) / 1000


@dataclasses.dataclass
class Scores:
    """Of all first messages and incidents of one run."""

    outcomes: list[Outcome]
    false_pages: list[Message]

    @property
    def precision(self) -> float:
        sent = sum(len(o.messages) for o in self.outcomes) + len(self.false_pages)
        return sum(o.right for o in self.outcomes) / sent if sent else 0.0

    @property
    def recall(self) -> float:
        return statistics.fmean(o.right > 0 for o in self.outcomes)

    @property
    def pages_per_incident(self) -> float:
        return statistics.fmean(len(o.messages) for o in self.outcomes)

    @property
    def without_page(self) -> int:
        return sum(not o.messages for o in self.outcomes)


def score(faults: Sequence[Fault], messages: Sequence[Message]) -> Scores:
    """Matches each first message with the incident that it is about."""
    outcomes = [Outcome(fault) for fault in faults]
    false_pages = []
    for message in messages:
        if message.page.kind != "page":
            continue
        alert = message.page.data["alerts"][0]
        named, touched = named_cause(alert), entities(alert)
        near = [
            o
            for o in outcomes
            if o.fault.begin_ms - _EARLY_MS
            <= message.time_ms
            <= o.fault.end_ms + _LATE_MS
        ]
        right = [o for o in near if named in o.fault.causes]
        about = [o for o in near if touched & o.fault.footprint]
        if right:
            right[0].right += 1
            right[0].messages.append(message)
        elif about:
            smallest = min(about, key=lambda o: len(o.fault.footprint))
            smallest.messages.append(message)
        else:
            false_pages.append(message)
    return Scores(outcomes, false_pages)


def named_cause(alert: Mapping[str, Any]) -> str:
    """`device:core-1`, `supplier:Omega` …: what the message says has failed."""
    rule, subject = alert["rule"], alert["subject"]
    for prefix, name in _NAME_PREFIXES.items():
        if rule.startswith(prefix):
            return name
    if rule in _NAMES:
        return _NAMES[rule]
    if rule == "access_point_down":
        return f"about:{subject['about']}"
    if alert["domain"]:
        return str(alert["domain"])
    if "process" in subject:
        return "monitor:"
    if subject.get("by") in ("provider", "site"):
        return f"{subject['by']}:{subject['group']}"
    if subject.get("port"):
        return f"port:{subject['device']}/{subject['port']}"
    for part in ("device", "line", "gateway", "supplier", "site"):
        if subject.get(part):
            return f"{part}:{subject[part]}"
    return rule


def entities(alert: Mapping[str, Any]) -> set[str]:
    """Everything that the alert touches."""
    subject = alert["subject"]
    parts = ("device", "line", "gateway", "supplier", "site")
    touched = {f"{part}:{subject[part]}" for part in parts if subject.get(part)}
    touched.add(named_cause(alert))
    if alert.get("site"):
        touched.add(f"site:{alert['site']}")
    return touched
