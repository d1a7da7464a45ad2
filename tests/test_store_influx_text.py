"""The InfluxDB store's line protocol and InfluxQL, as a real server reads them."""

from __future__ import annotations

import json

import msgspec
import pytest
import services
from fake_influx import ROW, fake_influx, http_answer
from hypothesis import given, settings
from hypothesis import strategies as st
from stores import PLAIN, START, ask, batch, connection, influx, values

from collectors.server_measurements import CATALOGUE as DECLARED
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
from collectors.store.store_errors import QueryFailed


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
    influx_server: services.Server,
    rows: list[tuple[int | None, float | None, str | None]],
) -> None:
    fields = [dict(zip(("whole", "real", "text"), row, strict=True)) for row in rows]
    async with influx(influx_server) as store:
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
    influx_server: services.Server, first: str, second: str
) -> None:
    """The queries go to a real server: a wrong escape would change the query."""
    clean = [t.replace("\x00", "").replace("\r", "") for t in (first, second)]
    async with influx(influx_server) as store, connection(influx_server) as client:
        await store.write([ROW])
        database = store.databases[False]
        for text in clean:
            statement = f"SELECT last({identifier(text or 'x')}) FROM m"
            statement += f" WHERE t = {literal(text)} AND u =~ {regex(exactly(text))}"
            assert await client.query(database, statement) == []


@pytest.mark.parametrize(
    "text",
    ["a/b", "a.b", "(x|y)", "[z]", "^$", "\\d+", "a b*", "\\/", "\\\\/x", "x\\y"],
)
async def test_a_pattern_of_a_text_matches_that_text_alone(
    influx_server: services.Server, text: str
) -> None:
    async with influx(influx_server) as store:
        rows = [
            (START, {"a": text}, {"whole": 1}),
            (START, {"a": "axb"}, {"whole": 2}),
            (START, {"a": text + "1"}, {"whole": 4}),
        ]
        await store.write([batch(*rows)])
        database = store.databases[False]
        async with connection(influx_server) as client:
            (series,) = await client.query(
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
        ' WHERE $timeFilter AND "site" =~ /^${site:regex}$/ AND "role" = \'switch\''
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
    having = 'WHERE $timeFilter AND "group" =~ /^${group:regex}$/ AND "by" = \'place\''
    assert text == (
        'SELECT sum("call_poor_ratio:product") / sum("call_poor_ratio:weight")'
        ' AS "call_poor_ratio_mean", last("agents") AS "agents_last"'
        ' FROM (SELECT "call_poor_ratio" * "calls" AS "call_poor_ratio:product",'
        ' "calls" + 0 * "call_poor_ratio" AS "call_poor_ratio:weight", "agents"'
        f' FROM "experience" {having}) WHERE $timeFilter'
        ' GROUP BY time($__interval), "group" fill(none)'
    )


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (http_answer(401, {"error": "unauthorized"}), "answered 401"),
        (http_answer(503), "answered 503"),
        (http_answer(200, '{"results":[{"series":[{"na'), "incomplete answer"),
        (http_answer(200, ""), "incomplete answer"),
        (http_answer(200, {"results": [{"error": "timeout"}]}), "timeout"),
        (
            http_answer(200, {"results": [{"series": [], "partial": True}]}),
            "the last part is missing",
        ),
        (b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"res', "connection broke"),
        (None, "no answer within 0.5 s"),
    ],
)
async def test_an_incomplete_answer_is_an_error(
    answer: bytes | None, message: str
) -> None:
    # Only what never comes is waited for so shortly.
    waits_s = 0.5 if answer is None else 30.0
    fake = fake_influx("1.8", other=lambda *_: answer, timeout_s=waits_s)
    async with fake as (store, _):
        with pytest.raises(QueryFailed, match=message):
            await store.query(ask("whole:sum"))


async def test_an_answer_in_several_chunks_is_joined() -> None:
    def chunk(time: int, last: bool) -> str:
        series = {
            "name": "plain",
            "tags": {"a": "x"},
            "columns": ["time", "whole_sum"],
            "values": [[START + time, time]],
        }
        result = {"statement_id": 0, "series": [series], "partial": not last}
        return json.dumps({"results": [result]})

    body = "\n".join([chunk(1, False), chunk(2, False), chunk(3, True)]) + "\n"
    async with fake_influx("1.8", other=lambda *_: http_answer(200, body)) as (
        store,
        _,
    ):
        rows = await values(store, ask("whole:sum", by=("a",), every=1))
    assert rows == [(START + n, "x", n) for n in (1, 2, 3)]
