"""Delivery of reports: none is lost; retries, batches and the log have limits."""

import tempfile
from pathlib import Path

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from report_server import NOW_MS, report

from probes.agent.report_delivery import (
    BATCH_BYTES,
    BATCH_REPORTS,
    BodyTooLarge,
    CredentialRefused,
    Later,
    NotTaken,
    ReportDelivery,
    retry_s,
)
from probes.agent.settings import SpoolLimits
from probes.agent.spool import Spool
from probes.diagnosis.sent_log import LOG_BYTES, SentLog
from probes.wire.report import (
    MAX_BODY_BYTES,
    MAX_REPORTS,
    Receipt,
    ReportRefusal,
)


def test_after_an_outage_laptops_come_back_over_a_minute_or_more() -> None:
    first = [retry_s(1, None, chance / 1000) for chance in range(1000)]
    assert max(first) - min(first) >= 59
    waits = [retry_s(failures, None, 0.5) for failures in range(1, 30)]
    assert waits == sorted(waits)
    assert waits[-1] == 1800


class UnreliablePublisher:
    """A `Publisher` with a list of behaviours. It keeps the ids it made durable."""

    def __init__(self, moods: list[str], bad: set[str]) -> None:
        self.moods, self.bad = moods, bad
        self.durable: set[str] = set()

    async def send(self, reports):  # type: ignore[no-untyped-def]
        ids = [report.id for report in reports]
        mood = self.moods.pop(0) if self.moods else "take"
        if mood == "later":
            raise Later("not now")
        if mood == "denied":
            raise CredentialRefused("who?")
        if mood == "large" and len(ids) > 1:
            raise BodyTooLarge("less")
        if mood == "lost":
            self.durable.update(set(ids) - self.bad)
            raise Later("the answer was lost")
        if self.bad & set(ids) and mood == "picky":
            raise NotTaken("bad one")
        good = [id for id in ids if id not in self.bad]
        if mood == "some":
            good = good[: len(good) // 2 + 1]
        self.durable.update(good)
        refused = tuple(ReportRefusal(id, "bad") for id in ids if id in self.bad)
        return Receipt(tuple(good), refused)


@settings(max_examples=60, deadline=None)
@given(
    moods=st.lists(
        st.sampled_from(["take", "later", "denied", "large", "lost", "some", "picky"]),
        max_size=30,
    ),
    bad=st.sets(st.integers(0, 30), max_size=3),
)
async def test_every_report_is_made_durable_or_refused(
    moods: list[str], bad: set[int]
) -> None:
    everything = {f"r{number}" for number in range(31)}
    refused = {f"r{number}" for number in bad}
    publisher = UnreliablePublisher(list(moods), refused)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        with Spool(path, SpoolLimits(), lambda: NOW_MS) as spool:
            for id in sorted(everything):
                spool.put(report(id))
            delivery = ReportDelivery(
                spool, publisher, SentLog(path), lambda: NOW_MS, lambda: 0.0
            )
            for _ in range(400):
                if await delivery.deliver() is None:
                    break
            assert spool.waiting == 0
            assert publisher.durable == everything - refused
            assert sum(delivery.refused.values()) == len(refused)


def test_a_batch_stays_within_the_limits_of_the_server() -> None:
    assert BATCH_REPORTS <= MAX_REPORTS
    assert BATCH_BYTES < MAX_BODY_BYTES


def test_the_log_of_sent_reports_has_a_limit(tmp_path: Path) -> None:
    log = SentLog(tmp_path)
    many = [msgspec.json.encode({"text": "x" * 10_000}) for _ in range(50)]
    for _ in range(12):
        log.append(NOW_MS, many)
    size = sum(file.stat().st_size for file in tmp_path.iterdir())
    assert size < 2.5 * LOG_BYTES + len(many) * 10_000
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in tmp_path.iterdir())
    assert len(log.last(5)) == 5
