"""Each planted fault has one right verdict, and others' faults are not the caller's."""

from __future__ import annotations

import pytest

from alerts.alert import Alert
from alerts.rule_files import load_rules
from benchmarks.desk_verdicts import faults_of
from benchmarks.planted_faults import NOW_MS, PLANTED, Planted
from collectors.server_measurements import CATALOGUE
from dashboards.web.laptop_day import (
    HOUR_MS,
    LaptopDay,
    PlacedResult,
    laptop_day,
)
from dashboards.web.shared_faults import (
    EXPLAINS,
    OF_GATEWAYS,
    OF_LINES,
    shared_faults,
)
from dashboards.web.site_state import causes
from probes.wire.failure import Outcome
from probes.wire.report import Result, Whereabouts
from probes.wire.verdict import verdict

GOOD_CALLS = {"rtt_ms": 21.0, "loss_ratio": 0.0, "poor": 0}
MINUTE_MS = 60_000


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.fault)
def test_the_verdict_names_the_fault_and_what_to_try_and_nothing_else(
    planted: Planted,
) -> None:
    found = verdict(planted.results, NOW_MS, planted.where)
    assert faults_of(planted, found) == []


HOME = Whereabouts("home", "", "wifi", "up")


def _day(fault: str, where: Whereabouts = HOME) -> LaptopDay:
    planted = next(planted for planted in PLANTED if planted.fault == fault)
    found = verdict(planted.results, NOW_MS, planted.where)
    latest = tuple(planted.results)
    return LaptopDay(NOW_MS, found, where, "hall", "Example", latest, ())


def _firing(rule: str, **subject: str) -> Alert:
    return Alert(rule, subject, "warning", "firing", NOW_MS, summary=rule)


@pytest.mark.parametrize(
    ("fault", "alert", "shown"),
    [
        ("home line loses packets",
         _firing("calls_poor_provider", by="provider", group="Example"), [True]),
        ("home line loses packets",
         _firing("calls_poor_provider", by="provider", group="Another"), []),
        ("home line loses packets", _firing("calls_poor_everywhere"), [True]),
        # Weak Wi-Fi at home is the caller's own, whatever others have.
        ("Wi-Fi weak", _firing("calls_poor_everywhere"), [False]),
        ("all of Microsoft down", _firing("microsoft_unreachable_everywhere"), [True]),
        ("VPN slow", _firing("vpn_slow", by="vpn", group="AnyConnect"), [True]),
        ("VPN slow", _firing("vpn_slow", by="vpn", group="Another"), []),
        ("servers of the team's calls down",
         _firing("media_edge_unreachable_team", by="team", group="calls"), [True]),
        ("VPN slow",
         _firing("media_edge_unreachable_team", by="team", group="calls"), []),
        ("none, at home", _firing("calls_poor_everywhere"), [False]),
        ("one service down", _firing("calls_poor_site", by="site", group="hall"), []),
    ],
)  # fmt: skip
def test_only_what_concerns_the_caller_is_shown_and_only_what_fits_explains(
    fault: str, alert: Alert, shown: list[bool]
) -> None:
    faults = shared_faults(causes([alert]), _day(fault))
    assert [fault.explains for fault in faults] == shown


def test_a_gateway_is_nobodys_own_and_an_offices_line_matters_only_there() -> None:
    gateway = Alert("vpn_gateway_down", {"gateway": "g"}, "critical", "firing", 0)
    line = Alert("line_down", {"line": "l"}, "critical", "firing", 0, site="hall")
    office = Whereabouts("office", "hall", "wired", "absent")
    outside = Whereabouts("home", "", "wifi", "down")
    for fault, where, of_gateway, of_line in (
        ("VPN off, so services inside time out", outside, [True], [False]),
        ("home line loses packets", outside, [False], [False]),
        ("line of the building congested", office, [], [True]),
    ):
        day = _day(fault, where)
        shown = [
            [fault.explains for fault in shared_faults(causes([alert]), day)]
            for alert in (gateway, line)
        ]
        assert shown == [of_gateway, of_line]


def test_an_alert_that_explains_one_of_the_callers_is_shown_in_its_place() -> None:
    failed = Alert(
        "device_down", {"device": "core"}, "critical", "firing", NOW_MS, site="dc",
        summary="core does not answer",
    )  # fmt: skip
    poor = _firing("calls_poor_everywhere")
    below = Alert(
        **{name: getattr(poor, name) for name in ("rule", "subject", "severity")},
        state="firing", since_ms=NOW_MS, suppressed_by=failed.key,
    )  # fmt: skip
    [fault] = shared_faults(causes([failed, below]), _day("home line loses packets"))
    assert (fault.text, fault.explains) == ("core does not answer", True)


def test_what_others_may_have_are_rules_of_the_catalogue() -> None:
    rules = {rule.id: rule for rule in load_rules(CATALOGUE)}
    assert EXPLAINS.keys() <= rules.keys()
    of_groups = EXPLAINS.keys() - OF_LINES - OF_GATEWAYS
    assert {rules[id].measurement for id in of_groups} == {"experience"}


def test_the_verdict_is_of_the_network_in_which_the_laptop_is_now() -> None:
    cable = Whereabouts("office", "library", "wired", "absent")
    lossy = Result("web", 1, NOW_MS - 20 * MINUTE_MS, Outcome.TIMEOUT, "payroll")
    calls = Result(
        "call_path", 1, NOW_MS - MINUTE_MS, Outcome.OK, "reflector", GOOD_CALLS
    )
    placed = [
        PlacedResult(lossy, HOME, "library", ""),
        PlacedResult(calls, cable, "library", ""),
    ]
    day = laptop_day(placed, NOW_MS)
    assert day is not None
    assert day.verdict.good
    assert [result.probe for result in day.latest] == ["call_path", "web"]


def test_hours_since_the_last_result_are_shown_as_not_measured() -> None:
    at_ms = NOW_MS - 5 * HOUR_MS
    calls = Result("call_path", 1, at_ms, Outcome.OK, "reflector", GOOD_CALLS)
    day = laptop_day([PlacedResult(calls, HOME, "library", "")], NOW_MS)
    assert day is not None
    assert [hour.verdict is None for hour in day.hours[:6]] == [True] * 5 + [False]
