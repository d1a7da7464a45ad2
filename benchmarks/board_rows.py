"""Writes 30 days of the made-up council into InfluxDB: rows for as long as boards read
rows, and roll-ups as if they had been made of them.

Rows of 70 minutes; of 30 days if a board reads them over 30 days. Roll-ups by 5 minutes
of a day, of three days if percentiles read them, and of 30 days if these are exact; by
the hour and by the day, and ranks of days, of 30 days. The ports and groups that are
shown have all of these. All others have rows of all fields too, and whole days of 30
days, but hours and ranks of two days, and five minutes of two hours, only: boards read
the ports of one switch or site and the groups of one kind, and InfluxDB finds these by
its index, which has all. That roll-ups have the figures of rows is tested elsewhere.
"""

from __future__ import annotations

import http.client
import itertools
import random
import re
import time
from collections.abc import Iterator, Sequence

import msgspec
from grafana_asks import END_MS, Influx

from benchmarks.board_council import (
    DAY_MS,
    HOUR_MS,
    SHOWN,
    SPARSE_MS,
    Council,
    Tags,
    series,
)
from collectors.server_measurements import CATALOGUE
from collectors.store.query import Query
from collectors.store.rolled_measurements import (
    DAY,
    HOUR,
    answering_steps,
    ranked,
    rolled_steps,
)
from collectors.store.rolled_rows import rolled_measurement
from dashboards.grafana import BOARDS
from dashboards.grafana.board import Board
from probes.wire.catalogue import Field, Measurement

_RANKS = "ranks"
_LONG_MS, _ROWS_MS = 30 * DAY_MS, 70 * 60_000
_5M_MS = 26 * HOUR_MS
# Figures over three days read their five-minute means.
_THREE_DAYS_MS = 3 * DAY_MS + HOUR_MS
_OTHERS_MS = {"5m": 2 * HOUR_MS, HOUR: 2 * DAY_MS, DAY: _LONG_MS, _RANKS: 2 * DAY_MS}
_BYTES_EACH = 3_000_000


def write_rows(
    influx: Influx, council: Council, boards: Sequence[Board] = BOARDS
) -> int:
    """Writes what `boards` read. Returns how many rows and roll-ups it has written."""
    read = names_read(boards)
    of_rows = _read_without_roll_ups()
    written = 0
    for declared in CATALOGUE:
        if declared.personal or declared.name not in read:
            continue
        subjects = series(declared, council)
        length = SPARSE_MS.get(declared.name, declared.period_s * 1000)
        days = declared.name in of_rows or declared.name in SPARSE_MS
        span = _LONG_MS if days else max(_ROWS_MS, 6 * length)
        written += _write(influx, declared, subjects, read, (span, length))
        for step, rolled, length in _roll_ups(declared):
            span = _LONG_MS
            if step == "5m" and declared.name != "ip_sla":
                span = _THREE_DAYS_MS if ranked(declared) else _5M_MS
            if declared.name == "interface":
                span = _LONG_MS
            shown = [tags for tags in subjects if _is_shown(declared.name, tags)]
            others = [tags for tags in subjects if not _is_shown(declared.name, tags)]
            written += _write(influx, rolled, shown, read, (span, length))
            times = (_OTHERS_MS[step], length)
            written += _write(influx, rolled, others, read, times)
    return written


def _is_shown(measurement: str, tags: Tags) -> bool:
    match measurement:
        case "interface":
            return SHOWN.items() <= tags.items()
        case "experience":
            return not tags["by"].startswith("home_site")
        case _:
            return True


def _roll_ups(declared: Measurement) -> Iterator[tuple[str, Measurement, int]]:
    """Yields each roll-up and how far apart its rows are. Ranks are at hours."""
    for step, step_ms in rolled_steps(declared).items():
        rolled = rolled_measurement(declared, step)
        ranks = tuple(f for f in rolled.fields if f.name.endswith("_rank"))
        parts = tuple(f for f in rolled.fields if f not in ranks)
        yield step, msgspec.structs.replace(rolled, fields=parts), step_ms
        if ranks:
            yield _RANKS, msgspec.structs.replace(rolled, fields=ranks), HOUR_MS


def names_read(boards: Sequence[Board] = BOARDS) -> set[str]:
    """Every quoted name in the queries of boards; others are not written."""
    texts = [
        panel.influxql(target)
        for board in boards
        for panel in board.panels
        for target in panel.targets
    ]
    texts += [
        variable.query()
        for board in boards
        for variable in board.variables
        if variable.kind == "query"
    ]
    return set(re.findall(r'"([a-z0-9_]+)"', " ".join(texts)))


def _read_without_roll_ups() -> set[str]:
    """The measurements of which some panel reads the rows of 30 days."""
    return {
        target.query.measurement
        for board in BOARDS
        for panel in board.panels
        for target in panel.targets
        if not panel.newest and not _is_rolled_up(target.query, target.estimated)
    }


def _is_rolled_up(query: Query, estimated: bool) -> bool:
    steps = answering_steps(query, CATALOGUE.measurement(query.measurement))
    if query.mean_step_ms and not estimated:
        return bool(steps.keys() - {DAY})
    return bool(steps)


def _write(
    influx: Influx,
    declared: Measurement,
    subjects: Sequence[Tags],
    read: set[str],
    times: tuple[int, int],
) -> int:
    """Writes rows of the last `times[0]` ms, one each `times[1]` ms."""
    span_ms, period_ms = times
    chance = random.Random(1)
    fields = [field for field in declared.fields if field.name in read]
    if not fields or not subjects:
        return 0
    names = [
        declared.name
        + "".join(f",{k}={v.replace(' ', chr(92) + ' ')}" for k, v in tags.items() if v)
        for tags in subjects
    ]
    pool = [
        ",".join(f"{field.name}={_value(field, chance)}" for field in fields)
        for _ in range(997)
    ]
    first = (END_MS - span_ms) // period_ms * period_ms
    values = itertools.cycle(pool)
    lines = (
        f"{name} {next(values)} {time_ms}"
        for time_ms in range(first, END_MS, period_ms)
        for name in names
    )
    written = 0
    each = max(1, _BYTES_EACH // (len(names[0]) + len(pool[0])))
    while some := list(itertools.islice(lines, each)):
        _send(influx, some)
        written += len(some)
    return written


def _send(influx: Influx, lines: list[str]) -> None:
    """Writes lines, again if the server is too busy."""
    for wait_s in (2, 5, 15, 30, 60, 120, 0):
        try:
            influx.write_lines(lines, "towpath")
        except (OSError, http.client.HTTPException):
            if not wait_s:
                raise
            time.sleep(wait_s)
        else:
            return


def _value(field: Field, chance: random.Random) -> str:
    if field.type == "float":
        return f"{chance.random():.4f}"
    return f"{chance.randrange(4)}i" if field.type == "int" else '"text"'
