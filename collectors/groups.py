"""`experience`: what agents measured, for groups of at least LEAST agents. Pure.

Every `period_s` one row for each group that may be shown. As agents measure every ten
minutes, a row stands for the last `window_s`: the row at time T holds what was measured
in [T + period - window, T + period) and had come in `settle_s` after that. What comes
later still counts in the windows after it, as far as they reach back; beyond them it
is ignored here (it is stored with the personal results all the same). So a row is a
function of the journal alone: computed again, it is the same row.

No row, and no figure in a row, stands for fewer than `least` agents, and none can be
worked out from the others (`collectors.suppression`). Figures about calls, VPN, web,
names and bandwidth are suppressed each by its own agents.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from collectors.batch import Batch
from collectors.heard import Heard, Whereabouts, read
from collectors.suppression import Cells, Line, Name, showable
from probes.jitter import percentile
from probes.measurements import CATALOGUE
from probes.sample import Sample, Value

LEAST = 10
_ROUND = 5


class GroupsConfig(BaseModel):
    """`least`: the smallest group that is shown; fewer than 5 is never allowed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    period_s: Annotated[int, Field(ge=60, le=3600)] = 300
    window_s: Annotated[int, Field(ge=60, le=86_400)] = 900
    settle_s: Annotated[int, Field(ge=0, le=3600)] = 60
    least: Annotated[int, Field(ge=5)] = LEAST

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.window_s < self.period_s or self.window_s % self.period_s:
            raise ValueError(
                f"window_s = {self.window_s}: expected a multiple of "
                f"period_s = {self.period_s}"
            )
        return self


ALL: Name = ("all", "all")


def groups_of(where: Whereabouts) -> list[Name]:
    """The groups a row counts in. `site` only where the laptop is in an office."""
    found = [
        ALL,
        ("place", where.place),
        ("home_site", where.home_site),
        ("provider", where.provider),
        ("connection", where.connection),
        ("home_site_place", f"{where.home_site}/{where.place}"),
    ]
    if where.place == "office":
        found.append(("site", where.site))
    return found


class Window:
    """Rows as they come; samples for every period that is over."""

    def __init__(self, config: GroupsConfig) -> None:
        self._config = config
        self._period_ms = config.period_s * 1000
        self._window_ms = config.window_s * 1000
        self._rows: list[Heard] = []
        self._places: dict[Whereabouts, Whereabouts] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, batch: Batch) -> int | None:
        """Takes the rows of a batch of personal results, ignores any other.

        Returns the newest time of what it took; None where it took nothing. Not taken
        are rows that are too late for every window, and rows from the future (a clock
        that is wrong by more than a period).
        """
        if batch.measurement not in CATALOGUE or "agent" not in batch.schema.tags:
            return None
        latest_ms = batch.received_ms + self._period_ms
        settle_ms = self._config.settle_s * 1000
        oldest_ms = batch.received_ms - self._window_ms - self._period_ms - settle_ms
        newest_ms: int | None = None
        for heard in read(batch, self._places):
            if not oldest_ms < heard.time_ms <= latest_ms:
                continue
            self._rows.append(heard)
            newest_ms = max(heard.time_ms, newest_ms or 0)
        return newest_ms

    def first_end_ms(self, whole: bool) -> int | None:
        """The end of the first period of what is held; with `whole`, of the first that
        has a whole window of it."""
        if not self._rows:
            return None
        first_ms = min(row.time_ms for row in self._rows)
        if whole:
            first_ms += self._window_ms - 1
        return self.next_end_ms(first_ms)

    def next_end_ms(self, emitted_ms: int) -> int:
        """The end of the period after the one that ended at `emitted_ms`."""
        return (emitted_ms // self._period_ms + 1) * self._period_ms

    def is_over(self, end_ms: int, now_ms: int) -> bool:
        """True where all has come in that counts in the period that ends then."""
        return now_ms >= end_ms + self._config.settle_s * 1000

    def needs_after(self, end_ms: int) -> int:
        """Rows before this time are in no window that ends after `end_ms`."""
        return end_ms + self._period_ms - self._window_ms

    def samples(self, end_ms: int) -> list[Sample]:
        """The `experience` rows of the period that ends at `end_ms`."""
        begin_ms = end_ms - self._window_ms
        settled_ms = end_ms + self._config.settle_s * 1000
        rows = [
            row
            for row in self._rows
            if begin_ms <= row.time_ms < end_ms and row.received_ms < settled_ms
        ]
        return experience(rows, end_ms - self._period_ms, self._config.least)

    def forget(self, before_ms: int) -> None:
        """Drops the rows of before that time."""
        self._rows = [row for row in self._rows if row.time_ms >= before_ms]
        if not self._rows:
            self._places.clear()


def experience(rows: Sequence[Heard], time_ms: int, least: int) -> list[Sample]:
    """The rows of one window as samples at `time_ms`, one for each group shown."""
    # The same row twice (delivered again) is one row.
    once = {
        (row.kind, row.target, row.agent, row.where, row.time_ms): row for row in rows
    }
    rows = list(once.values())
    by_group, shown = _shown(rows, least, None)
    fields: dict[Name, dict[str, Value]] = {
        group: {"agents": rounded(len({row.agent for row in by_group[group]}))}
        for group in shown
    }
    for kind, needed, figures in _FIGURES:
        of_kind = [
            row
            for row in rows
            if row.kind == kind
            and row.values
            and (needed is None or row.values[needed] is not None)
        ]
        by_group, with_figures = _shown(of_kind, least, shown)
        for group in with_figures:
            fields[group].update(figures(by_group[group], least))
    return [
        Sample("experience", {"by": by, "group": group}, fields[by, group], time_ms)
        for by, group in sorted(fields)
    ]


def rounded(agents: int) -> int:
    """To the nearest 5: a count that moves by one says who came or went."""
    return (agents + _ROUND // 2) // _ROUND * _ROUND


def lines_of(groups: Iterable[Name]) -> list[Line]:
    """What is the sum of what, among those groups."""
    names = sorted(groups)
    lines = [
        Line(ALL, tuple(g for g in names if g[0] == by))
        for by in ("place", "home_site", "provider", "connection", "home_site_place")
    ]
    if ("place", "office") in names:
        lines.append(
            Line(("place", "office"), tuple(g for g in names if g[0] == "site"))
        )
    for by, end in (("home_site", 0), ("place", 1)):
        for total in [g for g in names if g[0] == by]:
            parts = [
                g
                for g in names
                if g[0] == "home_site_place"
                and g[1].rpartition("/")[::2][end] == total[1]
            ]
            lines.append(Line(total, tuple(parts)))
    return lines


def _shown(
    rows: Sequence[Heard], least: int, allowed: set[Name] | None
) -> tuple[dict[Name, list[Heard]], set[Name]]:
    """The rows of each group, and the groups that may be shown."""
    by_place: dict[Whereabouts, list[Heard]] = {}
    for row in rows:
        by_place.setdefault(row.where, []).append(row)
    by_group: dict[Name, list[Heard]] = {}
    atoms: dict[Name, list[int]] = {}
    for at, (where, found) in enumerate(by_place.items()):
        for group in groups_of(where):
            by_group.setdefault(group, []).extend(found)
            atoms.setdefault(group, []).append(at)
    if not atoms:
        return {}, set()
    people = [{row.agent for row in found} for found in by_place.values()]
    lines = lines_of(atoms)
    return by_group, showable(Cells(people, atoms), lines, least, allowed)


def _calls(rows: Sequence[Heard], least: int) -> dict[str, Value]:
    poor = sum(row.values[0] or 0.0 for row in rows)
    found: dict[str, Value] = {
        "calls": len(rows),
        "call_poor_ratio": poor / len(rows),
    }
    mos, rtt, jitter = (_values(rows, at, least) for at in (1, 2, 4))
    if mos:
        found["mos_estimated_p50"] = percentile(mos, 50)
    if rtt:
        found["rtt_p95_ms"] = percentile(rtt, 95)
    if jitter:
        found["jitter_p95_ms"] = percentile(jitter, 95)
    return found


def _loss(rows: Sequence[Heard], least: int) -> dict[str, Value]:
    return {"loss_mean_ratio": sum(row.values[3] or 0.0 for row in rows) / len(rows)}


def _vpn(rows: Sequence[Heard], least: int) -> dict[str, Value]:
    """Of agents, each by its latest word."""
    latest = {row.agent: row.values[0] for row in sorted(rows, key=lambda r: r.time_ms)}
    return {"vpn_up_ratio": sum(up or 0.0 for up in latest.values()) / len(latest)}


def _web(rows: Sequence[Heard], least: int) -> dict[str, Value]:
    return {"web_ok_ratio": _mean(rows)}


def _name_lookup(rows: Sequence[Heard], least: int) -> dict[str, Value]:
    return {"name_ok_ratio": _mean(rows)}


def _bandwidth(rows: Sequence[Heard], least: int) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for at, name in enumerate(("down_bps_p50", "up_bps_p50")):
        if values := _values(rows, at, least):
            found[name] = percentile(values, 50)
    return found


# What a figure is of, which of its values every row must have, and how it is made.
# Percentiles do not add up, so they only need enough agents; sums and means, of which
# a part can be taken away, are suppressed by the rows that have the value.
_FIGURES: tuple[
    tuple[str, int | None, Callable[[Sequence[Heard], int], dict[str, Value]]], ...
] = (
    ("call_path", None, _calls),
    ("call_path", 3, _loss),
    ("vpn", None, _vpn),
    ("web", None, _web),
    ("name_lookup", None, _name_lookup),
    ("bandwidth", None, _bandwidth),
)


def _values(rows: Sequence[Heard], at: int, least: int) -> list[float]:
    """The values there are; none where they are of fewer than `least` agents."""
    given = [(row.agent, v) for row in rows if (v := row.values[at]) is not None]
    return [v for _, v in given] if len({agent for agent, _ in given}) >= least else []


def _mean(rows: Sequence[Heard]) -> float:
    return sum(row.values[0] or 0.0 for row in rows) / len(rows)
