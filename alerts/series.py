"""`Series`: the latest values of one set of tags, and a `Ring` of past values for each
field that a rule looks back on."""

from __future__ import annotations

from array import array

from alerts.rule import EndedBy, Rule
from probes.wire.catalogue import Measurement
from probes.wire.sample import Value

Subject = tuple[str, ...]
"""The values of the tags that name what an alert is about."""

Target = tuple[int, Subject]
"""A rule, by its index in `Rules`, and one of its subjects."""

_MAX_RING = 4_096
# Rows come in every second; so long without any, nothing was measured.
_PAUSE_MS = 300_000


class Ring:
    """Past values of one field of one series, oldest first.

    While all values are equal, only that value and the first and last time are kept:
    of half a million ports, nearly all never count an error.
    """

    __slots__ = ("_count", "_first_ms", "_last_ms", "_times", "_value", "_values")

    def __init__(self, time_ms: int, value: float) -> None:
        self._value, self._first_ms, self._last_ms = value, time_ms, time_ms
        self._count = 1
        self._times: array[int] | None = None
        self._values: array[float] | None = None

    @property
    def only_value(self) -> float | None:
        """The value, if all are equal."""
        return self._value if self._times is None else None

    def add(self, time_ms: int, value: float, span_ms: int) -> None:
        """Adds a value, and drops those more than `span_ms` older than it."""
        if time_ms <= self._last_ms:
            return
        if self._times is None and value == self._value:
            self._last_ms = time_ms
            self._count += 1
            if self._last_ms - self._first_ms > 2 * span_ms:
                self._shorten(span_ms)
            return
        times, values = self._as_arrays()
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
            kept = [t for t in self._even_times() if t >= from_ms]
            return kept, [self._value] * len(kept)
        at = len(times)
        while at and times[at - 1] >= from_ms:
            at -= 1
        return list(times[at:]), list(values[at:])

    def _shorten(self, span_ms: int) -> None:
        """Drops values older than the window, assuming evenly spaced rows."""
        kept = [t for t in self._even_times() if t >= self._last_ms - span_ms]
        self._first_ms, self._count = kept[0], len(kept)

    def _even_times(self) -> list[int]:
        """The times of equal values, assuming evenly spaced rows."""
        if self._count == 1:
            return [self._last_ms]
        length_ms = self._last_ms - self._first_ms
        steps = self._count - 1
        return [self._first_ms + length_ms * n // steps for n in range(steps + 1)]

    def _as_arrays(self) -> tuple[array[int], array[float]]:
        if self._times is None or self._values is None:
            self._times = array("q", self._even_times())
            self._values = array("d", [self._value] * self._count)
        return self._times, self._values


class Series:
    """The rows of one set of tags, reduced to the fields that rules use.

    `targets`: the rules that these rows concern, and their subjects. `well_by`: a bit
    for each rule of several series that found these rows well once.
    """

    __slots__ = (
        "_table",
        "key",
        "last",
        "last_ms",
        "rings",
        "site",
        "targets",
        "well_by",
    )

    def __init__(
        self, key: tuple[str, ...], table: MeasurementSeries, site: str
    ) -> None:
        self.key, self.site, self._table = key, site, table
        self.last_ms = 0
        self.last: list[Value | None] = [None] * len(table.slots)
        self.rings: dict[int, Ring] | None = None
        self.targets: tuple[Target, ...] = ()
        self.well_by = 0

    @property
    def tags(self) -> dict[str, str]:
        return dict(zip(self._table.tag_names, self.key, strict=True))

    def latest(self, field: str) -> Value | None:
        """The field's value in the latest row; None if that row has no such field or
        no rule uses it."""
        slot = self._table.slots.get(field)
        return None if slot is None else self.last[slot]

    def ring(self, field: str) -> Ring | None:
        slot = self._table.slots.get(field)
        return None if slot is None or self.rings is None else self.rings.get(slot)

    def weight_of(self, field: str) -> str:
        """The field that weights a mean of `field`; empty if none does."""
        return self._table.declared.field(field).weight

    def add_value(self, slot: int, time_ms: int, value: float, span_ms: int) -> None:
        """Adds the value to the ring of that field."""
        if self.rings is None:
            self.rings = {}
        ring = self.rings.get(slot)
        if ring is None:
            self.rings[slot] = Ring(time_ms, value)
        else:
            ring.add(time_ms, value, span_ms)


class MeasurementSeries:
    """All series of one measurement, and the fields kept for each.

    `slots`: field → its index in `Series.last`. `spans`: slot → ms of history to keep.
    `rules`: those of this measurement. `ends`: the polls that can end another rule's
    alerts, and where to file their series. `resumed_ms`: when rows came again after a
    pause of all of them.
    """

    def __init__(self, declared: Measurement) -> None:
        self.declared = declared
        # A port is the same port whatever its description is.
        self.tag_names = declared.identity
        self.slots: dict[str, int] = {}
        self.spans: dict[int, int] = {}
        self.rules: list[tuple[int, Rule]] = []
        self.ends: list[tuple[EndedBy, dict[Subject, list[Series]]]] = []
        self.series: dict[tuple[str, ...], Series] = {}
        self.newest_ms = self.resumed_ms = 0
        self._pause_ms = max(_PAUSE_MS, 2 * declared.period_s * 1000)

    def received(self, at_ms: int) -> None:
        """Notes that rows came."""
        if at_ms > self.newest_ms + self._pause_ms:
            self.resumed_ms = at_ms
        self.newest_ms = max(self.newest_ms, at_ms)

    def add_rule(self, at: int, rule: Rule) -> None:
        self.rules.append((at, rule))
        for field, span_ms in rule.field_windows.items():
            self._keep_field(field, span_ms)
        for condition in rule.when:
            weight = self.declared.field(condition.field).weight
            if weight and (condition.aggregate == "mean" or condition.sure):
                self._keep_field(weight, condition.over)

    def add_ending(self, end: EndedBy, ends: dict[Subject, list[Series]]) -> None:
        """Keeps series that can end a rule's alerts, filed in `ends` by the tags that
        they share with the alert's subject."""
        self.ends.append((end, ends))
        self._keep_field(end.when.field, 0)

    def _keep_field(self, field: str, span_ms: int) -> None:
        slot = self.slots.setdefault(field, len(self.slots))
        if span_ms:
            self.spans[slot] = max(self.spans.get(slot, 0), span_ms)
