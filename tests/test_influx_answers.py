"""The embedded store answers InfluxQL as a real InfluxDB does, for the same rows."""

from __future__ import annotations

import asyncio
import json
import math
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

import council
import pytest
import services
import stores
from grafana_asks import (
    END_MS,
    SERVERS,
    Influx,
    database_of,
    filled,
    running_influx,
    selections,
)
from grafana_files import all_panels, grafana_alerting, grafana_dashboard
from served_influx import DATABASES, TOKEN, ServedStore, served_in_background
from stores import START, batch

from collectors.store.influx_store import InfluxStore
from dashboards.grafana import BOARDS
from dashboards.grafana.board import Board

MINUTE = 60_000
RANGE = f"time >= {START}ms and time <= {START + 30 * MINUTE}ms"
ROWS = batch(
    *(
        (
            START + n * MINUTE,
            {"a": a, "b": b},
            {
                "whole": n * 3 % 17,
                "real": n / 4 + (a == "x"),
                "text": f"t{n}",
                "share": n % 5 / 4,
                "calls": n % 4,
            },
        )
        for n in range(30)
        for a in ("x", "y y")
        for b in ("p", "q/r")
        if not 10 <= n < 17
    ),
    (START + 5 * MINUTE, {"a": "z"}, {"whole": 5}),
)
WEIGHTED = (
    'SELECT sum("share:product") / sum("share:weight") AS "m" FROM (SELECT "share" * '
    '"calls" AS "share:product", "calls" + 0 * "share" AS "share:weight" FROM "plain"'
    f" WHERE {RANGE}) WHERE {RANGE}"
)
# Texts that both must answer with the same JSON.
SAME = [
    f'SELECT mean("real") FROM "plain" WHERE {RANGE}',
    f"SELECT mean(real), mean(whole), mean(real) FROM plain WHERE {RANGE}",
    f"SELECT mean(real) AS m, count(whole) AS c FROM plain WHERE {RANGE}"
    " GROUP BY time(5m), a fill(null)",
    *(
        f"SELECT count(share) AS c, max(whole), last(text) FROM plain WHERE {RANGE}"
        f" GROUP BY time(5m), b, a {fill}"
        for fill in ("", "fill(null)", "fill(none)", "fill(previous)", "fill(7.5)")
    ),
    f"SELECT count(share), max(whole) FROM plain WHERE {RANGE} GROUP BY a",
    f"SELECT last(text), mean(real) FROM plain WHERE {RANGE} GROUP BY b, a",
    f"SELECT mean(share) FROM plain WHERE {RANGE} GROUP BY time(10m), a",
    *(
        f"SELECT sum(whole) FROM plain WHERE {RANGE} AND {condition} GROUP BY a, b"
        for condition in (
            "a =~ /^(x|y y)$/ AND b =~ /^q\\/r$/",
            "a !~ /^(x|y y)$/",
            "a =~ /(?i)^Y/",
            "(a = 'x' OR a = 'z')",
            "(a != 'x' AND a != 'z') AND b != 'p'",
            "a = ''",
            "b = ''",
            "b =~ /.*/",
            "a =~ /x^/",
        )
    ),
    *(f"{WEIGHTED} GROUP BY time(5m), a fill({f})" for f in ("null", "none", "0")),
    f"SELECT max(real) FROM plain WHERE {RANGE} GROUP BY time(5m)"
    " ORDER BY time DESC LIMIT 3",
    f"SELECT max(real) FROM plain WHERE {RANGE} GROUP BY time(5m), a"
    " LIMIT 2 OFFSET 1 SLIMIT 1 SOFFSET 1",
    f"SELECT max(real) FROM plain WHERE {RANGE} GROUP BY time(7m, 2m)",
    f"SELECT max(real) FROM plain WHERE {RANGE} GROUP BY time(1d) tz('Europe/London')",
    f"SELECT max(real) FROM plain WHERE {RANGE} GROUP BY time(6h) tz('Asia/Kolkata')",
    f"SELECT max(never) FROM plain WHERE {RANGE}",
    f"SELECT max(never), max(real) FROM plain WHERE {RANGE}",
    f"SELECT max(real) FROM plain WHERE {RANGE} AND 60000 < 300 GROUP BY time(5m)",
    f"SELECT max(real) FROM plain WHERE {RANGE} AND 60 < 300 GROUP BY time(5m)",
    "SELECT max(real) FROM plain WHERE time > 9ms AND time < 3ms",
    "SHOW MEASUREMENTS",
    "SHOW measurements LIMIT 100",
    "SHOW MEASUREMENTS WITH MEASUREMENT =~ /(?i)LAI/",
    "SHOW MEASUREMENTS WITH MEASUREMENT =~ /none/",
    "SHOW TAG KEYS FROM plain",
    "SHOW TAG KEYS",
    'SHOW TAG VALUES FROM "plain" WITH KEY = "a"',
    "SHOW TAG VALUES FROM plain WITH KEY = a WHERE b =~ /^q.*/",
    "SHOW TAG VALUES FROM plain WITH KEY = a WHERE (b = 'p' OR b = 'q')",
    "SHOW TAG VALUES FROM plain WITH KEY IN (a, b)",
    "SHOW TAG VALUES WITH KEY =~ /a|b/",
    "SHOW TAG VALUES FROM plain WITH KEY = a LIMIT 1",
    "SHOW TAG VALUES FROM plain WITH KEY = zz",
    "SHOW MEASUREMENTS; SELECT mean(real) FROM plain; SHOW TAG KEYS",
]
# What InfluxDB returns with the time of the value, and this store with the start.
SINGLE = [
    f"SELECT {function} FROM plain WHERE {RANGE} GROUP BY a"
    for function in ("max(real)", "last(text)", "percentile(real, 95)")
]


def get(url: str, token: str, **parameters: str) -> tuple[int, Any]:
    data = urllib.parse.urlencode(parameters).encode()
    headers = {"Authorization": f"Token {token}"} if token else {}
    request = urllib.request.Request(f"{url}/query", data, headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


@pytest.fixture(scope="module")
def both(
    influx_server: services.Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServedStore]:
    """The same rows in both."""

    async def write() -> None:
        connection = stores.connection(influx_server)
        async with InfluxStore(connection, "towpath", stores.CATALOGUE) as real:
            await real.write([ROWS])

    asyncio.run(write())
    folder = tmp_path_factory.mktemp("served")
    with served_in_background(folder) as (ours, loop):
        asyncio.run_coroutine_threadsafe(ours.write([ROWS]), loop).result(60)
        yield ours


def alike(ours: Any, theirs: Any) -> bool:
    """Equal, but for the order in which numbers with a fraction were added."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(
            alike(ours[key], theirs[key]) for key in ours
        )
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(alike, ours, theirs))
    if isinstance(ours, float) or isinstance(theirs, float):
        is_number = isinstance(ours, int | float) and isinstance(theirs, int | float)
        return is_number and math.isclose(ours, theirs, rel_tol=1e-9, abs_tol=1e-12)
    return bool(ours == theirs)


@pytest.mark.service
@pytest.mark.parametrize("epoch", ["", "ms", "ns", "u", "s", "m", "h"])
@pytest.mark.parametrize("text", SAME)
def test_the_answer_is_influxdbs(
    influx_server: services.Server, both: ServedStore, text: str, epoch: str
) -> None:
    real_url = f"http://127.0.0.1:{influx_server.port}"
    parameters = {"q": text, "db": "towpath", **({"epoch": epoch} if epoch else {})}
    theirs = get(real_url, influx_server.token, **parameters)
    ours = get(both.url, TOKEN, **parameters)
    assert theirs[0] == 200
    assert alike(list(ours), list(theirs)), (ours, theirs)


@pytest.mark.service
@pytest.mark.parametrize("text", SINGLE)
def test_the_value_of_a_single_selector_is_influxdbs_and_its_time_is_the_start(
    influx_server: services.Server, both: ServedStore, text: str
) -> None:
    real_url = f"http://127.0.0.1:{influx_server.port}"
    parameters = {"q": text, "db": "towpath", "epoch": "ms"}
    (_, theirs) = get(real_url, influx_server.token, **parameters)
    (_, ours) = get(both.url, TOKEN, **parameters)
    for series in theirs["results"][0]["series"]:
        for point in series["values"]:
            assert START < point[0] < START + 30 * MINUTE
            point[0] = START
    assert alike(ours, theirs)


def _points(text: str, answer: list[dict[str, Any]]) -> list[Any]:
    """The series; of a query without buckets without times, of top() without order."""
    if not re.search(r"time\([^()]*\)[^()]*( fill\(\w+\))?$", text):
        answer = [
            {**one, "values": [point[1:] for point in one["values"]]} for one in answer
        ]
    if " top(" in text:
        answer = [
            {**one, "name": "", "values": sorted(one["values"])} for one in answer
        ]
    return answer


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Influx]]:
    """A real InfluxDB and the embedded store with an hour of the council."""
    with (
        running_influx(SERVERS[0], tmp_path_factory.mktemp("real")) as real,
        running_influx(SERVERS[1], tmp_path_factory.mktemp("files")) as ours,
    ):
        rows = list(council.samples(END_MS - 3_600_000, END_MS, council.MINUTE_MS))
        for influx in (real, ours):
            asyncio.run(influx.write(rows))
        yield [real, ours]


@pytest.mark.service
@pytest.mark.parametrize(
    "board", [b for b in BOARDS if not b.personal], ids=lambda board: board.uid
)
def test_every_query_of_a_board_has_influxdbs_answer(
    servers: list[Influx], board: Board
) -> None:
    real, ours = servers
    document = grafana_dashboard(board.uid)
    chosen = selections(real, board)[0]
    texts = [
        target["query"]
        for panel in all_panels(document)
        for target in panel.get("targets", ())
    ]
    texts += [mark["query"] for mark in document["annotations"]["list"]]
    for text in texts:
        # This InfluxDB has no roll-ups, which boards read for longer intervals.
        longer = () if "$__interval_ms" in text else (("2h", 86_400 * 30),)
        for interval, seconds in (("1m", 3600), ("2m", 1800), *longer):
            sent = filled(text, chosen, seconds, interval)
            answers = [
                _points(sent, influx.ask(sent, database_of(board), epoch="ms"))
                for influx in (ours, real)
            ]
            assert alike(*answers), (sent, answers)
    for variable in board.variables:
        if variable.kind == "query":
            sent = filled(variable.query(), chosen)
            answers = [
                _points(sent, influx.ask(sent, database_of(board)))
                for influx in (ours, real)
            ]
            assert alike(*answers), (sent, answers)


@pytest.mark.service
def test_every_query_of_an_exported_rule_has_influxdbs_answer(
    servers: list[Influx],
) -> None:
    real, ours = servers
    asked = 0
    for group in grafana_alerting()["groups"]:
        for rule in group["rules"]:
            for part in rule["data"]:
                if part["datasourceUid"] != "__expr__":
                    text = part["model"]["query"]
                    sent = filled(text, {}, part["relativeTimeRange"]["from"])
                    answers = [
                        _points(sent, influx.ask(sent, DATABASES[False], epoch="ms"))
                        for influx in (ours, real)
                    ]
                    assert alike(*answers), (sent, answers)
                    asked += 1
    assert asked >= 12
