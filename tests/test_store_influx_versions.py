"""How each InfluxDB version is detected, prepared, signed in to and written to."""

from __future__ import annotations

import json
import ssl
from pathlib import Path

import pytest
import services
from fake_influx import PING, ROW, FakeInflux, fake_influx, http_answer
from stores import CATALOGUE, START, ask, batch, connection, influx, values

from collectors.ingest.certificate import make_certificates
from collectors.server_measurements import CATALOGUE as DECLARED
from collectors.store.influx_http import InfluxServer
from collectors.store.influx_store import InfluxStore
from collectors.store.store_errors import Away, QueryFailed


@pytest.mark.parametrize(
    ("version", "path", "scheme"),
    [
        ("1.6", "/write", "Basic dTpw"),
        ("1.8", "/write", "Basic dTpw"),
        ("2", "/api/v2/write", "Token u:p"),
        ("3", "/api/v2/write", "Token u:p"),
    ],
)
async def test_each_version_receives_writes_at_its_own_path(
    version: str, path: str, scheme: str
) -> None:
    async with fake_influx(version, token="u:p") as (store, server):
        await store.write([ROW])
    (write,) = [request for request in server.requests if request[0].endswith("write")]
    assert write[0] == path
    assert write[1]["precision"] == ["ms"]
    assert write[1].get("db", write[1].get("bucket")) == ["db"]
    assert "rp" not in write[1]
    assert write[2]["authorization"] == scheme
    assert write[2]["content-encoding"] == "gzip"
    assert write[3] == f"plain,a=x whole=1i {START}".encode()


async def test_a_server_without_version_and_v2_is_detected() -> None:
    def answer(method: str, path: str, body: bytes) -> bytes:
        if path == "/api/v2/write":
            return http_answer(404, "404 page not found")
        return http_answer(204) if path in ("/write", "/ping") else http_answer(404)

    async with FakeInflux(answer) as server:
        client = InfluxServer(server.url)
        async with InfluxStore(client, "db", CATALOGUE) as store:
            await store.write([ROW])
            await store.write([ROW])
    writes = [request[0] for request in server.requests if request[0].endswith("write")]
    assert writes == ["/api/v2/write", "/write", "/write"]


async def test_a_database_is_created_with_the_catalogues_retention(
    influx_server: services.Server,
) -> None:
    services.only_of_1(influx_server)
    async with influx(influx_server) as store:
        private = batch((START, {"agent": "p"}, {"ok": 1}), measurement="private")
        await store.write([ROW, private])
        async with connection(influx_server) as client:
            for database in store.databases.values():
                (series,) = await client.query(
                    database, f'SHOW RETENTION POLICIES ON "{database}"'
                )
                assert series.values[0][:2] == ["autogen", f"{36_500 * 24}h0m0s"]
                await client.query("", f'DROP DATABASE "{database}"')
        # A database that was dropped is created again.
        await store.write([ROW])
        assert await values(store, ask("whole:sum")) == [(1,)]


async def test_what_no_laptop_has_reported_to_can_be_queried_from_the_first_row(
    influx_server: services.Server,
) -> None:
    async with influx(influx_server) as store:
        await store.write([ROW])
        async with connection(influx_server) as client:
            for database in store.databases.values():
                query = 'SHOW TAG VALUES FROM "private" WITH KEY = "agent"'
                assert await client.query(database, query) == []


async def test_buckets_are_created_on_2_and_databases_on_3() -> None:
    def answer_of_2(method: str, path: str, body: bytes) -> bytes:
        if path == "/api/v2/orgs":
            return http_answer(200, {"orgs": [{"id": "0a", "name": "-"}]})
        if method == "POST":
            return http_answer(201, {"id": "0b"})
        return http_answer(200, {"buckets": []})

    async with fake_influx("2", other=answer_of_2) as (store, server):
        await store.write([ROW])
    creations = [request for request in server.requests if request[3].startswith(b"{")]
    assert {creation[0] for creation in creations} == {"/api/v2/buckets"}
    assert [json.loads(creation[3]) for creation in creations] == [
        {
            "orgID": "0a",
            "name": name,
            "retentionRules": [{"type": "expire", "everySeconds": 36_500 * 86_400}],
        }
        for name in ("db", "db_personal")
    ]
    async with fake_influx("3", other=lambda *_: http_answer(200, {})) as (
        store,
        server,
    ):
        await store.write([ROW])
    creations = [request for request in server.requests if request[3].startswith(b"{")]
    assert {creation[0] for creation in creations} == {"/api/v3/configure/database"}
    assert [json.loads(creation[3]) for creation in creations] == [
        {"db": name, "retention_period": "36500d"} for name in ("db", "db_personal")
    ]


async def test_a_token_that_may_only_write_is_enough(tmp_path: Path) -> None:
    async with fake_influx(
        "2", other=lambda *_: http_answer(403, {"code": "forbidden"})
    ) as (
        store,
        server,
    ):
        await store.write([ROW])
        await store.write([ROW])
    writes = [request for request in server.requests if request[0] == "/api/v2/write"]
    assert len(writes) == 2


async def test_a_real_server_accepts_only_the_right_password(tmp_path: Path) -> None:
    influxd = services.influxd(tmp_path)
    services.only_of_1(influxd)
    config = tmp_path / "influxdb.conf"
    config.write_text(
        config.read_text().replace("[http]", "[http]\n  auth-enabled = true")
    )
    url = f"http://127.0.0.1:{influxd.port}"
    with services.running(influxd):
        async with InfluxServer(url) as first:
            await first.query(
                "", "CREATE USER admin WITH PASSWORD 'secret word' WITH ALL PRIVILEGES"
            )
        for token, message in (("", "missing or empty|401"), ("admin:no", "401")):
            server = InfluxServer(url, token)
            async with InfluxStore(server, "db", CATALOGUE) as store:
                with pytest.raises((Away, QueryFailed), match=message):
                    await store.write([ROW])
                with pytest.raises(QueryFailed, match=r"the token .* is wrong"):
                    await store.query(ask("whole:sum"))
        async with InfluxStore(
            InfluxServer(url, "admin:secret word"), "db", CATALOGUE
        ) as store:
            await store.write([ROW])
            assert await values(store, ask("whole:sum")) == [(1,)]


async def test_the_token_is_sent_only_to_a_server_with_a_trusted_certificate(
    tmp_path: Path,
) -> None:
    certificates = make_certificates(tmp_path)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificates.certificate, certificates.private_key)

    def answer(method: str, path: str, body: bytes) -> bytes:
        return PING["2"] if path == "/ping" else http_answer(204)

    async with FakeInflux(answer, tls) as server:
        trusting = InfluxServer(server.url, "u:p", ca_file=certificates.authority)
        async with InfluxStore(trusting, "db", CATALOGUE) as store:
            await store.write([ROW])
        assert "/api/v2/write" in [request[0] for request in server.requests]
        server.requests.clear()
        strict = InfluxServer(server.url, "u:p")
        async with InfluxStore(strict, "db", CATALOGUE) as store:
            with pytest.raises(Away, match=r"(?i)certificate"):
                await store.write([ROW])
        assert server.requests == []


@pytest.mark.parametrize("version", ["1.6", "1.8", "2", "3"])
async def test_an_answer_of_another_server_does_not_stop_writing(version: str) -> None:
    """A proxy returns a web page where the list of buckets should be."""
    page = http_answer(200, "<html>Welcome</html>")
    async with fake_influx(version, other=lambda *_: page) as (store, _):
        await store.write([ROW])


@pytest.mark.parametrize("personal", [False, True])
def test_one_retention_for_each_database_is_enough(personal: bool) -> None:
    """A database has one retention for all its measurements. If the catalogue gives
    them different ones, they need separate databases."""
    days = {
        measurement.retention_days
        for measurement in DECLARED
        if measurement.personal == personal
    }
    assert len(days) == 1
