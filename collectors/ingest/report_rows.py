"""Turns reports into batches. Pure.

A newer agent may send measurements and fields that this catalogue does not know, and a
broken one a value of another type. Such a value is dropped from its row and counted. A
row of an unknown measurement goes into a batch of its own, so that the journal
quarantines only that batch.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable

import msgspec

from collectors.batch import Batch, batch_samples, check_batch
from probes.wire.catalogue import Catalogue, Misfit, UnknownName, check_sample, conform
from probes.wire.report import Report, samples
from probes.wire.sample import Sample

_DAY_MS = 86_400_000
# A newer agent may know a few more measurements; each is a batch of its own.
_MAX_UNKNOWN = 8


class ReportRows(msgspec.Struct, frozen=True):
    """Batches for the journal, and counts of what was dropped.

    `misfits`: batches that the journal will quarantine. `expired`: rows older than they
    may be kept. `lost`: rows of too many unknown measurements. `odd_values`: values
    dropped from their rows because the catalogue declares another type.
    """

    batches: list[Batch]
    misfits: list[Batch]
    expired: int
    lost: int = 0
    odd_values: int = 0

    def misfit_rows(self) -> int:
        return self.lost + sum(len(batch) for batch in self.misfits)


def to_rows(
    reports: Iterable[Report],
    home_site: str,
    provider: str,
    knows_site: Callable[[str], bool],
    catalogue: Catalogue,
    now_ms: int,
    bounded: Callable[[Sample], Sample] = lambda sample: sample,
    deletion_ms: int | None = None,
) -> ReportRows:
    """The rows of *one* agent's reports by measurement, each passed to `bounded`.
    `deletion_ms`: the time by which rows are too old, `now_ms` by default."""
    deletion_ms = now_ms if deletion_ms is None else deletion_ms
    agent = ""
    fresh: list[Sample] = []
    expired = lost = 0
    for report in reports:
        agent = report.agent
        where = report.whereabouts
        if where.site and not knows_site(where.site):
            report = msgspec.structs.replace(
                report, whereabouts=msgspec.structs.replace(where, site="")
            )
        for sample in samples(report, home_site, provider):
            if sample.time_ms < _oldest_ms(sample.measurement, catalogue, deletion_ms):
                expired += 1
            else:
                fresh.append(bounded(sample))
    source = f"agent/{agent}"
    batches: list[Batch] = []
    misfits: list[Batch] = []
    unknown = odd_values = 0
    for batch in batch_samples(fresh, source, now_ms):
        if batch.measurement not in catalogue:
            unknown += 1
            if unknown > _MAX_UNKNOWN:
                lost += len(batch)
            else:
                misfits.append(batch)
            continue
        try:
            batches.append(check_batch(batch, catalogue))
        except Misfit:
            good, bad, odd = _sorted_out(batch, catalogue)
            odd_values += odd
            batches.extend(batch_samples(good, source, now_ms))
            misfits.extend(batch_samples(bad, source, now_ms))
    return ReportRows(batches, misfits, expired, lost, odd_values)


def _oldest_ms(measurement: str, catalogue: Catalogue, deletion_ms: int) -> int:
    if measurement not in catalogue:
        return 0
    return deletion_ms - catalogue.measurement(measurement).retention_days * _DAY_MS


def _sorted_out(
    batch: Batch, catalogue: Catalogue
) -> tuple[list[Sample], list[Sample], int]:
    """Returns (rows that fit without their odd values, rows that do not fit, the number
    of odd values)."""
    good: list[Sample] = []
    bad: list[Sample] = []
    odd = 0
    for sample in batch.samples():
        try:
            fitting = _fitting(sample, catalogue)
            good.append(check_sample(fitting, catalogue))
        except Misfit:
            bad.append(sample)
        else:
            odd += len(sample.fields) - len(fitting.fields)
    return good, bad, odd


def _fitting(sample: Sample, catalogue: Catalogue) -> Sample:
    """`sample` with only the values that fit the catalogue; unchanged if its
    measurement is unknown."""
    if sample.measurement not in catalogue:
        return sample
    declared = catalogue.measurement(sample.measurement)
    fields = {}
    for name, value in sample.fields.items():
        with contextlib.suppress(Misfit, UnknownName):
            fields[name] = conform(value, declared.field(name), sample.measurement)
    return msgspec.structs.replace(sample, fields=fields)
