"""`Delivery`: sends the entries of the outbox. Each channel has its own task.

A slow or dead channel delays no other. Alerts of one site that fall into one grouping
window are one message; what was sent together once is sent together again, under the
same id. Attempts back off from 5 s to 10 min, for a day, even if the other end refuses
for good: a mailbox can be restored, an address corrected. Meanwhile another channel is
used. A failing channel is logged once.
"""

from __future__ import annotations

import asyncio
import contextlib
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, Self, TypeVar

import structlog

from alerts.notify.delivery_result import (
    DeliveryRefused,
    Notifier,
    PartlyDelivered,
    RetryLater,
)
from alerts.notify.page import Page
from alerts.outbox import FALL_BACK_AFTER_MS, Outbox, OutboxEntry
from collectors.background_tasks import BackgroundTasks
from collectors.failure_log import FailureLog
from probes.wire.clock import WallClock
from probes.wire.durations import duration_text

_log = structlog.get_logger()
_T = TypeVar("_T")
_FIRST_WAIT_S = 5.0
_LONGEST_WAIT_S = 600.0
_GIVE_UP_MS = {"page": 86_400_000, "resolution": 7 * 86_400_000}
_MANY_SITES = 5
# Anything less is the grouping window and one failed attempt.
_LATE_MS = 60_000
_LOOK_S = 1.0
# No channel may take longer; its own timeouts are shorter.
_TRY_S = 120.0


class InThread(Protocol):
    """Runs one blocking call on the outbox, one at a time."""

    async def __call__(self, work: Callable[..., _T], *args: Any) -> _T: ...


class Delivery:
    """`async with delivery:` runs one task per channel.

    `render` makes the page of entries of one kind. `wake()` announces new entries.
    `fallbacks`: the channels that replace a failing one. If none are named, any other
    channel does, for what no other channel of the alert's routes delivers.
    """

    def __init__(
        self,
        outbox: Outbox,
        in_thread: InThread,
        notifiers: Mapping[str, Notifier],
        render: Callable[[Sequence[OutboxEntry], int], Page],
        now_ms: WallClock,
        group_ms: int,
        fallbacks: Mapping[str, tuple[str, ...]],
    ) -> None:
        self._outbox, self._in_thread = outbox, in_thread
        self._fallbacks = fallbacks
        self._notifiers, self._render = notifiers, render
        self._now_ms, self._group_ms = now_ms, group_ms
        self._wakes = {channel: asyncio.Event() for channel in notifiers}
        self._failures = FailureLog("notifications_fail", "notifications_recovered")
        self._tasks = BackgroundTasks()
        self.sent: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()

    async def __aenter__(self) -> Self:
        for channel in self._notifiers:
            self._tasks.start(self._run_channel(channel), f"deliver-{channel}")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.stop()

    def wake(self) -> None:
        for event in self._wakes.values():
            event.set()

    async def _run_channel(self, channel: str) -> None:
        event = self._wakes[channel]
        while True:
            event.clear()
            try:
                busy = await self._send_next(channel)
            except Exception as error:  # noqa: BLE001 - the next try may go better
                busy = False
                self._log_failure(channel, error)
            if busy:
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await event.wait()

    async def _send_next(self, channel: str) -> bool:
        """Sends one message; returns False if none is due."""
        now_ms = self._now_ms()
        entries = await self._in_thread(
            self._outbox.due, channel, now_ms + self._group_ms
        )
        entries = next_message(entries, now_ms)
        if not entries:
            return False
        first = entries[0]
        if now_ms - first.due_ms > _GIVE_UP_MS[first.kind] and first.tries:
            await self._in_thread(self._outbox.give_up, entries, "gave up", now_ms)
            _log.error("notification_given_up", channel=channel, episode=first.episode)
            return True
        page = self._render(entries, now_ms)
        await self._in_thread(self._outbox.start_attempt, entries)
        try:
            async with asyncio.timeout(_TRY_S):
                await self._notifiers[channel].notify(page)
        except PartlyDelivered as error:
            self._log_failure(channel, str(error))
            await self._in_thread(self._outbox.delivered, entries, self._now_ms())
            self.sent[channel] += 1
        except Exception as error:  # noqa: BLE001 - a channel's fault stays in it
            await self._mark_failed(channel, entries, page.id, error)
        else:
            await self._mark_delivered(channel, entries)
        return True

    async def _mark_delivered(
        self, channel: str, entries: Sequence[OutboxEntry]
    ) -> None:
        await self._in_thread(self._outbox.delivered, entries, self._now_ms())
        self.sent[channel] += 1
        if self._failures.recovered(channel, channel=channel):
            await self._in_thread(self._outbox.retry_now, channel, self._now_ms())

    async def _mark_failed(
        self, channel: str, entries: Sequence[OutboxEntry], id: str, error: Exception
    ) -> None:
        """Keeps them for another attempt, and uses another channel if this one refuses
        them or has failed for minutes."""
        if isinstance(error, RetryLater | DeliveryRefused | TimeoutError):
            why = str(error) or "no answer in time"
        else:
            why = repr(error)
        refused = isinstance(error, DeliveryRefused)
        self.refused[channel] += refused
        self._log_failure(channel, why)
        wait_s = backoff_s(entries[0].tries, id)
        if isinstance(error, RetryLater) and error.after_s is not None:
            wait_s = max(wait_s, error.after_s)
        now_ms = self._now_ms()
        next_ms = now_ms + round(wait_s * 1000)
        await self._in_thread(self._outbox.retry, entries, why, next_ms, refused)
        late_ms = now_ms - entries[0].due_ms
        if entries[0].kind == "page" and (refused or late_ms >= FALL_BACK_AFTER_MS):
            await self._fall_back(channel, entries, now_ms)

    async def _fall_back(
        self, channel: str, entries: Sequence[OutboxEntry], now_ms: int
    ) -> None:
        named = [c for c in self._fallbacks.get(channel, ()) if c in self._notifiers]
        others = named or tuple(name for name in self._notifiers if name != channel)
        channels = await self._in_thread(
            self._outbox.fall_back, entries, others, bool(named), now_ms
        )
        for name in channels:
            self._wakes[name].set()
        if channels:
            _log.warning("notifications_fall_back", channel=channel, to=channels)

    def _log_failure(self, channel: str, error: object) -> None:
        self.failed[channel] += 1
        self._failures.failed(error, key=channel, channel=channel)


def next_message(entries: Sequence[OutboxEntry], now_ms: int) -> list[OutboxEntry]:
    """The entries that make the next message; empty if none is due yet. Pure.

    `entries` may reach a grouping window into the future. What is due takes with it
    what would follow for the same site, or everything if many sites are affected.
    """
    due = [entry for entry in entries if entry.next_ms <= now_ms]
    if not due:
        return []
    first = due[0]
    if first.batch_id:
        return [entry for entry in entries if entry.batch_id == first.batch_id]
    alike = [
        entry
        for entry in entries
        if not entry.batch_id
        and (entry.kind, entry.instead_of) == (first.kind, first.instead_of)
        and (not entry.deferred or entry.next_ms <= now_ms)
    ]
    if len({entry.alert.site for entry in alike}) > _MANY_SITES:
        return alike
    return [entry for entry in alike if entry.alert.site == first.alert.site]


def delivery_notes(entries: Sequence[OutboxEntry], now_ms: int) -> list[str]:
    """What the reader must know of the delivery: that it is late, or that another
    channel failed. Pure."""
    notes = []
    late_ms = now_ms - min(entry.due_ms for entry in entries)
    if entries[0].instead_of:
        notes.append(f"Sent here because channel {entries[0].instead_of} fails.")
    elif late_ms >= _LATE_MS:
        late = duration_text(late_ms / 1000)
        notes.append(f"This message is {late} late: it could not be delivered before.")
    return notes


def backoff_s(tries: int, id: str) -> float:
    """5 s, doubled with every attempt up to 10 min, and spread by a fifth: channels
    behind one dead server must not all return at once."""
    wait_s = min(_FIRST_WAIT_S * 2.0 ** min(tries, 10), _LONGEST_WAIT_S)
    spread = zlib.crc32(f"{id}{tries}".encode()) % 1000 / 1000
    return wait_s * (0.9 + 0.2 * spread)
