"""`PulledRows`: which rows of a DMZ node are taken inside. Pure.

A node that was broken into can write whatever it likes to its stream. So everything
that a node that works checks is checked again: rows are taken only if a laptop that is
let in could have sent them, or if the node says them about itself, and then under its
name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, get_args

from collectors.batch import Batch, sift
from collectors.ingest.registry_records import EnrolledAgent
from collectors.ingest.tag_limits import OTHER, TagLimits
from collectors.server_measurements import CATALOGUE
from probes.wire.clock import WallClock
from probes.wire.measurements import MEASUREMENTS
from probes.wire.report import Connection, Place, Vpn

_OF_LAPTOPS = frozenset(measurement.name for measurement in MEASUREMENTS)
# What the role ingest says of itself; of alerts and polls a node knows nothing.
_OF_ITSELF = frozenset(
    {
        "self_journal",
        "self_nats",
        "self_ingest",
        "self_disk",
        "self_certificate",
        "self_dmz_node",
    }
)
# Each set of tags is a series in the store; a node has about twenty.
_MOST_SERIES = 200
_CLOSED: dict[str, frozenset[str]] = {
    "place": frozenset(get_args(Place)),
    "connection": frozenset(get_args(Connection)),
    "vpn": frozenset(get_args(Vpn)),
}
_WHERE = ("site", *_CLOSED, "provider")
UNENROLLED, REFUSED, CHANGED = "unenrolled_rows", "refused_rows", "changed_rows"
TAKEN = "taken_rows"


class PulledRows:
    """`take` returns what is taken. `counts`: rows since the start, by what became of
    them, as the fields of `self_dmz`.

    `enrolled` returns the laptop of a name if it is let in; `max_ahead_s`: how far into
    the future a time may be.
    """

    def __init__(
        self,
        node: str,
        enrolled: Callable[[str], EnrolledAgent | None],
        limits: TagLimits,
        knows_site: Callable[[str], bool],
        max_ahead_s: float,
        now_ms: WallClock,
    ) -> None:
        self._process = f"dmz+{node}"
        self._enrolled, self._limits = enrolled, limits
        self._knows_site, self._now_ms = knows_site, now_ms
        self._max_ahead_ms = max_ahead_s * 1000
        self._series: set[tuple[str, ...]] = set()
        self.counts: Counter[str] = Counter()

    def take(self, batches: Iterable[Batch]) -> list[Batch]:
        """The batches to append."""
        return [fit for batch in batches if (fit := self._taken(batch)) is not None]

    def _taken(self, batch: Batch) -> Batch | None:
        name = batch.measurement
        is_own = name in _OF_ITSELF and "process" in batch.schema.tags
        if not is_own and (name not in _OF_LAPTOPS or "agent" not in batch.schema.tags):
            self.counts[REFUSED] += max([1, *map(len, batch.columns)])
            return None
        sifted = sift(batch, CATALOGUE)
        self.counts[REFUSED] += sum(sifted.reasons.values())
        if sifted.fit is None:
            return None
        fit = self._own(sifted.fit) if is_own else self._of_laptops(sifted.fit)
        self.counts[TAKEN] += len(fit)
        return fit if len(fit) else None

    def _own(self, batch: Batch) -> Batch:
        """With the node's name as that of the process: it cannot speak for another."""
        named = _replaced(batch, "process", [self._process] * len(batch))
        kept: list[int] = []
        for at, tags in enumerate(zip(*map(named.tag, named.schema.tags), strict=True)):
            series = (named.measurement, *tags)
            if series in self._series or len(self._series) < _MOST_SERIES:
                self._series.add(series)
                kept.append(at)
        self.counts[REFUSED] += len(batch) - len(kept)
        return named.rows(kept)

    def _of_laptops(self, batch: Batch) -> Batch:
        """Of laptops that are let in, with tags and texts that ingest would let in."""
        latest_ms = self._now_ms() + self._max_ahead_ms
        kept: list[int] = []
        laptops: list[EnrolledAgent] = []
        for at, (agent, time_ms) in enumerate(
            zip(batch.tag("agent"), batch.times_ms, strict=True)
        ):
            laptop = self._enrolled(agent)
            if laptop is None:
                self.counts[UNENROLLED] += 1
            elif time_ms > latest_ms:
                self.counts[REFUSED] += 1
            else:
                kept.append(at)
                laptops.append(laptop)
        fit = batch.rows(kept)
        bounded = self._bounded(fit)
        if bounded is not fit:
            same = zip(fit.samples(), bounded.samples(), strict=True)
            self.counts[CHANGED] += sum(one != other for one, other in same)
        return _replaced(bounded, "home_site", [laptop.home_site for laptop in laptops])

    def _bounded(self, batch: Batch) -> Batch:
        allowed = self._limits.allowed(batch.measurement)
        known = {"", OTHER, *allowed}
        knows_site = self._knows_site
        batch = _replaced(
            batch, "target", [t if t in known else OTHER for t in batch.tag("target")]
        )
        batch = _replaced(
            batch,
            "site",
            [s if not s or knows_site(s) else "" for s in batch.tag("site")],
        )
        for tag, values in _CLOSED.items():
            batch = _replaced(
                batch,
                tag,
                [v if not v or v in values else "unknown" for v in batch.tag(tag)],
            )
        places = zip(batch.tag("agent"), *map(batch.tag, _WHERE), strict=True)
        now_ms = self._now_ms()
        fits = [self._limits.knows_where(a, where, now_ms) for a, *where in places]
        if not all(fits):
            for tag in _WHERE:
                nowhere = "unknown" if tag in _CLOSED else ""
                marked = zip(batch.tag(tag), fits, strict=True)
                column = [value if fit else nowhere for value, fit in marked]
                batch = _replaced(batch, tag, column)
        for field in self._limits.closed_texts(batch.measurement):
            among = {None, OTHER, *field.among}
            given = batch.field(field.name)
            bounded = [value if value in among else OTHER for value in given]
            batch = _replaced(batch, field.name, bounded)
        return batch


def _replaced(batch: Batch, name: str, column: list[Any]) -> Batch:
    """The batch with another column of a tag or field; itself if it is the same, or if
    it has none of that name."""
    names = (*batch.schema.tags, *batch.schema.fields)
    if name not in names:
        return batch
    at = 1 + names.index(name)
    if batch.columns[at] == column:
        return batch
    columns = (*batch.columns[:at], column, *batch.columns[at + 1 :])
    return Batch(batch.source, batch.received_ms, batch.schema, columns)
