"""Laptops that were offline for three weeks: their reports are stored, at a rate that
the server can take, and no rule mistakes them for news."""

import math
import secrets
from pathlib import Path

from ingest_council import door
from rule_window import ESTATE_INDEX, rules_named

from alerts.evaluation.rule_evaluation import evaluate
from alerts.window import Window as RuleWindow
from collectors.batch import Batch, batch_samples
from collectors.experience.groups import ExperienceWindow as GroupWindow
from collectors.experience.groups import GroupsConfig
from collectors.server_measurements import CATALOGUE
from collectors.store import StoreConfig, open_store
from collectors.store.query import Pick, Query
from probes.agent.publish_https import HttpsPublisher
from probes.agent.report_delivery import (
    BATCH_REPORTS,
    BETWEEN_BATCHES_S,
    ReportDelivery,
)
from probes.agent.server_connection import ServerConnection
from probes.agent.settings import SpoolLimits
from probes.agent.spool import Spool
from probes.diagnosis.sent_log import SentLog
from probes.wire.failure import Outcome
from probes.wire.report import Enrolment, Report, Result, Whereabouts

LAPTOPS = 12
MINUTE_MS = 60_000
EVERY_MS = 5 * MINUTE_MS
WEEKS_MS = 21 * 86_400_000
NOW_MS = 1_790_000_000_000 // MINUTE_MS * MINUTE_MS


def poor(agent: str, at_ms: int) -> Report:
    values = {"rtt_ms": 900.0, "loss_ratio": 0.3, "poor": 1, "sent": 500}
    result = Result("call_path", 2, at_ms, Outcome.OK, "hq", values)
    return Report(
        1, secrets.token_hex(12), agent, at_ms, "s", Whereabouts("home"), (result,)
    )


async def delivered(
    folder: Path, age_ms: int, runs: int, laptops: int = LAPTOPS
) -> list[Batch]:
    """What the server's journal gets of a dozen laptops whose calls were poor
    `age_ms` ago, each bringing its own spool to the real receiving end."""
    async with door(folder / "council", now_ms=lambda: NOW_MS) as council:
        ca = str(council.certificates.authority)
        token = council.registry.admin.make_token("hall", 100, 1, NOW_MS)
        for number in range(laptops):
            home = folder / str(number)
            who = council.registry.identities.enrol(
                Enrolment(token, f"{number:032}"), NOW_MS
            )
            server = f"https://127.0.0.1:{council.ingest.port}"
            clock = NOW_MS - age_ms
            with Spool(home, SpoolLimits(), lambda: clock) as spool:  # noqa: B023
                for run in range(runs):
                    spool.put(poor(who.agent, clock - run * EVERY_MS))
                clock = NOW_MS
                async with ServerConnection(server, who, ca, "s") as out:
                    delivery = ReportDelivery(
                        spool, HttpsPublisher(out), SentLog(home), lambda: NOW_MS
                    )
                    waits = [await delivery.deliver()]
                    while waits[-1] is not None:
                        waits.append(await delivery.deliver())
                assert (spool.waiting, spool.dropped) == (0, 0)
                assert delivery.trouble == ""
                # Politely: with a pause between any two requests.
                assert len(waits) == math.ceil(runs / BATCH_REPORTS)
                assert all(
                    BETWEEN_BATCHES_S[0] <= wait <= BETWEEN_BATCHES_S[1]
                    for wait in waits[:-1]
                    if wait is not None
                )
        return [e for e in council.append.batches if e.measurement == "call_path"]


def entries(batches: list[Batch]) -> int:
    """How many standings rules find in what arrived, in the half hour after it."""
    groups = GroupWindow(GroupsConfig())
    rules = RuleWindow(rules_named("calls_poor_everywhere"), CATALOGUE, NOW_MS)
    for batch in batches:
        groups.add(batch)
        rules.append(batch)
    found = 0
    for end_ms in range(NOW_MS, NOW_MS + 30 * MINUTE_MS, 5 * MINUTE_MS):
        samples = groups.samples(end_ms)
        for each in (
            batch_samples(samples, "groups", end_ms + MINUTE_MS) if samples else []
        ):
            rules.append(each)
        found += len(evaluate(rules, ESTATE_INDEX, {}, end_ms + 2 * MINUTE_MS))
    return found


async def test_a_three_week_old_report_is_stored_and_no_rule_fires(
    tmp_path: Path,
) -> None:
    batches = await delivered(tmp_path, WEEKS_MS, 8)
    assert sum(len(batch) for batch in batches) == LAPTOPS * 8
    assert entries(batches) == 0
    first_ms = NOW_MS - WEEKS_MS - 8 * EVERY_MS
    async with open_store(StoreConfig(folder=tmp_path / "store"), CATALOGUE) as store:
        await store.write(batches)
        rows = await store.query(
            Query("call_path", (Pick("poor", "count"),), first_ms, NOW_MS)
        )
    assert [row.values["poor_count"] for row in rows] == [LAPTOPS * 8]


async def test_weeks_of_reports_come_in_several_requests_with_pauses_between(
    tmp_path: Path,
) -> None:
    batches = await delivered(tmp_path, WEEKS_MS, 450, laptops=1)
    assert sum(len(batch) for batch in batches) == 450


async def test_the_same_reports_of_now_do_fire(tmp_path: Path) -> None:
    """So that the test above could fail."""
    batches = await delivered(tmp_path, MINUTE_MS, 2)
    assert entries(batches) > 0
