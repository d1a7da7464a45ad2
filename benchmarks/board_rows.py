"""Writes 30 days of the made-up council into InfluxDB: rows for as long as boards read
rows, and roll-ups as if they had been made of them.

Rows of 70 minutes; of 30 days if a board reads them over 30 days. Roll-ups by 5 minutes
of six days, and of 30 days if exact percentiles read them; by the hour, and ranks of
days, of 30 days. Ports, which are most of the rows, have 26 hours of those by 5 minutes
and no ranks, except for the ports that are shown. That roll-ups have the figures of
rows is tested elsewhere.
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Sequence

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
from collectors.store.rolled_measurements import DAY, answering_steps, rolled_steps
from collectors.store.rolled_rows import rolled_measurement
from dashboards.grafana import BOARDS
from probes.wire.catalogue import Field, Measurement

_LONG_MS, _ROWS_MS = 30 * DAY_MS, 70 * 60_000
_5M_MS, _5M_OF_PORTS_MS = 6 * DAY_MS + HOUR_MS, 26 * HOUR_MS
_BYTES_EACH = 8_000_000


def write_rows(influx: Influx, council: Council) -> int:
    """Returns how many rows and roll-ups it has written."""
    read = _names_read()
    of_rows = _read_without_roll_ups()
    written = 0
    for declared in CATALOGUE:
        if declared.personal:
            continue
        subjects = series(declared, council)
        length = SPARSE_MS.get(declared.name, declared.period_s * 1000)
        days = declared.name in of_rows or declared.name in SPARSE_MS
        span = _LONG_MS if days else max(_ROWS_MS, 6 * length)
        written += _write(influx, declared, subjects, read, (span, length))
        for step, step_ms in rolled_steps(declared).items():
            rolled = rolled_measurement(declared, step)
            length = HOUR_MS if step == DAY else step_ms
            span = _LONG_MS
            if step == "5m" and declared.name != "ip_sla":
                span = _5M_MS
            wanted = subjects
            if declared.name == "interface" and step != "1h":
                wanted = [tags for tags in subjects if SHOWN.items() <= tags.items()]
                span = _LONG_MS
                if step == "5m":
                    times = (_5M_OF_PORTS_MS, length)
                    written += _write(influx, rolled, subjects, read, times)
            written += _write(influx, rolled, wanted, read, (span, length))
    return written


def _names_read() -> set[str]:
    """Every quoted name in the queries of boards; other fields are not written."""
    texts = [
        panel.influxql(target)
        for board in BOARDS
        for panel in board.panels
        for target in panel.targets
    ]
    texts += [variable.query() for board in BOARDS for variable in board.variables]
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
    return bool(steps if estimated else steps.keys() - {DAY})


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
    if not fields:
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
        influx.write_lines(some, "towpath")
        written += len(some)
    return written


def _value(field: Field, chance: random.Random) -> str:
    if field.type == "float":
        return f"{chance.random():.4f}"
    return f"{chance.randrange(4)}i" if field.type == "int" else '"text"'
