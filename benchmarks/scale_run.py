"""An installation of `scale_model` stations, its scenarios, and what happened. Pure."""

from __future__ import annotations

import dataclasses
import functools
import math
import random

from benchmarks.scale_model import Clock, Ingest, Lags, Parcel, Speed, Station
from benchmarks.scale_needs import PERIOD_S, Costs

POLL, REPORT = "poll", "report"
# A part whose oldest batch is older breaks the promise of a minute.
LATE_S = 60.0
_US = 1e-6


@dataclasses.dataclass(frozen=True)
class Estate:
    """What there is, and with how many processes. `parcel`: equal batches that travel
    as one, which decides how long a run takes, and how fine it is."""

    switches: int
    laptops: int
    pollers: int = 1
    ingests: int = 1
    writers: int = 1
    store_cores: int = 1
    alerts: int = 1
    parcel: int = 200
    most_in_ingest: int = 20_000


@dataclasses.dataclass(frozen=True)
class Events:
    """What happens, in seconds from the start; (from, to), or none."""

    # All laptops deliver once more within so many seconds, from that moment on.
    laptops_at_s: float | None = None
    laptops_within_s: float = 300.0
    # A share of the switches is behind a line that is down; its poller keeps the rows.
    line_down: tuple[float, float] | None = None
    line_share: float = 0.1
    writer_down: tuple[float, float] | None = None
    store_down: tuple[float, float] | None = None
    # From then on nothing new is made.
    made_until_s: float = math.inf


class Installation:
    """All stations, connected. `run` until a time, then look at them."""

    def __init__(
        self, costs: Costs, estate: Estate, events: Events, seed: int = 1
    ) -> None:
        self.clock, self._chance = Clock(), random.Random(seed)
        self._costs, self._estate = costs, estate
        self.made = self.lost_polls = 0
        # Each process has a log of its own.
        logs = estate.pollers + estate.ingests
        self._most_journal_bytes = costs["journal"]["max_bytes"] * logs
        self.stored, self.alerted = Lags(), Lags()
        journal, influx, alert = costs["journal"], costs["influxdb"], costs["alert"]
        read_s = {
            POLL: journal["poll_read_us"] * _US,
            REPORT: journal["report_read_us"] * _US,
        }
        add = functools.partial(Station, clock=self.clock)
        self.store = add(
            "InfluxDB",
            speed=Speed(
                servers=estate.store_cores,
                most_rows=1,
                row_s=dict.fromkeys(read_s, influx["server_us"] * _US),
            ),
            deliver=self.stored.add,
        )
        # Each of them reads all rows, and writes its part of them.
        self.writers = [
            add(
                f"writer {number + 1}",
                speed=Speed(
                    most_rows=influx["flush_rows"],
                    row_s={
                        kind: estate.writers * each_s + influx["writer_us"] * _US
                        for kind, each_s in read_s.items()
                    },
                    pace_s=influx["pace_s"],
                ),
                deliver=self._to_store,
            )
            for number in range(estate.writers)
        ]
        self.alert = add(
            "alert",
            speed=Speed(
                servers=estate.alerts,
                most_rows=influx["flush_rows"],
                row_s={POLL: read_s[POLL] + alert["row_us"] * _US}
                | {REPORT: read_s[REPORT]},
                pace_s=1.0,
            ),
            deliver=self.alerted.add,
        )
        self.journal = add(
            "journal",
            speed=Speed(
                most_rows=journal["commit_rows"], group_s=journal["commit_ms"] / 1000
            ),
            deliver=self._commit,
        )
        poll_s = costs["switch"]["poll_cpu_ms"] / 1000
        self.pollers = [
            add(
                f"poller {n + 1}",
                speed=Speed(batch_s={POLL: poll_s}),
                deliver=self._from_poller,
            )
            for n in range(estate.pollers)
        ]
        # What the poller of a site sends after its line is back, at three times
        # the usual rate of that site.
        site = max(estate.switches * events.line_share, 1)
        self.line = add(
            "line of a site",
            speed=Speed(batch_s={POLL: PERIOD_S / site / 3}),
            deliver=self._to_journal,
        )
        self._made_until_s = events.made_until_s
        self._line_share = events.line_share if events.line_down else 0.0
        delivery_s = costs["laptop"]["delivery_cpu_ms"] / 1000
        ingest = add(
            "ingest",
            speed=Speed(servers=estate.ingests, batch_s={REPORT: delivery_s}),
            deliver=self._to_journal,
        )
        self.ingest = Ingest(self.clock, ingest, estate.most_in_ingest, self._chance)
        self.stations = [
            *self.pollers,
            self.line,
            ingest,
            self.journal,
            *self.writers,
            self.store,
            self.alert,
        ]
        self._plan(events)

    def run(self, until_s: float) -> None:
        self.clock.run(until_s)

    def first_late(self) -> tuple[str, float] | None:
        """Where something waited for more than a minute first, or was turned away, and
        from when on."""
        late = [
            (station.late_since_s, station.name)
            for station in self.stations
            if station.late_since_s is not None
        ]
        if self.ingest.turned_away_since_s is not None:
            late.append((self.ingest.turned_away_since_s, "ingest"))
        if not late:
            return None
        since_s, name = min(late)
        return name, since_s

    @property
    def waiting(self) -> int:
        """Batches on their way to the store, those at laptops among them."""
        # The alert reader has batches that the store gets too.
        on_the_way = sum(s.held for s in self.stations if s is not self.alert)
        return on_the_way + self.ingest.at_laptops

    def _plan(self, events: Events) -> None:
        estate, costs = self._estate, self._costs
        laptop = costs["laptop"]
        rates = (
            (POLL, estate.switches / PERIOD_S, costs["switch"]["rows"]),
            (REPORT, estate.laptops / laptop["delivery_s"], laptop["rows"]),
        )
        for kind, per_s, rows in rates:
            if per_s:
                every_s = estate.parcel / per_s
                make = functools.partial(self._make, kind, round(rows), every_s)
                self.clock.at(self._chance.uniform(0, every_s), make)
        if events.laptops_at_s is not None:
            for _ in range(estate.laptops // estate.parcel):
                at_s = events.laptops_at_s + self._chance.uniform(
                    0, events.laptops_within_s
                )
                rows = round(laptop["rows"])
                self.clock.at(at_s, functools.partial(self._make, REPORT, rows, 0.0))
        for station, span in (
            (self.line, events.line_down),
            (self.writers[0], events.writer_down),
            (self.store, events.store_down),
        ):
            if span is not None:
                self.clock.at(span[0], lambda at, s=station: s.set_down(at, True))
                self.clock.at(span[1], lambda at, s=station: s.set_down(at, False))
        self.clock.at(LATE_S, self._look)

    def _make(self, kind: str, rows: int, every_s: float, now_s: float) -> None:
        if now_s > self._made_until_s:
            return
        count = self._estate.parcel
        shard = self._chance.randrange(1 << 30)
        parcel = Parcel(kind, count, count * rows, now_s, shard)
        self.made += count
        if kind == POLL:
            self.pollers[shard % len(self.pollers)].offer(now_s, parcel)
        else:
            self.ingest.offer(now_s, parcel)
        if every_s:
            make = functools.partial(self._make, kind, rows, every_s)
            self.clock.at(now_s + every_s, make)

    def _from_poller(self, now_s: float, parcels: list[Parcel]) -> None:
        for parcel in parcels:
            if (parcel.shard // 1000) % 1000 < 1000 * self._line_share:
                self.line.offer(now_s, parcel)
            else:
                self._to_journal(now_s, [parcel])

    def _to_journal(self, now_s: float, parcels: list[Parcel]) -> None:
        for parcel in parcels:
            if self.journal_bytes <= self._most_journal_bytes:
                self.journal.offer(now_s, parcel)
            elif parcel.kind == POLL:
                self.lost_polls += parcel.count
            else:
                # Not acknowledged, so it stays on the laptops.
                self.ingest.keep_at_laptops(now_s, parcel)

    @property
    def journal_bytes(self) -> float:
        """What the journal holds for the writers, as if all rows were a poll's."""
        rows = self.journal.rows + self.store.rows
        rows += sum(writer.rows for writer in self.writers)
        return rows * self._costs["journal"]["poll_row_bytes"]

    def _commit(self, now_s: float, parcels: list[Parcel]) -> None:
        for parcel in parcels:
            self.writers[parcel.shard // 7 % len(self.writers)].offer(now_s, parcel)
            self.alert.offer(now_s, parcel)

    def _to_store(self, now_s: float, parcels: list[Parcel]) -> None:
        for parcel in parcels:
            self.store.offer(now_s, parcel)

    def _look(self, now_s: float) -> None:
        for station in self.stations:
            station.note_lateness(now_s, LATE_S)
        self.clock.at(now_s + 10, self._look)
