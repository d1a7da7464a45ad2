"""Verdicts: the worst of what is stated, on calls, lines, gateways, devices, sites."""

from __future__ import annotations

from typing import Any

import council
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.alert import Alert
from collectors.estate import Device
from collectors.store.query import Row
from dashboards.call_quality import BY_FIELD, CRITERIA, criteria, verdict
from dashboards.grafana import BOARDS
from dashboards.web.health import health
from dashboards.web.laptop_groups import groups
from dashboards.web.site_state import (
    DeviceNow,
    LineNow,
    devices_now,
    gateway_now,
    lines_now,
    site_now,
)

NOW_MS = 1_793_000_000_000
GOOD = {
    "call_poor_ratio_last": 0.01,
    "mos_estimated_p50_last": 4.2,
    "rtt_p95_ms_last": 40.0,
    "loss_mean_ratio_last": 0.001,
    "jitter_p95_ms_last": 5.0,
}


@pytest.mark.parametrize(
    ("values", "level", "word", "why"),
    [
        ({}, "ok", "Good", ""),
        ({"call_poor_ratio_last": 0.159}, "bad", "Poor", "poor calls 15.9%"),
        ({"call_poor_ratio_last": 0.06}, "warn", "Fair", "poor calls 6.0%"),
        ({"call_poor_ratio_last": 1.0}, "bad", "Poor", "poor calls 100%"),
        ({"mos_estimated_p50_last": 3.5}, "warn", "Fair", "estimated MOS 3.5"),
        ({"mos_estimated_p50_last": 2.9}, "bad", "Poor", "estimated MOS 2.9"),
        ({"rtt_p95_ms_last": 240.0}, "bad", "Poor", "round trip 240 ms"),
        ({"loss_mean_ratio_last": 0.02}, "warn", "Fair", "loss 2.0%"),
        ({"jitter_p95_ms_last": 61.0}, "bad", "Poor", "jitter 61 ms"),
    ],
)
def test_the_word_for_calls_follows_the_worst_criterion(
    values: dict[str, float], level: str, word: str, why: str
) -> None:
    assert verdict({**GOOD, **values}) == (level, word, why)


def test_calls_that_all_failed_are_poor_though_nothing_else_is_known() -> None:
    assert verdict({"call_poor_ratio_last": 1.0}).word == "Poor"
    assert verdict({"agents_last": 20.0}) == ("none", "Not measured", "")


@given(
    st.fixed_dictionaries(
        {},
        optional={
            criterion.field + "_last": st.floats(0, 500) for criterion in CRITERIA
        },
    )
)
def test_no_figure_is_worse_than_the_verdict_on_all_of_them(
    values: dict[str, float],
) -> None:
    order = ["none", "ok", "warn", "bad"]
    alone = [verdict({name: value}).level for name, value in values.items()]
    worst = max(alone, key=order.index, default="none")
    assert verdict(values).level == worst


def test_the_criteria_are_stated_with_every_limit() -> None:
    text = criteria()
    for said in (
        "at most 5%",
        "above 10%",
        "at least 3.6",
        "below 3.1",
        "100 ms",
        "3%",
    ):
        assert said in text


# Microsoft judges what it recorded by its own rule, so Towpath's limits do not apply.
RECORDED = {"teams_calls", "room_calls"}


def test_boards_colour_calls_by_the_same_limits() -> None:
    checked = 0
    for panel in (panel for board in BOARDS for panel in board.panels):
        figures = [pick for target in panel.targets for pick in target.query.picks]
        coloured = {
            name.rpartition("_")[0]: column.steps
            for name, column in panel.columns.items()
            if not column.hidden
        }
        if len({pick.field for pick in figures}) == 1 and not panel.columns:
            coloured = {figures[0].field: panel.steps}
        for name in coloured.keys() & BY_FIELD.keys():
            limits = {limit for limit, _ in coloured[name] if limit is not None}
            criterion = BY_FIELD[name]
            expected = {criterion.good, criterion.poor}
            if any(target.query.measurement in RECORDED for target in panel.targets):
                expected = set()
            assert limits == expected, (panel.title, name)
            checked += 1
    assert checked >= 20


def test_what_is_now_is_the_newest_row_alone() -> None:
    """A quality of before everything failed is not that of now."""
    tags = {"by": "place", "group": "home"}
    rows = [
        Row(NOW_MS - 900_000, tags, {"call_poor_ratio_last": 0.0, **GOOD}),
        Row(NOW_MS, tags, {"call_poor_ratio_last": 1.0, "mostly_last": "the line"}),
    ]
    [found] = groups(rows, "place")
    assert found.values == {"call_poor_ratio_last": 1.0}
    assert found.mostly == "the line"
    assert found.why_missing("mos_estimated_p50") == "no call succeeded"
    assert found.why_missing("vpn_up_ratio") == "too few laptops"


# ---- lines, gateways, devices, sites, batteries -------------------------------------


def firing(**more: Any) -> Alert:
    given: dict[str, Any] = {
        "rule": "line_slow",
        "severity": "warning",
        "title": "Line loses packets",
        "subject": {"line": "lib-wan"},
        "site": "library",
        "state": "firing",
        "since_ms": NOW_MS,
        "firing_ms": NOW_MS,
        **more,
    }
    return Alert(**given)


def line(values: dict[str, Any] | None, *alerts: Alert) -> tuple[str, str]:
    estate = council.estate()
    wan = next(line for line in estate.lines if line.id == "lib-wan")
    row = Row(None, {"line": wan.id}, values or {})
    [found] = lines_now([wan], None if values is None else [row], alerts)
    return found.level, found.word


def test_a_line_is_as_well_as_the_worst_that_is_known_of_it() -> None:
    up = {"up_last": 1, "down_use_ratio_last": 0.2, "up_use_ratio_last": 0.1}
    assert line(up) == ("ok", "Working")
    assert line({**up, "down_use_ratio_last": 0.9}) == ("warn", "Full")
    assert line({**up, "up_use_ratio_last": 0.97}) == ("bad", "Full")
    assert line({**up, "up_last": 0}) == ("bad", "Down")
    assert line(up, firing()) == ("warn", "Line loses packets")
    assert line(up, firing(severity="critical"))[0] == "bad"
    assert line(up, firing(subject={"line": "other"})) == ("ok", "Working")
    assert line({"up_last": 0}, firing()) == ("bad", "Down")


def test_a_line_that_went_down_does_not_keep_the_rates_from_before() -> None:
    wan = next(line for line in council.estate().lines if line.id == "lib-wan")
    values = {"up_last": 0, "carrying_last": 0, "down_bps_last": 9e7}
    values |= {"down_use_ratio_last": 0.9, "up_use_ratio_last": 0.1}
    [gone] = lines_now([wan], [Row(None, {"line": wan.id}, values)])
    assert (gone.word, gone.down_bps, gone.down_use, gone.use) == (
        "Down",
        None,
        None,
        None,
    )


def test_a_line_of_which_nothing_is_known_is_not_working() -> None:
    assert line(None) == ("none", "No data")
    assert line({"down_bps_last": 1e6}) == ("none", "No data")


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (None, ("none", "No data")),
        ({"up_last": 0, "certificate_days_last": 90.0}, ("bad", "Not answering")),
        ({"up_last": 1}, ("ok", "Answering")),
        ({"up_last": 1, "certificate_days_last": 21.0}, ("ok", "Answering")),
        (
            {"up_last": 1, "certificate_days_last": 20.0},
            ("warn", "Its certificate expires soon"),
        ),
        (
            {"up_last": 1, "certificate_days_last": -3.0},
            ("bad", "Its certificate has expired"),
        ),
    ],
)
def test_a_gateway_with_an_expired_certificate_is_not_well(
    values: dict[str, Any] | None, found: tuple[str, str]
) -> None:
    assert gateway_now(values) == found


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ({"up_last": 1, "outcome_last": "ok"}, ("ok", "Answering")),
        ({"up_last": 0, "outcome_last": "timeout"}, ("bad", "Not answering")),
        ({"outcome_last": "not_configured"}, ("none", "Not polled")),
        (
            {"up_last": 1, "outcome_last": "auth_failed"},
            ("warn", "Answering, not readable"),
        ),
    ],
)
def test_a_device_that_cannot_be_read_is_not_well_and_one_not_asked_not_down(
    values: dict[str, Any], found: tuple[str, str]
) -> None:
    device = council.estate().devices[0]
    row = Row(NOW_MS, {"device": device.id}, values)
    [now] = devices_now([device], [row], [], NOW_MS)
    assert (now.level, now.word) == found


def test_a_site_is_not_working_while_its_line_is_down() -> None:
    estate = council.estate()
    site = next(site for site in estate.sites if site.id == "library")
    devices = [_well(device) for device in estate.devices if device.site == site.id]
    wan = next(line for line in estate.lines if line.id == "lib-wan")
    up, down = LineNow(wan, "ok", "Working"), LineNow(wan, "bad", "Down")
    assert site_now(site, estate, devices, [up], []).word == "Working"
    shown = site_now(site, estate, devices, [down], [])
    assert (shown.level, shown.why) == ("bad", "Line down: lib-wan.")
    backup = LineNow(wan.model_copy(update={"role": "backup"}), "bad", "Down")
    assert site_now(site, estate, devices, [up, backup], []).level == "warn"


def _well(device: Device) -> DeviceNow:
    return DeviceNow(device, "ok", "Answering", NOW_MS, "ok")


def test_a_battery_that_nothing_judges_is_not_called_well() -> None:
    tags = {"device": "ups-1", "role": "ups", "class": "charge", "sensor": "charge"}
    rows = [Row(None, tags, {"value_last": 8.0})]
    [battery] = health(rows, [], [], []).batteries
    assert (battery.level, battery.word, battery.charge_pct) == (
        "none",
        "No limits known",
        8.0,
    )
