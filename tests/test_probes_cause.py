"""Which segment makes a call poor, judged from the results of one laptop."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.wire.call_cause import CAUSES, cause
from probes.wire.failure import Outcome
from probes.wire.measurements import CATALOGUE
from probes.wire.report import Result, Whereabouts
from probes.wire.sample import Value
from probes.wire.verdict import verdict

T0_MS = 1_700_000_000_000
HOME = Whereabouts("home", "", "wifi", "up")
WIRED = Whereabouts("home", "", "wired", "up")
OFFICE = Whereabouts("office", "town-hall", "wired", "down")
GOOD_PATH: dict[str, Value] = {
    "gateway_rtt_ms": 3.0,
    "gateway_loss_ratio": 0.0,
    "provider_rtt_ms": 9.0,
    "provider_loss_ratio": 0.0,
    "edge_rtt_ms": 140.0,
    "edge_loss_ratio": 0.05,
}
SPLIT: dict[str, Value] = {"up": 1, "teams_way": "split_out"}
TUNNELLED: dict[str, Value] = {"up": 1, "teams_way": "tunnelled"}


def result(
    probe: str,
    outcome: Outcome = Outcome.OK,
    target: str = "",
    after_ms: int = 0,
    **values: Value,
) -> Result:
    return Result(probe, 1, T0_MS + after_ms, outcome, target, values)


def poor(**values: Value) -> Result:
    return result("call_path", poor=1, rtt_ms=150.0, loss_ratio=0.05, **values)


GOOD = result("call_path", poor=0, rtt_ms=20.0, loss_ratio=0.0)
RELAY_GOOD = result("teams_relay", rtt_ms=25.0)
RELAY_LATE = result("teams_relay", rtt_ms=180.0)


@pytest.mark.parametrize(
    ("expected", "results", "where"),
    [
        (None, [GOOD], HOME),
        (None, [result("wifi", signal_dbm=-90)], HOME),
        (None, [result("call_path", Outcome.METERED)], HOME),
        ("laptop", [poor(), result("laptop", cpu_ratio=0.97)], HOME),
        ("wifi", [poor(), result("wifi", signal_dbm=-82)], HOME),
        (
            "wifi",
            [
                poor(),
                result("wifi", signal_dbm=-60),
                result("path", gateway_loss_ratio=0.08, gateway_rtt_ms=9.0),
            ],
            HOME,
        ),
        # On a cable, loss before the router is not caused by the Wi-Fi.
        ("line", [poor(), result("path", gateway_loss_ratio=0.08)], WIRED),
        ("unknown", [poor(), result("wifi", signal_dbm=-90)], WIRED),
        ("line", [poor(), result("path", provider_loss_ratio=0.04)], HOME),
        ("line", [poor(), result("path", provider_rtt_ms=220.0)], HOME),
        (
            "vpn",
            [poor(), result("vpn", **SPLIT, tunnel_rtt_ms=190.0, direct_rtt_ms=20.0)],
            HOME,
        ),
        # Both other ways out of the house are slow too.
        (
            "provider",
            [
                poor(),
                result("path", **GOOD_PATH),
                result("vpn", **SPLIT, tunnel_rtt_ms=150.0, direct_rtt_ms=140.0),
                RELAY_LATE,
            ],
            HOME,
        ),
        ("provider", [poor(), result("path", **GOOD_PATH), RELAY_LATE], HOME),
        ("edge", [poor(), result("path", **GOOD_PATH), RELAY_GOOD], HOME),
        # In a full tunnel the relay is reached through the council: it proves nothing.
        ("unknown", [poor(), result("vpn", **TUNNELLED), RELAY_GOOD], HOME),
        # One is good and one is not: no guess.
        (
            "unknown",
            [
                poor(),
                result("vpn", **SPLIT, direct_rtt_ms=140.0, tunnel_rtt_ms=150.0),
                RELAY_GOOD,
            ],
            HOME,
        ),
        ("edge", [poor(), result("path", **GOOD_PATH)], OFFICE),
        ("unknown", [poor()], OFFICE),
        ("unknown", [poor()], HOME),
        ("edge", [result("call_path", Outcome.TIMEOUT), RELAY_GOOD], HOME),
        # The next reflector answered well, so the call is good.
        (
            None,
            [
                result("call_path", Outcome.TIMEOUT, "near"),
                result("call_path", target="far", poor=0),
            ],
            HOME,
        ),
        ("microsoft", [GOOD, RELAY_LATE], HOME),
        ("edge", [GOOD, RELAY_LATE], OFFICE),
        ("edge", [GOOD, RELAY_LATE, result("vpn", **TUNNELLED)], HOME),
        ("microsoft", [GOOD, RELAY_LATE, result("vpn", **SPLIT)], HOME),
        ("microsoft", [GOOD, result("web", Outcome.TIMEOUT, "microsoft")], HOME),
        (
            None,
            [
                GOOD,
                result("web", Outcome.TIMEOUT, "exchange"),
                result("web", target="teams"),
            ],
            HOME,
        ),
        (None, [GOOD, result("web", Outcome.TIMEOUT, "intranet")], HOME),
        # A relay need not answer these requests.
        (None, [GOOD, result("teams_relay", Outcome.UDP_BLOCKED)], HOME),
        ("unknown", [poor(), result("teams_relay", Outcome.UDP_BLOCKED)], HOME),
        # The newest result counts.
        (None, [poor(), result("call_path", after_ms=60_000, poor=0)], HOME),
    ],
)
def test_a_poor_call_is_blamed_on_one_segment(
    expected: str | None, results: list[Result], where: Whereabouts
) -> None:
    assert cause(results, where) == expected
    assert cause(results[::-1], where) == expected


@pytest.mark.parametrize(
    ("segment", "results"),
    [
        ("laptop", [poor(), result("laptop", cpu_ratio=0.97)]),
        ("wifi", [poor(), result("wifi", signal_dbm=-82)]),
        ("line", [poor(), result("path", provider_loss_ratio=0.04)]),
        ("vpn", [poor(), result("vpn", up=1, reconnects=5)]),
    ],
)
def test_council_and_laptop_name_the_same_segment(
    segment: str, results: list[Result]
) -> None:
    assert cause(results, HOME) == segment
    assert verdict(results, T0_MS, HOME).problems[0].segment == segment


@pytest.mark.parametrize(
    ("relay", "advice"),
    [
        (RELAY_LATE, "your provider's network"),
        (RELAY_GOOD, "the council's own network"),
        (None, "do not show where the problem is"),
    ],
)
def test_the_laptop_names_the_network_beyond_its_line_if_it_can(
    relay: Result | None, advice: str
) -> None:
    path = result("path", **{**GOOD_PATH, "edge_loss_ratio": 0.0})
    results = [poor(), path, *([relay] if relay else [])]
    [finding] = verdict(results, T0_MS, HOME).problems
    assert finding.segment == "calls"
    assert advice in finding.do


FIELDS = {probe.name: [field.name for field in probe.fields] for probe in CATALOGUE}
VALUES = st.one_of(
    st.integers(-200, 10**9), st.floats(allow_nan=False), st.sampled_from(["F", ""])
)


@st.composite
def results_of_any_kind(draw: st.DrawFn) -> Result:
    probe = draw(st.sampled_from(sorted(FIELDS)))
    values = draw(st.dictionaries(st.sampled_from(FIELDS[probe]), VALUES, max_size=6))
    outcome = draw(st.sampled_from(list(Outcome)))
    target = draw(st.sampled_from(["", "microsoft", "reflector"]))
    return Result(probe, 1, draw(st.integers(0, 10**6)), outcome, target, values)


@settings(max_examples=200, deadline=None)
@given(
    results=st.lists(results_of_any_kind(), max_size=12),
    place=st.sampled_from([HOME, WIRED, OFFICE, Whereabouts()]),
)
def test_the_cause_is_always_one_of_the_closed_list(
    results: list[Result], place: Whereabouts
) -> None:
    assert cause(results, place) in (None, *CAUSES)
