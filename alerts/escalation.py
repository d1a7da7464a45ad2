"""What is sent again, and to whom, while an alert is not acknowledged. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import msgspec

from alerts.notify.routing import FollowUp


class SentPage(msgspec.Struct, frozen=True):
    """A page or reminder of one episode on one channel. `due_ms`: when it was due."""

    channel: str
    kind: str
    state: str
    due_ms: int


class NextSend(NamedTuple):
    """`page`: a channel that has none of this alert; `reminder`: one that has."""

    kind: Literal["page", "reminder"]
    channel: str
    unacknowledged_ms: int


def next_sends(
    sent: Sequence[SentPage], follow_up: FollowUp, now_ms: int
) -> list[NextSend]:
    """What is due now for an alert that is open and not acknowledged."""
    pages = {s.channel: s for s in sent if s.kind == "page" and s.state != "cancelled"}
    if not pages:
        return []
    unacknowledged_ms = now_ms - min(page.due_ms for page in pages.values())
    if unacknowledged_ms < 0:
        return []
    sends = [
        NextSend("page", channel, unacknowledged_ms)
        for after_ms, channel in follow_up.steps
        if unacknowledged_ms >= after_ms and channel not in pages
    ]
    if follow_up.repeat_ms:
        newest_ms = _newest(sent)
        sends += [
            NextSend("reminder", channel, unacknowledged_ms)
            for channel, page in pages.items()
            if page.state == "delivered"
            and now_ms - newest_ms[channel] >= follow_up.repeat_ms
        ]
    return sends


def _newest(sent: Sequence[SentPage]) -> Mapping[str, int]:
    newest_ms: dict[str, int] = {}
    for entry in sent:
        newest_ms[entry.channel] = max(newest_ms.get(entry.channel, 0), entry.due_ms)
    return newest_ms
