"""`Window`: what rules can see. In memory, bounded, fed by the journal.

Only the fields that enabled rules name are kept: the latest value, and a ring of past
values where a rule asks for a window. Rows that come late by their measurement's own
measure never get in, so data sent afterwards fires no old alerts.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from alerts.rule import EndedBy, Rule
from alerts.rule_files import Rules
from collectors.batch import Batch
from probes.wire.catalogue import Catalogue, Measurement, UnknownName
from probes.wire.sample import Value

Subject = tuple[str, ...]
Target = tuple[int, Subject]
"""A rule by its place in `Rules`, and the values of its subject's tags."""

MAX_SERIES = 2_000_000
FORGET_MS = 86_400_000
# A clock that runs ahead must not make a row look newest for hours.
AHEAD_MS = 300_000
_MAX_RING = 4_096


class Ring:
    """Past values of one field of one series, oldest first.

    While every value is the same only that value and its times' ends are kept: of half
    a million ports nearly all count no errors, ever.
    """

    __slots__ = ("_count", "_first_ms", "_last_ms", "_times", "_value", "_values")

    def __init__(self, time_ms: int, value: float) -> None:
        self._value, self._first_ms, self._last_ms = value, time_ms, time_ms
        self._count = 1
        self._times: array[int] | None = None
        self._values: array[float] | None = None

    def add(self, time_ms: int, value: float, span_ms: int) -> None:
        if time_ms <= self._last_ms:
            return
        if self._times is None and value == self._value:
            self._last_ms = time_ms
            self._count += 1
            if self._last_ms - self._first_ms > 2 * span_ms:
                self._shorten(span_ms)
            return
        times, values = self._spread()
        times.append(time_ms)
        values.append(value)
        self._last_ms = time_ms
        # Cut in strides: removing from the front of an array moves all of it.
        if len(times) > _MAX_RING or (
            len(times) % 16 == 0 and times[0] < time_ms - span_ms
        ):
            keep = next((n for n, t in enumerate(times) if t >= time_ms - span_ms), 0)
            keep = max(keep, len(times) - _MAX_RING)
            del times[:keep]
            del values[:keep]
            if all(v == value for v in values):
                self._value, self._first_ms = value, times[0]
                self._count = len(times)
                self._times = self._values = None

    def since(self, from_ms: int) -> tuple[list[int], list[float]]:
        """Times and values at or after `from_ms`."""
        times, values = self._times, self._values
        if times is None or values is None:
            kept = [t for t in self._even() if t >= from_ms]
            return kept, [self._value] * len(kept)
        at = len(times)
        while at and times[at - 1] >= from_ms:
            at -= 1
        return list(times[at:]), list(values[at:])

    def _shorten(self, span_ms: int) -> None:
        """Forgets what is older than the window; rows are taken as evenly spaced."""
        kept = [t for t in self._even() if t >= self._last_ms - span_ms]
        self._first_ms, self._count = kept[0], len(kept)

    def _even(self) -> list[int]:
        if self._count == 1:
            return [self._last_ms]
        length_ms = self._last_ms - self._first_ms
        steps = self._count - 1
        return [self._first_ms + length_ms * n // steps for n in range(steps + 1)]

    def _spread(self) -> tuple[array[int], array[float]]:
        if self._times is None or self._values is None:
            self._times = array("q", self._even())
            self._values = array("d", [self._value] * self._count)
        return self._times, self._values


class Series:
    """The rows of one set of tags, reduced to what rules look at."""

    __slots__ = ("_table", "key", "last", "last_ms", "rings", "site", "targets")

    def __init__(self, key: tuple[str, ...], table: _Table, site: str) -> None:
        self.key, self.site, self._table = key, site, table
        self.last_ms = 0
        self.last: list[Value | None] = [None] * len(table.slots)
        self.rings: dict[int, Ring] | None = None
        self.targets: tuple[Target, ...] = ()

    @property
    def tags(self) -> dict[str, str]:
        return dict(zip(self._table.tag_names, self.key, strict=True))

    def latest(self, field: str) -> Value | None:
        """The field in the latest row; None where that row did not have it, or no rule
        wants it."""
        slot = self._table.slots.get(field)
        return None if slot is None else self.last[slot]

    def ring(self, field: str) -> Ring | None:
        slot = self._table.slots.get(field)
        return None if slot is None or self.rings is None else self.rings.get(slot)

    def weight_of(self, field: str) -> str:
        """The field that a mean of `field` is weighted by; empty if by none."""
        return self._table.declared.field(field).weight

    def put(self, slot: int, time_ms: int, value: float, span_ms: int) -> None:
        """Adds to the ring of that field."""
        if self.rings is None:
            self.rings = {}
        ring = self.rings.get(slot)
        if ring is None:
            self.rings[slot] = Ring(time_ms, value)
        else:
            ring.add(time_ms, value, span_ms)


class _Table:
    """All series of one measurement."""

    def __init__(self, declared: Measurement) -> None:
        self.declared = declared
        self.tag_names = tuple(tag.name for tag in declared.tags)
        self.slots: dict[str, int] = {}
        self.spans: dict[int, int] = {}
        self.rules: list[tuple[int, Rule]] = []
        self.ends: list[tuple[EndedBy, dict[Subject, list[Series]]]] = []
        self.series: dict[tuple[str, ...], Series] = {}

    def want(self, at: int, rule: Rule) -> None:
        self.rules.append((at, rule))
        for field, span_ms in rule.wanted.items():
            self._want(field, span_ms)
        for condition in rule.when:
            weight = self.declared.field(condition.field).weight
            if weight and condition.aggregate == "mean":
                self._want(weight, condition.over)

    def want_end(self, end: EndedBy, ends: dict[Subject, list[Series]]) -> None:
        """Keeps what contradicts some rule's events, in `ends` by the shared tags."""
        self.ends.append((end, ends))
        self._want(end.when.field, 0)

    def _want(self, field: str, span_ms: int) -> None:
        slot = self.slots.setdefault(field, len(self.slots))
        if span_ms:
            self.spans[slot] = max(self.spans.get(slot, 0), span_ms)


class Window:
    """What rules can see, and what changed since they last looked.

    `opened_ms`: when it began to listen: silence before that proves nothing.
    """

    def __init__(self, rules: Rules, catalogue: Catalogue, opened_ms: int) -> None:
        self.rules, self.opened_ms = rules, opened_ms
        self.late_rows = self.strange_rows = self.refused_rows = 0
        self.newest_received_ms = 0
        self.touched: set[Target] = set()
        self.reach_ms = [reach_ms(rule, catalogue) for rule in rules]
        # Most subjects have one series: a list for each would be half the memory.
        self._groups: list[dict[Subject, Series | list[Series]]] = [{} for _ in rules]
        self._tables: dict[str, _Table] = {}
        self._count = 0
        # For each rule, and each way it may be ended: the series that tell.
        self._ends: list[list[dict[Subject, list[Series]]]] = []
        for at, rule in enumerate(rules):
            self._table(rule.measurement, catalogue).want(at, rule)
            self._ends.append([{} for _ in rule.ended_by])
            for end, ends in zip(rule.ended_by, self._ends[at], strict=True):
                self._table(end.measurement, catalogue).want_end(end, ends)

    def _table(self, measurement: str, catalogue: Catalogue) -> _Table:
        if measurement not in self._tables:
            self._tables[measurement] = _Table(catalogue.measurement(measurement))
        return self._tables[measurement]

    def take(self, batch: Batch) -> None:
        """Looks at every row of `batch`; rows of no rule's measurement cost nothing.

        The same batch twice changes nothing.
        """
        self.newest_received_ms = max(self.newest_received_ms, batch.received_ms)
        table = self._tables.get(batch.measurement)
        if table is None:
            return
        oldest_ms = batch.received_ms - table.declared.lateness_s * 1000
        newest_ms = batch.received_ms + AHEAD_MS
        tag_columns = [batch.tag(name) for name in table.tag_names]
        present = [
            (slot, batch.field(name), table.spans.get(slot, 0))
            for name, slot in table.slots.items()
            if name in batch.schema.fields
        ]
        touch, known = self.touched.update, table.series
        keys = zip(*tag_columns, strict=True)
        for row, (time_ms, key) in enumerate(zip(batch.times_ms, keys, strict=True)):
            if time_ms < oldest_ms:
                self.late_rows += 1
                continue
            if time_ms > newest_ms:
                self.strange_rows += 1
                continue
            series = known.get(key)
            if series is None:
                series = self._new_series(table, key)
                if series is None:
                    continue
            if time_ms < series.last_ms:
                continue
            series.last_ms = time_ms
            last = series.last
            for slot, column, span_ms in present:
                value = column[row]
                last[slot] = value
                if span_ms and isinstance(value, int | float):
                    series.put(slot, time_ms, value, span_ms)
            touch(series.targets)

    def put(
        self,
        measurement: str,
        tags: dict[str, str],
        time_ms: int,
        fields: dict[str, Any],
    ) -> None:
        """One row as remembered by the store; used to warm up, touches its rules."""
        table = self._tables.get(measurement)
        if table is None:
            return
        key = tuple(tags.get(name, "") for name in table.tag_names)
        series = table.series.get(key) or self._new_series(table, key)
        if series is None or time_ms < series.last_ms:
            return
        series.last_ms = time_ms
        for name, value in fields.items():
            slot = table.slots.get(name)
            if slot is None:
                continue
            series.last[slot] = value
            if slot in table.spans and isinstance(value, int | float):
                series.put(slot, time_ms, value, table.spans[slot])
        self.touched.update(series.targets)

    def settle(self) -> None:
        """What changed has been looked at."""
        self.touched = set()

    def forget(self, now_ms: int) -> int:
        """Drops series not heard for a day; how many."""
        dropped = 0
        for table in self._tables.values():
            old = [
                key
                for key, series in table.series.items()
                if series.last_ms < now_ms - FORGET_MS
            ]
            for key in old:
                series = table.series.pop(key)
                for end, ends in table.ends:
                    told = ends.get(_shared(end, series.tags), [])
                    if series in told:
                        told.remove(series)
                for at, subject in series.targets:
                    rest = [s for s in self.members(at, subject) if s is not series]
                    if rest:
                        self._groups[at][subject] = rest
                    else:
                        del self._groups[at][subject]
            dropped += len(old)
        self._count -= dropped
        return dropped

    def members(self, at: int, subject: Subject) -> list[Series]:
        """The series that rule `at` puts under `subject`."""
        found = self._groups[at].get(subject)
        if found is None:
            return []
        return found if type(found) is list else [found]  # type: ignore[list-item]

    def subjects(self, at: int) -> Iterable[Subject]:
        return self._groups[at]

    def ends(
        self, at: int, subject: Mapping[str, str]
    ) -> Iterator[tuple[EndedBy, list[Series]]]:
        """The ways rule `at` is ended by polls, with the series that do it."""
        for end, ends in zip(self.rules[at].ended_by, self._ends[at], strict=True):
            yield end, ends.get(_shared(end, subject), [])

    def heard_ms(self, rule_id: str, subject: dict[str, str]) -> int:
        """Up to when the rule of that id knows of `subject`; 0 where it does not.

        What is judged by all of several series is known when the last of them was
        measured.
        """
        known = 0
        for at, rule in self.rules.places(rule_id):
            key = tuple(subject.get(tag, "") for tag in rule.subject)
            times = [series.last_ms for series in self.members(at, key)]
            newest = max(times, default=0)
            if rule.across == "all" and times:
                oldest = newest - self.reach_ms[at]
                newest = min(time_ms for time_ms in times if time_ms >= oldest)
            known = max(known, newest)
        return known

    def series(self, measurement: str) -> Iterator[Series]:
        table = self._tables.get(measurement)
        return iter(table.series.values() if table else ())

    def wanted(self) -> Iterator[tuple[Measurement, tuple[str, ...], int]]:
        """(measurement, fields, longest window in ms) of everything rules look at."""
        for table in self._tables.values():
            span_ms = max(table.spans.values(), default=0)
            yield table.declared, tuple(table.slots), span_ms

    @property
    def span_ms(self) -> int:
        """The longest window of any rule."""
        return max((span_ms for _, _, span_ms in self.wanted()), default=0)

    def __len__(self) -> int:
        return self._count

    def _new_series(self, table: _Table, key: tuple[str, ...]) -> Series | None:
        if self._count >= MAX_SERIES:
            self.refused_rows += 1
            return None
        tags = dict(zip(table.tag_names, key, strict=True))
        series = Series(key, table, site_of(tags))
        targets = []
        shared: dict[tuple[str, ...], Subject] = {}
        for at, rule in table.rules:
            if rule.takes(tags) and rule.applies_at(series.site):
                subject = shared.get(rule.subject)
                if subject is None:
                    subject = tuple(tags[tag] for tag in rule.subject)
                    shared[rule.subject] = subject
                targets.append((at, subject))
                others = self.members(at, subject)
                self._groups[at][subject] = [*others, series] if others else series
        series.targets = tuple(targets)
        for end, ends in table.ends:
            if end.takes(tags):
                ends.setdefault(_shared(end, tags), []).append(series)
        table.series[key] = series
        self._count += 1
        return series


def _shared(end: EndedBy, tags: Mapping[str, str]) -> Subject:
    return tuple(tags.get(tag, "") for tag in end.same)


def site_of(tags: dict[str, str]) -> str:
    """The site a row is about, whichever tag says it; empty where none does."""
    if tags.get("by") == "site":
        return tags.get("group", "")
    return tags.get("site") or tags.get("home_site") or ""


def reach_ms(rule: Rule, catalogue: Catalogue) -> int:
    """How long one row of the rule's measurement speaks for the time after it."""
    try:
        return max(
            90_000, int(2.5 * 1000 * catalogue.measurement(rule.measurement).period_s)
        )
    except UnknownName:
        return 90_000
