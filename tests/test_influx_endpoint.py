"""The InfluxDB interface of the status page: who may query it, how, and within which
limits. A query can never take more than its limits, nor anything from the pages."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
import json
import urllib.parse
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import council
import httpx2
import pytest
from served_influx import DATABASES, TOKEN, served
from store_doubles import AlertList, MemoryStore
from stores import DAY, START, batch

from collectors.server_measurements import CATALOGUE
from collectors.store.influx_queries import QueryLimits
from collectors.store.parquet_store import EmbeddedStore
from collectors.store.store_config import StoreConfig
from dashboards.web import GrafanaSource, StatusPage, WebConfig
from dashboards.web.influx_access import InfluxAccess
from dashboards.web.web_config import GrafanaSourceConfig

SHARED, PERSONAL = "shared-token-of-16-letters", "personal-token-of-16-letters"
NOW_MS = START + DAY


@contextlib.asynccontextmanager
async def towpath(
    folder: Path, **settings: Any
) -> AsyncIterator[tuple[httpx2.AsyncClient, str]]:
    """A status page with the interface, over an embedded store with one device and one
    laptop; yields a client and its address."""
    (folder / "token").write_text(SHARED + "\n")
    (folder / "personal").write_text(PERSONAL)
    store = StoreConfig(folder=folder / "store")
    async with EmbeddedStore(store.folder, CATALOGUE) as files:
        await files.write(
            [
                batch(
                    (NOW_MS - 60_000, {"site": "library", "device": "sw"}, {"up": 1}),
                    measurement="device",
                ),
                batch(
                    (NOW_MS - 60_000, {"agent": "p1"}, {"cpu_ratio": 0.5}),
                    measurement="agent",
                ),
            ]
        )
    config = GrafanaSourceConfig(token_file=folder / "token", **settings)
    async with GrafanaSource(config, store, CATALOGUE, lambda: NOW_MS) as source:
        page = StatusPage(
            WebConfig(port=0),
            council.estate,
            AlertList(),
            MemoryStore(),
            influx=source.endpoint,
        )
        async with page, httpx2.AsyncClient(trust_env=False) as client:
            yield client, page.url


def q(text: str = 'SELECT last("up") AS "up" FROM "device"', **more: str) -> Any:
    return {"db": "towpath", "epoch": "ms", "q": text, **more}


BASIC = base64.b64encode(f"grafana:{SHARED}".encode()).decode()


@pytest.mark.parametrize(
    ("headers", "more", "status"),
    [
        ({"Authorization": f"Token {SHARED}"}, {}, 200),
        ({"Authorization": f"Token grafana:{SHARED}"}, {}, 200),
        ({"Authorization": f"Bearer {SHARED}"}, {}, 200),
        ({"Authorization": f"Basic {BASIC}"}, {}, 200),
        ({}, {"u": "grafana", "p": SHARED}, 200),
        ({}, {}, 401),
        ({}, {"u": SHARED}, 401),
        ({}, {"u": "grafana", "p": SHARED[:-1]}, 401),
        ({"Authorization": f"Token {SHARED[:-1]}"}, {}, 401),
        ({"Authorization": "Token"}, {}, 401),
        ({"Authorization": f"Basic {SHARED}"}, {}, 401),
        ({"Authorization": "Basic é"}, {}, 401),
        ({"Authorization": f"Digest {SHARED}"}, {}, 401),
        # A second secret beside a wrong one is enough, as for InfluxDB.
        ({"Authorization": "Token wrong"}, {"u": "g", "p": SHARED}, 200),
    ],
)
async def test_only_the_token_opens_it_however_grafana_sends_it(
    tmp_path: Path, headers: dict[str, str], more: dict[str, str], status: int
) -> None:
    encoded = {name: value.encode() for name, value in headers.items()}
    async with towpath(tmp_path) as (client, url):
        got = await client.get(f"{url}/query", params=q(**more), headers=encoded)
        posted = await client.post(f"{url}/query", data=q(**more), headers=encoded)
    assert (got.status_code, posted.status_code) == (status, status)
    assert got.json() == posted.json()
    if status == 200:
        (series,) = got.json()["results"][0]["series"]
        assert series["values"][0][1] == 1
    else:
        assert "error" in got.json()
        assert got.headers["www-authenticate"].startswith("Basic ")


async def test_grafana_sends_the_database_in_the_address_and_the_query_in_the_body(
    tmp_path: Path,
) -> None:
    headers = {"Authorization": f"Token {SHARED}"}
    async with towpath(tmp_path) as (client, url):
        answer = await client.post(
            f"{url}/query?db=towpath&epoch=ms&chunked=true&pretty=true&chunk_size=5",
            content=urllib.parse.urlencode({"q": "SHOW measurements"}),
            headers={**headers, "Content-Type": "application/x-www-form-urlencoded"},
        )
        for other, error in (
            ({"rp": "other"}, "retention policy not found"),
            ({"params": '{"a":1}'}, "not supported"),
            ({"q": " "}, "missing required parameter"),
            ({"q": "SELECT"}, "error parsing query: found EOF"),
            ({"q": "x" * 300_000}, "more than 262144 bytes"),
        ):
            refused = await client.post(
                f"{url}/query", data={**q(), **other}, headers=headers
            )
            assert refused.status_code in (400, 413)
            assert error in refused.json()["error"]
        put = await client.put(f"{url}/query", headers=headers)
        written = await client.post(f"{url}/write?db=towpath", content=b"a b=1")
    assert answer.json() == {
        "results": [
            {
                "statement_id": 0,
                "series": [
                    {
                        "name": "measurements",
                        "columns": ["name"],
                        "values": [["device"]],
                    }
                ],
            }
        ]
    }
    assert answer.headers["x-influxdb-version"] == "1.8.10"
    assert (put.status_code, written.status_code) == (405, 404)


async def test_ping_needs_no_token_and_gives_the_version(tmp_path: Path) -> None:
    async with towpath(tmp_path) as (client, url):
        for method in ("GET", "HEAD"):
            answer = await client.request(method, f"{url}/ping")
            assert answer.status_code == 204
            assert answer.headers["x-influxdb-version"] == "1.8.10"


async def test_it_answers_to_any_name_and_the_pages_do_not(tmp_path: Path) -> None:
    async with towpath(tmp_path) as (client, url):
        headers = {"Host": "towpath:8080", "Authorization": f"Token {SHARED}"}
        answer = await client.get(f"{url}/query", params=q(), headers=headers)
        page = await client.get(url, headers={"Host": "towpath:8080"})
    assert (answer.status_code, page.status_code) == (200, 400)


def test_without_a_token_it_is_off() -> None:
    assert not GrafanaSourceConfig().is_on
    page = StatusPage(WebConfig(port=0), council.estate, AlertList(), MemoryStore())
    from starlette.testclient import TestClient

    with TestClient(page.app, base_url="http://localhost") as client:
        assert client.get("/query", params=q()).status_code == 404
        assert client.get("/ping").status_code == 404


async def test_the_shared_token_never_reads_personal_rows(tmp_path: Path) -> None:
    personal = {"personal_token_file": tmp_path / "personal"}
    async with towpath(tmp_path, **personal) as (client, url):

        async def ask(token: str, text: str, database: str) -> Any:
            answer = await client.get(
                f"{url}/query",
                params=q(text, db=database),
                headers={"Authorization": f"Token {token}"},
            )
            return answer.json()["results"][0]

        laptop = 'SELECT last("cpu_ratio") FROM "agent"'
        both = tuple(DATABASES.values())
        shared, theirs = both
        assert "series" in await ask(PERSONAL, laptop, theirs)
        assert "series" not in await ask(SHARED, laptop, shared)
        for text in (laptop, "SHOW MEASUREMENTS", f'SHOW FIELD KEYS ON "{theirs}"'):
            error = (await ask(SHARED, text, theirs))["error"]
            assert error == f"database not found: {theirs}"
        on_theirs = f'SHOW TAG VALUES ON "{theirs}" FROM "agent" WITH KEY = "agent"'
        assert "not found" in (await ask(SHARED, on_theirs, shared))["error"]
        # Another database in FROM is not read either.
        elsewhere = f'SELECT last("cpu_ratio") FROM "{theirs}".."agent"'
        assert "no measurement" in (await ask(SHARED, elsewhere, shared))["error"]
        device = 'SELECT last("up") FROM "device"'
        assert "not found" in (await ask(PERSONAL, device, shared))["error"]
        for token, name in ((SHARED, shared), (PERSONAL, theirs)):
            listed = await ask(token, "SHOW DATABASES", shared)
            assert listed["series"][0]["values"] == [[name]]


def test_tokens_that_protect_nothing_are_refused(tmp_path: Path) -> None:
    store = StoreConfig(folder=tmp_path)
    token, other = tmp_path / "token", tmp_path / "other"
    for text, why in (
        ("short", "5 characters; expected a token of at least 16"),
        ("", "0 characters"),
        ("two words of a token", "letters and digits"),
    ):
        token.write_text(text)
        with pytest.raises(ValueError, match=why):
            GrafanaSource(GrafanaSourceConfig(token_file=token), store, CATALOGUE)
    with pytest.raises(ValueError, match="No such file"):
        GrafanaSource(GrafanaSourceConfig(token_file=other), store, CATALOGUE)
    for path in (token, other):
        path.write_text(SHARED)
    config = GrafanaSourceConfig(token_file=token, personal_token_file=other)
    with pytest.raises(ValueError, match="two different tokens"):
        GrafanaSource(config, store, CATALOGUE)
    with pytest.raises(ValueError, match="the store is InfluxDB"):
        GrafanaSource(
            GrafanaSourceConfig(token_file=token),
            StoreConfig(kind="influxdb", folder=tmp_path),
            CATALOGUE,
        )


def test_an_access_compares_every_token() -> None:
    access = InfluxAccess({"a" * 16: frozenset("x"), "b" * 16: frozenset("y")})
    assert access.databases(f"Token {'a' * 16}", "") == frozenset("x")
    assert access.databases(f"Token {'a' * 16}", "b" * 16) == frozenset("xy")
    assert access.databases("", "") is None
    assert access.databases("Token", "") is None


async def test_a_large_answer_is_compressed_if_the_client_reads_gzip(
    tmp_path: Path,
) -> None:
    async with towpath(tmp_path) as (client, url):
        text = (
            f"SELECT last(up) FROM device WHERE time >= {NOW_MS - DAY}ms"
            f" AND time <= {NOW_MS}ms GROUP BY time(1m) fill(null)"
        )
        headers = {"Authorization": f"Token {SHARED}"}
        bodies = {}
        for encoding in ("gzip", "identity", "gzip;q=0", "br, gzip;q=0.5"):
            async with client.stream(
                "GET",
                f"{url}/query",
                params=q(text),
                headers={**headers, "Accept-Encoding": encoding},
            ) as answer:
                raw = b"".join([part async for part in answer.aiter_raw()])
                bodies[encoding] = answer.headers.get("content-encoding"), raw
    plain = bodies["identity"][1]
    assert bodies["identity"][0] is None
    assert bodies["gzip;q=0"] == (None, plain)
    for encoding in ("gzip", "br, gzip;q=0.5"):
        kind, raw = bodies[encoding]
        assert kind == "gzip"
        assert gzip.decompress(raw) == plain
        assert len(raw) < len(plain) / 5
    values = json.loads(plain)["results"][0]["series"][0]["values"]
    assert len(values) == 1441


async def test_an_answer_with_too_many_points_is_an_error_that_says_what_to_do(
    tmp_path: Path,
) -> None:
    limits = QueryLimits(points=1000)
    async with served(tmp_path, limits=limits) as store:
        rows = [(START + n, {"a": str(n)}, {"whole": n}) for n in range(1500)]
        await store.write([batch(*rows)])
        span = f"WHERE time >= {START}ms AND time < {START + DAY}ms"
        few = f"SELECT max(whole) FROM plain {span} AND a = '1'"
        texts = [
            f"SELECT max(whole) FROM plain {span} GROUP BY a",
            f"{few} GROUP BY time(1s) fill(null)",
            f"{few} GROUP BY time(3m) fill(null); {few} GROUP BY time(2m) fill(null)",
        ]
        async with httpx2.AsyncClient(trust_env=False) as client:
            for text in texts:
                answer = await client.post(
                    f"{store.url}/query",
                    data=q(text),
                    headers={"Authorization": f"Token {TOKEN}"},
                )
                *_, last = answer.json()["results"]
                assert "more than" in last["error"]
                assert "fewer groups" in last["error"]


async def test_a_query_ends_at_its_time_and_what_waits_is_bounded(
    tmp_path: Path,
) -> None:
    limits = QueryLimits(timeout_s=0.5, at_once=1, waiting=3)
    async with served(tmp_path, limits=limits) as store:
        await store.write([batch((START, {"a": "x"}, {"whole": 1}))])
        blocked = asyncio.Event()

        async def never(*_: object) -> Any:
            await blocked.wait()

        store.files.cells = never  # type: ignore[method-assign,assignment]
        headers = {"Authorization": f"Token {TOKEN}"}
        async with httpx2.AsyncClient(trust_env=False, timeout=20) as client:
            answers = await asyncio.gather(
                *(
                    client.post(
                        f"{store.url}/query",
                        data=q("SELECT max(whole) FROM plain"),
                        headers=headers,
                    )
                    for _ in range(8)
                )
            )
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [200] * 3 + [503] * 5
    for answer in answers:
        if answer.status_code == 200:
            assert "no answer in 0.5 s" in answer.json()["results"][0]["error"]
        else:
            assert "are waiting already" in answer.json()["error"]
            assert answer.headers["retry-after"] == "5"


async def test_a_query_is_stopped_if_its_sender_leaves(tmp_path: Path) -> None:
    async with served(tmp_path) as store:
        await store.write([batch((START, {"a": "x"}, {"whole": 1}))])
        started, stopped = asyncio.Event(), asyncio.Event()

        async def slow(*_: object) -> Any:
            started.set()
            try:
                await asyncio.Event().wait()
            finally:
                stopped.set()

        store.files.cells = slow  # type: ignore[method-assign,assignment]
        port = urllib.parse.urlsplit(store.url).port
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        text = urllib.parse.quote("SELECT max(whole) FROM plain")
        writer.write(
            f"GET /query?db=towpath&q={text} HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: Token {TOKEN}\r\n\r\n".encode()
        )
        await asyncio.wait_for(started.wait(), 20)
        writer.close()
        await asyncio.wait_for(stopped.wait(), 20)
        assert not await reader.read(1)
