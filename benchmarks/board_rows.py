"""The rows of 30 days of the made-up council in InfluxDB: rows for as long as boards
read rows, and roll-ups as if they had been made of them. Pure.

Rows of 70 minutes; of 30 days if a board reads them over 30 days. Roll-ups by 5 minutes
of a day, of three days if percentiles read them, and of 30 days if these are exact; by
the hour and by the day, and ranks of days, of 30 days. The ports and groups that are
shown have all of these. All others have rows of all fields too, and whole days of 30
days, but hours and ranks of two days, and five minutes of two hours, only: boards read
the ports of one switch or site and the groups of one kind, and InfluxDB finds these by
its index, which has all. That roll-ups have the figures of rows is tested elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import msgspec
from grafana_asks import END_MS

from benchmarks.board_council import (
    DAY_MS,
    HOUR_MS,
    SHOWN,
    SPARSE_MS,
    Council,
    Tags,
    series,
)
from benchmarks.tsm_blocks import Times
from benchmarks.tsm_planting import Rows
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
from probes.wire.catalogue import Measurement

_RANKS = "ranks"
_LONG_MS, _ROWS_MS = 30 * DAY_MS, 70 * 60_000
_5M_MS = 26 * HOUR_MS
# Figures over three days read their five-minute means.
_THREE_DAYS_MS = 3 * DAY_MS + HOUR_MS
_OTHERS_MS = {"5m": 2 * HOUR_MS, HOUR: 2 * DAY_MS, DAY: _LONG_MS, _RANKS: 2 * DAY_MS}


def made_rows(council: Council, boards: Sequence[Board] = BOARDS) -> Iterator[Rows]:
    """Yields what `boards` read."""
    read = names_read(boards)
    of_rows = _read_without_roll_ups()
    for declared in CATALOGUE:
        if declared.personal or declared.name not in read:
            continue
        subjects = series(declared, council)
        length = SPARSE_MS.get(declared.name, declared.period_s * 1000)
        days = declared.name in of_rows or declared.name in SPARSE_MS
        span = _LONG_MS if days else max(_ROWS_MS, 6 * length)
        yield from _rows(declared, subjects, read, (span, length))
        for step, rolled, length in _roll_ups(declared):
            span = _LONG_MS
            if step == "5m" and declared.name != "ip_sla":
                span = _THREE_DAYS_MS if ranked(declared) else _5M_MS
            if declared.name == "interface":
                span = _LONG_MS
            shown = [tags for tags in subjects if _is_shown(declared.name, tags)]
            others = [tags for tags in subjects if not _is_shown(declared.name, tags)]
            yield from _rows(rolled, shown, read, (span, length))
            yield from _rows(rolled, others, read, (_OTHERS_MS[step], length))


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


def _rows(
    declared: Measurement, subjects: list[Tags], read: set[str], times: tuple[int, int]
) -> Iterator[Rows]:
    """Yields rows of the last `times[0]` ms, one each `times[1]` ms."""
    span_ms, period_ms = times
    fields = [field for field in declared.fields if field.name in read]
    if fields and subjects:
        first_ms = (END_MS - span_ms) // period_ms * period_ms
        count = -(-(END_MS - first_ms) // period_ms)
        yield Rows(declared.name, subjects, fields, Times(first_ms, period_ms, count))
