"""InfluxQL that the embedded store does not answer is refused in words, whatever it
is; the statements of Grafana's query editor are not."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from influxql_words import WORDS
from stores import CATALOGUE, DAY, START

from collectors.store.influxql_conditions import NotSupported
from collectors.store.influxql_parser import parse
from collectors.store.influxql_reader import read_select
from collectors.store.influxql_syntax import Select, Show
from collectors.store.influxql_tokens import InfluxqlError

NOW_MS = START + 3 * DAY


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("SELECT real FROM plain", "expected mean, min, max"),
        ("SELECT * FROM plain", "found *"),
        ("SELECT derivative(mean(real)) FROM plain", "derivative.* is not supported"),
        ("SELECT percentile(real, 42) FROM plain", "percentile.* is not supported"),
        ("SELECT max(real) * 8 FROM plain", "is not supported: expected mean"),
        ("SELECT max(real) FROM plane", "did you mean 'plain'"),
        ("SELECT max(reel) FROM plain", "did you mean 'real'"),
        ("SELECT max(text) FROM plain", "only last and count"),
        ("SELECT max(real) FROM plain WHERE real > 5", "a tag with"),
        ("SELECT max(real) FROM plain WHERE c = 'x'", "'c'"),
        ("SELECT max(real) FROM plain WHERE a = 'x' OR b = 'y'", "between different"),
        ("SELECT max(real) FROM plain GROUP BY time(1m)", "needs a start"),
        ("SELECT max(real) FROM (SELECT max(real) FROM plain)", "subquer"),
        ("SELECT max(real) FROM plain WHERE time > 'noon'", "is not a time"),
        (
            "SELECT max(real) FROM plain WHERE time>0 GROUP BY time(1m) fill(linear)",
            "l",
        ),
        ("DROP MEASUREMENT plain", "found DROP, expected SELECT, SHOW at line 1, char"),
        ("SELECT max(real) INTO other FROM plain", "found INTO, expected FROM"),
        ("DELETE FROM plain", "expected SELECT, SHOW"),
        ("SHOW SERIES", "expected DATABASES"),
        ("SELECT max(real) FROM /pl.*/", "the name of a measurement"),
        ("SELECT max('real) FROM plain", "at line 1, char 12"),
        ('SELECT max("\\q") FROM plain', "bad escape"),
        ("SELECT max(real) FROM plain WHERE " + "(" * 50, "levels of parentheses"),
        ("SELECT " * 9_000, "identifier|characters"),
        ("SHOW DATABASES;" * 51, "more than 50 statements"),
    ],
)
def test_other_influxql_is_refused_in_words(text: str, why: str) -> None:
    def answer() -> None:
        for statement in parse(text):
            if isinstance(statement, Select):
                read_select(statement, CATALOGUE, NOW_MS)

    with pytest.raises(
        (InfluxqlError, NotSupported),
        match=why.replace("*", r"\*", 1) if why.startswith("found *") else why,
    ):
        answer()


def test_statements_of_the_query_editor_are_parsed() -> None:
    texts = [
        "SHOW measurements",
        "SHOW MEASUREMENTS LIMIT 100",
        "SHOW MEASUREMENTS WITH MEASUREMENT =~ /(?i)inter/ LIMIT 100",
        'SHOW RETENTION POLICIES on "towpath"',
        'SHOW FIELD KEYS FROM "autogen"."interface"',
        'SHOW TAG KEYS FROM "interface" WHERE "device" = \'x\'',
        'SHOW TAG VALUES FROM "interface" WITH KEY = "port" WHERE "a" =~ /^(x|y)$/',
        'SHOW TAG VALUES WITH KEY IN ("a", "b") WHERE time > now() - 1h',
        "SHOW DATABASES",
    ]
    statements = parse("; ".join(texts) + ";")
    assert [type(statement) for statement in statements] == [Show] * len(texts)


@given(
    text=st.text(max_size=200)
    | st.lists(WORDS | st.text(max_size=3), max_size=30).map(" ".join)
)
def test_no_text_fails_in_another_way_than_with_a_sentence(text: str) -> None:
    with contextlib.suppress(InfluxqlError, NotSupported):
        for statement in parse(text):
            if isinstance(statement, Select):
                read_select(statement, CATALOGUE, NOW_MS)
