"""`LiveUpdates`: server-sent events for live pages, made once for all who listen.

The state is compared every few seconds while there are listeners, and not otherwise. A
listener is a number: its place in the last updates. So a slow listener costs no memory,
and after a lost connection it continues from its last update (`Last-Event-ID`). A new
listener that has just read the state gives its time (`since`), and receives the changes
made after that. If the place or time is too old, or is from another process, the
listener receives `reset`: it must read everything again.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import Counter, deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Annotated, NamedTuple

import msgspec
import structlog

from dashboards.web.api.api_problem import ApiProblem
from dashboards.web.api.api_route import ApiCall, ApiRoute, StreamAnswer, always
from dashboards.web.api.estate_documents import Moment, epoch_ms
from dashboards.web.api.live_changes import LiveUpdate, changes_between
from dashboards.web.overview_cache import OverviewCache
from dashboards.web.page_views import Overview
from dashboards.web.visitors import Right

HEADERS = {
    "Cache-Control": "no-store, no-transform",
    # nginx, and what is built on it, passes each event on at once.
    "X-Accel-Buffering": "no",
}
MOST_LISTENERS = 300
MOST_OF_ONE, MOST_OF_ADDRESS = 10, 100
_KEPT = 500
_RESET, _HERE = LiveUpdate("reset", b"{}"), LiveUpdate("here", b"{}")

_log = structlog.get_logger()


class LiveTimes(NamedTuple):
    """`period_s`: between two looks; `heartbeat_s`: the longest silence, shorter than
    what proxies wait; `life_s`: how long a stream lasts; `retry_ms`: how long a browser
    waits before it comes back."""

    period_s: float = 5.0
    heartbeat_s: float = 15.0
    life_s: float = 600.0
    retry_ms: int = 5_000


class LiveQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    since: Annotated[
        Moment | None,
        msgspec.Meta(description="of when the state is that you have read"),
    ] = None


class _Noted(NamedTuple):
    """An update, its number, and the time of the first state that has it."""

    number: int
    time_ms: int
    update: LiveUpdate


class LiveUpdates:
    """`stream` yields the bytes of one listener."""

    def __init__(
        self, overviews: OverviewCache, times: LiveTimes | None = None
    ) -> None:
        self._overviews, self._times = overviews, times or LiveTimes()
        self._run_id = secrets.token_hex(4)
        self._updates: deque[_Noted] = deque(maxlen=_KEPT)
        self._number = self._since = 0
        # The state that the first update is compared with.
        self._first_ms: int | None = None
        self._news, self._begun = asyncio.Event(), asyncio.Event()
        self._listeners: Counter[str] = Counter()
        self._producer: asyncio.Task[None] | None = None
        self._is_stopped = False

    @property
    def listeners(self) -> int:
        return self._listeners.total()

    def admit(self, who: str, is_shared: bool) -> None:
        """Raises `ApiProblem` if there is no place. `is_shared`: `who` is an address,
        which many may have."""
        if self._is_stopped or self.listeners >= MOST_LISTENERS:
            raise ApiProblem(
                503, "too many pages listen: ask now and then", {"Retry-After": "60"}
            )
        most = MOST_OF_ADDRESS if is_shared else MOST_OF_ONE
        if self._listeners[who] >= most:
            raise ApiProblem(
                429, f"at most {most} streams at a time", {"Retry-After": "60"}
            )

    async def stream(
        self,
        who: str,
        last_id: str,
        may_go_on: Callable[[], Awaitable[bool]] = always,
        since_ms: int | None = None,
    ) -> AsyncGenerator[bytes, None]:
        """Yields events until the stream's life is over, the listener may not have them
        any more, or `stop`. `may_go_on` is called before each update and heartbeat.
        Without a `last_id` it begins with what changed after `since_ms`, or else with
        the next change."""
        # Many may have been admitted before one of them is counted.
        if self.listeners >= MOST_LISTENERS:
            yield b"retry: 60000\n\n"
            return
        self._listeners[who] += 1
        try:
            self._produce()
            loop = asyncio.get_running_loop()
            end_s = loop.time() + self._times.life_s
            yield b"retry: %d\n\n" % self._times.retry_ms
            # From now on every change is noted.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._times.heartbeat_s):
                    await self._begun.wait()
            place = self._place(last_id, since_ms)
            if place is None:
                place = self._number
                yield self._written(place, _RESET)
            else:
                # No news: only the place, for when it comes back.
                yield self._written(place, _HERE)
            while not self._is_stopped and loop.time() < end_s:
                news = self._news
                if self._updates and self._updates[0].number > place + 1:
                    place = self._number
                    yield self._written(place, _RESET)
                for number, _, update in list(self._updates):
                    if number > place:
                        place = number
                        yield self._written(number, update)
                wait_s = min(self._times.heartbeat_s, end_s - loop.time())
                try:
                    async with asyncio.timeout(max(0.0, wait_s)):
                        await news.wait()
                    is_news = True
                except TimeoutError:
                    is_news = False
                if not await may_go_on():
                    return
                if not is_news:
                    # An event, as a browser does not pass comments on to its page.
                    yield self._written(place, _HERE)
        finally:
            self._leave(who)

    @property
    def route(self) -> ApiRoute:
        return ApiRoute(
            "GET",
            "/events",
            "listen",
            "Server-sent events: what changes, as it happens",
            Right.SEE_STATUS,
            self._listen,
            None,
            LiveQuery,
            media_type="text/event-stream",
            is_stream=True,
            problems=(503,),
        )

    async def _listen(self, call: ApiCall) -> StreamAnswer:
        who = call.caller.key
        self.admit(who, is_shared=not call.caller.name)
        since: Moment | None = call.query.since
        since_ms = None if since is None else epoch_ms(since)
        chunks = self.stream(who, call.last_event_id, call.may_go_on, since_ms)
        return StreamAnswer(chunks, HEADERS)

    async def stop(self) -> None:
        """Ends all streams."""
        self._is_stopped = True
        self._wake()
        if self._producer is not None:
            self._producer.cancel()

    def _leave(self, who: str) -> None:
        self._listeners[who] -= 1
        if not self._listeners[who]:
            del self._listeners[who]
        if not self._listeners and self._producer is not None:
            self._producer.cancel()
            self._producer = None

    def _produce(self) -> None:
        if self._producer is None or self._producer.done():
            # While nobody listened, nothing was noted.
            self._number += 1
            self._since, self._first_ms = self._number, None
            self._updates.clear()
            self._begun = asyncio.Event()
            self._producer = asyncio.create_task(self._run(), name="live-updates")

    async def _run(self) -> None:
        before: Overview | None = None
        is_failing = False
        while True:
            try:
                after = await self._overviews.latest()
            except Exception as error:  # noqa: BLE001 - the next look may work
                if not is_failing:
                    _log.warning("live_updates_failed", error=repr(error))
                is_failing = True
            else:
                is_failing = False
                if before is None:
                    self._first_ms = after.now_ms
                else:
                    self._append(list(changes_between(before, after)), after.now_ms)
                before = after
                self._begun.set()
            await asyncio.sleep(self._times.period_s)

    def _append(self, updates: list[LiveUpdate], time_ms: int) -> None:
        for update in updates:
            self._number += 1
            self._updates.append(_Noted(self._number, time_ms, update))
        if updates:
            self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    def _place(self, last_id: str, since_ms: int | None) -> int | None:
        """Where a listener goes on; None if what it missed is not known."""
        if not last_id:
            return self._number if since_ms is None else self._place_at(since_ms)
        run_id, _, number = last_id.partition("-")
        if run_id != self._run_id or not number.isdecimal() or len(number) > 15:
            return None
        place = int(number)
        return place if self._since <= place <= self._number else None

    def _place_at(self, since_ms: int) -> int | None:
        if self._first_ms is None or since_ms < self._first_ms:
            return None
        for number, time_ms, _ in reversed(self._updates):
            if time_ms <= since_ms:
                return number
        # All kept updates are newer: was none dropped before them?
        is_whole = not self._updates or self._updates[0].number == self._since + 1
        return self._since if is_whole else None

    def _id(self, number: int) -> bytes:
        return f"{self._run_id}-{number}".encode()

    def _written(self, number: int, update: LiveUpdate) -> bytes:
        return b"id: %s\nevent: %s\ndata: %s\n\n" % (
            self._id(number),
            update.kind.encode(),
            update.data,
        )
