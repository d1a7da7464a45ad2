"""`Alert`: what one rule says of one subject, as everybody is shown it."""

from __future__ import annotations

from typing import Literal

import msgspec

State = Literal["pending", "firing", "resolved"]
Severity = Literal["critical", "warning", "info"]


class Alert(msgspec.Struct, frozen=True):
    """One rule's standing for one subject.

    `rule` and `subject` (the tags that name what it is about) identify it.
    `since_ms`: when the condition began; `firing_ms`: when it had held long enough;
    `resolved_ms`: when it ended. `suppressed_by`: key of the alert that explains it,
    which was paged instead. `explained_by`: the same, and kept when that has ended, for
    as long as nobody was told of this one. `affected`: counts of what hangs on it, such
    as {"devices": 4, "agents": 20}; agent counts under the least group are left out.
    `why`: why it ended, where that was not that all was well. `paged_ms`: when somebody
    was told. `silenced_until_ms`: nobody is told before (maintenance); 0 for not.
    """

    rule: str
    subject: dict[str, str]
    severity: Severity
    state: State
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
    why: str = ""
    flapping: int = 0
    paged_ms: int | None = None
    silenced_until_ms: int = 0
    acknowledged_ms: int | None = None
    acknowledged_by: str = ""

    @property
    def key(self) -> str:
        """`device_unreachable/device=core-1`: stable over restarts."""
        parts = ",".join(f"{k}={v}" for k, v in sorted(self.subject.items()))
        return f"{self.rule}/{parts}"
