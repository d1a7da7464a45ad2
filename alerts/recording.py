"""Recorded windows: rows and what the rules must make of them.

A YAML file holds `cases`; `estate` (as in the estate's own files) and `rules` (which
rules take part; all by default) stand at the top or in a case:

    cases:
      - name: a switch that stops answering is paged once
        rows:
          - measurement: device
            tags: {device: core-1, site: hall, role: router}
            every: 60s
            fields: {up: [1, 0, 0, 0], outcome: [ok, timeout, timeout, timeout]}
        until: 5m
        expect:
          firing: [device_unreachable/device=core-1]
          pages: [device_unreachable/device=core-1]

A list under a field is one value a row, `null` is "not in this row"; a single value is
every row's. Rows come in `delay` (1 s) after their time. `expect` is exact: `firing` at
the end, `suppressed` of these, everything ever paged (`pages`) and called off (`over`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError

from alerts.alert import Alert
from alerts.cycle import cycle
from alerts.estate_index import Topology
from alerts.evaluate import Entry
from alerts.rule import Duration
from alerts.rule_files import Rules
from alerts.suppression import Silence
from alerts.window import Window
from collectors.batch import Batch, check, gather
from collectors.config_errors import explain
from collectors.estate.estate_model import Estate
from collectors.server_measurements import CATALOGUE
from collectors.strict_model import StrictModel
from probes.wire.catalogue import Misfit
from probes.wire.sample import Sample

# A Monday morning in term time, when every office is open.
_STARTS = datetime(2026, 5, 4, 10, 0, tzinfo=UTC)


class RecordingError(ValueError):
    """The recording cannot be used; `findings` says why, one sentence each."""

    def __init__(self, findings: list[str]) -> None:
        super().__init__("\n".join(findings))
        self.findings = findings


class RecordedRows(StrictModel):
    measurement: str
    tags: dict[str, str] = Field(default_factory=dict)
    start: Duration = Field(default=0, alias="from")
    every: Duration = 60_000
    times: int | None = None
    delay: Duration = 1_000
    fields: dict[str, Any]


class Quiet(StrictModel):
    """Nobody is paged from one time to another."""

    start: Duration = Field(default=0, alias="from")
    until: Duration
    site: str = ""
    device: str = ""


class Expect(StrictModel):
    firing: tuple[str, ...] = ()
    suppressed: tuple[str, ...] = ()
    pages: tuple[str, ...] = ()
    over: tuple[str, ...] = ()


class Case(StrictModel):
    name: str
    rules: tuple[str, ...] = ()
    estate: Estate | None = None
    starts: datetime = _STARTS
    rows: tuple[RecordedRows, ...] = ()
    silences: tuple[Quiet, ...] = ()
    until: Duration
    step: Duration = 5_000
    expect: Expect


class Recording(StrictModel):
    estate: Estate = Estate()
    rules: tuple[str, ...] = ()
    cases: tuple[Case, ...]


class Said(StrictModel):
    """What a case came to, as `Expect`, and the alerts that were open at the end."""

    firing: tuple[str, ...]
    suppressed: tuple[str, ...]
    pages: tuple[str, ...]
    over: tuple[str, ...]


def read(path: Path) -> Recording:
    """The recording in the file. `RecordingError` names everything that is wrong."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecordingError([f"{path}: cannot be read: {error.strerror}"]) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecordingError([f"{path}: is not valid YAML: {error}"]) from None
    try:
        return Recording.model_validate(document)
    except ValidationError as error:
        raise RecordingError(
            [f"{path}: {where} {says}" for where, says in explain(error, Recording)]
        ) from None


def problems(recording: Recording, rules: Rules) -> Iterator[tuple[str, list[str]]]:
    """(name of the case, how it differs from what was expected) for every case."""
    for case in recording.cases:
        try:
            said, _ = play(case, recording, rules)
        except Misfit as misfit:
            yield case.name, [str(misfit)]
            continue
        found = []
        for what in ("firing", "suppressed", "pages", "over"):
            wanted = getattr(case.expect, what)
            got = getattr(said, what)
            ordered = what in ("pages", "over")
            if (got if ordered else sorted(got)) != (
                wanted if ordered else sorted(wanted)
            ):
                found.append(f"{what}: expected {_list(wanted)}, found {_list(got)}")
        yield case.name, found


def play(case: Case, recording: Recording, rules: Rules) -> tuple[Said, list[Alert]]:
    """Runs the rules over the rows of `case`, step by step, and says what came of it:
    the alerts as they were shown when something last changed, the ended ones too."""
    wanted = set(case.rules or recording.rules)
    if wanted - set(rules.ids):
        raise Misfit(f"no rules are called {sorted(wanted - set(rules.ids))}")
    if wanted:
        rules = Rules([rule for rule in rules if rule.id in wanted])
    start_ms = round(case.starts.timestamp() * 1000)
    topology = Topology(case.estate or recording.estate)
    window = Window(rules, CATALOGUE, start_ms)
    silences = [
        Silence(n, start_ms + q.start, start_ms + q.until, q.site, q.device)
        for n, q in enumerate(case.silences, 1)
    ]
    waiting = sorted(_batches(case.rows, start_ms), key=lambda b: b.received_ms)
    standing: dict[str, Entry] = {}
    shown: dict[str, Alert] = {}
    pages: list[str] = []
    over: list[str] = []
    for now_ms in range(start_ms, start_ms + case.until + 1, case.step):
        while waiting and waiting[0].received_ms <= now_ms:
            window.take(waiting.pop(0))
        outcome = cycle(
            window,
            topology,
            rules,
            standing,
            shown,
            silences,
            lambda alert: [("test", 0, False)],
            now_ms,
        )
        window.settle()
        standing = outcome.standing
        shown |= outcome.alerts
        for episode in outcome.dropped:
            shown.pop(episode, None)
        pages += [post.alert.key for post in outcome.pages]
        over += [episode.rpartition("@")[0] for episode in outcome.ended]
    firing = [e for e in standing.values() if e.state == "firing"]
    said = Said(
        firing=tuple(e.key for e in firing),
        suppressed=tuple(e.key for e in firing if e.suppressed_by),
        pages=tuple(pages),
        over=tuple(over),
    )
    return said, list(shown.values())


def _batches(rows: Sequence[RecordedRows], start_ms: int) -> Iterator[Batch]:
    for each in rows:
        lengths = {len(v) for v in each.fields.values() if isinstance(v, list)}
        count = each.times or max(lengths, default=1)
        if len(lengths) > 1 or (each.times and lengths - {each.times}):
            raise Misfit(f"{each.measurement}: lists of different lengths")
        for n in range(count):
            time_ms = start_ms + each.start + n * each.every
            fields = {
                name: value[n] if isinstance(value, list) else value
                for name, value in each.fields.items()
            }
            absent = [name for name, value in fields.items() if value is None]
            present = {k: v for k, v in fields.items() if v is not None}
            sample = Sample(each.measurement, each.tags, present, time_ms)
            for batch in gather([sample], "recording", time_ms + each.delay):
                yield check(_with_absent(batch, absent), CATALOGUE)


def _with_absent(batch: Batch, absent: list[str]) -> Batch:
    """`batch` with columns for the fields that were asked for and not there."""
    if not absent:
        return batch
    schema = type(batch.schema)(
        batch.schema.measurement,
        batch.schema.tags,
        (*batch.schema.fields, *absent),
    )
    blank = tuple([None] * len(batch) for _ in absent)
    return Batch(batch.source, batch.received_ms, schema, (*batch.columns, *blank))


def _list(keys: Sequence[str]) -> str:
    return ", ".join(keys) if keys else "nothing"
