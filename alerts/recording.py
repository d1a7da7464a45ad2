"""Recordings: rows, and what the rules must make of them.

A YAML file holds `cases`. `estate` (as in the estate's own files) and `rules` (those to
test; all by default) stand at the top or in a case:

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

A list under a field has one value per row; `null` leaves the field out of that row. A
single value applies to every row. Rows arrive `delay` (1 s) after their time. `expect`
is exact: `firing` at the end, which of these are `suppressed`, all `pages` ever sent
and all that were resolved (`over`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError

from alerts.alert import Alert
from alerts.cycle import run_cycle
from alerts.estate_index import EstateIndex
from alerts.evaluation.alert_states import AlertState
from alerts.rule import Duration
from alerts.rule_files import Rules
from alerts.silence import Silence
from alerts.window import Window
from collectors.batch import Batch, batch_samples, check_batch
from collectors.config_errors import explain
from collectors.estate.estate_model import Estate
from collectors.server_measurements import CATALOGUE
from collectors.strict_model import StrictModel
from collectors.yaml_file import Loader
from probes.wire.catalogue import Misfit
from probes.wire.sample import Sample

# A Monday morning in term time, when every office is open.
_STARTS = datetime(2026, 5, 4, 10, 0, tzinfo=UTC)


class RecordingError(ValueError):
    """The recording cannot be used; `findings` lists every reason, a sentence each."""

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


class RecordedSilence(StrictModel):
    """Nobody is paged between two times."""

    start: Duration = Field(default=0, alias="from")
    until: Duration
    site: str = ""
    device: str = ""


class ExpectedResult(StrictModel):
    firing: tuple[str, ...] = ()
    suppressed: tuple[str, ...] = ()
    pages: tuple[str, ...] = ()
    over: tuple[str, ...] = ()


class RecordedCase(StrictModel):
    name: str
    rules: tuple[str, ...] = ()
    estate: Estate | None = None
    starts: datetime = _STARTS
    rows: tuple[RecordedRows, ...] = ()
    silences: tuple[RecordedSilence, ...] = ()
    until: Duration
    step: Duration = 5_000
    expect: ExpectedResult


class Recording(StrictModel):
    estate: Estate = Estate()
    rules: tuple[str, ...] = ()
    cases: tuple[RecordedCase, ...]


class CaseResult(StrictModel):
    """What came of a case, in the fields of `ExpectedResult`."""

    firing: tuple[str, ...]
    suppressed: tuple[str, ...]
    pages: tuple[str, ...]
    over: tuple[str, ...]


def read_recording(path: Path) -> Recording:
    """Reads the recording. Raises `RecordingError` with everything that is wrong."""
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader)
    except OSError as error:
        raise RecordingError([f"{path}: cannot be read: {error.strerror}"]) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecordingError([f"{path}: is not valid YAML: {error}"]) from None
    try:
        return Recording.model_validate(document)
    except ValidationError as error:
        raise RecordingError(
            [f"{path}: {where} {why}" for where, why in explain(error, Recording)]
        ) from None


def case_differences(
    recording: Recording, rules: Rules
) -> Iterator[tuple[str, list[str]]]:
    """(name of the case, its differences from what was expected) for every case."""
    for case in recording.cases:
        try:
            result, _ = replay(case, recording, rules)
        except Misfit as misfit:
            yield case.name, [str(misfit)]
            continue
        yield case.name, list(differences(case, result))


def differences(case: RecordedCase, result: CaseResult) -> Iterator[str]:
    """Sentences about how `result` differs from what the case expects. Pure."""
    for what in ("firing", "suppressed", "pages", "over"):
        expected = getattr(case.expect, what)
        actual = getattr(result, what)
        ordered = what in ("pages", "over")
        if (actual if ordered else sorted(actual)) != (
            expected if ordered else sorted(expected)
        ):
            yield f"{what}: expected {_list(expected)}, found {_list(actual)}"


def replay(
    case: RecordedCase, recording: Recording, rules: Rules
) -> tuple[CaseResult, list[Alert]]:
    """Runs the rules over the rows of `case`, step by step. Returns the result and the
    alerts as they were last shown, including those that ended."""
    wanted = set(case.rules or recording.rules)
    if wanted - set(rules.ids):
        raise Misfit(f"no rules are called {sorted(wanted - set(rules.ids))}")
    if wanted:
        rules = Rules([rule for rule in rules if rule.id in wanted])
    start_ms = round(case.starts.timestamp() * 1000)
    estate_index = EstateIndex(case.estate or recording.estate)
    window = Window(rules, CATALOGUE, start_ms)
    silences = [
        Silence(n, start_ms + q.start, start_ms + q.until, q.site, q.device)
        for n, q in enumerate(case.silences, 1)
    ]
    waiting = sorted(_batches(case.rows, start_ms), key=lambda b: b.received_ms)
    states: dict[str, AlertState] = {}
    shown: dict[str, Alert] = {}
    pages: list[str] = []
    over: list[str] = []
    for now_ms in range(start_ms, start_ms + case.until + 1, case.step):
        while waiting and waiting[0].received_ms <= now_ms:
            window.append(waiting.pop(0))
        cycle = run_cycle(
            window,
            estate_index,
            rules,
            states,
            shown,
            silences,
            lambda alert: [("test", 0, False)],
            now_ms,
        )
        window.clear_changed()
        states = cycle.states
        shown |= cycle.alerts
        for episode in cycle.dropped:
            shown.pop(episode, None)
        pages += [page.alert.key for page in cycle.pages]
        over += [episode.rpartition("@")[0] for episode in cycle.ended]
    firing = [state for state in states.values() if state.state == "firing"]
    result = CaseResult(
        firing=tuple(state.key for state in firing),
        suppressed=tuple(state.key for state in firing if state.suppressed_by),
        pages=tuple(pages),
        over=tuple(over),
    )
    return result, list(shown.values())


def _batches(rows: Sequence[RecordedRows], start_ms: int) -> Iterator[Batch]:
    for recorded in rows:
        lengths = {len(v) for v in recorded.fields.values() if isinstance(v, list)}
        count = recorded.times or max(lengths, default=1)
        if len(lengths) > 1 or (recorded.times and lengths - {recorded.times}):
            raise Misfit(f"{recorded.measurement}: lists of different lengths")
        for n in range(count):
            time_ms = start_ms + recorded.start + n * recorded.every
            fields = {
                name: value[n] if isinstance(value, list) else value
                for name, value in recorded.fields.items()
            }
            absent = [name for name, value in fields.items() if value is None]
            present = {k: v for k, v in fields.items() if v is not None}
            sample = Sample(recorded.measurement, recorded.tags, present, time_ms)
            for batch in batch_samples([sample], "recording", time_ms + recorded.delay):
                yield check_batch(_with_absent(batch, absent), CATALOGUE)


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
