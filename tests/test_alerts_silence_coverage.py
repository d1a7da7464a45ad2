"""Which alerts a silence of a site, device, line or supplier covers."""

from __future__ import annotations

from pathlib import Path

import pytest

from alerts.alert_access import add_silence, list_silences
from alerts.estate_index import EstateIndex
from alerts.evaluation.alert_states import AlertState
from alerts.rule_files import load_rules
from alerts.silence import Silence
from alerts.silence_coverage import SilenceCoverage, next_times
from alerts.unknown_names import unknown_in_silence
from collectors.estate.estate_model import Estate
from collectors.server_measurements import CATALOGUE
from dashboards.report.planned_maintenance import planned_spans

NOW_MS = 1_795_000_000_000
HOUR_MS = 3_600_000
RULES = load_rules(CATALOGUE)


def _line(id: str, site: str, supplier: str, port: str, role: str) -> dict[str, object]:
    speeds = {"down_mbps": 100, "up_mbps": 100}
    place = {"site": site, "device": f"{site}-r1", "port": port, "role": role}
    return {"id": id, "supplier": supplier, **speeds, **place}


ESTATE = Estate.model_validate(
    {
        "sites": [{"id": "library", "name": "Library"}, {"id": "depot", "name": "D"}],
        "devices": [
            {"id": "library-r1", "site": "library", "address": "10.0.0.1"},
            {"id": "library-sw1", "site": "library", "address": "10.0.0.2"},
            {"id": "depot-r1", "site": "depot", "address": "10.0.1.1"},
        ],
        "lines": [
            _line("lib-1", "library", "Severn", "Gi1", "primary"),
            _line("lib-2", "library", "Wye", "Gi2", "backup"),
            _line("dep-1", "depot", "Severn", "Gi1", "primary"),
        ],
    }
)
INDEX = EstateIndex(ESTATE)


def _firing(rule: str, at: str, **subject: str) -> AlertState:
    times = {"since_ms": NOW_MS, "bad_ms": NOW_MS, "newest_ms": NOW_MS}
    return AlertState(rule=rule, subject=subject, site=at, state="firing", **times)


def _covers(alert_state: AlertState, **scope: str) -> bool:
    silence = Silence(1, NOW_MS - HOUR_MS, NOW_MS + HOUR_MS, **scope)
    coverage = SilenceCoverage([silence], RULES, INDEX, NOW_MS)
    return coverage.until_ms(alert_state) == silence.until_ms


def test_a_line_covers_itself_and_its_port_and_no_other() -> None:
    assert _covers(_firing("line_down", "library", line="lib-1"), line="lib-1")
    assert not _covers(_firing("line_down", "library", line="lib-2"), line="lib-1")
    port = _firing("port_down", "library", device="library-r1", port="Gi1")
    assert _covers(port, line="lib-1")
    assert not _covers(port, line="lib-2")
    other = _firing("port_down", "library", device="library-sw1", port="Gi1")
    assert not _covers(other, line="lib-1")


def test_a_supplier_covers_all_its_lines_and_no_others() -> None:
    for site, line, covered in (
        ("library", "lib-1", True),
        ("depot", "dep-1", True),
        ("library", "lib-2", False),
    ):
        alert_state = _firing("line_down", site, line=line)
        assert _covers(alert_state, supplier="Severn") == covered


def test_a_site_that_loses_its_only_line_is_covered_and_one_with_another_is_not() -> (
    None
):
    cut_off = _firing("site_unreachable", "depot", site="depot")
    assert _covers(cut_off, supplier="Severn")
    router = _firing("device_unreachable", "depot", device="depot-r1")
    assert _covers(router, line="dep-1")
    second_line = _firing("site_unreachable", "library", site="library")
    assert not _covers(second_line, supplier="Severn")
    # Its battery has nothing to do with the line.
    ups = _firing("ups_runs_on_battery", "depot", device="depot-r1")
    assert not _covers(ups, line="dep-1")


def test_what_several_words_name_is_their_intersection() -> None:
    here = _firing("line_down", "library", line="lib-1")
    assert _covers(here, supplier="Severn", site="library")
    assert not _covers(here, supplier="Severn", site="depot")
    assert not _covers(here, line="lib-1", rule="line_full_up")


def test_two_overlapping_silences_hold_pages_back_until_the_last_one_ends() -> None:
    alert_state = _firing("site_unreachable", "depot", site="depot")
    short = Silence(1, NOW_MS - HOUR_MS, NOW_MS + 1, site="depot")
    longer = Silence(2, NOW_MS - 1, NOW_MS + HOUR_MS, line="dep-1")
    over = Silence(3, NOW_MS - HOUR_MS, NOW_MS, site="depot")
    later = Silence(4, NOW_MS + 1, NOW_MS + 9 * HOUR_MS, site="depot")
    coverage = SilenceCoverage([short, longer, over, later], RULES, INDEX, NOW_MS)
    assert coverage.until_ms(alert_state) == longer.until_ms
    assert coverage.covering(alert_state) == [short, longer]


@pytest.mark.parametrize(
    ("scope", "said"),
    [
        ({"line": "lib-3"}, "no line is called 'lib-3'; did you mean"),
        ({"supplier": "Severm"}, "no line has the supplier 'Severm'; did you mean"),
        ({"line": "lib-1", "site": "depot"}, "lib-1 is at library, not at depot"),
    ],
)
def test_names_that_can_never_match_are_reported(
    scope: dict[str, str], said: str
) -> None:
    wanted = Silence(0, NOW_MS, NOW_MS + 1, **scope)
    [finding] = unknown_in_silence(wanted, RULES, ESTATE)
    assert finding.startswith(said)


def test_a_silence_is_read_back_with_its_line_and_supplier(tmp_path: Path) -> None:
    wanted = Silence(0, NOW_MS, NOW_MS + 1, line="lib-1", supplier="Severn", why="w")
    added = add_silence(tmp_path / "alerts.sqlite", wanted)
    assert list_silences(tmp_path / "alerts.sqlite", NOW_MS) == [added]


def test_of_a_window_that_recurs_only_the_next_time_is_listed() -> None:
    nights = [
        Silence(n, at_ms, at_ms + 1000, site="depot", source="calendar:works", uid="a")
        for n, at_ms in enumerate((NOW_MS - 500, NOW_MS + 1000, NOW_MS + 9000))
    ]
    by_hand = [Silence(9, NOW_MS + n * HOUR_MS, NOW_MS + 99 * HOUR_MS) for n in (2, 3)]
    assert next_times([*by_hand, *nights], NOW_MS) == [*nights[:2], *by_hand]
    assert next_times(nights, NOW_MS + 999 * HOUR_MS) == []


def test_maintenance_of_all_lines_of_a_site_counts_as_that_of_the_site() -> None:
    def window(from_h: int, until_h: int, **scope: str) -> Silence:
        return Silence(1, from_h * HOUR_MS, until_h * HOUR_MS, planned=1, **scope)

    first, second = window(1, 4, line="lib-1"), window(3, 6, supplier="Wye")
    assert planned_spans([first], ESTATE, "library") == []
    assert planned_spans([first, second], ESTATE, "library", "library-sw1") == [
        (3 * HOUR_MS, 4 * HOUR_MS)
    ]
    assert planned_spans([window(1, 4, supplier="Severn")], ESTATE, "depot") == [
        (HOUR_MS, 4 * HOUR_MS)
    ]
    assert planned_spans([window(1, 4, line="dep-1")], Estate(), "elsewhere") == []
