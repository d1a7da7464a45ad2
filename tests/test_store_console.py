"""The store from the shell: the same words and answers, and no row of a laptop."""

from __future__ import annotations

import contextlib
import csv
import io
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import services
from hypothesis import given
from hypothesis import strategies as st
from stores import CATALOGUE, HOUR, START, batch, embedded, influx

from collectors.store.export import export
from collectors.store.query import Pick, Query, Where
from collectors.store.query_command import (
    QueryOptions,
    QueryRefused,
    as_json,
    comma_separated,
    parse_time_ms,
    query_from_options,
    table,
)

NOW = START + 6 * HOUR


def test_command_line_options_make_a_query() -> None:
    query = query_from_options(
        QueryOptions(
            "plain",
            ["real:p95", "whole", "text"],
            where=["a=x", "a=y=z", "b!=q"],
            by=["a"],
            every="5m",
            from_="-6h",
            to="2026-09-28T05:00+01:00",
        ),
        CATALOGUE,
        NOW,
    )
    assert query == Query(
        "plain",
        (Pick("real", "p95"), Pick("whole", "mean"), Pick("text", "last")),
        START,
        START + 4 * HOUR,
        (Where("a", ("x", "y=z")), Where("b", ("q",), True)),
        ("a",),
        300_000,
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"measurement": "plane"}, "did you mean 'plain'"),
        ({"picks": ["reel"]}, "did you mean 'real'"),
        ({"picks": ["real:avg"]}, "no aggregate is called 'avg'"),
        ({"picks": ["real:men"]}, "did you mean 'mean'"),
        ({"picks": ["text:max"]}, "only last and count"),
        ({"picks": []}, "picks nothing"),
        ({"where": ["a"]}, "expected tag=value"),
        ({"where": ["c=x"]}, "no tag of 'plain' is called 'c'"),
        ({"by": ["c"]}, "no tag of 'plain' is called 'c'"),
        ({"every": "5 minutes"}, "expected such as 5m"),
        ({"every": "0m"}, "expected such as 5m"),
        ({"from_": "yesterday"}, "expected such as 2026-11-23"),
        ({"from_": "now", "to": "-1h"}, "ends before it begins"),
        ({"measurement": "private", "picks": ["rtt_ms"]}, "query 'experience'"),
        ({"measurement": "private", "picks": ["rtt_ms"], "by": ["home_site"]}, "not"),
    ],
)
def test_a_wrong_option_is_named(change: dict[str, object], says: str) -> None:
    words = {"measurement": "plain", "picks": ["real"], **change}
    with pytest.raises(QueryRefused, match=says) as refusal:
        query_from_options(QueryOptions(**words), CATALOGUE, NOW)  # type: ignore[arg-type]
    assert "\n" not in str(refusal.value)


@given(st.text(max_size=12))
def test_any_text_is_a_time_or_refused(text: str) -> None:
    with contextlib.suppress(QueryRefused):
        assert isinstance(parse_time_ms(text, NOW), int)


async def test_answers_are_tables_csv_and_json(tmp_path: Path) -> None:
    async with embedded(tmp_path) as store:
        rows = [
            (START, {"a": "x,1"}, {"real": 1.5, "text": '=cmd("x")'}),
            (START + 500, {"a": "é"}, {"whole": 2}),
        ]
        await store.write([batch(*rows)])
        query = query_from_options(
            QueryOptions(
                "plain",
                ["real", "whole:sum", "text"],
                by=["a"],
                every="1h",
                from_="-1d",
            ),
            CATALOGUE,
            NOW,
        )
        answer = await store.query(query)
    assert table(answer, query).splitlines() == [
        "time                  a    real_mean  whole_sum  text_last",
        "--------------------  ---  ---------  ---------  ---------",
        '2026-09-28T00:00:00Z  x,1        1.5          -  =cmd("x")',
        "2026-09-28T00:00:00Z  é            -          2          -",
    ]
    read = list(csv.DictReader(io.StringIO(comma_separated(answer, query))))
    assert read[0]["a"] == "x,1"
    assert read[0]["whole_sum"] == ""
    assert read[0]["text_last"].startswith("'=")
    assert json.loads(as_json(answer, query)) == [
        {
            "time": "2026-09-28T00:00:00Z",
            "a": "x,1",
            "real_mean": 1.5,
            "text_last": '=cmd("x")',
        },
        {"time": "2026-09-28T00:00:00Z", "a": "é", "whole_sum": 2},
    ]
    assert "nothing was measured" in table([], query)


async def test_an_export_has_every_row_of_either_store(
    tmp_path: Path, influx_server: services.Server
) -> None:
    rows = [
        (START + n * 977_000, {"a": str(n % 3)}, {"whole": n, "real": n / 7})
        for n in range(300)
    ]
    files = []
    async with embedded(tmp_path) as embedded_store, influx(influx_server) as database:
        for number, store in enumerate((embedded_store, database)):
            await store.write([batch(*rows)])
            for kind in ("csv", "json", "parquet"):
                out = tmp_path / f"{number}.{kind}"
                shares: list[float] = []
                count = await export(
                    store,
                    CATALOGUE,
                    "plain",
                    START,
                    START + 300 * 977_000,
                    kind,  # type: ignore[arg-type]
                    out,
                    shares.append,
                )
                assert count == 300
                assert shares == sorted(shares)
                assert shares[-1] == 1.0
                files.append(out)
    assert files[0].read_bytes() == files[3].read_bytes()
    assert files[1].read_bytes() == files[4].read_bytes()
    assert pq.read_table(files[2]).equals(pq.read_table(files[5]))
    loaded = json.loads(files[1].read_text("utf-8"))
    assert [row["whole"] for row in loaded] == list(range(300))
    assert loaded[1]["time"] == "2026-09-28T00:16:17Z"
    assert pq.read_table(files[2])["real"].to_pylist() == [n / 7 for n in range(300)]


async def test_an_export_that_fails_leaves_no_file(tmp_path: Path) -> None:
    async with embedded(tmp_path) as store:
        for wrong, says in (
            (("private", START, NOW, "csv"), "query 'experience'"),
            (("plain", NOW, START, "csv"), "ends before it begins"),
            (("plain", START, NOW, "parkett"), "did you mean 'parquet'"),
        ):
            with pytest.raises(QueryRefused, match=says):
                await export(store, CATALOGUE, *wrong, tmp_path / "out")  # type: ignore[arg-type]
        empty = tmp_path / "empty.json"
        assert await export(store, CATALOGUE, "plain", START, NOW, "json", empty) == 0
        assert json.loads(empty.read_text()) == []
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "out.part").exists()
