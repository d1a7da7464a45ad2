"""What the InfluxDB store does with rows that a server refuses or cannot write."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import services
from fake_influx import ROW, fake_influx, http_answer
from stores import CATALOGUE, START, ask, batch, connection, influx, values

from collectors.store.influx_http import InfluxServer
from collectors.store.influx_store import InfluxStore
from collectors.store.store_errors import Away, QueryFailed, RowsRefused


async def test_many_lines_are_sent_in_order_in_several_requests(
    influx_server: services.Server,
) -> None:
    async with influx(influx_server) as store:
        rows = [(START + n % 11_000, {}, {"whole": n}) for n in range(12_000)]
        await store.write([batch(*rows)])
        query = ask("whole:count", "whole:min", "whole:max")
        assert await values(store, query) == [(11_000, 1_000, 11_999)]


async def test_a_real_server_refuses_only_the_rows_of_the_wrong_type(
    influx_server: services.Server,
) -> None:
    async with influx(influx_server) as store:
        await store.write([ROW])
        # Another program wrote this field as text before: it stays text for ever.
        async with connection(influx_server) as client:
            await client.write(
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


@pytest.mark.parametrize("version", ["1.6", "1.8", "2", "3"])
@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (http_answer(401, {"error": "unauthorized access"}), "answered 401, the token"),
        (http_answer(403, "no"), "answered 403, the token may not"),
        (http_answer(404, {"error": "nobody is home"}), "answered 404, not found"),
        (http_answer(429, "slow"), "answered 429, too many requests"),
        (http_answer(503, "hinted handoff queue not empty"), "answered 503"),
        (http_answer(500, "timeout"), "answered 500, unexpected: timeout"),
        (http_answer(400, "what is this?"), "answered 400, unexpected: what is this"),
        (b"HTTP/1.1 204 No Con", "the connection broke"),
        (b"HTTP/1.1 500 X\r\nContent-Length: 90\r\n\r\nhalf", "the connection broke"),
        (b"", "the connection broke"),
        (None, "no answer within 0.5 s"),
    ],
)
async def test_a_temporary_failure_raises_away_with_one_sentence(
    version: str, answer: bytes | None, message: str
) -> None:
    # Only what never comes is waited for so shortly.
    waits_s = 0.5 if answer is None else 30.0
    fake = fake_influx(version, lambda body: answer, timeout_s=waits_s)
    async with fake as (store, server):
        with pytest.raises(Away, match=message) as away:
            await store.write([ROW])
    assert str(away.value).startswith(server.url)
    assert "\n" not in str(away.value)


async def test_an_unreachable_server_raises_away() -> None:
    url = f"http://127.0.0.1:{services.free_port()}"
    async with InfluxStore(InfluxServer(url), "db", CATALOGUE) as store:
        with pytest.raises(Away, match="cannot be reached"):
            await store.write([ROW])
        with pytest.raises(QueryFailed, match="cannot be reached"):
            await store.query(ask("whole:sum"))


def _number(line: bytes) -> int:
    return int(line.split(b"whole=")[1].split(b"i")[0])


def _refuses(version: str) -> Callable[[bytes], bytes]:
    """Returns a write handler that refuses odd numbers as `version` does."""

    def answer(body: bytes) -> bytes:
        numbers = [
            int(line.split(b"whole=")[1].split(b"i")[0]) for line in body.split(b"\n")
        ]
        bad = [at for at, number in enumerate(numbers) if number % 2]
        if not bad:
            return http_answer(204)
        conflict = f"partial write: field type conflict: dropped={len(bad)}"
        if version == "2":
            return http_answer(
                422, {"code": "unprocessable entity", "message": conflict}
            )
        if version == "3":
            data = [
                {"original_line": "x", "line_number": at + 1, "error_message": "no"}
                for at in bad
            ]
            error = "partial write of line protocol occurred"
            return http_answer(400, {"error": error, "data": data})
        return http_answer(400, {"error": conflict})

    return answer


@pytest.mark.parametrize("version", ["1.6", "1.8", "2", "3"])
async def test_refused_rows_are_identified_and_the_others_written(version: str) -> None:
    written: set[int] = set()
    refuse = _refuses(version)

    def write(body: bytes) -> bytes:
        for line in body.split(b"\n"):
            number = _number(line)
            if number % 2 == 0:
                written.add(number)
        return refuse(body)

    numbers = [0, 2, 4, 5, 6, 8, 10, 11]
    rows = [(START + n, {"a": "x"}, {"whole": n}) for n in numbers]
    async with fake_influx(version, write) as (store, _):
        with pytest.raises(RowsRefused) as refused:
            await store.write([batch(*rows[:5]), batch(*rows[5:])])
    numbers = [n for batch in refused.value.batches for n in batch.field("whole")]
    assert numbers == [5, 11]
    assert written == {0, 2, 4, 6, 8, 10}


async def test_a_whole_refusal_is_halved_until_the_line_is_found() -> None:
    """InfluxDB 2.x writes nothing of a request if it cannot parse one line of it."""

    def write(body: bytes) -> bytes:
        if b"whole=7i" in body:
            return http_answer(
                400, {"code": "invalid", "message": "unable to parse 'x'"}
            )
        return http_answer(204)

    rows = [(START + n, {"a": "x"}, {"whole": n}) for n in range(64)]
    async with fake_influx("2", write) as (store, server):
        with pytest.raises(RowsRefused) as refused:
            await store.write([batch(*rows)])
    assert [batch.times_ms for batch in refused.value.batches] == [[START + 7]]
    writes = [request[3] for request in server.requests if request[0].endswith("write")]
    good = {
        line for body in writes if b"whole=7i" not in body for line in body.split(b"\n")
    }
    assert len(good) == 63
    assert len(writes) < 20


async def test_a_request_that_is_too_large_is_halved() -> None:
    def write(body: bytes) -> bytes:
        return http_answer(413) if body.count(b"\n") > 9 else http_answer(204)

    rows = [(START + n, {"a": "x"}, {"whole": n}) for n in range(64)]
    async with fake_influx("1.8", write) as (store, server):
        await store.write([batch(*rows)])
    writes = [
        request[3].count(b"\n") + 1
        for request in server.requests
        if request[0].endswith("write")
    ]
    assert sum(count for count in writes if count <= 10) == 64


@pytest.mark.parametrize("version", ["1.6", "1.8", "2", "3"])
async def test_rows_wait_for_a_missing_database_that_cannot_be_created(
    version: str,
) -> None:
    """Every request gets the same 404, and no row may be discarded as refused."""
    gone = http_answer(404, {"error": 'database not found: "db"'})
    async with fake_influx(version, lambda _: gone, lambda *_: gone) as (store, _):
        for _ in range(2):
            with pytest.raises(Away, match="create it, or let the token do so"):
                await store.write([ROW])
