"""The InfluxDB store: line protocol, every version's answers, servers that fail."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
import services
from hypothesis import given, settings
from hypothesis import strategies as st
from stores import CATALOGUE, PLAIN, START, ask, batch, connection, influx, values

from collectors.ingest.certificate import make_certificates
from collectors.server_measurements import CATALOGUE as DECLARED
from collectors.store.influx_http import InfluxServer
from collectors.store.influx_store import InfluxStore
from collectors.store.influxql import (
    Grafana,
    exactly,
    identifier,
    literal,
    regex,
    render,
)
from collectors.store.line_protocol import lines
from collectors.store.query import Pick, Query, Where
from collectors.store.store_errors import Away, QueryFailed, RowsRefused


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[services.Server]:
    with services.running(services.influxd(tmp_path_factory.mktemp("influx"))) as one:
        yield one


ROW = batch((START, {"a": "x"}, {"whole": 1}))


def test_rows_become_lines_by_the_catalogues_types() -> None:
    rows = batch(
        (5, {"b": "one, two", "a": "k=v"}, {"whole": 3, "real": 2, "text": 'a"\\'}),
        (6, {"b": "", "a": "x\\"}, {"real": 1e300}),
        (7, {"a": "x"}, {"real": None}),
    )
    assert list(lines(rows, PLAIN)) == [
        'plain,a=k\\=v,b=one\\,\\ two whole=3i,real=2.0,text="a\\"\\\\" 5',
        "plain,a=x/ real=1e+300 6",
    ]


_text = st.text(max_size=20) | st.sampled_from(
    ['"', "\\", '\\"', "\\\\", "a\nb", "'", "# x", "\\n", "\t", "x=1i"]
)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.none() | st.integers(-(2**63), 2**63 - 1),
            st.none() | st.floats(allow_nan=False, allow_infinity=False),
            st.none() | _text.filter(lambda text: "\x00" not in text),
        ).filter(lambda row: any(value is not None for value in row)),
        min_size=1,
        max_size=8,
    )
)
async def test_a_real_server_returns_any_value_unchanged(
    server: services.Server,
    rows: list[tuple[int | None, float | None, str | None]],
) -> None:
    fields = [dict(zip(("whole", "real", "text"), row, strict=True)) for row in rows]
    async with influx(server) as store:
        await store.write(
            [batch(*((START + n, {}, row) for n, row in enumerate(fields)))]  # type: ignore[misc]
        )
        query = ask("whole:last", "real:last", "text:last", every=1)
        query = msgspec.structs.replace(query, to_ms=START + len(rows))
        answer = await values(store, query)
    assert answer == [(START + n, *row) for n, row in enumerate(rows)]


@settings(max_examples=25, deadline=None)
@given(_text, _text)
async def test_identifiers_literals_and_patterns_mean_the_text_itself(
    server: services.Server, one: str, other: str
) -> None:
    """Asked of a real server: an escape that leaks would be another query."""
    clean = [t.replace("\x00", "").replace("\r", "") for t in (one, other)]
    async with influx(server) as store, connection(server) as asker:
        await store.write([ROW])
        database = store.databases[False]
        for text in clean:
            statement = f"SELECT last({identifier(text or 'x')}) FROM m"
            statement += f" WHERE t = {literal(text)} AND u =~ {regex(exactly(text))}"
            assert await asker.query(database, statement) == []


@pytest.mark.parametrize(
    "text",
    ["a/b", "a.b", "(x|y)", "[z]", "^$", "\\d+", "a b*", "\\/", "\\\\/x", "x\\y"],
)
async def test_a_pattern_of_a_text_matches_that_text_alone(
    server: services.Server, text: str
) -> None:
    async with influx(server) as store:
        rows = [
            (START, {"a": text}, {"whole": 1}),
            (START, {"a": "axb"}, {"whole": 2}),
            (START, {"a": text + "1"}, {"whole": 4}),
        ]
        await store.write([batch(*rows)])
        database = store.databases[False]
        async with connection(server) as asker:
            (series,) = await asker.query(
                database,
                f"SELECT sum(whole) FROM plain WHERE a =~ {regex(exactly(text))}",
            )
    assert series.values == [[0, 1]]


def test_grafana_gets_the_same_query_with_its_variables() -> None:
    query = Query(
        "interface",
        (Pick("in_bps", "p95"),),
        1,
        2,
        (Where("role", ("switch",)),),
        ("device", "port"),
        300_000,
    )
    panel = render(
        query, DECLARED.measurement("interface"), Grafana(variables={"site": "site"})
    )
    assert panel == (
        'SELECT percentile("in_bps", 95) AS "in_bps_p95" FROM "interface"'
        ' WHERE $timeFilter AND "site" =~ /^$site$/ AND "role" = \'switch\''
        ' GROUP BY time($__interval), "device", "port" fill(none)'
    )
    rule = render(
        query, DECLARED.measurement("interface"), Grafana(interval="", fill="null")
    )
    assert rule == (
        'SELECT percentile("in_bps", 95) AS "in_bps_p95" FROM "interface"'
        ' WHERE $timeFilter AND "role" = \'switch\' GROUP BY "device", "port"'
    )


def test_a_weighted_mean_is_calculated_in_a_subquery() -> None:
    query = Query(
        "experience",
        (Pick("call_poor_ratio", "mean"), Pick("agents", "last")),
        1,
        2,
        (Where("by", ("place",)),),
        ("group",),
        300_000,
    )
    text = render(
        query, DECLARED.measurement("experience"), Grafana(variables={"group": "group"})
    )
    having = 'WHERE $timeFilter AND "group" =~ /^$group$/ AND "by" = \'place\''
    assert text == (
        'SELECT sum("call_poor_ratio:product") / sum("call_poor_ratio:weight")'
        ' AS "call_poor_ratio_mean", last("agents") AS "agents_last"'
        ' FROM (SELECT "call_poor_ratio" * "calls" AS "call_poor_ratio:product",'
        ' "calls" + 0 * "call_poor_ratio" AS "call_poor_ratio:weight", "agents"'
        f' FROM "experience" {having}) WHERE $timeFilter'
        ' GROUP BY time($__interval), "group" fill(none)'
    )


async def test_many_lines_are_sent_in_order_in_several_requests(
    server: services.Server,
) -> None:
    async with influx(server) as store:
        rows = [(START + n % 11_000, {}, {"whole": n}) for n in range(12_000)]
        await store.write([batch(*rows)])
        query = ask("whole:count", "whole:min", "whole:max")
        assert await values(store, query) == [(11_000, 1_000, 11_999)]


async def test_a_real_server_refuses_only_the_rows_of_the_wrong_type(
    server: services.Server,
) -> None:
    async with influx(server) as store:
        await store.write([ROW])
        # Someone else wrote this field as text before; it stays text for ever.
        async with connection(server) as asker:
            await asker.write(
                store.databases[False], [f'plain,a=o real="text" {START}']
            )
        rows = [
            (START + n, {"a": "x"}, {"real": 1.5} if n % 50 == 7 else {"whole": n})
            for n in range(200)
        ]
        with pytest.raises(RowsRefused, match="field type conflict") as refused:
            await store.write([batch(*rows)])
        (bad,) = refused.value.batches
        assert bad.times_ms == [START + n for n in (7, 57, 107, 157)]
        assert await values(store, ask("whole:count")) == [(196,)]


class Fake:
    """An HTTP server with given answers that keeps the requests."""

    def __init__(
        self,
        answer: Callable[[str, str, bytes], bytes | None],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._answer, self._tls = answer, tls
        self._busy: set[asyncio.Task[None]] = set()
        self.requests: list[
            tuple[str, dict[str, list[str]], dict[str, str], bytes]
        ] = []

    async def __aenter__(self) -> Fake:
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", 0, ssl=self._tls
        )
        self.url = f"{'https' if self._tls else 'http'}://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._busy:
            task.cancel()
        await asyncio.gather(*self._busy, return_exceptions=True)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._busy.add(task)
        try:
            await self._reply(reader, writer)
        finally:
            writer.close()
            self._busy.discard(task)

    async def _reply(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            first, *rest = head.split("\r\n")
            headers = {
                name.lower(): value
                for name, _, value in (line.partition(": ") for line in rest)
            }
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            if headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            method, target, _ = first.split(" ")
            parts = urlsplit(target)
            self.requests.append((parts.path, parse_qs(parts.query), headers, body))
            answer = self._answer(method, parts.path, body)
            if answer is None:
                await asyncio.sleep(3600)
            writer.write(answer or b"")
            await writer.drain()


def http(status: int, body: object = "", headers: str = "") -> bytes:
    text = (body if isinstance(body, str) else json.dumps(body)).encode()
    head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(text)}\r\n"
    return f"{head}Connection: close\r\n{headers}\r\n".encode() + text


PING = {
    "1.8": http(204, headers="X-Influxdb-Version: 1.8.10\r\n"),
    "2": http(204, headers="X-Influxdb-Version: v2.7.11\r\n"),
    "3": http(200, {"version": "3.11.2", "revision": "x"}),
    "1.6": http(204, headers="X-Influxdb-Version: 1.6.7~rc0\r\n"),
}


@contextlib.asynccontextmanager
async def fake(
    version: str,
    write: Callable[[bytes], bytes | None] = lambda body: http(204),
    other: Callable[[str, str, bytes], bytes | None] | None = None,
    token: str = "",
) -> AsyncIterator[tuple[InfluxStore, Fake]]:
    def answer(method: str, path: str, body: bytes) -> bytes | None:
        if path == "/ping":
            return PING[version]
        if path in ("/write", "/api/v2/write"):
            return write(body)
        if other is not None:
            return other(method, path, body)
        return http(200, {"results": [{"statement_id": 0}]})

    async with Fake(answer) as server:
        talk = InfluxServer(server.url, token, "-", 0.5, 0.5)
        async with InfluxStore(talk, "db", CATALOGUE) as store:
            yield store, server


@pytest.mark.parametrize(
    ("version", "path", "scheme"),
    [
        ("1.6", "/write", "Basic dTpw"),
        ("1.8", "/write", "Basic dTpw"),
        ("2", "/api/v2/write", "Token u:p"),
        ("3", "/api/v2/write", "Token u:p"),
    ],
)
async def test_each_version_is_written_to_in_its_own_way(
    version: str, path: str, scheme: str
) -> None:
    async with fake(version, token="u:p") as (store, server):
        await store.write([ROW])
    (wrote,) = [request for request in server.requests if request[0].endswith("write")]
    assert wrote[0] == path
    assert wrote[1]["precision"] == ["ms"]
    assert wrote[1].get("db", wrote[1].get("bucket")) == ["db"]
    assert "rp" not in wrote[1]
    assert wrote[2]["authorization"] == scheme
    assert wrote[2]["content-encoding"] == "gzip"
    assert wrote[3] == f"plain,a=x whole=1i {START}".encode()


async def test_a_server_without_version_and_v2_is_detected() -> None:
    def answer(method: str, path: str, body: bytes) -> bytes:
        if path == "/api/v2/write":
            return http(404, "404 page not found")
        return http(204) if path in ("/write", "/ping") else http(404)

    async with Fake(answer) as server:
        talk = InfluxServer(server.url)
        async with InfluxStore(talk, "db", CATALOGUE) as store:
            await store.write([ROW])
            await store.write([ROW])
    wrote = [request[0] for request in server.requests if request[0].endswith("write")]
    assert wrote == ["/api/v2/write", "/write", "/write"]


@pytest.mark.parametrize("version", ["1.6", "1.8", "2", "3"])
@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (http(401, {"error": "unauthorized access"}), "answered 401, the token"),
        (http(403, "no"), "answered 403, the token may not"),
        (http(404, {"error": "nobody is home"}), "answered 404, not found"),
        (http(429, "slow"), "answered 429, too many requests"),
        (http(503, "hinted handoff queue not empty"), "answered 503"),
        (http(500, "timeout"), "answered 500, unexpected: timeout"),
        (http(400, "what is this?"), "answered 400, unexpected: what is this"),
        (b"HTTP/1.1 204 No Con", "the connection broke"),
        (b"HTTP/1.1 500 X\r\nContent-Length: 90\r\n\r\nhalf", "the connection broke"),
        (b"", "the connection broke"),
        (None, "no answer within 0.5 s"),
    ],
)
async def test_a_temporary_failure_is_away_with_one_sentence(
    version: str, answer: bytes | None, says: str
) -> None:
    async with fake(version, lambda body: answer) as (store, server):
        with pytest.raises(Away, match=says) as away:
            await store.write([ROW])
    assert str(away.value).startswith(server.url)
    assert "\n" not in str(away.value)


async def test_no_server_at_all_is_away() -> None:
    url = f"http://127.0.0.1:{services.free_port()}"
    async with InfluxStore(InfluxServer(url), "db", CATALOGUE) as store:
        with pytest.raises(Away, match="cannot be reached"):
            await store.write([ROW])
        with pytest.raises(QueryFailed, match="cannot be reached"):
            await store.query(ask("whole:sum"))


def _number(line: bytes) -> int:
    return int(line.split(b"whole=")[1].split(b"i")[0])


def _refuses(version: str) -> Callable[[bytes], bytes]:
    """As each version refuses lines of odd numbers."""

    def answer(body: bytes) -> bytes:
        numbers = [
            int(line.split(b"whole=")[1].split(b"i")[0]) for line in body.split(b"\n")
        ]
        bad = [at for at, number in enumerate(numbers) if number % 2]
        if not bad:
            return http(204)
        conflict = f"partial write: field type conflict: dropped={len(bad)}"
        if version == "2":
            return http(422, {"code": "unprocessable entity", "message": conflict})
        if version == "3":
            data = [
                {"original_line": "x", "line_number": at + 1, "error_message": "no"}
                for at in bad
            ]
            error = "partial write of line protocol occurred"
            return http(400, {"error": error, "data": data})
        return http(400, {"error": conflict})

    return answer


@pytest.mark.parametrize("version", ["1.6", "1.8", "2", "3"])
async def test_refused_rows_are_identified_and_the_others_written(version: str) -> None:
    taken: set[int] = set()
    refuse = _refuses(version)

    def write(body: bytes) -> bytes:
        for line in body.split(b"\n"):
            number = _number(line)
            if number % 2 == 0:
                taken.add(number)
        return refuse(body)

    numbers = [0, 2, 4, 5, 6, 8, 10, 11]
    rows = [(START + n, {"a": "x"}, {"whole": n}) for n in numbers]
    async with fake(version, write) as (store, _):
        with pytest.raises(RowsRefused) as refused:
            await store.write([batch(*rows[:5]), batch(*rows[5:])])
    numbers = [n for batch in refused.value.batches for n in batch.field("whole")]
    assert numbers == [5, 11]
    assert taken == {0, 2, 4, 6, 8, 10}


async def test_a_whole_refusal_is_halved_until_the_line_is_found() -> None:
    """2.x takes nothing of a request with one line that it cannot parse."""

    def write(body: bytes) -> bytes:
        if b"whole=7i" in body:
            return http(400, {"code": "invalid", "message": "unable to parse 'x'"})
        return http(204)

    rows = [(START + n, {"a": "x"}, {"whole": n}) for n in range(64)]
    async with fake("2", write) as (store, server):
        with pytest.raises(RowsRefused) as refused:
            await store.write([batch(*rows)])
    assert [batch.times_ms for batch in refused.value.batches] == [[START + 7]]
    wrote = [request[3] for request in server.requests if request[0].endswith("write")]
    good = {
        line for body in wrote if b"whole=7i" not in body for line in body.split(b"\n")
    }
    assert len(good) == 63
    assert len(wrote) < 20


async def test_a_request_that_is_too_large_is_halved() -> None:
    def write(body: bytes) -> bytes:
        return http(413) if body.count(b"\n") > 9 else http(204)

    rows = [(START + n, {"a": "x"}, {"whole": n}) for n in range(64)]
    async with fake("1.8", write) as (store, server):
        await store.write([batch(*rows)])
    wrote = [e[3].count(b"\n") + 1 for e in server.requests if e[0].endswith("write")]
    assert sum(count for count in wrote if count <= 10) == 64


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (http(401, {"error": "unauthorized"}), "answered 401"),
        (http(503), "answered 503"),
        (http(200, '{"results":[{"series":[{"na'), "incomplete answer"),
        (http(200, ""), "incomplete answer"),
        (http(200, {"results": [{"error": "timeout"}]}), "timeout"),
        (
            http(200, {"results": [{"series": [], "partial": True}]}),
            "the last part is missing",
        ),
        (b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"res', "connection broke"),
        (None, "no answer within 0.5 s"),
    ],
)
async def test_an_incomplete_answer_is_an_error(
    answer: bytes | None, says: str
) -> None:
    async with fake("1.8", other=lambda *_: answer) as (store, _):
        with pytest.raises(QueryFailed, match=says):
            await store.query(ask("whole:sum"))


async def test_an_answer_in_several_chunks_is_joined() -> None:
    def chunk(time: int, last: bool) -> str:
        series = {
            "name": "plain",
            "tags": {"a": "x"},
            "columns": ["time", "whole_sum"],
            "values": [[START + time, time]],
        }
        one = {"statement_id": 0, "series": [series], "partial": not last}
        return json.dumps({"results": [one]})

    body = "\n".join([chunk(1, False), chunk(2, False), chunk(3, True)]) + "\n"
    async with fake("1.8", other=lambda *_: http(200, body)) as (store, _):
        rows = await values(store, ask("whole:sum", by=("a",), every=1))
    assert rows == [(START + n, "x", n) for n in (1, 2, 3)]


async def test_a_database_is_created_with_the_catalogues_retention(
    server: services.Server,
) -> None:
    services.only_of_1(server)
    async with influx(server) as store:
        private = batch((START, {"agent": "p"}, {"ok": 1}), measurement="private")
        await store.write([ROW, private])
        async with connection(server) as asker:
            for database in store.databases.values():
                (series,) = await asker.query(
                    database, f'SHOW RETENTION POLICIES ON "{database}"'
                )
                assert series.values[0][:2] == ["autogen", f"{36_500 * 24}h0m0s"]
                await asker.query("", f'DROP DATABASE "{database}"')
        # Dropped behind our back: it is made again.
        await store.write([ROW])
        assert await values(store, ask("whole:sum")) == [(1,)]


async def test_buckets_are_created_on_2_and_databases_on_3() -> None:
    def two(method: str, path: str, body: bytes) -> bytes:
        if path == "/api/v2/orgs":
            return http(200, {"orgs": [{"id": "0a", "name": "-"}]})
        if method == "POST":
            return http(201, {"id": "0b"})
        return http(200, {"buckets": []})

    async with fake("2", other=two) as (store, server):
        await store.write([ROW])
    (made,) = [request for request in server.requests if request[3].startswith(b"{")]
    assert made[0] == "/api/v2/buckets"
    assert json.loads(made[3]) == {
        "orgID": "0a",
        "name": "db",
        "retentionRules": [{"type": "expire", "everySeconds": 36_500 * 86_400}],
    }
    async with fake("3", other=lambda *_: http(200, {})) as (store, server):
        await store.write([ROW])
    (made,) = [request for request in server.requests if request[3].startswith(b"{")]
    assert made[0] == "/api/v3/configure/database"
    assert json.loads(made[3]) == {"db": "db", "retention_period": "36500d"}


async def test_a_token_that_may_only_write_is_enough(tmp_path: Path) -> None:
    async with fake("2", other=lambda *_: http(403, {"code": "forbidden"})) as (
        store,
        server,
    ):
        await store.write([ROW])
        await store.write([ROW])
    wrote = [request for request in server.requests if request[0] == "/api/v2/write"]
    assert len(wrote) == 2


async def test_a_real_server_that_asks_for_a_password(tmp_path: Path) -> None:
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
        for token, says in (("", "missing or empty|401"), ("admin:no", "401")):
            server = InfluxServer(url, token)
            async with InfluxStore(server, "db", CATALOGUE) as store:
                with pytest.raises((Away, QueryFailed), match=says):
                    await store.write([ROW])
                with pytest.raises(QueryFailed, match=r"the token .* is wrong"):
                    await store.query(ask("whole:sum"))
        async with InfluxStore(
            InfluxServer(url, "admin:secret word"), "db", CATALOGUE
        ) as store:
            await store.write([ROW])
            assert await values(store, ask("whole:sum")) == [(1,)]


async def test_only_a_server_with_a_trusted_certificate_gets_the_token(
    tmp_path: Path,
) -> None:
    made = make_certificates(tmp_path)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(made.certificate, made.private_key)

    def answer(method: str, path: str, body: bytes) -> bytes:
        return PING["2"] if path == "/ping" else http(204)

    async with Fake(answer, tls) as server:
        trusting = InfluxServer(server.url, "u:p", ca_file=made.authority)
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
    """A proxy's page in place of the list of buckets."""
    page = http(200, "<html>Welcome</html>")
    async with fake(version, other=lambda *_: page) as (store, _):
        await store.write([ROW])


@pytest.mark.parametrize("version", ["1.6", "1.8", "2", "3"])
async def test_a_missing_database_that_cannot_be_created_is_waited_for(
    version: str,
) -> None:
    """Whatever is asked gets the same 404: no row may be taken for indigestible."""
    gone = http(404, {"error": 'database not found: "db"'})
    async with fake(version, lambda _: gone, lambda *_: gone) as (store, _):
        for _ in range(2):
            with pytest.raises(Away, match="create it, or let the token do so"):
                await store.write([ROW])


@pytest.mark.parametrize("personal", [False, True])
def test_one_retention_for_each_database_is_enough(personal: bool) -> None:
    """A server keeps all of a database equally long. Where the catalogue one day tells
    measurements of a database apart, they need databases of their own."""
    days = {e.retention_days for e in DECLARED if e.personal == personal}
    assert len(days) == 1
