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
# A newer agent knows a few measurements more; each costs the journal a line of its own.
_MAX_UNKNOWN = 8


class Rows(msgspec.Struct, frozen=True):
    """`misfits` are batches that the journal will set aside, `expired` the number of
    rows left out as they are older than they may be kept, `lost` of those of too many
    measurements that nobody knows."""

    batches: list[Batch]
    misfits: list[Batch]
    expired: int
    lost: int = 0

    def misfit_rows(self) -> int:
        return self.lost + sum(len(batch) for batch in self.misfits)


def rows(
    reports: Iterable[Report],
    home_site: str,
    provider: str,
    knows_site: Callable[[str], bool],
    catalogue: Catalogue,
    now_ms: int,
    bounded: Callable[[Sample], Sample] = lambda sample: sample,
) -> Rows:
    """The rows of reports of *one* agent, gathered by measurement, each as `bounded`
    leaves it."""
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
            if sample.time_ms < _oldest_ms(sample.measurement, catalogue, now_ms):
                expired += 1
            else:
                fresh.append(bounded(sample))
    source = f"agent/{agent}"
    batches: list[Batch] = []
    misfits: list[Batch] = []
    unknown = 0
    for batch in gather(fresh, source, now_ms):
        if batch.measurement not in catalogue:
            unknown += 1
            if unknown > _MAX_UNKNOWN:
                lost += len(batch)
            else:
                misfits.append(batch)
            continue
        try:
            batches.append(check(batch, catalogue))
        except Misfit:
            good, bad = _sorted_out(batch, catalogue)
            batches.extend(gather(good, source, now_ms))
            misfits.extend(gather(bad, source, now_ms))
    return Rows(batches, misfits, expired, lost)


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
