"""An InfluxDB, or the embedded store in its place, that is asked as Grafana asks it:
with times, interval and choices filled in."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import council
import services
import stores
from served_influx import TOKEN, ServedStore, served_in_background

from collectors.server_measurements import CATALOGUE
from collectors.store.influx_store import InfluxStore
from dashboards.grafana.board import Board, Variable
from probes.wire.sample import Sample

END_MS = 1_795_000_020_000
CHOICES = {
    "site": "(town-hall|library)",
    "device": "th-sw1",
    "port": ".*",
    "by": ".*",
    "group": ".*",
    "agent": "agent-1",
}

UNITS_MS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}


def ask_all(url: str, token: str, queries: Sequence[str], database: str) -> list[Any]:
    """The series of each query, by one request to an InfluxDB or what acts as one."""
    data = urllib.parse.urlencode({"q": ";".join(queries), "db": database}).encode()
    headers = {"Authorization": f"Token {token}"} if token else {}
    request = urllib.request.Request(f"{url}/query", data, headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        results = json.load(answer)["results"]
    assert not any("error" in result for result in results), results
    return [result.get("series", []) for result in results]


class Influx:
    """An InfluxDB that is running. `end_ms`: the time of its last rows. `timeout_s`:
    how long a query may take."""

    server: services.Server
    end_ms = END_MS
    timeout_s = 30

    def __init__(self, server: services.Server) -> None:
        self.server = server
        self.url = f"http://127.0.0.1:{server.port}"
        self.token = server.token
        self._held: dict[tuple[str, str], list[dict[str, Any]]] = {}

    def ask_once(self, query: str, database: str) -> list[dict[str, Any]]:
        """As `ask`; the answer is kept until more is written."""
        if (query, database) not in self._held:
            self._held[query, database] = self.ask(query, database)
        return self._held[query, database]

    def ask(self, query: str, database: str, **more: str) -> list[dict[str, Any]]:
        data = urllib.parse.urlencode({"q": query, "db": database, **more}).encode()
        headers = {"Authorization": f"Token {self.token}"} if self.token else {}
        request = urllib.request.Request(f"{self.url}/query", data, headers)
        with urllib.request.urlopen(request, timeout=self.timeout_s) as answer:
            result = json.load(answer)["results"][0]
        assert "error" not in result, (result, query)
        series: list[dict[str, Any]] = result.get("series", [])
        return series

    def write_lines(self, lines: list[str], database: str) -> None:
        """Writes line protocol as it is, with times in ms."""
        self._held.clear()
        token = self.server.token
        path = (
            "/write?db="
            if not token
            else f"/api/v2/write?org={self.server.org}&bucket="
        )
        request = urllib.request.Request(
            f"{self.url}{path}{database}&precision=ms",
            "\n".join(lines).encode(),
            {"Authorization": f"Token {token}"} if token else {},
        )
        urllib.request.urlopen(request, timeout=30).close()

    def ask_all(self, queries: Sequence[str], database: str) -> list[Any]:
        """The series of each query, by one request."""
        return ask_all(self.url, self.token, queries, database)

    async def write(self, samples: list[Sample], rolls_up: bool = True) -> None:
        self._held.clear()
        connection = stores.connection(self.server)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) if rolls_up else None
            store = InfluxStore(
                connection, "towpath", CATALOGUE, folder, lambda: self.end_ms
            )
            async with store:
                await store.write(list(council.batches(iter(samples))))
                await store.tidy(self.end_ms + 3_600_000)


class EmbeddedInflux(Influx):
    """The embedded store behind its InfluxDB interface."""

    def __init__(self, store: ServedStore, loop: asyncio.AbstractEventLoop) -> None:
        self.url, self.token = store.url, TOKEN
        self._store, self._loop = store, loop
        self._held = {}

    async def write(self, samples: list[Sample], rolls_up: bool = True) -> None:
        self._held.clear()
        batches = list(council.batches(iter(samples)))
        writing = asyncio.run_coroutine_threadsafe(
            self._store.write(batches), self._loop
        )
        await asyncio.wrap_future(writing)


SERVERS = ("influxdb", "embedded")


@contextlib.contextmanager
def running_influx(kind: str, folder: Path) -> Iterator[Influx]:
    """Runs one of `SERVERS`, empty."""
    if kind == "influxdb":
        with services.running(services.influxd(folder)) as server:
            yield Influx(server)
    else:
        with served_in_background(folder, CATALOGUE) as (store, loop):
            yield EmbeddedInflux(store, loop)


def personal_rows() -> list[Sample]:
    """One laptop's rows of every personal measurement, made from the catalogue."""
    samples = []
    for measurement in CATALOGUE:
        if not measurement.personal:
            continue
        for at in range(END_MS - 3_600_000, END_MS, 300_000):
            tags = {tag.name: f"{tag.name}-1" for tag in measurement.tags}
            values: dict[str, Any] = {
                field.name: {"int": 1, "float": 1.5, "str": "ok"}[field.type]
                for field in measurement.fields
            }
            samples.append(Sample(measurement.name, tags, values, at))
    return samples


# Of one board: devices by ports by whatever else is chosen one at a time.
_MOST_SELECTIONS = 60


def database_of(board: Board) -> str:
    return "towpath_personal" if board.personal else "towpath"


def selections(
    influx: Influx, board: Board, most: int = _MOST_SELECTIONS
) -> list[dict[str, str]]:
    """What a person can choose on a board: variable → its text in a query.

    "All" of what may be chosen together, and one selection for each value of what is
    chosen alone, such as a device. Each query sees the choices before it.
    """
    choices = _selections(influx, database_of(board), board.variables, {})
    return list(islice(choices, most))


def _selections(
    influx: Influx,
    database: str,
    variables: Sequence[Variable],
    chosen: dict[str, str],
) -> Iterator[dict[str, str]]:
    if not variables:
        yield chosen
        return
    variable, *others = variables
    for value in _values(influx, database, variable, chosen):
        choices = {**chosen, variable.name: value}
        yield from _selections(influx, database, others, choices)


def _values(
    influx: Influx, database: str, variable: Variable, chosen: dict[str, str]
) -> list[str]:
    if variable.kind != "query":
        return [variable.default]
    if variable.multiple and variable.all_value:
        return [variable.all_value]
    query = filled(variable.query(), chosen, end_ms=influx.end_ms)
    values = [
        chosen_text(value_of(variable, str(row[1])))
        for series in influx.ask_once(query, database)
        for row in series["values"]
    ]
    return ["(" + "|".join(values) + ")"] if variable.multiple else values


def value_of(variable: Variable, text: str) -> str:
    """What a variable holds of an answer's text: the group `value` of its regular
    expression, which is one of JavaScript."""
    if not variable.regex:
        return text
    pattern = variable.regex.strip("/").replace("(?<", "(?P<")
    found = re.search(pattern, text)
    assert found is not None, text
    return found["value"]


def chosen_text(value: str) -> str:
    """A chosen value in a query: Grafana escapes what would end or change a regular
    expression."""
    return re.escape(value).replace("/", "\\/")


def figures(series: list[dict[str, Any]]) -> list[Any]:
    """The values of an answer that are present."""
    return [
        value
        for one_series in series
        for row in one_series["values"]
        for value in row[1:]
        if value is not None
    ]


def filled(
    query: str,
    choices: dict[str, str],
    seconds: int = 3600,
    interval: str = "1m",
    end_ms: int = END_MS,
) -> str:
    """A query as Grafana sends it: time, interval and chosen variables put in."""
    from_ms = end_ms - seconds * 1000
    interval_ms = int(interval[:-1]) * UNITS_MS[interval[-1]]
    text = (
        query.replace("$timeFilter", f"time >= {from_ms}ms and time <= {end_ms}ms")
        .replace("$__interval_ms", str(interval_ms))
        .replace("$__interval", interval)
        .replace("${__from}", str(from_ms))
        .replace("${__to}", str(end_ms))
    )
    # The longest name first: `$site` is the start of `$site_search`.
    for name, value in sorted(choices.items(), key=lambda choice: -len(choice[0])):
        for written in (f"${{{name}:regex}}", f"${{{name}}}", f"${name}"):
            text = text.replace(written, value)
    assert "$" not in re.sub(r"\\\$|\$/", "/", text), text
    return text
