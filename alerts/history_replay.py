"""Replays the store's history: what would these rules have paged?

The rows of the store go through the same window, evaluation and suppression as those of
the journal. Rows have the store's times, so what arrived late counts as in time, and
everything counts as long known: there is no baseline.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import NamedTuple

from alerts.alert import Alert
from alerts.cycle import run_cycle
from alerts.estate_index import EstateIndex
from alerts.evaluation.alert_states import AlertState
from alerts.rule_files import Rules
from alerts.silence import Silence
from alerts.window import Window
from collectors.server_measurements import CATALOGUE
from collectors.store.export import every_row
from collectors.store.query import Row, Store
from probes.wire.catalogue import Measurement

STEP_MS = 30_000
# Before the replayed time, so that windows are full and what fires already is known.
_WARM_MS = 30 * 60_000
_SLICE_MS = 30 * 60_000
_LAST = "_last"


class ReplayedPage(NamedTuple):
    """A page that would have been sent, and when its alert ended, if it had."""

    paged_ms: int
    alert: Alert
    ended_ms: int | None = None


class HistoryReplay:
    """Runs `rules` over rows in order. Pages before `from_ms` are left out: they
    belong to the time before."""

    def __init__(
        self,
        rules: Rules,
        estate_index: EstateIndex,
        silences: Sequence[Silence],
        from_ms: int,
    ) -> None:
        self._rules, self._estate_index = rules, estate_index
        self._silences, self._from_ms = silences, from_ms
        self.window = Window(rules, CATALOGUE, from_ms - _WARM_MS)
        self._states: dict[str, AlertState] = {}
        self._shown: dict[str, Alert] = {}
        self._pages: dict[str, ReplayedPage] = {}

    @property
    def pages(self) -> list[ReplayedPage]:
        return sorted(self._pages.values(), key=lambda page: page.paged_ms)

    def add(self, declared: Measurement, row: Row) -> None:
        if row.time_ms is not None:
            fields = {name.removesuffix(_LAST): v for name, v in row.values.items()}
            self.window.put_row(declared.name, row.tags, row.time_ms, fields)

    def run(self, now_ms: int) -> None:
        """One cycle at `now_ms`."""
        cycle = run_cycle(
            self.window,
            self._estate_index,
            self._rules,
            self._states,
            self._shown,
            self._silences,
            lambda alert: [("replay", now_ms, False)],
            now_ms,
        )
        self.window.clear_changed()
        self._states, self._shown = cycle.states, cycle.still_open(self._shown)
        if now_ms < self._from_ms:
            return
        for page in cycle.pages:
            self._pages[page.episode] = ReplayedPage(now_ms, page.alert)
        for episode in cycle.ended:
            if episode in self._pages:
                ended_ms = cycle.alerts[episode].resolved_ms
                page_sent = self._pages[episode]
                self._pages[episode] = page_sent._replace(ended_ms=ended_ms)


async def replay_history(
    store: Store,
    replay: HistoryReplay,
    from_ms: int,
    to_ms: int,
    progress: Callable[[float], None] = lambda share: None,
) -> int:
    """Reads the rows that the rules need, and runs a cycle every half minute. Returns
    how many rows there were. Raises what the store raises."""
    begin_ms = from_ms - _WARM_MS
    rows = 0
    for start_ms in range(begin_ms, to_ms, _SLICE_MS):
        end_ms = min(start_ms + _SLICE_MS, to_ms)
        waiting: list[tuple[int, Measurement, Row]] = []
        for declared, fields, _ in replay.window.needed_fields():
            async for row in _rows(store, declared, fields, start_ms, end_ms):
                waiting.append((row.time_ms or 0, declared, row))
        waiting.sort(key=lambda entry: entry[0])
        rows += len(waiting)
        at = 0
        for now_ms in range(start_ms + STEP_MS, end_ms + STEP_MS, STEP_MS):
            while at < len(waiting) and waiting[at][0] <= now_ms:
                replay.add(*waiting[at][1:])
                at += 1
            replay.run(min(now_ms, end_ms))
        progress((end_ms - begin_ms) / (to_ms - begin_ms))
    return rows


async def _rows(
    store: Store,
    declared: Measurement,
    fields: Iterable[str],
    from_ms: int,
    to_ms: int,
) -> AsyncIterator[Row]:
    # A rule about silence needs no field, but the rows.
    wanted = tuple(fields) or (declared.fields[0].name,)
    async for _, rows in every_row(store, declared, from_ms, to_ms, wanted):
        for row in rows:
            yield row
