"""`Delivery`: sends the entries of the outbox. Each channel has its own task.

A slow or dead channel delays no other. Alerts of one cause that fall into one grouping
window are one message; what was sent together once is sent together again, under the
same id. A page that is still to be sent when its alert ends goes with its end, as one
message. What is over the channel's limit is held for one digest. Attempts back off from
5 s to 10 min, for a day, even if the other end refuses for good: a mailbox can be
restored, an address corrected. Meanwhile another channel is used. A failing channel is
logged once.
"""

from __future__ import annotations

import asyncio
import contextlib
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, Self, TypeVar

import msgspec
import structlog

from alerts.notify.delivery_result import (
    DeliveryRefused,
    MessageTooLarge,
    Notifier,
    PartlyDelivered,
    RetryLater,
    StandingNotifier,
    failure_kind,
)
from alerts.notify.message_grouping import same_cause
from alerts.notify.message_limit import MessageLimits
from alerts.notify.page import Page
from alerts.outbox import FALL_BACK_AFTER_MS, Outbox
from alerts.outbox_entry import NotificationKind, OutboxEntry
from collectors.background_tasks import BackgroundTasks
from collectors.deletion_clock import DeletionBound, as_it_is
from collectors.failure_log import FailureLog
from probes.wire.clock import WallClock
from probes.wire.counted_text import counted
from probes.wire.durations import duration_text

_log = structlog.get_logger()
_T = TypeVar("_T")
_FIRST_WAIT_S = 5.0
_LONGEST_WAIT_S = 600.0
_GIVE_UP_MS = {
    "page": 86_400_000,
    "reminder": 86_400_000,
    "update": 86_400_000,
    "resolution": 7 * 86_400_000,
}
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
    channel does, for what no other channel of the alert's routes delivers. `may_send`
    is asked just before each message.
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
        limits: MessageLimits,
        may_send: Callable[[], bool] = lambda: True,
        bounded: DeletionBound = as_it_is,
    ) -> None:
        self._may_send, self._bounded = may_send, bounded
        self._outbox, self._in_thread = outbox, in_thread
        self._fallbacks, self._limits = fallbacks, limits
        self._notifiers, self._render = notifiers, render
        self._now_ms, self._group_ms = now_ms, group_ms
        self._wakes = {channel: asyncio.Event() for channel in notifiers}
        self._failures = FailureLog("notifications_fail", "notifications_recovered")
        self._tasks = BackgroundTasks()
        self.sent: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.unauthorised: Counter[str] = Counter()
        self.refresh_failed: Counter[str] = Counter()
        self.refresh_failing: dict[str, bool] = {}

    async def __aenter__(self) -> Self:
        for channel in self._notifiers:
            self._tasks.start(self._run_channel(channel), f"deliver-{channel}")
        for channel, notifier in self._notifiers.items():
            if isinstance(notifier, StandingNotifier):
                self._tasks.start(
                    self._run_refresh(channel, notifier), f"refresh-{channel}"
                )
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
                busy = await self.send_next(channel)
            except Exception as error:  # noqa: BLE001 - the next try may go better
                busy = False
                self.failed[channel] += 1
                self._log_failure(channel, error, repr(error))
            if busy:
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await event.wait()

    async def send_next(self, channel: str) -> bool:
        """Sends one message; returns False if none is due."""
        now_ms = self._now_ms()
        waiting = await self._in_thread(
            self._outbox.due, channel, now_ms + self._group_ms
        )
        entries = next_message(waiting, now_ms)
        if not entries:
            return False
        free_ms = await self._free_at_ms(channel, entries, now_ms)
        if free_ms > now_ms:
            due = [entry for entry in waiting if entry.next_ms <= now_ms]
            await self._in_thread(self._outbox.hold, due, free_ms, now_ms)
            _log.warning(
                "notifications_held", channel=channel, count=len(due), until_ms=free_ms
            )
            return False
        old_by_ms = self._bounded(now_ms)
        expired = [
            entry
            for entry in entries
            if entry.tries and old_by_ms - entry.due_ms > _GIVE_UP_MS[entry.kind]
        ]
        if expired:
            await self._in_thread(self._outbox.give_up, expired, "gave up", now_ms)
            for entry in expired:
                _log.error(
                    "notification_given_up", channel=channel, episode=entry.episode
                )
            return True
        page = self._render(entries, now_ms)
        await self._in_thread(self._outbox.start_attempt, entries)
        if not self._may_send():
            # This machine stood still meanwhile, and another one may have sent it.
            return False
        try:
            async with asyncio.timeout(_TRY_S):
                await self._notifiers[channel].notify(page)
        except PartlyDelivered as error:
            self.failed[channel] += 1
            self._log_failure(channel, error, str(error))
            await self._in_thread(self._outbox.delivered, entries, self._now_ms())
            self.sent[channel] += 1
        except MessageTooLarge as error:
            if len(entries) > 1:
                await self._in_thread(self._outbox.split, entries, self._now_ms())
            else:
                await self._mark_failed(channel, entries, page.id, error)
        except Exception as error:  # noqa: BLE001 - a channel's fault stays in it
            await self._mark_failed(channel, entries, page.id, error)
        else:
            await self._mark_delivered(channel, entries)
        return True

    async def _free_at_ms(
        self, channel: str, entries: Sequence[OutboxEntry], now_ms: int
    ) -> int:
        span_ms = self._limits.span_ms(channel)
        if not span_ms:
            return now_ms
        sent_ms = await self._in_thread(
            self._outbox.sent_times, self._limits.peers(channel), now_ms - span_ms
        )
        critical = any(is_critical(entry) for entry in entries)
        return self._limits.free_at_ms(channel, sent_ms, now_ms, critical)

    async def _run_refresh(self, channel: str, notifier: StandingNotifier) -> None:
        while True:
            await self.try_refresh(channel, notifier)
            await asyncio.sleep(notifier.refresh_s)

    async def try_refresh(self, channel: str, notifier: StandingNotifier) -> None:
        """Refreshes; a failure is counted, and logged once per change."""
        key = f"{channel} refresh"
        try:
            await self.refresh(channel, notifier)
        except Exception as error:  # noqa: BLE001 - the next may go better
            self.refresh_failing[channel] = True
            self.refresh_failed[channel] += 1
            self._log_failure(channel, error, _reason(error), key)
        else:
            self.refresh_failing[channel] = False
            self._failures.recovered(key, channel=channel)

    async def refresh(self, channel: str, notifier: StandingNotifier) -> None:
        """Tells the channel how everything is now that lasts there."""
        standing = await self._in_thread(self._outbox.standing, channel)
        if not standing:
            return
        current = [
            msgspec.structs.replace(pair.entry, alert=pair.now) for pair in standing
        ]
        page = self._render(current, self._now_ms())
        told = {pair.entry.episode: pair.entry.alert for pair in standing}
        async with asyncio.timeout(_TRY_S):
            await notifier.refresh(page, told)
        await self._in_thread(self._outbox.told, standing)

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
        why = _reason(error)
        refused = isinstance(error, DeliveryRefused)
        self.refused[channel] += refused
        self.failed[channel] += 1
        self._log_failure(channel, error, why)
        wait_s = backoff_s(entries[0].tries, id)
        if isinstance(error, RetryLater) and error.after_s is not None:
            wait_s = max(wait_s, error.after_s)
        now_ms = self._now_ms()
        next_ms = now_ms + round(wait_s * 1000)
        as_one = not (
            refused or (isinstance(error, RetryLater) and not error.may_have_arrived)
        )
        await self._in_thread(
            self._outbox.retry, entries, why, next_ms, refused, as_one
        )
        pages = [entry for entry in entries if entry.kind == "page"]
        late_ms = now_ms - min((entry.due_ms for entry in pages), default=now_ms)
        if refused or late_ms >= FALL_BACK_AFTER_MS:
            await self._fall_back(channel, pages, now_ms)

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

    def _log_failure(
        self, channel: str, error: Exception, why: str, key: str = ""
    ) -> None:
        kind = failure_kind(error)
        self.unauthorised[channel] += kind == "unauthorised"
        self._failures.failed(why, key or channel, kind, channel=channel)


def _reason(error: Exception) -> str:
    if isinstance(error, RetryLater | DeliveryRefused | TimeoutError):
        return str(error) or "no answer in time"
    return repr(error)


def next_message(entries: Sequence[OutboxEntry], now_ms: int) -> list[OutboxEntry]:
    """The entries that make the next message; empty if none is due yet. Pure.

    `entries` may reach a grouping window into the future. What is due takes with it
    what would follow of the same cause, and a critical problem goes first. If something
    was held, everything that is due is one digest.
    """
    due = [entry for entry in entries if entry.next_ms <= now_ms]
    if not due:
        return []
    first = next((entry for entry in due if is_critical(entry)), due[0])
    if first.batch_id:
        return [entry for entry in entries if entry.batch_id == first.batch_id]
    if any(entry.held_ms for entry in due):
        return [entry for entry in due if not entry.batch_id]
    alike = [
        entry
        for entry in entries
        if not entry.batch_id
        and (entry.is_over, entry.instead_of) == (first.is_over, first.instead_of)
        and (entry.kind == "update", entry.again)
        == (first.kind == "update", first.again)
        and (not entry.deferred or entry.next_ms <= now_ms)
    ]
    return same_cause(first, alike)


def is_critical(entry: OutboxEntry) -> bool:
    """True if it reports the beginning of a critical problem that lasts."""
    return entry.alert.severity == "critical" and not entry.is_over


def message_kind(entries: Sequence[OutboxEntry]) -> NotificationKind:
    """A message is a resolution if all that it reports is over, and an update if all
    that it reports is a new cause, or has begun again soon after its end."""
    if all(entry.is_over for entry in entries):
        return "resolution"
    if all(entry.kind == "update" or entry.again for entry in entries):
        return "update"
    return "page"


def reminder_of(entries: Sequence[OutboxEntry]) -> int:
    """For how many ms nobody acknowledged what the message repeats; 0 if it repeats
    nothing. Each reminder is a message of its own."""
    return max(
        (entry.unacknowledged_ms for entry in entries if entry.kind == "reminder"),
        default=0,
    )


def is_again(entries: Sequence[OutboxEntry]) -> bool:
    """Whether all that a message reports has begun again soon after its end."""
    return all(entry.again and not entry.is_over for entry in entries)


def is_digest(entries: Sequence[OutboxEntry]) -> bool:
    return len(entries) > 1 and any(entry.held_ms for entry in entries)


def delivery_notes(entries: Sequence[OutboxEntry], now_ms: int) -> list[str]:
    """What the reader must know of the delivery: that it is late, that other messages
    were held for it, or that another channel failed. Pure."""
    notes = []
    held = [entry.held_ms for entry in entries if entry.held_ms]
    late_ms = now_ms - min(entry.due_ms for entry in entries)
    if held:
        over = sum(entry.is_over for entry in entries)
        waited = duration_text((now_ms - min(held)) / 1000)
        digest = (
            f"Digest of {counted(len(entries), 'notification')} "
            f"({counted(len(entries) - over, 'problem')}, {over} over), held for up to"
        )
        what = digest if is_digest(entries) else "Held for"
        notes.append(f"{what} {waited} to send you fewer messages.")
    if waited_ms := max(entry.unacknowledged_ms for entry in entries):
        is_new = any(entry.kind == "page" for entry in entries)
        why = "Sent to you because" if is_new else "Reminder:"
        waited = duration_text(waited_ms / 1000)
        notes.append(f"{why} nobody has acknowledged this for {waited}.")
    if is_again(entries):
        notes.append("It was over, and has begun again.")
    elif message_kind(entries) == "update":
        has_event = any(entry.alert.events for entry in entries)
        news = (
            "A live event depends on this." if has_event else "The cause is known now."
        )
        notes.append(f"{news} Nothing else has failed.")
    if entries[0].instead_of:
        notes.append(f"Sent here because channel {entries[0].instead_of} fails.")
    elif late_ms >= _LATE_MS:
        late = duration_text(late_ms / 1000)
        notes.append(f"This message is {late} late: it could not be delivered before.")
    if any(entry.end for entry in entries) and not held:
        notes.append("It was over before its beginning could be reported.")
    return notes


def backoff_s(tries: int, id: str) -> float:
    """5 s, doubled with every attempt up to 10 min, and spread by a fifth: channels
    behind one dead server must not all return at once."""
    wait_s = min(_FIRST_WAIT_S * 2.0 ** min(tries, 10), _LONGEST_WAIT_S)
    spread = zlib.crc32(f"{id}{tries}".encode()) % 1000 / 1000
    return wait_s * (0.9 + 0.2 * spread)
