"""`Window`: the recent rows that rules evaluate, in memory, bounded, from the journal.

Only fields that an enabled rule names are kept: the latest value, and a ring of past
values if a rule looks back. Rows later than their measurement's `lateness_s` are left
out, so backlog sent after an outage fires no old alerts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from alerts.rule import EndedBy, Rule
from alerts.rule_files import Rules
from alerts.series import MeasurementSeries, Series, Subject, Target
from collectors.batch import Batch
from probes.wire.catalogue import Catalogue, Measurement, UnknownName

MAX_SERIES = 2_000_000
FORGET_MS = 86_400_000
# A clock that runs ahead must not make a row look newest for hours.
AHEAD_MS = 300_000
LEAST_REACH_MS = 90_000


class Window:
    """The rows that rules evaluate, and which rules have new rows.

    `opened_ms`: when it started to receive rows. Silence before that proves nothing.
    """

    def __init__(self, rules: Rules, catalogue: Catalogue, opened_ms: int) -> None:
        self.rules, self.opened_ms = rules, opened_ms
        self.late_rows = self.future_rows = self.refused_rows = 0
        self.newest_received_ms = 0
        self.changed: set[Target] = set()
        # Subjects whose first result is not known (alerts/evaluation/learning.py).
        self.new: set[Target] = set()
        self.reach_ms = [reach_ms(rule, catalogue) for rule in rules]
        # Rules of which one subject may have several series, each with its own state.
        self.of_several = frozenset(
            index for index, rule in enumerate(rules) if is_of_several(rule, catalogue)
        )
        # Most subjects have one series: a list for each would take half the memory.
        self._groups: list[dict[Subject, Series | list[Series]]] = [{} for _ in rules]
        self._tables: dict[str, MeasurementSeries] = {}
        self._count = 0
        # For each rule and each of its `ended_by`: the series that can end it.
        self._ends: list[list[dict[Subject, list[Series]]]] = []
        for rule_index, rule in enumerate(rules):
            if rule.evidence == "rows":
                self._table(rule.measurement, catalogue).add_rule(rule_index, rule)
            self._ends.append([{} for _ in rule.ended_by])
            for end, ends in zip(rule.ended_by, self._ends[rule_index], strict=True):
                self._table(end.measurement, catalogue).add_ending(end, ends)

        # The longest window of any rule.
        self.span_ms = max(
            (span_ms for _, _, span_ms in self.needed_fields()), default=0
        )

    def _table(self, measurement: str, catalogue: Catalogue) -> MeasurementSeries:
        if measurement not in self._tables:
            self._tables[measurement] = MeasurementSeries(
                catalogue.measurement(measurement)
            )
        return self._tables[measurement]

    def append(self, batch: Batch) -> None:
        """Adds the rows of `batch`. Measurements that no rule uses cost nothing, and
        adding the same batch twice changes nothing.
        """
        self.newest_received_ms = max(self.newest_received_ms, batch.received_ms)
        table = self._tables.get(batch.measurement)
        if table is None:
            return
        table.received(batch.received_ms)
        oldest_ms = batch.received_ms - table.declared.lateness_s * 1000
        newest_ms = batch.received_ms + AHEAD_MS
        tag_columns = [batch.tag(name) for name in table.tag_names]
        present = [
            (slot, batch.field(name), table.spans.get(slot, 0))
            for name, slot in table.slots.items()
            if name in batch.schema.fields
        ]
        absent = [
            slot
            for name, slot in table.slots.items()
            if name not in batch.schema.fields
        ]
        touch, known = self.changed.update, table.series
        keys = zip(*tag_columns, strict=True)
        for row, (time_ms, key) in enumerate(zip(batch.times_ms, keys, strict=True)):
            if time_ms < oldest_ms:
                self.late_rows += 1
                continue
            if time_ms > newest_ms:
                self.future_rows += 1
                continue
            series = known.get(key)
            if series is None:
                series = self._new_series(table, key)
                if series is None:
                    continue
            if time_ms < series.last_ms:
                continue
            last = series.last
            if time_ms > series.last_ms:
                # What no row of the batch has is as absent as what one lacks.
                for slot in absent:
                    last[slot] = None
            series.last_ms = time_ms
            for slot, column, span_ms in present:
                value = column[row]
                last[slot] = value
                if span_ms and isinstance(value, int | float):
                    series.add_value(slot, time_ms, value, span_ms)
            touch(series.targets)

    def put_row(
        self,
        measurement: str,
        tags: dict[str, str],
        time_ms: int,
        fields: dict[str, Any],
    ) -> None:
        """Adds one row from the store, and marks its rules as changed."""
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
                series.add_value(slot, time_ms, value, table.spans[slot])
        self.changed.update(series.targets)

    def clear_changed(self, settled: Collection[Target] = ()) -> None:
        """Call after an evaluation: no rule has new rows. `settled`: subjects that are
        no longer new."""
        self.changed = set()
        self.new.difference_update(settled)

    def renew(self, part: tuple[str, str]) -> None:
        """Everything with that tag and value is new: it may be another device."""
        tag, value = part
        for table in self._tables.values():
            if tag not in table.tag_names:
                continue
            at = table.tag_names.index(tag)
            for key, series in table.series.items():
                if key[at] == value:
                    self.new.update(series.targets)
                    series.well_by = 0

    def drop_old(self, now_ms: int) -> int:
        """Drops series without a row for a day; returns how many."""
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
                    ending = ends.get(_shared_tags(end, series.tags), [])
                    if series in ending:
                        ending.remove(series)
                for rule_index, subject in series.targets:
                    rest = [
                        s for s in self.members(rule_index, subject) if s is not series
                    ]
                    if rest:
                        self._groups[rule_index][subject] = rest
                    else:
                        del self._groups[rule_index][subject]
                        self.new.discard((rule_index, subject))
            dropped += len(old)
        self._count -= dropped
        return dropped

    def members(self, rule_index: int, subject: Subject) -> list[Series]:
        """The series that rule `rule_index` counts as `subject`."""
        series = self._groups[rule_index].get(subject)
        if series is None:
            return []
        return series if type(series) is list else [series]  # type: ignore[list-item]

    def subjects(self, rule_index: int) -> Iterable[Subject]:
        return self._groups[rule_index]

    def ends(
        self, rule_index: int, subject: Mapping[str, str]
    ) -> Iterator[tuple[EndedBy, list[Series]]]:
        """Each `ended_by` of rule `rule_index`, with the series that can end it."""
        for end, ends in zip(
            self.rules[rule_index].ended_by, self._ends[rule_index], strict=True
        ):
            yield end, ends.get(_shared_tags(end, subject), [])

    def known_until_ms(self, rule_id: str, subject: dict[str, str]) -> int:
        """Until when the state of `subject` under that rule is known; 0 if never.

        If a rule needs all of several series, its subject is known until the oldest of
        their latest rows.
        """
        known = 0
        for rule_index, rule in self.rules.find_all(rule_id):
            key = tuple(subject.get(tag, "") for tag in rule.subject)
            times = [series.last_ms for series in self.members(rule_index, key)]
            newest = max(times, default=0)
            if rule.across == "all" and times:
                oldest = newest - self.reach_ms[rule_index]
                newest = min(time_ms for time_ms in times if time_ms >= oldest)
            known = max(known, newest)
        return known

    def heard_since_ms(self, rule_id: str) -> int:
        """Since when rows of that rule's measurement have come without a pause."""
        tables = {
            self._tables[rule.measurement].resumed_ms
            for _, rule in self.rules.find_all(rule_id)
            if rule.measurement in self._tables
        }
        return max(self.opened_ms, *tables)

    def find(self, measurement: str, tags: Mapping[str, str]) -> Series | None:
        """The series with exactly these tags; None if there is none."""
        table = self._tables.get(measurement)
        if table is None:
            return None
        return table.series.get(tuple(tags.get(name, "") for name in table.tag_names))

    def series(self, measurement: str) -> Iterator[Series]:
        table = self._tables.get(measurement)
        return iter(table.series.values() if table else ())

    def needed_fields(self) -> Iterator[tuple[Measurement, tuple[str, ...], int]]:
        """(measurement, fields, longest window in ms) of everything that rules use."""
        for table in self._tables.values():
            span_ms = max(table.spans.values(), default=0)
            yield table.declared, tuple(table.slots), span_ms

    def __len__(self) -> int:
        return self._count

    def _new_series(
        self, table: MeasurementSeries, key: tuple[str, ...]
    ) -> Series | None:
        if self._count >= MAX_SERIES:
            self.refused_rows += 1
            return None
        tags = dict(zip(table.tag_names, key, strict=True))
        series = Series(key, table, site_of(tags))
        targets = []
        shared: dict[tuple[str, ...], Subject] = {}
        for rule_index, rule in table.rules:
            if rule.matches(tags) and rule.applies_at(series.site):
                subject = shared.get(rule.subject)
                if subject is None:
                    subject = tuple(tags[tag] for tag in rule.subject)
                    shared[rule.subject] = subject
                targets.append((rule_index, subject))
                others = self.members(rule_index, subject)
                if not others or rule_index in self.of_several:
                    self.new.add((rule_index, subject))
                self._groups[rule_index][subject] = (
                    [*others, series] if others else series
                )
        series.targets = tuple(targets)
        for end, ends in table.ends:
            if end.matches(tags):
                ends.setdefault(_shared_tags(end, tags), []).append(series)
        table.series[key] = series
        self._count += 1
        return series


def _shared_tags(end: EndedBy, tags: Mapping[str, str]) -> Subject:
    return tuple(tags.get(tag, "") for tag in end.same)


def site_of(tags: dict[str, str]) -> str:
    """The site in these tags, whichever tag holds it; empty if none does."""
    if tags.get("by") == "site":
        return tags.get("group", "")
    return tags.get("site") or tags.get("home_site") or ""


def is_of_several(rule: Rule, catalogue: Catalogue) -> bool:
    """Whether any of several series makes a subject of the rule bad, such as one of the
    sensors of a UPS."""
    if not rule.when or rule.across != "any":
        return False
    # Where a device is and what it does is the same in all its rows.
    described = {*rule.subject, "site", "role"}
    return bool(set(catalogue.measurement(rule.measurement).identity) - described)


def reach_ms(rule: Rule, catalogue: Catalogue) -> int:
    """How long one row of the rule's measurement counts as current."""
    try:
        return current_ms(catalogue.measurement(rule.measurement))
    except UnknownName:
        return LEAST_REACH_MS


def current_ms(declared: Measurement) -> int:
    """How long one row counts as current."""
    return max(LEAST_REACH_MS, int(2.5 * 1000 * declared.period_s))
