"""Rows about silences and maintenance, which boards show."""

from __future__ import annotations

from alert_histories import USUAL
from running_engine import ESTATE

from alerts.estate_index import EstateIndex
from alerts.evaluation.alert_states import AlertState
from alerts.silence import Silence
from alerts.silence_rows import silence_samples
from collectors.batch import batch_samples, check_batch
from collectors.server_measurements import CATALOGUE

NOW_MS = 1_795_000_000_000
HOUR_MS = 3_600_000
INDEX = EstateIndex(ESTATE)


def _firing(rule: str, **subject: str) -> AlertState:
    return AlertState(
        rule=rule,
        subject=subject,
        site="hall",
        state="firing",
        since_ms=NOW_MS - HOUR_MS,
        bad_ms=NOW_MS,
        newest_ms=NOW_MS,
    )


def test_a_silence_in_force_is_a_row_with_what_it_holds_back() -> None:
    night = Silence(
        *(4, NOW_MS - HOUR_MS, NOW_MS + HOUR_MS),
        device="core-1",
        why="new power supply",
        who="ada",
        planned=1,
    )
    states = [_firing("device_unreachable", device="core-1"), _firing("port_errors")]
    samples = silence_samples([night], states, USUAL, INDEX, NOW_MS)
    [row] = samples
    assert row.tags == {
        "silence": "4",
        "site": "hall",
        "device": "core-1",
        "rule": "",
        "line": "",
        "supplier": "",
    }
    assert row.fields == {
        "planned": 1,
        "active": 1,
        "from_ms": NOW_MS - HOUR_MS,
        "until_ms": NOW_MS + HOUR_MS,
        "covers": 1,
        "why": "new power supply",
    }
    assert "ada" not in repr(row)
    for batch in batch_samples(samples, "all", NOW_MS):
        check_batch(batch, CATALOGUE)


def test_a_planned_window_is_a_row_before_it_begins_and_none_once_it_has_ended() -> (
    None
):
    later = Silence(1, NOW_MS + HOUR_MS, NOW_MS + 2 * HOUR_MS, site="hall", planned=1)
    past = Silence(2, NOW_MS - 2 * HOUR_MS, NOW_MS - HOUR_MS, rule="port_down")
    states = [_firing("device_unreachable", device="core-1")]
    [row] = silence_samples([later, past], states, USUAL, INDEX, NOW_MS)
    assert row.tags["silence"] == "1"
    assert (row.fields["active"], row.fields["covers"]) == (0, 0)


def test_a_silence_of_a_device_that_has_left_the_estate_names_no_site() -> None:
    gone = Silence(1, NOW_MS, NOW_MS + HOUR_MS, device="core-9")
    [row] = silence_samples([gone], [], USUAL, INDEX, NOW_MS)
    assert row.tags["site"] == ""
