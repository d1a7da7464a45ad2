"""`Delivery`: takes what is to be said out of the book and says it, channel by channel.

A slow or dead channel delays no other. What is for one site and falls into one
grouping window is one message; what was sent together once is sent together again,
under the same id. Tries back off from 5 s to 10 min; a failing channel is logged once.
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

from alerts.book import Book, Post
from alerts.notify.page import Page
from alerts.notify.verdict import Notifier, Refused, Retry

_log = structlog.get_logger()
_T = TypeVar("_T")
_FIRST_WAIT_S = 5.0
_LONGEST_WAIT_S = 600.0
_GIVE_UP_MS = {"page": 86_400_000, "resolution": 7 * 86_400_000}
_MANY_SITES = 5
_LOOK_S = 1.0
# No channel may take longer; its own timeouts are shorter.
_TRY_S = 120.0


class InThread(Protocol):
    """Runs one blocking call on the book, one at a time."""

    async def __call__(self, work: Callable[..., _T], *args: Any) -> _T: ...


class Delivery:
    """`async with delivery:` runs one task a channel. `render` makes the page of some
    posts of one kind; `wake()` says that there may be something new."""

    def __init__(
        self,
        book: Book,
        in_thread: InThread,
        notifiers: Mapping[str, Notifier],
        render: Callable[[Sequence[Post], int], Page],
        now_ms: Callable[[], int],
        group_ms: int,
    ) -> None:
        self._book, self._in_thread = book, in_thread
        self._notifiers, self._render = notifiers, render
        self._now_ms, self._group_ms = now_ms, group_ms
        self._wakes = {channel: asyncio.Event() for channel in notifiers}
        self._failing: set[str] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self.sent: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()

    async def __aenter__(self) -> Self:
        self._tasks = [
            asyncio.create_task(self._serve(channel), name=f"deliver-{channel}")
            for channel in self._notifiers
        ]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task

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
        posts = await self._in_thread(self._book.due, channel, now_ms + self._group_ms)
        parcel = pack(posts, now_ms)
        if not parcel:
            return False
        first = parcel[0]
        if now_ms - first.created_ms > _GIVE_UP_MS[first.kind] and first.tries:
            await self._in_thread(self._book.give_up, parcel, "gave up", now_ms)
            _log.error("notification_given_up", channel=channel, about=first.episode)
            return True
        page = self._render(parcel, now_ms)
        await self._in_thread(self._book.begin, parcel)
        try:
            async with asyncio.timeout(_TRY_S):
                await self._notifiers[channel].notify(page)
        except Refused as refused:
            self._fail(channel, str(refused))
            await self._in_thread(
                self._book.refused, parcel, str(refused), self._now_ms()
            )
        except (Retry, TimeoutError) as failure:
            after_s = failure.after_s if isinstance(failure, Retry) else None
            why = str(failure) or "no answer in time"
            self._fail(channel, why)
            wait_s = max(backoff_s(first.tries, page.id), after_s or 0.0)
            next_ms = self._now_ms() + round(wait_s * 1000)
            await self._in_thread(self._book.retry, parcel, why, next_ms)
        except Exception as error:  # noqa: BLE001 - a fault in a channel is its own
            self._fail(channel, repr(error))
            wait_s = backoff_s(first.tries, page.id)
            next_ms = self._now_ms() + round(wait_s * 1000)
            await self._in_thread(self._book.retry, parcel, repr(error), next_ms)
        else:
            await self._in_thread(self._book.delivered, parcel, self._now_ms())
            self.sent[channel] += 1
            if channel in self._failing:
                self._failing.discard(channel)
                _log.info("notifications_work_again", channel=channel)
        return True

    def _fail(self, channel: str, why: str) -> None:
        self.failed[channel] += 1
        if channel not in self._failing:
            self._failing.add(channel)
            _log.error("notifications_fail", channel=channel, why=why)


def pack(posts: Sequence[Post], now_ms: int) -> list[Post]:
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
        and post.kind == first.kind
        and (not post.deferred or post.next_ms <= now_ms)
    ]
    if len({post.alert.site for post in alike}) > _MANY_SITES:
        return alike
    return [post for post in alike if post.alert.site == first.alert.site]


def backoff_s(tries: int, id: str) -> float:
    """5 s doubled with every try up to 10 min, spread by a fifth: several channels
    behind one dead server must not come back all at once."""
    wait_s = min(_FIRST_WAIT_S * 2.0 ** min(tries, 10), _LONGEST_WAIT_S)
    spread = zlib.crc32(f"{id}{tries}".encode()) % 1000 / 1000
    return wait_s * (0.9 + 0.2 * spread)
