"""Rows of `alert` and `incident`: each range of time shows what fires, in words, and
each incident counts once."""

from __future__ import annotations

from pathlib import Path

from rule_window import ESTATE_INDEX, RULES, START_MS, device_poll
from stores import embedded

from alerts.alert import Acknowledgement, Alert
from alerts.alert_rows import AlertRepeats
from alerts.cycle import run_cycle
from alerts.evaluation.alert_states import AlertState
from alerts.rule_files import Rules
from alerts.window import Window
from collectors.batch import batch_samples
from collectors.server_measurements import CATALOGUE
from collectors.store.query import Pick, Query
from probes.wire.catalogue import check_sample
from probes.wire.sample import Sample

MINUTE_MS = 60_000
REPEAT_MS = CATALOGUE.measurement("alert").period_s * 1000
# `d2` is behind `d1`. Both stop for 32 minutes, and are polled for an hour.
DOWN_AT, UP_AT, POLLS = 3, 35, 60
UNREACHABLE = Rules([rule for rule in RULES if rule.id == "device_unreachable"])


def rows_of_an_outage(rules: Rules = UNREACHABLE) -> list[Sample]:
    window, repeats = Window(rules, CATALOGUE, START_MS), AlertRepeats()
    states: dict[str, AlertState] = {}
    shown: dict[str, Alert] = {}
    rows: list[Sample] = []
    for second in range(0, POLLS * 60, 10):
        now_ms = START_MS + second * 1000
        if second % 60 == 0:
            up = int(not DOWN_AT <= second // 60 < UP_AT)
            for device in ("d1", "d2"):
                window.append(device_poll(up, now_ms, device=device))
        result = run_cycle(
            window, ESTATE_INDEX, rules, states, shown, [], lambda _: [], now_ms
        )
        states, shown = result.states, result.still_open(shown)
        rows += result.samples
        rows += repeats.rows(states.values(), shown, {}, now_ms)
        window.clear_changed()
    return [check_sample(row, CATALOGUE) for row in rows]


def of(rows: list[Sample], measurement: str, device: str) -> list[Sample]:
    subject = f"device={device}"
    return [
        row
        for row in rows
        if row.measurement == measurement and row.tags["subject"] == subject
    ]


def test_a_firing_alert_has_a_row_in_every_five_minutes_and_one_at_its_end() -> None:
    rows = of(rows_of_an_outage(), "alert", "d1")
    firing = [row.time_ms for row in rows if row.fields["firing"]]
    buckets = [time_ms // REPEAT_MS for time_ms in firing]
    assert set(buckets) == set(range(buckets[0], buckets[-1] + 1))
    assert len(set(buckets)) >= (UP_AT - DOWN_AT) // 5
    since_ms = START_MS + DOWN_AT * MINUTE_MS
    assert {row.fields["since_ms"] for row in rows} == {since_ms}
    assert not any("until_ms" in row.fields for row in rows[:-1])
    last = rows[-1].fields
    assert (last["state"], last["firing"]) == ("resolved", 0)
    assert last["until_ms"] == START_MS + UP_AT * MINUTE_MS


def test_a_change_of_state_is_told_from_a_repeated_row() -> None:
    rows = of(rows_of_an_outage(), "alert", "d1")
    changes = [row.fields["state"] for row in rows if row.fields.get("changed")]
    assert changes == ["firing", "resolved"]
    assert len(rows) > len(changes)


def test_a_row_has_the_device_as_a_field_so_that_links_can_lead_to_it() -> None:
    for row in of(rows_of_an_outage(), "alert", "d1"):
        assert row.fields["device"] == "d1"
        assert "port" not in row.fields


def test_a_row_has_the_words_that_a_page_has() -> None:
    [rule] = UNREACHABLE
    rows = rows_of_an_outage()
    for row in of(rows, "alert", "d1"):
        assert row.fields["title"] == rule.title
        assert str(row.fields["summary"]).startswith("d1 at Town Hall does not answer")
        assert len(str(row.fields["cause"]).split()) > 3
        assert "{" not in f"{row.fields['summary']}{row.fields['cause']}"
        assert row.fields["level"] == 4
    behind = [row for row in of(rows, "alert", "d2") if row.fields["suppressed"]]
    assert len(behind) > 5
    for row in behind:
        assert row.fields["explained_by"] == "device_unreachable/device=d1"
        assert str(row.fields["cause"]).startswith("d1 at Town Hall does not answer")


async def test_an_incident_is_one_row_at_its_start_and_has_its_end(
    tmp_path: Path,
) -> None:
    rows = rows_of_an_outage()
    # `d2` was explained by `d1`, so nobody was notified of it.
    assert of(rows, "incident", "d1")
    assert not of(rows, "incident", "d2")
    async with embedded(tmp_path, catalogue=CATALOGUE) as store:
        await store.write(batch_samples(rows, "alerts", START_MS))
        [answer] = await store.query(
            Query(
                "incident",
                (
                    Pick("title", "count"),
                    Pick("until_ms", "last"),
                    Pick("lasted_s", "last"),
                ),
                START_MS + DOWN_AT * MINUTE_MS,
                START_MS + DOWN_AT * MINUTE_MS + 1,
            )
        )
    assert answer.values == {
        "title_count": 1,
        "until_ms_last": START_MS + UP_AT * MINUTE_MS,
        "lasted_s_last": (UP_AT - DOWN_AT) * 60.0,
    }


def test_rows_are_repeated_at_multiples_of_the_period_and_not_after_a_start() -> None:
    repeats = AlertRepeats()
    alert = Alert("r", {"device": "d1"}, "warning", "firing", START_MS)
    state = AlertState("r", {"device": "d1"}, "", "firing", START_MS, 0, 0)
    begin = START_MS // REPEAT_MS * REPEAT_MS + REPEAT_MS
    times = [begin - 2_000 + n * 1_000 for n in range(700)]
    shown = {state.episode: alert}
    repeated = [t for t in times if repeats.rows([state], shown, {}, t)]
    assert repeated == [begin, begin + REPEAT_MS, begin + 2 * REPEAT_MS]


def test_an_acknowledgement_is_a_row_at_once_and_in_every_repeat() -> None:
    alert = Alert("r", {"device": "d"}, "critical", "firing", 1000, site="hall")
    state = AlertState(
        **{"rule": "r", "subject": {"device": "d"}, "site": "hall"},
        **{"state": "firing", "since_ms": 1000, "bad_ms": 1000, "newest_ms": 1000},
    )
    shown = {state.episode: alert}
    acks = {state.episode: Acknowledgement(70_000, "Ada", "supplier rung")}
    repeats = AlertRepeats()
    assert repeats.rows([state], shown, {}, 60_000) == []
    [at_once] = repeats.rows([state], shown, acks, 70_000)
    assert repeats.rows([state], shown, acks, 71_000) == []
    [repeated] = repeats.rows([state], shown, acks, 300_000)
    for row in (at_once, repeated):
        assert row.fields["acknowledged"] == 1
        assert row.fields["acknowledged_by"] == "Ada"
        assert row.fields["acknowledged_why"] == "supplier rung"
        assert "changed" not in row.fields
    # A restart does not say it again; another alert of the subject says nobody.
    assert AlertRepeats().rows([state], shown, acks, 80_000) == []
    [other] = repeats.rows([state], shown, {}, 600_000)
    assert (other.fields["acknowledged"], other.fields["acknowledged_by"]) == (0, "")
