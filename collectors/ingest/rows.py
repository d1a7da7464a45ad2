"""From reports to batches. Pure.

What a newer agent says that this catalogue does not know is kept apart from the rest,
so that the journal sets only that aside and every other row lives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from collectors.batch import Batch, check, gather
from probes.catalogue import Catalogue, Misfit, check_sample
from probes.report import Report, samples
from probes.sample import Sample

_DAY_MS = 86_400_000


class Rows(msgspec.Struct, frozen=True):
    """`misfits` are batches that the journal will set aside, `expired` the number of
    rows left out as they are older than they may be kept."""

    batches: list[Batch]
    misfits: list[Batch]
    expired: int

    def misfit_rows(self) -> int:
        return sum(len(batch) for batch in self.misfits)


def rows(
    reports: Iterable[Report],
    home_site: str,
    provider: str,
    knows_site: Callable[[str], bool],
    catalogue: Catalogue,
    now_ms: int,
) -> Rows:
    """The rows of reports of *one* agent, gathered by measurement."""
    agent = ""
    fresh: list[Sample] = []
    expired = 0
    for report in reports:
        agent = report.agent
        where = report.whereabouts
        if where.site and not knows_site(where.site):
            report = msgspec.structs.replace(
                report, whereabouts=msgspec.structs.replace(where, site="")
            )
        for sample in samples(report, home_site, provider):
            if sample.time_ms < _oldest_ms(sample.measurement, catalogue, now_ms):
                expired += 1
            else:
                fresh.append(sample)
    source = f"agent/{agent}"
    batches: list[Batch] = []
    misfits: list[Batch] = []
    for batch in gather(fresh, source, now_ms):
        try:
            batches.append(check(batch, catalogue))
        except Misfit:
            good, bad = _sorted_out(batch, catalogue)
            batches.extend(gather(good, source, now_ms))
            misfits.extend(gather(bad, source, now_ms))
    return Rows(batches, misfits, expired)


def _oldest_ms(measurement: str, catalogue: Catalogue, now_ms: int) -> int:
    if measurement not in catalogue:
        return 0
    return now_ms - catalogue.measurement(measurement).retention_days * _DAY_MS


def _sorted_out(
    batch: Batch, catalogue: Catalogue
) -> tuple[list[Sample], list[Sample]]:
    good: list[Sample] = []
    bad: list[Sample] = []
    for sample in batch.samples():
        try:
            good.append(check_sample(sample, catalogue))
        except Misfit:
            bad.append(sample)
    return good, bad
