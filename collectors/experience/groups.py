"""`experience`: what agents measured, for groups of at least LEAST agents. Pure.

Every `period_s` one row for each group that may be shown. As agents measure every ten
minutes, a row stands for the last `window_s`: the row at time T holds what was measured
in [T + period - window, T + period) and had come in `settle_s` after that. What comes
later still counts in the windows after it, as far as they reach back; beyond them it
is ignored here (it is stored with the personal results all the same). So a row is a
function of the journal alone: computed again, it is the same row.

No row, and no figure in a row, stands for fewer than `least` agents, and none can be
worked out from the others (`disclosure_control`). Figures about calls, VPN, web,
names and bandwidth are suppressed each by its own agents (`group_figures`).

The path and the Teams relay are measured every half hour: they count for three windows.

Windows overlap: every row is in `window_s / period_s` of them, and every one of its
kind in as many, so that a mean over windows, weighted by what each window counts, is
the mean of the rows themselves. Only a count needs its overlap taken away.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Self

import msgspec
from pydantic import Field, model_validator

from collectors.batch import Batch
from collectors.experience.agent_results import AgentPlace, AgentResults, read
from collectors.experience.disclosure_control import Cells, Name, Sum, showable
from collectors.experience.group_figures import FIGURES, caused, rounded
from collectors.strict_model import StrictModel
from probes.wire.measurements import CATALOGUE
from probes.wire.probe_list import PROBES
from probes.wire.sample import Sample, Value

LEAST = 10
# In how many windows a result counts, if it is more than one.
_WINDOWS = {
    probe.name: probe.group_windows for probe in PROBES if probe.group_windows > 1
}


class GroupsConfig(StrictModel):
    """`least`: the smallest group that is shown; fewer than 5 is never allowed."""

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


def groups_of(where: AgentPlace) -> list[Name]:
    """The groups a row counts in. `site` only where the laptop is in an office.
    `vpn` is the product of a tunnel that is up, else down, absent or unknown."""
    found = [
        ALL,
        ("place", where.place),
        ("home_site", where.home_site),
        ("provider", where.provider),
        ("connection", where.connection),
        ("vpn", where.vpn),
        ("home_site_place", f"{where.home_site}/{where.place}"),
    ]
    if where.place == "office":
        found.append(("site", where.site))
    return found


class ExperienceWindow:
    """Rows as they come; samples for every period that is over."""

    def __init__(self, config: GroupsConfig) -> None:
        self._config = config
        self._period_ms = config.period_s * 1000
        self._window_ms = config.window_s * 1000
        self._rows: list[AgentResults] = []
        self._places: dict[AgentPlace, AgentPlace] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, batch: Batch) -> int | None:
        """Takes the rows of a batch of personal results, ignores any other.

        Returns the newest time up to which what it took counts as if it were new; None
        where it took nothing. Not taken are rows that are too late for every window,
        and rows from the future (a clock that is wrong by more than a period).
        """
        if batch.measurement not in CATALOGUE or "agent" not in batch.schema.tags:
            return None
        latest_ms = batch.received_ms + self._period_ms
        settle_ms = self._config.settle_s * 1000
        oldest_ms = batch.received_ms - self._window_ms - self._period_ms - settle_ms
        newest_ms: int | None = None
        longer_ms = self._longer(batch.measurement)
        for heard in read(batch, self._places):
            if not oldest_ms - longer_ms < heard.time_ms <= latest_ms:
                continue
            self._rows.append(heard)
            newest_ms = max(heard.time_ms + longer_ms, newest_ms or 0)
        return newest_ms

    def _longer(self, kind: str) -> int:
        """How much longer than a window rows of that kind count."""
        return (_WINDOWS.get(kind, 1) - 1) * self._window_ms

    def first_end_ms(self, whole: bool) -> int | None:
        """The end of the first period of what is held; with `whole`, of the first that
        has a whole window of it."""
        if not self._rows:
            return None
        first_ms = min(row.time_ms for row in self._rows)
        if whole:
            begins: dict[str, int] = {}
            for row in self._rows:
                begins[row.kind] = min(row.time_ms, begins.get(row.kind, row.time_ms))
            first_ms = max(at + self._longer(kind) for kind, at in begins.items())
            first_ms += self._window_ms - 1
        return self.next_end_ms(first_ms)

    def next_end_ms(self, emitted_ms: int) -> int:
        """The end of the period after the one that ended at `emitted_ms`."""
        return (emitted_ms // self._period_ms + 1) * self._period_ms

    def is_over(self, end_ms: int, now_ms: int) -> bool:
        """True where all has come in that counts in the period that ends then."""
        return now_ms >= end_ms + self._config.settle_s * 1000

    def needs_after(self, end_ms: int) -> int:
        """Rows that count up to before this time are in no window that ends after
        `end_ms`."""
        return end_ms + self._period_ms - self._window_ms

    def samples(self, end_ms: int) -> list[Sample]:
        """The `experience` rows of the period that ends at `end_ms`."""
        begin_ms = end_ms - self._window_ms
        settled_ms = end_ms + self._config.settle_s * 1000
        rows, earlier = [], []
        for row in self._rows:
            if row.time_ms >= end_ms or row.received_ms >= settled_ms:
                continue
            if row.time_ms >= begin_ms:
                rows.append(row)
            elif row.time_ms + self._longer(row.kind) >= begin_ms:
                earlier.append(row)
        samples = experience(
            rows, end_ms - self._period_ms, self._config.least, earlier
        )
        for sample in samples:
            if "calls" in sample.fields:
                part = self._period_ms / self._window_ms
                sample.fields["calls_once"] = float(sample.fields["calls"]) * part
        return samples

    def forget(self, before_ms: int) -> None:
        """Drops the rows that do not count up to that time."""
        self._rows = [
            row
            for row in self._rows
            if row.time_ms + self._longer(row.kind) >= before_ms
        ]
        if not self._rows:
            self._places.clear()


def experience(
    rows: Sequence[AgentResults],
    time_ms: int,
    least: int,
    earlier: Sequence[AgentResults] = (),
) -> list[Sample]:
    """The rows of one window as samples at `time_ms`, one for each group shown.

    `earlier`: rows from before the window that count all the same, though not who is
    heard.
    """
    rows, earlier = _named(_once(rows), _once(earlier))
    by_group = _by_group(rows)
    shown = _shown(rows, least, None)
    fields: dict[Name, dict[str, Value]] = {
        group: {"agents": rounded(len({row.agent for row in by_group[group]}))}
        for group in shown
    }
    by_kind: dict[str, list[AgentResults]] = {}
    heard = [*rows, *earlier]
    for row in [*heard, *caused(heard)]:
        if row.values:
            by_kind.setdefault(row.kind, []).append(row)
    # Who gave a figure decides where it is shown; many figures are of the same agents.
    known: dict[frozenset[tuple[AgentPlace, str]], set[Name]] = {}
    for figures in FIGURES:
        given = [row for row in by_kind.get(figures.of, ()) if figures.has(row)]
        givers = frozenset((row.where, row.agent) for row in given)
        if givers not in known:
            known[givers] = _shown(given, least, shown)
        by_group = _by_group(given)
        for group in known[givers]:
            fields[group].update(figures.of_group(by_group[group], least))
    return [
        Sample("experience", {"by": by, "group": group}, fields[by, group], time_ms)
        for by, group in sorted(fields)
    ]


def _once(rows: Sequence[AgentResults]) -> list[AgentResults]:
    """The same row twice (delivered again) is one row."""
    return list(
        {
            (row.kind, row.target, row.agent, row.where, row.time_ms): row
            for row in rows
        }.values()
    )


def _named(
    rows: Sequence[AgentResults], earlier: Sequence[AgentResults]
) -> tuple[list[AgentResults], list[AgentResults]]:
    """Rows of agents whose VPN is up, told by its product where the agent said it."""
    said = [row for row in rows if row.kind == "vpn" and row.values]
    said.sort(key=lambda row: row.time_ms)
    products = {row.agent: found for row in said if (found := row.text("product"))}
    places: dict[tuple[AgentPlace, str], AgentPlace] = {}

    def named(row: AgentResults) -> AgentResults:
        product = products.get(row.agent)
        if row.where.vpn != "up" or product is None:
            return row
        key = (row.where, product)
        if key not in places:
            places[key] = msgspec.structs.replace(row.where, vpn=product)
        return msgspec.structs.replace(row, where=places[key])

    return [named(row) for row in rows], [named(row) for row in earlier]


def lines_of(groups: Iterable[Name]) -> list[Sum]:
    """What is the sum of what, among those groups."""
    names = sorted(groups)
    lines = [
        Sum(ALL, tuple(g for g in names if g[0] == by))
        for by in (
            "place",
            "home_site",
            "provider",
            "connection",
            "vpn",
            "home_site_place",
        )
    ]
    if ("place", "office") in names:
        lines.append(
            Sum(("place", "office"), tuple(g for g in names if g[0] == "site"))
        )
    for by, end in (("home_site", 0), ("place", 1)):
        for total in [g for g in names if g[0] == by]:
            parts = [
                g
                for g in names
                if g[0] == "home_site_place"
                and g[1].rpartition("/")[::2][end] == total[1]
            ]
            lines.append(Sum(total, tuple(parts)))
    return lines


def _by_group(rows: Sequence[AgentResults]) -> dict[Name, list[AgentResults]]:
    by_group: dict[Name, list[AgentResults]] = {}
    for where, found in _by_place(rows).items():
        for group in groups_of(where):
            by_group.setdefault(group, []).extend(found)
    return by_group


def _by_place(rows: Sequence[AgentResults]) -> dict[AgentPlace, list[AgentResults]]:
    by_place: dict[AgentPlace, list[AgentResults]] = {}
    for row in rows:
        by_place.setdefault(row.where, []).append(row)
    return by_place


def _shown(
    rows: Sequence[AgentResults], least: int, allowed: set[Name] | None
) -> set[Name]:
    """The groups of these rows that may be shown; of those `allowed` only."""
    by_place = _by_place(rows)
    if not by_place:
        return set()
    atoms: dict[Name, list[int]] = {}
    for at, where in enumerate(by_place):
        for group in groups_of(where):
            atoms.setdefault(group, []).append(at)
    people = [{row.agent for row in found} for found in by_place.values()]
    return showable(Cells(people, atoms), lines_of(atoms), least, allowed)
