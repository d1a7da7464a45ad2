"""Server-sent events for live pages: one producer, resume, limits, and no leak."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any, cast

import council
import msgspec
import pytest
from api_council import CouncilApi
from council_page import NOW_MS, STORE
from store_doubles import AlertList
from virtual_time import in_virtual_time
from waiting import until

from alerts.acknowledgement import acknowledge
from alerts.alert_access import open_alerts
from dashboards.query_cache import QueryCache
from dashboards.web.api.api_problem import ApiProblem
from dashboards.web.api.live_changes import LiveUpdate, changes_between
from dashboards.web.api.live_updates import (
    MOST_LISTENERS,
    MOST_OF_ADDRESS,
    MOST_OF_ONE,
    LiveTimes,
    LiveUpdates,
)
from dashboards.web.overview_cache import OverviewCache
from dashboards.web.page_views import Overview, Views
from dashboards.web.sign_in.sign_in_sessions import SignInSessions
from dashboards.web.visitors import Role, VisitorSource

QUICK = LiveTimes(period_s=0.01, heartbeat_s=0.05, life_s=30, retry_ms=50)


async def overview(alerts: list[Any] | None = None) -> Overview:
    listed = AlertList(council.alerts(NOW_MS) if alerts is None else alerts)
    answers = QueryCache(STORE, lambda: NOW_MS)
    return await Views(council.estate, listed, answers, lambda: NOW_MS).overview()


class States:
    """Stands for the cache of the state: what `now` is, and how often it was asked."""

    def __init__(self, now: Overview) -> None:
        self.now, self.asked = now, 0

    async def latest(self) -> Overview:
        self.asked += 1
        return self.now


def live(states: States, times: LiveTimes = QUICK) -> LiveUpdates:
    return LiveUpdates(cast("OverviewCache", states), times)


class Listener:
    """The events of a stream, as a browser reads them."""

    def __init__(self, stream: AsyncGenerator[bytes, None]) -> None:
        self._stream, self.last_id, self.heartbeats = stream, "", 0

    async def next(self) -> tuple[str, Any]:
        async with asyncio.timeout(30):
            async for chunk in self._stream:
                fields = dict(
                    line.split(": ", 1) for line in chunk.decode().split("\n") if line
                )
                self.last_id = fields.get("id", self.last_id)
                is_news = fields.get("event", "here") != "here"
                self.heartbeats += "event" in fields and not is_news
                if is_news:
                    return fields["event"], json.loads(fields["data"])
        raise EOFError

    async def begin(self) -> None:
        while not self.last_id:
            async with asyncio.timeout(30):
                chunk = await anext(self._stream)
            if chunk.startswith(b"id: "):
                self.last_id = chunk.decode().split()[1]

    async def leave(self) -> None:
        await self._stream.aclose()


@contextlib.asynccontextmanager
async def listening(
    updates: LiveUpdates,
    last_id: str = "",
    who: str = "ada",
    since_ms: int | None = None,
) -> AsyncIterator[Listener]:
    listener = Listener(updates.stream(who, last_id, since_ms=since_ms))
    if not last_id and since_ms is None:
        await listener.begin()
    yield listener
    await listener.leave()


async def test_only_news_is_told() -> None:
    before = await overview()
    assert list(changes_between(before, before)) == []
    alerts = council.alerts(NOW_MS)
    line = alerts[0]
    # The value of an alert changes at each poll: that is no news.
    same = [msgspec.structs.replace(one, value=7.0) for one in alerts]
    assert list(changes_between(before, await overview(same))) == []
    handled = [msgspec.structs.replace(line, acknowledged_by="Ada"), *alerts[1:]]
    [update] = changes_between(before, await overview(handled))
    assert update.kind == "alert"
    assert json.loads(update.data)["acknowledged_by"] == "Ada"
    after = [one for one in alerts if one.state != "firing"]
    kinds = [update.kind for update in changes_between(before, await overview(after))]
    assert kinds.count("site") >= 1
    ended = [
        json.loads(update.data)
        for update in changes_between(before, await overview(after))
        if update.kind == "alert"
    ]
    assert {"key": line.key, "state": "resolved"} in ended
    later = Overview(**{**vars(before), "newest_ms": NOW_MS})
    assert list(changes_between(before, later)) == [LiveUpdate("figures", b"{}")]
    blind = Overview(**{**vars(before), "unwell": ("The disk is full.",)})
    [status] = changes_between(before, blind)
    assert json.loads(status.data)["unwell"] == ["The disk is full."]


@in_virtual_time
async def test_all_who_listen_hear_the_same_from_one_producer() -> None:
    states = States(await overview())
    updates = live(states)
    async with contextlib.AsyncExitStack() as stack:
        listeners = [
            await stack.enter_async_context(listening(updates, who=f"{n}"))
            for n in range(20)
        ]
        await asyncio.sleep(0.05)
        asked = states.asked
        assert asked < 20
        states.now = Overview(**{**vars(states.now), "newest_ms": NOW_MS})
        heard = [await listener.next() for listener in listeners]
        assert heard == [("figures", {})] * 20
        assert updates.listeners == 20
    assert updates.listeners == 0
    # Nobody listens: nothing is worked out.
    asked = states.asked
    await asyncio.sleep(0.05)
    assert states.asked == asked


@in_virtual_time
async def test_a_listener_that_comes_back_goes_on_where_it_was() -> None:
    states = States(await overview())
    updates = live(states)
    async with listening(updates, who="other"):
        async with listening(updates) as first:
            await asyncio.sleep(0.03)
            states.now = Overview(**{**vars(states.now), "newest_ms": 1})
            assert await first.next() == ("figures", {})
        for newest_ms, unwell in ((2, ()), (2, ("The disk is full.",))):
            states.now = Overview(
                **{**vars(states.now), "newest_ms": newest_ms, "unwell": unwell}
            )
            await asyncio.sleep(0.03)
        async with listening(updates, first.last_id) as again:
            assert (await again.next())[0] == "figures"
            assert (await again.next())[0] == "status"
    # Of a stream that was not noted, or of another process, all is read again.
    for unknown in (first.last_id, "ffffffff-1", "x", "-", f"{first.last_id}9999999"):
        async with listening(updates, unknown) as late:
            assert (await late.next())[0] == "reset"


@in_virtual_time
async def test_who_has_read_a_page_hears_what_changed_before_it_listened() -> None:
    states = States(await overview())
    updates = live(states)
    # A page that was drawn before anything was noted is drawn again.
    async with listening(updates, since_ms=NOW_MS - 1) as first:
        assert (await first.next())[0] == "reset"
        for later_ms, change in ((10, {"newest_ms": 1}), (20, {"unwell": ("Full.",)})):
            now_ms = NOW_MS + later_ms
            states.now = Overview(**{**vars(states.now), **change, "now_ms": now_ms})
            await first.next()
        for since_ms, kinds in (
            (NOW_MS, ["figures", "status"]),
            (NOW_MS + 9, ["figures", "status"]),
            (NOW_MS + 10, ["status"]),
            (NOW_MS + 20, []),
        ):
            async with listening(updates, who="bob", since_ms=since_ms) as late:
                assert [(await late.next())[0] for _ in kinds] == kinds
        # Some of what it missed is not kept any more.
        updates._append([LiveUpdate("figures", b"{}")] * 500, NOW_MS + 30)
        async with listening(updates, who="bob", since_ms=NOW_MS + 9) as late:
            assert (await late.next())[0] == "reset"


async def test_a_listener_that_is_far_behind_reads_everything_again() -> None:
    updates = live(States(await overview()))
    async with listening(updates) as slow:
        updates._append([LiveUpdate("figures", b"{}")] * 2_000, NOW_MS)
        assert (await slow.next())[0] == "reset"
        updates._append([LiveUpdate("status", b"{}")], NOW_MS)
        assert (await slow.next())[0] == "status"


@in_virtual_time
async def test_silence_has_a_heartbeat_and_every_stream_an_end() -> None:
    updates = live(States(await overview()), QUICK._replace(life_s=0.3))
    async with listening(updates) as listener:
        with pytest.raises(EOFError):
            await listener.next()
        assert 2 <= listener.heartbeats <= 7


@in_virtual_time
async def test_a_listener_who_may_not_listen_any_more_is_told_nothing_new() -> None:
    states = States(await overview())
    updates = live(states, QUICK._replace(heartbeat_s=3_600, life_s=7_200))
    allowed = True

    async def may_go_on() -> bool:
        return allowed

    listener = Listener(updates.stream("ada", "", may_go_on))
    await listener.begin()
    for newest_ms, allowed in ((1, True), (2, False)):
        states.now = Overview(**{**vars(states.now), "newest_ms": newest_ms})
        if allowed:
            assert await listener.next() == ("figures", {})
    with pytest.raises(EOFError):
        await listener.next()
    assert updates.listeners == 0


async def test_there_is_a_limit_of_streams() -> None:
    updates = live(States(await overview()))
    updates._listeners["ada"] = MOST_OF_ONE
    with pytest.raises(ApiProblem) as refused:
        updates.admit("ada", is_shared=False)
    assert refused.value.status == 429
    updates.admit("bob", is_shared=False)
    # Many may share an address, but not take all places.
    updates.admit("ada", is_shared=True)
    updates._listeners["address"] = MOST_OF_ADDRESS
    with pytest.raises(ApiProblem):
        updates.admit("address", is_shared=True)
    updates._listeners["others"] = MOST_LISTENERS
    # Admitted with many others at the same moment: it comes back in a minute.
    assert [chunk async for chunk in updates.stream("late", "")] == [
        b"retry: 60000\n\n"
    ]
    with pytest.raises(ApiProblem) as full:
        updates.admit("bob", is_shared=False)
    assert full.value.status == 503


def test_pages_that_listen_do_not_use_up_the_rate_of_their_address(
    tmp_path: Path,
) -> None:
    api = CouncilApi(tmp_path)
    with api.client("", api={"requests_per_minute_without_token": 1}) as client:
        for _ in range(5):
            assert client.head("/events").status_code == 200
        assert client.get("/sites").status_code == 200
        assert client.get("/sites").status_code == 429


async def test_over_a_socket_news_arrives_and_a_listener_that_goes_leaves_nothing(
    tmp_path: Path,
) -> None:
    api = CouncilApi(tmp_path)
    file = tmp_path / "sign-in.sqlite"
    # A provider's session is good only while there is a provider.
    base = "http://localhost:8765"
    oidc = {"issuer": "http://127.0.0.1:1", "client_id": "towpath"}
    sign_in = {
        "oidc": oidc,
        "everybody": "staff",
        "file": file,
        "base_url": base,
    }
    page = api.page(live=QUICK._replace(heartbeat_s=0.2), port=0, sign_in=sign_in)
    sessions = SignInSessions(file, 3_600, 36_000, lambda: api.now_ms)
    async with page:
        port = int(page.url.rpartition(":")[2])

        async def connect(
            caller: str = f"Authorization: Bearer {api.secret}",
        ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(
                b"GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                b"Accept: text/event-stream\r\n" + caller.encode() + b"\r\n\r\n"
            )
            return reader, writer

        reader, writer = await connect()
        async with asyncio.timeout(30):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            assert " 200 " in head.splitlines()[0]
            assert "content-type: text/event-stream" in head
            assert "x-accel-buffering: no" in head
            assert "cache-control: no-store, no-transform" in head
            await reader.readuntil(b"id: ")
            [alert] = open_alerts(api.path)
            acknowledge(api.path, alert.key, "Ada", "", api.now_ms)
            # The state is kept for two seconds.
            api.now_ms += 2_000
            await reader.readuntil(b"event: alert")
            await reader.readuntil(b"event: here")
            assert page.updates.listeners == 1
            # Of a token that was revoked, and of a person who has signed out, the open
            # stream ends as well.
            token = f"Authorization: Bearer {api.token('other', 'see-status')}"
            theirs, their_end = await connect(token)
            session = sessions.begin(
                "council:1", "Ada", [Role.ENGINEER], VisitorSource.PROVIDER
            )
            hers, her_end = await connect(f"Cookie: towpath-session={session}")
            await theirs.readuntil(b"id: ")
            await hers.readuntil(b"event: here")
            api.tokens.revoke("other", "ada", api.now_ms)
            sessions.end(session)
            for ended, end in ((theirs, their_end), (hers, her_end)):
                await ended.readuntil(b"\r\n0\r\n\r\n")
                end.transport.abort()
            await until(lambda: page.updates.listeners == 1, "one listener")
            writer.transport.abort()
            await until(lambda: page.updates.listeners == 0, "no listener")
            assert page.updates._producer is None
            # Stopping the server does not wait for those who listen.
            reader, writer = await connect()
            await reader.readuntil(b"id: ")
            await page.updates.stop()
            await reader.readuntil(b"\r\n0\r\n\r\n")
        writer.close()
