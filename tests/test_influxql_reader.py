"""InfluxQL is read back as the `Query` that it was rendered from, and everything that
Grafana puts into it is understood. No text makes the reader fail in another way than
with a sentence."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from influxql_words import WORDS
from stores import CATALOGUE, DAY, HOUR, START, ask

from collectors.server_measurements import CATALOGUE as COUNCIL
from collectors.store.influxql import Grafana, exactly, identifier, regex, render
from collectors.store.influxql_conditions import NotSupported, literal_values
from collectors.store.influxql_parser import parse
from collectors.store.influxql_ranges import render_ranges, render_top
from collectors.store.influxql_reader import read_select
from collectors.store.influxql_selection import Selection
from collectors.store.influxql_syntax import Select
from collectors.store.influxql_tokens import InfluxqlError
from collectors.store.query import Pick, Query, Where
from collectors.store.store_text import clean_tag
from dashboards.grafana import BOARDS
from dashboards.grafana.board import OVER_TIME

NOW_MS = START + 3 * DAY
PLAIN = CATALOGUE.measurement("plain")


def read(text: str) -> Selection:
    (statement,) = parse(text)
    assert isinstance(statement, Select)
    return read_select(statement, CATALOGUE, NOW_MS)


_texts = st.text(max_size=15) | st.sampled_from(
    ["a,b", "q'q", 'd"d', "\\", "/re.*/", "$site", "a|b", "(x)", "^$", "time", "漢"]
)
_aggregates = st.sampled_from(
    ["mean", "min", "max", "sum", "count", "last", "p50", "p95", "p99", "weight"]
)
_picks = st.lists(
    st.builds(Pick, st.sampled_from(["whole", "real", "share", "calls"]), _aggregates),
    min_size=1,
    max_size=5,
    unique=True,
).map(tuple)
_listed = st.builds(
    lambda tag, values, negate: Where(tag, tuple(map(clean_tag, values)), negate),
    st.sampled_from("ab"),
    st.lists(_texts, max_size=4),
    st.booleans(),
)
_matched = st.builds(
    lambda tag, pattern, negate: Where(tag, (), negate, pattern),
    st.sampled_from("ab"),
    st.sampled_from(["core-.*", "a|b", "(?i)x", "a/b", r"\d+", "^x", "y$", "[a-z]+/"]),
    st.booleans(),
)


@st.composite
def _queries(draw: st.DrawFn) -> Query:
    start = draw(st.integers(0, 2**41))
    query = Query(
        "plain",
        draw(_picks),
        start,
        start + draw(st.integers(1, 2**40)),
        draw(st.lists(_listed | _matched, max_size=3).map(tuple)),
        draw(st.lists(st.sampled_from("ab"), max_size=2, unique=True).map(tuple)),
    )
    kind = draw(st.sampled_from(["whole", "buckets", "means"]))
    if kind == "buckets":
        every_ms = draw(st.integers(1, 10**10))
        return msgspec.structs.replace(query, every_ms=every_ms)
    if kind == "means":
        picks = (Pick("real", "p95"), Pick("whole", "p50"))
        step_ms = draw(st.integers(1, 10**8))
        return msgspec.structs.replace(query, picks=picks, mean_step_ms=step_ms)
    return query


def _as_rendered(query: Query) -> Query:
    """A condition that every row meets is not written."""
    kept = tuple(w for w in query.where if w.values or w.pattern or not w.negate)
    return msgspec.structs.replace(query, where=kept)


@given(query=_queries())
def test_what_is_rendered_is_read_back_as_the_same_query(query: Query) -> None:
    selection = read(render(query, PLAIN))
    assert selection.query == _as_rendered(query)
    assert [output.name for output in selection.outputs] == [
        pick.name for pick in query.picks
    ]
    assert all(output.divisor is None for output in selection.outputs)
    if query.every_ms:
        assert selection.fill == "none"


@given(
    query=_queries().filter(lambda query: not query.mean_step_ms),
    choices=st.lists(_texts.map(clean_tag), min_size=1, max_size=4),
    every=st.sampled_from([("", None), ("60s", 60_000), ("1m", 60_000), ("1h", HOUR)]),
    fill=st.sampled_from(["null", "none", "previous", "0"]),
)
def test_what_grafana_puts_in_is_read_whatever_the_choices_are(
    query: Query, choices: list[str], every: tuple[str, int | None], fill: str
) -> None:
    text = render(query, PLAIN, Grafana("$timeFilter", "$__interval", {"a": "v"}, fill))
    interval, every_ms = every
    if not interval:
        text = render(query, PLAIN, Grafana("$timeFilter", "", {"a": "v"}, fill))
    escaped = [exactly(choice)[1:-1].replace("/", "\\/") for choice in choices]
    chosen = escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"
    text = text.replace("/^${v:regex}$/", f"/^{chosen}$/")
    text = text.replace("$__interval", interval)
    begin, end = query.from_ms, query.to_ms
    text = text.replace("$timeFilter", f"time >= {begin}ms and time <= {end}ms")
    if any("\n" in choice for choice in choices):
        return
    selection = read(text)
    expected = _as_rendered(query)
    assert selection.query == msgspec.structs.replace(
        expected,
        to_ms=end + 1,
        every_ms=every_ms,
        where=(Where("a", tuple(choices)), *expected.where),
    )
    if interval:
        assert selection.fill == (0 if fill == "0" else fill)


@pytest.mark.parametrize(
    ("times", "begin", "end"),
    [
        ("time >= now() - 6h and time <= now()", NOW_MS - 6 * HOUR, NOW_MS + 1),
        ("time >= now() - 6h", NOW_MS - 6 * HOUR, 2**53),
        ("time > now() - 1h30m AND time < now() - 1m", NOW_MS - 5_399_999, None),
        ("time >= 1764382000000ms and time <= 1764385600000ms", 1764382000000, None),
        ("time >= 1764382000s and time < 1764385600s", 1764382000000, 1764385600000),
        ("time >= 1764382000000000001 and time < '2026-01-01'", 1764382000001, None),
        (
            "time >= '2026-01-01T00:00:00Z' and time < '2026-01-02T00:00:00+01:00'",
            *(1767225600000, 1767308400000),
        ),
        ("time = 5ms", 5, 6),
        ("(time >= 5ms) AND ((time < 9ms))", 5, 9),
        ("5ms <= time AND 9ms > time", 5, 9),
    ],
)
def test_times_may_be_written_as_any_grafana_writes_them(
    times: str, begin: int, end: int | None
) -> None:
    query = read(f"SELECT max(real) FROM plain WHERE {times}").query
    assert query.from_ms == begin
    if end is not None:
        assert query.to_ms == end


def test_the_query_editor_of_grafana_writes_casts_parentheses_and_no_names() -> None:
    selection = read(
        'SELECT mean("real"), mean("whole"), percentile("real", 95) FROM "plain"'
        ' WHERE ("a"::tag = \'x\' AND "b"::tag =~ /^(p|q)$/) AND time >= 0ms'
        ' and time <= 60000ms GROUP BY time(10s), "a"::tag fill(null)'
        " ORDER BY time DESC LIMIT 5 SLIMIT 2 tz('Europe/London')"
    )
    assert selection.query == ask(
        "real:mean",
        "whole:mean",
        "real:p95",
        where=(Where("a", ("x",)), Where("b", ("p", "q"))),
        by=("a",),
        every=10_000,
        span=(0, 60_001),
    )
    names = [output.name for output in selection.outputs]
    assert names == ["mean", "mean_1", "percentile"]
    assert (selection.descending, selection.limits.points) == (True, 5)
    assert selection.limits.series == 2


def test_a_mean_without_its_weight_is_that_of_the_rows_as_influxdb_has_it() -> None:
    (output,) = read("SELECT mean(share) FROM plain WHERE time > 0").outputs
    assert (output.pick, output.divisor) == (
        Pick("share", "sum"),
        Pick("share", "count"),
    )


@pytest.mark.parametrize(
    ("pattern", "values"),
    [
        ("^a$", ("a",)),
        ("^(a|b c|)$", ("a", "b c", "")),
        (r"^(core\.1|a\/b|\(x\)|1\|2)$", ("core.1", "a/b", "(x)", "1|2")),
        ("^(?:a|b)$", ("a", "b")),
        ("^$", ("",)),
        ("^a|b$", None),
        ("a", None),
        ("^a.*$", None),
        (r"^\d$", None),
        ("^(a|(b))$", None),
        (r"^(a\)$", None),
        ("^(a)(b)$", None),
    ],
)
def test_a_list_of_choices_is_searched_by_value(
    pattern: str, values: tuple[str, ...] | None
) -> None:
    assert literal_values(pattern) == values


def test_all_is_no_condition_and_a_constant_may_exclude_everything() -> None:
    every = read("SELECT max(real) FROM plain WHERE a =~ /^.*$/ AND b !~ /x^/")
    assert every.query.where == ()
    assert read("SELECT max(real) FROM plain WHERE 60000 < 300").is_empty
    assert not read("SELECT max(real) FROM plain WHERE 60000 >= 300").is_empty
    assert read("SELECT max(real) FROM plain WHERE time > 9ms AND time < 3ms").is_empty


def test_days_of_a_council_begin_at_its_own_midnight() -> None:
    # Summer time ends on 25 October 2026 at 01:00 UTC.
    days = "'2026-10-24T00:00:00+01:00' AND time < '2026-10-27T00:00:00Z'"
    selection = read(
        f"SELECT max(real) FROM plain WHERE time >= {days} GROUP BY time(1d)"
        " tz('Europe/London')"
    )
    lengths = [(end - begin) // HOUR for begin, end in selection.query.spans]
    assert lengths == [24, 25, 24]


@given(data=st.data(), query=_queries())
def test_no_damage_to_a_query_fails_in_another_way(
    data: st.DataObject, query: Query
) -> None:
    text = render(query, PLAIN)
    at = data.draw(st.integers(0, len(text)))
    gone = data.draw(st.integers(0, 12))
    put = data.draw(st.text(max_size=4) | WORDS)
    damaged = text[:at] + put + text[at + gone :]
    with contextlib.suppress(InfluxqlError, NotSupported):
        for statement in parse(damaged):
            if isinstance(statement, Select):
                read_select(statement, CATALOGUE, NOW_MS)


def test_every_query_of_every_board_is_read_as_its_own_query() -> None:
    for board in BOARDS:
        for panel in board.panels:
            for target in panel.targets:
                text = target.influxql(panel.kind)
                for name, value in (
                    ("$timeFilter", "time >= 0ms and time <= 9999999ms"),
                    ("$__interval_ms", "60000"),
                    ("$__interval", "1m"),
                    ("${__from}", "0"),
                    ("${__to}", "9999999"),
                    # Nothing is searched for.
                    *(
                        (f"(?i)${{{part}:regex}}", "(?i)")
                        for part in target.searches.values()
                    ),
                ):
                    text = text.replace(name, value)
                variables = dict.fromkeys(target.variables.values(), "(x|y)")
                for variable in variables:
                    text = text.replace(f"${{{variable}:regex}}", "(x|y)")
                (statement,) = parse(text)
                assert isinstance(statement, Select)
                read_query = read_select(statement, COUNCIL, NOW_MS).query
                expected: dict[str, Any] = {
                    "from_ms": 0,
                    "to_ms": 10_000_000,
                    "every_ms": 60_000 if panel.kind in OVER_TIME else None,
                    "where": tuple(Where(tag, ("x", "y")) for tag in target.variables)
                    + target.query.where,
                }
                assert read_query == msgspec.structs.replace(target.query, **expected)


def test_a_regular_expression_keeps_its_slashes_and_escapes() -> None:
    pattern = r"a/b\/\.c\\d"
    text = f"SELECT max(real) FROM plain WHERE {identifier('a')} =~ {regex(pattern)}"
    (where,) = read(text).query.where
    assert where.pattern == pattern


@given(
    query=_queries().filter(lambda query: not query.mean_step_ms),
    interval_ms=st.sampled_from([1000, 60_000, 300_000, 3_600_000]),
)
def test_the_store_answers_from_its_rows_whatever_range_a_text_is_for(
    query: Query, interval_ms: int
) -> None:
    """The embedded store chooses its own roll-ups."""
    device = COUNCIL.measurement("device")
    query = msgspec.structs.replace(
        query,
        measurement="device",
        picks=(Pick("up", "mean"), Pick("up", "min")),
        where=(Where("device", ("x", "y")),),
        group_by=("site",),
    )
    text = render_ranges(query, device, Grafana(fill="null", variables={"site": "s"}))
    assert "device_1h" in text
    for name, value in (
        ("$timeFilter", "time >= 5ms and time <= 9ms"),
        ("$__interval_ms", str(interval_ms)),
        ("$__interval", f"{interval_ms}ms"),
        ("/^${s:regex}$/", "/^(a|b)$/"),
    ):
        text = text.replace(name, value)
    (statement,) = parse(text)
    assert isinstance(statement, Select)
    selection = read_select(statement, COUNCIL, NOW_MS)
    assert not selection.is_empty
    assert selection.fill == "null"
    assert [output.name for output in selection.outputs] == ["up_mean", "up_min"]
    assert selection.query == msgspec.structs.replace(
        query,
        from_ms=5,
        to_ms=10,
        every_ms=interval_ms,
        where=(Where("site", ("a", "b")), *query.where),
    )


def test_the_busiest_of_a_variable_and_fields_of_a_roll_up_are_those_of_the_rows() -> (
    None
):
    picks = (Pick("in_bps", "max"), Pick("out_bps", "max"))
    query = Query("interface", picks, 0, 1, (), ("port",))
    text = render_top(query, COUNCIL.measurement("interface"), 12, {"device": "d"})
    text = text.replace("${__from}", "5").replace("${__to}", "99999999999")
    (statement,) = parse(text.replace("${d:regex}", "(x)"))
    assert isinstance(statement, Select)
    selection = read_select(statement, COUNCIL, NOW_MS)
    assert selection.top == 12
    assert selection.query == msgspec.structs.replace(
        query, from_ms=5, to_ms=100_000_000_000, where=(Where("device", ("x",)),)
    )
    (statement,) = parse(
        'SELECT sum("in_bps_sum") / sum("in_bps_n"), max("in_bps_max") FROM'
        ' "interface_1h" WHERE time >= 0 GROUP BY "port"'
    )
    assert isinstance(statement, Select)
    rolled = read_select(statement, COUNCIL, NOW_MS).query
    assert rolled.measurement == "interface"
    assert rolled.picks == (Pick("in_bps", "mean"), Pick("in_bps", "max"))
