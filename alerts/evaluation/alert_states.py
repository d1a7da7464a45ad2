"""`AlertState`: the state of one rule for one subject."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from alerts.alert import StateName
from probes.wire.sample import Value


class AlertState(msgspec.Struct, frozen=True):
    """The state of one rule for one subject. It survives a restart.

    `state` is `resolved` for those kept only for their flap counter, and `baseline` for
    what was so when its device was first seen. `episode` names
    what a page and its resolution belong to. `bad_ms`, `newest_ms`: times of the newest
    bad row and of the newest row. `clear_ms`: since when it has been well while still
    firing. `explained_by`: the latest cause; cleared when this alert is paged itself.
    `flap_gap_ms`: the longest recovery between two starts. `freed_ms`: when the cause
    ended, or when it began once more before it was paged. `released_ms`: since when
    nothing explains it any more. `usual`: what it showed in the baseline, before it
    became news. `joins`: the episode of a
    consequence that was paged before this cause was found, and whose page serves for
    both. `follows`: once it has ended, the episode whose page has ended with it; if it
    begins again soon, it continues that page. `named`, `named_events`: the domain that
    its page named as the cause, and the events; `renamed_ms`: since when another one
    explains it. `recorded`: the state last written to the journal.
    """

    rule: str
    subject: dict[str, str]
    site: str
    state: StateName
    since_ms: int
    bad_ms: int
    newest_ms: int = msgspec.field(name="heard_ms")
    value: float | None = None
    shows: dict[str, Value] = {}
    firing_ms: int | None = None
    clear_ms: int | None = None
    resolved_ms: int | None = None
    why: str = ""
    flaps: float = 0.0
    flaps_ms: int = 0
    flapping: int = 0
    flap_gap_ms: int = 0
    suppressed_by: str = ""
    explained_by: str = ""
    freed_ms: int = 0
    released_ms: int = 0
    usual: dict[str, Value] = {}
    silenced_until_ms: int = 0
    paged_ms: int | None = None
    joins: str = ""
    follows: str = ""
    named: str = ""
    named_events: tuple[str, ...] = ()
    renamed_ms: int = 0
    recorded: str = msgspec.field(name="told", default="")

    @property
    def key(self) -> str:
        return alert_key(self.rule, self.subject)

    @property
    def episode(self) -> str:
        """`device_unreachable/device=core-1@1700000000000`."""
        return f"{self.key}@{self.since_ms}"

    @property
    def known_ms(self) -> int:
        """Since when it stands on its own."""
        return max(self.since_ms, self.released_ms)

    @property
    def is_open(self) -> bool:
        return self.state in ("pending", "firing")

    @property
    def is_baseline(self) -> bool:
        return self.state == "baseline"


AlertStates = Mapping[str, AlertState]
StateChanges = dict[str, AlertState | None]
"""Key → its new state; None if it need not be kept."""


def alert_key(rule: str, subject: Mapping[str, str]) -> str:
    """The key of `alerts.alert.Alert`."""
    return f"{rule}/{','.join(f'{k}={v}' for k, v in sorted(subject.items()))}"
