"""`Delivery`: takes what is to be said out of the book and says it, channel by channel.

A slow or dead channel delays no other. What is for one site and falls into one
grouping window is one message; what was sent together once is sent together again,
under the same id. Tries back off from 5 s to 10 min, for a day, also if the other end
says that it never will: a mailbox is made again, an address is put right. Meanwhile
another channel is told. A failing channel is logged once.
"""

from __future__ import annotations

import asyncio
import contextlib
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

import structlog

from alerts.notify.delivery_result import DeliveryRefused, Notifier, Partly, Retry
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
# Less is the grouping window and a first try that failed.
_LATE_MS = 60_000
_LOOK_S = 1.0
# No channel may take longer; its own timeouts are shorter.
_TRY_S = 120.0


class InThread(Protocol):
    """Runs one blocking call on the outbox, one at a time."""

    async def __call__(self, work: Callable[..., _T], *args: Any) -> _T: ...


class Delivery:
    """`async with delivery:` runs one task a channel. `render` makes the page of some
    posts of one kind; `wake()` says that there may be something new. `fallbacks`: the
    channels that stand in for one; if none are named, any that is left, for what no
    other channel of its routes takes."""

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
        self._failures = FailureLog("notifications_fail", "notifications_work_again")
        self._tasks = BackgroundTasks()
        self.sent: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()

    async def __aenter__(self) -> Self:
        for channel in self._notifiers:
            self._tasks.start(self._serve(channel), f"deliver-{channel}")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._tasks.stop()

    def wake(self) -> None:
        for event in self._wakes.values():
            event.set()

    async def _serve(self, channel: str) -> None:
        event = self._wakes[channel]
        while True:
            event.clear()
            try:
                busy = await self._say_next(channel)
            except Exception as error:  # noqa: BLE001 - the next try may go better
                busy = False
                self._fail(channel, repr(error))
            if busy:
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await event.wait()

    async def _say_next(self, channel: str) -> bool:
        """Says one message; False where there was none to say."""
        now_ms = self._now_ms()
        posts = await self._in_thread(
            self._outbox.due, channel, now_ms + self._group_ms
        )
        parcel = pack(posts, now_ms)
        if not parcel:
            return False
        first = parcel[0]
        if now_ms - first.due_ms > _GIVE_UP_MS[first.kind] and first.tries:
            await self._in_thread(self._outbox.give_up, parcel, "gave up", now_ms)
            _log.error("notification_given_up", channel=channel, about=first.episode)
            return True
        page = self._render(parcel, now_ms)
        await self._in_thread(self._outbox.begin, parcel)
        try:
            async with asyncio.timeout(_TRY_S):
                await self._notifiers[channel].notify(page)
        except Partly as partly:
            self._fail(channel, str(partly))
            await self._in_thread(self._outbox.delivered, parcel, self._now_ms())
            self.sent[channel] += 1
        except Exception as error:  # noqa: BLE001 - a fault in a channel is its own
            await self._not_taken(channel, parcel, page.id, error)
        else:
            await self._taken(channel, parcel)
        return True

    async def _taken(self, channel: str, parcel: Sequence[OutboxEntry]) -> None:
        await self._in_thread(self._outbox.delivered, parcel, self._now_ms())
        self.sent[channel] += 1
        if self._failures.recovered(channel, channel=channel):
            await self._in_thread(self._outbox.hurry, channel, self._now_ms())

    async def _not_taken(
        self, channel: str, parcel: Sequence[OutboxEntry], id: str, error: Exception
    ) -> None:
        """Keeps it for the next try, and tells another channel if this one refuses it
        or has not taken it for minutes."""
        if isinstance(error, Retry | DeliveryRefused | TimeoutError):
            why = str(error) or "no answer in time"
        else:
            why = repr(error)
        refused = isinstance(error, DeliveryRefused)
        self.refused[channel] += refused
        self._fail(channel, why)
        wait_s = backoff_s(parcel[0].tries, id)
        if isinstance(error, Retry) and error.after_s is not None:
            wait_s = max(wait_s, error.after_s)
        now_ms = self._now_ms()
        next_ms = now_ms + round(wait_s * 1000)
        await self._in_thread(self._outbox.retry, parcel, why, next_ms, refused)
        late_ms = now_ms - parcel[0].due_ms
        if parcel[0].kind == "page" and (refused or late_ms >= FALL_BACK_AFTER_MS):
            await self._fall_back(channel, parcel, now_ms)

    async def _fall_back(
        self, channel: str, parcel: Sequence[OutboxEntry], now_ms: int
    ) -> None:
        named = [c for c in self._fallbacks.get(channel, ()) if c in self._notifiers]
        others = named or tuple(each for each in self._notifiers if each != channel)
        told = await self._in_thread(
            self._outbox.fall_back, parcel, others, bool(named), now_ms
        )
        for each in told:
            self._wakes[each].set()
        if told:
            _log.warning("notifications_fall_back", channel=channel, to=told)

    def _fail(self, channel: str, why: str) -> None:
        self.failed[channel] += 1
        self._failures.failed(why, key=channel, channel=channel)


def pack(posts: Sequence[OutboxEntry], now_ms: int) -> list[OutboxEntry]:
    """Which of `posts` make the next message; empty where none is due yet. Pure.

    `posts` may reach a grouping window into the future: what is due takes along what
    would follow it for the same site, or everything when that is of many sites.
    """
    due = [post for post in posts if post.next_ms <= now_ms]
    if not due:
        return []
    first = due[0]
    if first.parcel:
        return [post for post in posts if post.parcel == first.parcel]
    alike = [
        post
        for post in posts
        if not post.parcel
        and (post.kind, post.instead_of) == (first.kind, first.instead_of)
        and (not post.deferred or post.next_ms <= now_ms)
    ]
    if len({post.alert.site for post in alike}) > _MANY_SITES:
        return alike
    return [post for post in alike if post.alert.site == first.alert.site]


def notes_on(posts: Sequence[OutboxEntry], now_ms: int) -> list[str]:
    """What a reader must know of how the message got here: late, or instead of another
    channel. Pure."""
    notes = []
    late_ms = now_ms - min(post.due_ms for post in posts)
    if posts[0].instead_of:
        notes.append(f"Sent here because the channel {posts[0].instead_of} fails.")
    elif late_ms >= _LATE_MS:
        late = duration_text(late_ms / 1000)
        notes.append(f"This comes {late} late: it could not be delivered before.")
    return notes


def backoff_s(tries: int, id: str) -> float:
    """5 s doubled with every try up to 10 min, spread by a fifth: several channels
    behind one dead server must not come back all at once."""
    wait_s = min(_FIRST_WAIT_S * 2.0 ** min(tries, 10), _LONGEST_WAIT_S)
    spread = zlib.crc32(f"{id}{tries}".encode()) % 1000 / 1000
    return wait_s * (0.9 + 0.2 * spread)
