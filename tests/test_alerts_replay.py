"""What the rules would have paged, from the history of either store."""

from __future__ import annotations

import json
from pathlib import Path
from zoneinfo import ZoneInfo

import services
from rule_window import ESTATE_INDEX, START_MS, rules_named
from stores import embedded, influx

from alerts.history_replay import HistoryReplay, ReplayedPage, replay_history
from alerts.replay_command import replay_json, replay_text
from alerts.rule_files import Rules
from alerts.silence import Silence
from collectors.batch import Batch, batch_samples
from collectors.server_measurements import CATALOGUE
from collectors.store.query import Store
from probes.wire.sample import Sample, Value

MINUTE_MS = 60_000
HOURS = 4
TO_MS = START_MS + HOURS * 60 * MINUTE_MS
# d2 is behind d1. Minute → minute of each outage.
OUTAGES = {"d1": [(60, 90)], "d2": [(60, 92), (150, 155)]}


def history() -> list[Batch]:
    samples = []
    for minute in range(HOURS * 60):
        at_ms = START_MS + minute * MINUTE_MS
        for device, outages in OUTAGES.items():
            up = int(not any(begin <= minute < end for begin, end in outages))
            tags = {"device": device, "site": "hall", "role": "switch"}
            fields: dict[str, Value] = {"up": up, "outcome": "ok" if up else "timeout"}
            samples.append(Sample("device", tags, fields, at_ms))
    return batch_samples(samples, "poll", TO_MS)


async def replayed(
    store: Store, rules: Rules, from_ms: int, silences: list[Silence] | None = None
) -> list[ReplayedPage]:
    replay = HistoryReplay(rules, ESTATE_INDEX, silences or [], from_ms)
    rows = await replay_history(store, replay, from_ms, TO_MS)
    assert rows
    return replay.pages


def outline(pages: list[ReplayedPage]) -> list[tuple[str, int]]:
    return [
        (page.alert.subject["device"], (page.alert.since_ms - START_MS) // MINUTE_MS)
        for page in pages
    ]


async def test_a_replay_pages_the_same_from_either_store(
    tmp_path: Path, influx_server: services.Server
) -> None:
    rules = rules_named("device_unreachable")
    async with (
        embedded(tmp_path, CATALOGUE) as folder,
        influx(influx_server, CATALOGUE) as database,
    ):
        answers = []
        for store in (folder, database):
            await store.write(history())
            pages = await replayed(store, rules, START_MS + 30 * MINUTE_MS)
            # The outage behind d1 is its consequence.
            assert outline(pages) == [("d1", 60), ("d2", 150)]
            assert all(page.ended_ms is not None for page in pages)
            answers.append(pages)
            # What began before the replayed time is not its page.
            late = await replayed(store, rules, START_MS + 80 * MINUTE_MS)
            assert outline(late) == [("d2", 150)]
            at_ms = START_MS + 140 * MINUTE_MS
            silence = Silence(1, at_ms, at_ms + 60 * MINUTE_MS, device="d2")
            quiet = await replayed(store, rules, START_MS, [silence])
            assert outline(quiet) == [("d1", 60)]
    assert answers[0] == answers[1]


async def test_other_rules_page_otherwise(tmp_path: Path) -> None:
    patient = Rules(
        [
            rule.model_copy(update={"lasts": 10 * MINUTE_MS})
            for rule in rules_named("device_unreachable")
        ]
    )
    async with embedded(tmp_path, CATALOGUE) as store:
        await store.write(history())
        pages = await replayed(store, patient, START_MS + 30 * MINUTE_MS)
        assert outline(pages) == [("d1", 60)]


async def test_the_summary_counts_by_rule_and_by_day(tmp_path: Path) -> None:
    zone = ZoneInfo("Europe/London")
    async with embedded(tmp_path, CATALOGUE) as store:
        await store.write(history())
        pages = await replayed(store, rules_named("device_unreachable"), START_MS)
    text = "\n".join(replay_text(pages, zone, 480, everything=True))
    assert "device_unreachable      2         2  30 min" in text
    assert "2026-05-04 Mon      2" in text
    assert "2 pages (480 rows)." in text
    assert "d2 at Town Hall does not answer (timeout) (5 min)" in text
    shown = json.loads(replay_json(pages, 480))
    assert [page["key"] for page in shown["pages"]] == [p.alert.key for p in pages]
    assert "no rows" in next(replay_text([], zone, 0, everything=False))
    assert "Nothing would have paged" in next(replay_text([], zone, 9, False))
