"""`OutboxEntry`: one notification for one channel, and figures about many."""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

from alerts.alert import Alert

NotificationKind = Literal["page", "resolution", "reminder", "update"]
AlertPart = Literal["beginning", "end", "both"]
encode_alert = msgspec.msgpack.encode
decode_alert = msgspec.msgpack.Decoder(Alert).decode


class OutboxEntry(msgspec.Struct, frozen=True):
    """One notification for one channel.

    `next_ms`: the earliest time to send it; `due_ms`: the same before any attempt.
    `deferred`: it waits for business hours, and is dropped if all is well by then.
    Entries once sent as one message share a `batch_id` and are sent together again.
    `instead_of`: the channel that failed to deliver it. `held_ms`: since when it waits
    for a digest. `end`: the alert as it ended, if a page is still to be sent by then:
    one message then reports beginning and end. `unacknowledged_ms`: for how long nobody
    had acknowledged the alert, if that is why it is sent. `thread`: the episodes of the
    page that this one follows. `again`: the channel has reported, and ended, what now
    begins again.
    """

    episode: str
    kind: NotificationKind
    channel: str
    alert: Alert
    next_ms: int
    deferred: int = 0
    tries: int = 0
    created_ms: int = 0
    batch_id: int = 0
    id: int = 0
    due_ms: int = 0
    instead_of: str = ""
    held_ms: int = 0
    end: Alert | None = None
    unacknowledged_ms: int = 0
    thread: tuple[str, ...] = ()
    again: bool = False

    @property
    def shown(self) -> Alert:
        """The alert as the message shows it."""
        return self.end or self.alert

    @property
    def part(self) -> AlertPart:
        """What a message reports of the alert."""
        if self.kind == "resolution":
            return "end"
        return "both" if self.end is not None else "beginning"

    @property
    def is_over(self) -> bool:
        return self.part != "beginning"


class StandingEntry(NamedTuple):
    """A page that was delivered and lasts: as the channel knows it, and as it is."""

    entry: OutboxEntry
    now: Alert


class WaitingDelivery(NamedTuple):
    """What a channel has yet to deliver: `total`, and those `overdue`: refused, or due
    for more than two minutes."""

    total: int = 0
    overdue: int = 0


class Undelivered(msgspec.Struct, frozen=True):
    """Overdue notifications of a channel: how many, since when, and why."""

    channel: str
    count: int
    since_ms: int
    error: str
