"""`Alert`: the state of one rule for one subject, as people and programs see it."""

from __future__ import annotations

from typing import Literal

import msgspec

StateName = Literal["baseline", "pending", "firing", "resolved"]
Severity = Literal["critical", "warning", "info"]
PagingHours = Literal["always", "open"]
# Who acts on an alert.
Owner = Literal[
    "network",
    "facilities",
    "security",
    "service_desk",
    "end_user_devices",
    "supplier",
    "towpath",
]
SEVERITY_ORDER: dict[Severity, int] = {"critical": 0, "warning": 1, "info": 2}


class Evidence(msgspec.Struct, frozen=True):
    """One observation that speaks for or against a cause; `at_ms`: when, if it is an
    event."""

    text: str
    at_ms: int | None = None


class Acknowledgement(msgspec.Struct, frozen=True):
    """Who handles an alert, since when, and what they do."""

    at_ms: int
    who: str
    why: str = ""


class Alert(msgspec.Struct, frozen=True):
    """One rule's alert about one subject.

    `rule` and `subject` (the tags that name what it is about) identify it.
    `since_ms`: when the condition began. `firing_ms`: when it had held long enough.
    `resolved_ms`: when it ended. `suppressed_by`: the key of the alert that explains
    it, which was paged instead. `explained_by`: the same, but kept after that alert has
    ended, until this one is paged itself. `affected`: what depends on it, such as
    {"devices": 4, "agents": 20}; groups of laptops below the smallest size are left
    out. `owner`: who acts on it. `why`: why it ended, if not because all was well.
    `paged_ms`: when it was paged. `silenced_until_ms`: no page before then
    (maintenance); 0 if not silenced. `joins`: the episode of the alert whose page
    serves for this one too. `follows`: that of the alert whose page this one continues,
    because it has begun again soon after.
    `domain`: the smallest part of the estate that explains it, such as `device:core-1`;
    `evidence`: what was observed of it; `sure`: how sure that is, and why. `hours`:
    `open` if nobody is paged before the site opens. `events`: live events that it
    affects, each with its room.
    """

    rule: str
    subject: dict[str, str]
    severity: Severity
    state: StateName
    since_ms: int
    site: str = ""
    firing_ms: int | None = None
    resolved_ms: int | None = None
    value: float | None = None
    summary: str = ""
    cause: str = ""
    runbook: str = ""
    suppressed_by: str = ""
    explained_by: str = ""
    affected: dict[str, int] = {}
    title: str = ""
    owner: Owner = "network"
    why: str = ""
    flapping: int = 0
    paged_ms: int | None = None
    silenced_until_ms: int = 0
    joins: str = ""
    follows: str = ""
    domain: str = ""
    evidence: tuple[Evidence, ...] = ()
    sure: str = ""
    acknowledged_ms: int | None = None
    acknowledged_by: str = ""
    acknowledged_why: str = ""
    hours: PagingHours = "always"
    site_name: str = ""
    events: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """`device_unreachable/device=core-1`: stable over restarts."""
        parts = ",".join(f"{k}={v}" for k, v in sorted(self.subject.items()))
        return f"{self.rule}/{parts}"

    def acknowledged(self, by: Acknowledgement) -> Alert:
        """The alert with who handles it."""
        return msgspec.structs.replace(
            self,
            acknowledged_ms=by.at_ms,
            acknowledged_by=by.who,
            acknowledged_why=by.why,
        )
