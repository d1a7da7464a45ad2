"""Microsoft's change notifications wake the reading of a record, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest
from call_council import Council, council
from call_planting import NAME
from call_records import BEGIN_MS, meeting, utc
from graph_server import GraphServer
from hypothesis import given
from hypothesis import strategies as st

from collectors.calls.calls_config import NotificationsConfig
from collectors.calls.graph_client import GraphClient
from collectors.calls.graph_subscription import GraphSubscription
from collectors.calls.graph_token import GraphToken
from collectors.calls.notification_body import read_notifications
from collectors.calls.notification_server import NotificationServer

URL = "https://towpath.example.gov.uk/notifications/9f3c"
ID = "e523d2ed-2966-4b6b-925b-754a88034cc5"


class Subscribed(NamedTuple):
    graph: GraphServer
    served: NotificationServer
    one: GraphSubscription
    here: Council
    client: GraphClient


@contextlib.asynccontextmanager
async def subscribed(
    folder: Path,
) -> AsyncIterator[Subscribed]:
    """A server of notifications with a subscription at the fake Graph."""
    async with council(folder) as (graph, here):
        counts: Counter[str] = Counter()
        config = NotificationsConfig(url=URL, port=0)
        async with NotificationServer(config, counts) as served:
            graph.reach = f"http://127.0.0.1:{served.port}"
            one = GraphSubscription(graph.url, served, lambda: here.now_ms)
            async with GraphClient(here.config, GraphToken(here.config)) as client:
                await one.keep(client)
                yield Subscribed(graph, served, one, here, client)


async def test_a_notification_is_taken_only_with_the_subscriptions_state(
    tmp_path: Path,
) -> None:
    async with subscribed(tmp_path) as (graph, served, one, _, _):
        assert one.is_active
        data = {"id": ID, "@odata.type": "#microsoft.graph.callrecord"}
        assert await graph.notify(resourceData=data, clientState="guessed") == 202
        assert (await served.wait(0.01)).ids == frozenset()
        assert await graph.notify(resourceData=data) == 202
        assert (await served.wait(5)).ids == {ID}
        assert await graph.notify(lifecycleEvent="missed") == 202
        assert (await served.wait(5)).events == {"missed"}
        assert served._counts == {"notices": 1, "notices_refused": 1}


async def test_of_a_notification_with_names_in_it_only_the_id_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with subscribed(tmp_path) as (graph, served, one, _, _):
        data = {"id": ID, "organizer": {"user": NAME}, NAME: [NAME]}
        more = {"resource": f"/communications/{NAME}", "encryptedContent": NAME}
        assert await graph.notify(resourceData=data, tenantId=NAME, **more) == 202
        assert await graph.notify(resourceData={"id": f"of {NAME}"}) == 202
        assert await graph.notify(lifecycleEvent=f"of {NAME}") == 202
        found = await served.wait(5)
        one.note(found)
        assert found.ids == {ID}
        assert NAME not in repr((found, served._counts)) + str(capsys.readouterr())


async def test_nothing_but_small_posts_to_the_path_are_taken(tmp_path: Path) -> None:
    async with subscribed(tmp_path) as (graph, served, *_):
        path = "/notifications/9f3c"
        async with httpx2.AsyncClient(base_url=graph.reach) as http:
            assert (await http.get(path)).status_code == 405
            assert (await http.post("/")).status_code == 404
            # Outside of subscribing, tokens are not sent back.
            answer = await http.post(path, params={"validationToken": "<script>"})
            assert (answer.status_code, answer.content) == (400, b"")
            answer = await http.post(path, content=b" " * (1 << 20) + b"{}")
            assert answer.status_code == 413
            assert (await http.post(path, content=b"\xff")).status_code == 202
        assert served._counts["notices_refused"] == 3
        assert (await served.wait(0.01)).ids == frozenset()


async def test_a_subscription_is_renewed_before_it_ends_and_made_again_if_removed(
    tmp_path: Path,
) -> None:
    async with subscribed(tmp_path) as (graph, served, one, here, client):
        await one.keep(client)
        assert graph.requests["PATCH"] == 0
        here.now_ms += 36 * 3_600_000
        await one.keep(client)
        [kept] = graph.subscriptions.values()
        assert kept["expirationDateTime"] == utc(here.now_ms + 252_000_000)[:19] + "Z"
        assert graph.requests["PATCH"] == 1
        await graph.notify(lifecycleEvent="reauthorizationRequired")
        one.note(await served.wait(5))
        await one.keep(client)
        assert graph.requests["PATCH"] == 2
        # Microsoft has removed it, and says so, or does not.
        for event in ("subscriptionRemoved", "reauthorizationRequired"):
            await graph.notify(lifecycleEvent=event)
            graph.subscriptions.clear()
            one.note(await served.wait(5))
            await one.keep(client)
            assert len(graph.subscriptions) == 1
        # After a restart, the one of before goes: its state is not known any more.
        other = GraphSubscription(graph.url, served, lambda: here.now_ms)
        await other.keep(client)
        assert len(graph.subscriptions) == 1


async def test_an_address_that_microsoft_cannot_reach_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with subscribed(tmp_path) as (graph, served, _, here, client):
        graph.reach += "/elsewhere"
        other = GraphSubscription(graph.url, served, lambda: here.now_ms)
        await other.keep(client)
        assert not other.is_active
        sentence = "no change notifications: Microsoft Graph answered 400; Microsoft"
        assert sentence in capsys.readouterr().out


async def test_a_long_call_that_no_list_has_is_found_by_its_notification(
    tmp_path: Path,
) -> None:
    notified = {"url": URL, "port": 0}
    async with council(tmp_path, notifications=notified) as (graph, here):
        collector = here.collector()
        assert collector._notices is not None
        long = {**meeting(12), "startDateTime": utc(BEGIN_MS - 20 * 3_600_000)}
        long["endDateTime"] = utc(here.now_ms)
        async with collector:
            graph.reach = f"http://127.0.0.1:{collector._notices.port}"

            def fields() -> dict[str, Any]:
                return collector.samples("calls", here.now_ms)[0].fields

            await until(lambda: fields()["notified"] == 1)
            graph.add(long)
            assert fields()["waiting"] == 0
            await graph.notify(resourceData={"id": long["id"]})
            await until(lambda: fields()["waiting"] == 1)
            assert graph.requests["list"] == 1


async def until(there: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not there():  # noqa: ASYNC110 - of another task
            await asyncio.sleep(0.02)


@given(
    st.binary(max_size=80)
    | st.recursive(
        st.none() | st.text(max_size=5) | st.integers(),
        lambda inner: (
            st.dictionaries(
                st.sampled_from(["value", "clientState", "resourceData", "id"]), inner
            )
            | st.lists(inner, max_size=3)
        ),
    ).map(lambda value: json.dumps(value).encode())
)
def test_no_body_without_the_state_names_a_record(body: bytes) -> None:
    found = read_notifications(body, "the state")
    assert (found.ids, found.events) == (frozenset(), frozenset())
    assert found.refused > 0
