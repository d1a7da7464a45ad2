"""`InfluxRollUps`: rolls up what is in InfluxDB, from the rows that it has.

Each roll-up is calculated anew from all rows of its buckets, so late rows, repeated
writes and crashes cannot make it wrong. The rows are read back and added up here:
InfluxDB takes ten times as long to aggregate every field of every series, and only 1.x
can write the result by itself (decision 066).
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Iterable

import structlog

from collectors.batch import Batch
from collectors.store.influx_http import InfluxServer, NoDatabase
from collectors.store.influxql import between, identifier, literal, show_tag_values
from collectors.store.line_protocol import lines
from collectors.store.rolled_measurements import (
    DAY,
    DAY_MS,
    HOUR,
    HOUR_MS,
    ROLLED,
    rolled_name,
    rolled_steps,
)
from collectors.store.rolled_rows import (
    RollUpSource,
    RowsOfSeries,
    roll_up,
    rolled_measurement,
    sources,
)
from collectors.store.rollup_backlog import RollUpBacklog, RollUpSpan
from collectors.store.rollup_files import RollUpFiles
from collectors.store.store_errors import Away
from collectors.store.store_parts import StorePart
from collectors.store.store_text import clean_tag
from probes.wire.catalogue import Catalogue, Measurement

_log = structlog.get_logger(__name__)
# A query reads the rows of so many devices (or lines …) at once.
_SUBJECTS = 10
# Lines and spans that are written together: a request costs as much as many lines.
_LINES, _SPANS = 2_000, 50
# After each piece of work that can wait, it rests for so many times as long.
_REST_GROWING, _REST_HISTORY = 300, 1
# Step → how long it rests at least: what a board with that step cannot show anyway.
_LEAST_REST_S = {"5m": 60.0, HOUR: 600.0, DAY: 3_600.0}
# History is rolled up for so long at a time, but an hour of rows at least. With as long
# a rest it is the turn of history again whenever the store is tidied (`store.tidy_s`).
_HISTORY_S = 12.0
_LOOK_AGAIN_S = 600.0


class InfluxRollUps:
    """Rolls up the shared measurements of `database`: the subjects of `part`. `files`
    has its file, and what other writers left to it.

    `mark` after each write; `run` now and then. What is not over yet is rolled up as
    often as it takes little time, and history in pieces of an hour, the latest first.
    """

    def __init__(
        self,
        server: InfluxServer,
        database: str,
        catalogue: Catalogue,
        files: RollUpFiles,
        part: StorePart,
    ) -> None:
        self._server, self._database, self._catalogue = server, database, catalogue
        self._part = part
        # What others left is in no file of its own yet.
        self._is_saved = not files.found() or files.path(part).exists()
        self._backlog = RollUpBacklog(
            files.path(part), catalogue, files.first_state(part)
        )
        # When what is growing is rolled up again.
        self._growing_from = dict.fromkeys(_LEAST_REST_S, 0.0)
        self._history_from = 0.0
        # Measurements without rows, and when to look again: another writer may have
        # written the first ones.
        self._without_rows: dict[str, float] = {}
        # Measurement → the values of its first tag: those that the server had when it
        # was first read, and those of what has been written since.
        self._subjects: dict[str, set[str]] = {}
        # Lines that are to be written, and the roll-ups that they are of.
        self._lines: list[str] = []
        self._lines_of: set[str] = set()
        self._refused: set[str] = set()
        self._saving = asyncio.Lock()

    async def mark(self, batches: list[Batch], now_ms: int) -> None:
        """Returns when the buckets of written rows are safely marked.

        Raises `Away` if they cannot be.
        """
        for batch in batches:
            self._without_rows.pop(batch.measurement, None)
            if (subjects := self._subjects.get(batch.measurement)) is not None:
                tag = self._catalogue.measurement(batch.measurement).tags[0].name
                subjects |= set(map(clean_tag, batch.tag(tag)))
        if self._backlog.mark(batches, now_ms):
            await self._save(durable=True)

    async def run(self, now_ms: int) -> None:
        """Rolls up what is due. Raises `Away` and `QueryFailed`; what has been rolled
        up until then is not repeated."""
        self._lines.clear()
        if not self._is_saved:
            await self._save()
        due = self._backlog.due(now_ms)
        # Days are calculated from what is written of the shorter steps.
        await self._roll_up([s for s in due if s.steps != (DAY,)], now_ms)
        await self._roll_up([s for s in due if s.steps == (DAY,)], now_ms)
        for step, from_s in list(self._growing_from.items()):
            began = time.monotonic()
            if began >= from_s:
                growing = self._backlog.growing(now_ms)
                await self._roll_up([s for s in growing if s.steps == (step,)], now_ms)
                self._growing_from[step] = _next(
                    began, _REST_GROWING, _LEAST_REST_S[step]
                )
        if time.monotonic() >= self._history_from:
            began = time.monotonic()
            await self._roll_up_history(now_ms)
            self._history_from = _next(began, _REST_HISTORY, 0.0)

    async def _roll_up(self, spans: Iterable[RollUpSpan], now_ms: int) -> None:
        taken: list[tuple[RollUpSpan, dict[tuple[str, int], int]]] = []
        for span in spans:
            taken.append((span, self._backlog.numbers(span)))
            await self._write_span(span, now_ms)
            if len(taken) >= _SPANS:
                await self._finish(taken, now_ms)
                taken.clear()
        await self._finish(taken, now_ms)

    async def _finish(
        self, taken: list[tuple[RollUpSpan, dict[tuple[str, int], int]]], now_ms: int
    ) -> None:
        """Returns when the spans are written, and are missing no longer."""
        await self._flush()
        removed = [self._backlog.done(span, numbers, now_ms) for span, numbers in taken]
        if any(removed):
            await self._save()

    async def _roll_up_history(self, now_ms: int) -> None:
        for declared in self._catalogue:
            name = declared.name
            is_known = name in self._backlog.history and name in self._backlog.days
            look_s = self._without_rows.get(name, 0.0)
            if name in ROLLED and not is_known and time.monotonic() >= look_s:
                await self._find_history(declared, now_ms)
        began = time.monotonic()
        while time.monotonic() - began < _HISTORY_S and (
            spans := self._backlog.oldest_spans()
        ):
            for span in spans:
                # Old rows may be of subjects without any row since.
                self._subjects.pop(span.measurement, None)
                await self._write_span(span, now_ms)
                await self._flush()
                if self._backlog.history_done(span):
                    _log.info(
                        "history_rolled_up",
                        measurement=span.measurement,
                        steps=", ".join(span.steps),
                    )
            await self._save()

    async def _find_history(self, declared: Measurement, now_ms: int) -> None:
        """Finds the oldest row that is there. Hours may be older than any row, if rows
        are not kept as long: they have days too, and the hour whose rows are cut off is
        left as it is."""
        name = declared.name
        of_rows = await self._oldest_ms(name)
        if of_rows is None or not rolled_steps(declared):
            is_alone = self._part.count == 1
            look_s = math.inf if is_alone else time.monotonic() + _LOOK_AGAIN_S
            self._without_rows[name] = look_s
            return
        of_hours = await self._oldest_ms(rolled_name(name, HOUR))
        oldest_ms = of_rows if of_hours is None else min(of_rows, of_hours)
        if of_hours is not None and of_hours + HOUR_MS <= of_rows:
            of_rows += -of_rows % HOUR_MS
        for left, length, from_ms in (
            (self._backlog.history, HOUR_MS, of_rows),
            (self._backlog.days, DAY_MS, oldest_ms),
        ):
            if name not in left:
                start_ms = from_ms - from_ms % length
                to_ms = now_ms - now_ms % length + length
                left[name] = (start_ms, max(start_ms, to_ms))
        await self._save()

    async def _oldest_ms(self, measurement: str) -> int | None:
        try:
            series = await self._server.query(
                self._database,
                f"SELECT * FROM {identifier(measurement)} ORDER BY time ASC LIMIT 1",
            )
        except NoDatabase:
            return None
        return int(series[0].values[0][0]) if series else None

    async def _save(self, durable: bool = False) -> None:
        # One at a time, so that no older state replaces a newer one.
        async with self._saving:
            content = self._backlog.encoded()
            try:
                await asyncio.to_thread(self._backlog.save, content, durable)
                self._is_saved = True
            except OSError as error:
                raise Away(f"roll-ups cannot be saved: {error.strerror}") from None

    async def _write_span(self, span: RollUpSpan, now_ms: int) -> None:
        declared = self._catalogue.measurement(span.measurement)
        # Hours and five minutes are calculated from the same rows, read once.
        for source in sources(declared, span.steps[0]):
            async for series in self._read(declared, source, span):
                for step in span.steps:
                    await self._write(declared, step, source, series, now_ms)

    async def _write(
        self,
        declared: Measurement,
        step: str,
        source: RollUpSource,
        series: list[RowsOfSeries],
        now_ms: int,
    ) -> None:
        batch = await asyncio.to_thread(roll_up, declared, step, source, series, now_ms)
        rolled = rolled_measurement(declared, step)
        self._lines_of.add(rolled.name)
        for line in lines(batch, rolled):
            self._lines.append(line)
            if len(self._lines) >= _LINES:
                await self._flush()
                self._lines_of.add(rolled.name)

    async def _flush(self) -> None:
        """Writes the lines that are waiting."""
        if self._lines:
            rejected = await self._server.write(self._database, self._lines)
            if rejected and not self._lines_of <= self._refused:
                self._refused |= self._lines_of
                _log.error(
                    "rollup_refused",
                    measurement=", ".join(sorted(self._lines_of)),
                    error=rejected.why,
                )
        self._lines.clear()
        self._lines_of.clear()

    async def _read(
        self, declared: Measurement, source: RollUpSource, span: RollUpSpan
    ) -> AsyncIterator[list[RowsOfSeries]]:
        """Yields what a span is calculated from, that of some subjects at a time."""
        subject = identifier(declared.tags[0].name)
        measurement = identifier(source.measurement)
        fields = ", ".join(map(identifier, source.fields))
        groups = ", ".join(identifier(tag.name) for tag in declared.tags)
        times = between(span.from_ms, span.to_ms)
        if declared.name not in self._subjects:
            found: set[str] = set()
            # Hours may be kept of what has no rows any more.
            for name in (declared.name, rolled_name(declared.name, HOUR)):
                text = show_tag_values((name,), declared.tags[0].name)
                try:
                    known = await self._server.query(self._database, text)
                except NoDatabase:
                    return
                found |= {str(row[1]) for series in known for row in series.values}
            self._subjects[declared.name] = found
        # Rows without the tag have the empty text.
        values = [
            value
            for value in sorted({*self._subjects[declared.name], ""})
            if self._part.has(declared.name, value)
        ]
        for at in range(0, len(values), _SUBJECTS):
            some = " OR ".join(
                f"{subject} = {literal(value)}" for value in values[at : at + _SUBJECTS]
            )
            answer = await self._server.query(
                self._database,
                f"SELECT {fields} FROM {measurement} WHERE {times} AND ({some})"
                f" GROUP BY {groups}",
            )
            if answer:
                yield [(series.tags, series.values) for series in answer]


def _next(began: float, times: float, least_s: float) -> float:
    now = time.monotonic()
    return now + max(least_s, times * (now - began))
