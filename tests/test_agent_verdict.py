"""Is it me? Each cause by itself, and which of several comes first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.diagnosis.agent_status import advice_lines
from probes.wire.failure import Outcome
from probes.wire.measurements import MEASUREMENTS
from probes.wire.report import Result, Whereabouts
from probes.wire.verdict import verdict

NOW_MS = 1_790_000_000_000
WIFI = Whereabouts(place="home", connection="wifi", vpn="up")
CABLE = Whereabouts(place="home", connection="wired", vpn="up")


def measured(
    probe: str,
    outcome: str = "ok",
    target: str = "hall",
    age_s: int = 60,
    **values: float | str,
) -> Result:
    target = "" if probe in {"vpn", "wifi", "laptop", "agent"} else target
    return Result(
        probe, 1, NOW_MS - age_s * 1000, Outcome(outcome), target, dict(values)
    )


# A laptop without problems.
GOOD = {
    "laptop": measured("laptop", cpu_ratio=0.2, memory_ratio=0.6),
    "wifi": measured("wifi", signal_dbm=-55, signal_min_dbm=-60, roams=0, band_ghz=5.0),
    "path": measured(
        "path",
        gateway_rtt_ms=3.0,
        gateway_loss_ratio=0.0,
        provider_rtt_ms=12.0,
        provider_loss_ratio=0.0,
        edge_rtt_ms=20.0,
        edge_loss_ratio=0.0,
    ),
    "vpn": measured(
        "vpn",
        up=1,
        product="AnyConnect",
        tunnel_rtt_ms=24.0,
        tunnel_loss_ratio=0.0,
        direct_rtt_ms=20.0,
        direct_loss_ratio=0.0,
    ),
    "web": measured("web", target="payroll"),
    "teams": measured("web", target="Microsoft Teams"),
    "names": measured("name_lookup", target="payroll.example", lookup_ms=12.0),
    "call_path": measured("call_path", rtt_ms=21.4, loss_ratio=0.0, poor=0),
    "bandwidth": measured("bandwidth", down_bps=48e6, up_bps=9e6, bufferbloat="A"),
}
POOR = measured("call_path", rtt_ms=80.0, loss_ratio=0.051, poor=1)


def healthy_except(**changes: Result) -> list[Result]:
    return list({**GOOD, **changes}.values())


def test_a_healthy_laptop_gets_a_good_verdict() -> None:
    judged = verdict(healthy_except(), NOW_MS, WIFI)
    assert judged.good
    assert judged.headline == (
        "your connection looks good: delay 21 ms, no packets lost"
    )
    assert {problem.segment for problem in judged.healthy} == {
        "laptop", "wifi", "line", "vpn", "council", "microsoft",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "where", "says"),
    [
        ({"laptop": measured("laptop", cpu_ratio=0.97)}, WIFI,
         "your laptop is busy (processor 97%); your line is fine"),
        ({"laptop": measured("laptop", cpu_ratio=0.97, cpu_clock_ratio=0.3)}, WIFI,
         "your laptop has slowed itself down"),
        ({"laptop": measured("laptop", memory_ratio=0.98)}, WIFI, "memory is full"),
        ({"laptop": measured("laptop", half_duplex=1)}, CABLE, "cable's link is slow"),
        ({"wifi": measured("wifi", signal_dbm=-82)}, WIFI,
         "your Wi-Fi is weak; your line is fine"),
        ({"wifi": measured("wifi", signal_dbm=-80, signal_derived=1)}, WIFI,
         "your Wi-Fi is weak"),
        ({"wifi": measured("wifi", signal_dbm=-60, signal_min_dbm=-88)}, WIFI,
         "your Wi-Fi was weak at times"),
        ({"wifi": measured("wifi", signal_dbm=-60, snr_db=9)}, WIFI, "disturbed"),
        ({"wifi": measured("wifi", signal_dbm=-60, roams=7)}, WIFI,
         "access point 7 times"),
        ({"path": measured("path", gateway_loss_ratio=0.06, provider_loss_ratio=0.0)},
         WIFI, "your Wi-Fi loses 6% of packets before your router; your line is fine"),
        ({"path": measured("path", gateway_loss_ratio=0.06)}, CABLE,
         "your connection loses 6% of packets before your router"),
        ({"path": measured("path", provider_loss_ratio=0.04)}, WIFI,
         "your line loses 4% of packets; your Wi-Fi is fine"),
        ({"path": measured("path", provider_rtt_ms=140.0)}, WIFI,
         "slow to answer (140 ms"),
        ({"bandwidth": measured("bandwidth", down_bps=4e6, up_bps=0.4e6)}, WIFI,
         "your line uploads only 0.4 Mbit/s"),
        ({"bandwidth": measured("bandwidth", bufferbloat="F")}, WIFI,
         "your line is slow to respond during large"),
        ({"vpn": measured("vpn", up=1, tunnel_loss_ratio=0.08, direct_loss_ratio=0.0)},
         WIFI, "the VPN loses 8% of packets, outside it 0%; your line is fine"),
        ({"vpn": measured("vpn", up=1, tunnel_loss_ratio=0.08, direct_loss_ratio=4e-3)},
         WIFI, "the VPN loses 8% of packets, outside it 0.4%; your line is fine"),
        ({"vpn": measured("vpn", up=1, tunnel_rtt_ms=140.0, direct_rtt_ms=20.0)}, WIFI,
         "the VPN takes 140 ms, outside it 20 ms"),
        ({"vpn": measured("vpn", up=1, reconnects=5)}, WIFI, "reconnected 5 times"),
        ({"vpn": measured("vpn", up=1, path_mtu_black_hole=1)}, WIFI, "large packets"),
        ({"web": measured("web", "bad_answer", target="payroll")}, WIFI,
         "payroll answered with an error; your line is fine"),
        ({"call_path": measured("call_path", "timeout")}, WIFI,
         "hall did not answer in time"),
        ({"call_path": measured("call_path", "udp_blocked")}, WIFI, "UDP"),
        ({"call_path": measured("call_path", "no_network")}, WIFI,
         "there is no network"),
        ({"teams": measured("web", "timeout", target="Microsoft Teams")}, WIFI,
         "Microsoft Teams did not answer in time; your line is fine"),
        ({"web": measured("web", "tls_failed", target="payroll")}, WIFI, "certificate"),
        ({"web": measured("web", "clock_wrong", target="payroll")}, WIFI,
         "clock is wrong"),
        ({"web": measured("web", "captive_portal", target="payroll")}, WIFI, "sign-in"),
        ({"names": measured("name_lookup", "name_server_failed")}, WIFI,
         "this network's name server does not answer"),
        ({"names": measured("name_lookup", "timeout", resolver_through_vpn=1)}, WIFI,
         "the VPN's name server does not answer"),
        ({"names": measured("name_lookup", lookup_ms=2400.0)}, WIFI, "slow (2.4 s)"),
        ({"call_path": POOR}, WIFI,
         "calls may be poor: delay 80 ms, 5.1% of packets lost"),
    ],
)  # fmt: skip
def test_each_cause_by_itself_is_the_headline(
    changes: dict[str, Result], where: Whereabouts, says: str
) -> None:
    judged = verdict(healthy_except(**changes), NOW_MS, where)
    assert not judged.good
    assert says in judged.headline
    assert says.split(";")[0] in judged.problems[0].says
    # Whatever is wrong, the reader learns what to do about it.
    assert judged.problems[0].do


def test_of_several_causes_the_nearest_comes_first_and_explains_poor_calls() -> None:
    judged = verdict(
        healthy_except(
            wifi=measured("wifi", signal_dbm=-84),
            vpn=measured("vpn", up=1, tunnel_loss_ratio=0.08),
            call_path=POOR,
            teams=measured("web", "timeout", target="Microsoft Teams"),
        ),
        NOW_MS,
        WIFI,
    )
    assert [problem.segment for problem in judged.problems] == [
        "wifi",
        "vpn",
        "microsoft",
    ]
    assert judged.headline == (
        "your Wi-Fi is weak, and the VPN loses 8% of packets, outside it 0%, "
        "so calls may be poor; your line is fine"
    )
    lines = advice_lines(judged)
    assert lines[1] == "What to do, starting with the first:"
    assert lines[2].startswith("  1. Your Wi-Fi is weak. Move nearer")


def test_a_problem_that_hides_all_others_is_reported_alone() -> None:
    for outcome, says in (
        ("no_network", "this laptop has no network"),
        ("captive_portal", "a sign-in page (hotel, train) is waiting"),
        ("clock_wrong", "this laptop's clock is wrong"),
        ("name_server_failed", "this network's name server does not answer"),
    ):
        judged = verdict(
            [
                measured("wifi", signal_dbm=-84),
                measured("web", outcome, target="payroll"),
                measured("call_path", outcome),
            ],
            NOW_MS,
            WIFI,
        )
        assert [problem.segment for problem in judged.problems] == ["network"], outcome
        assert says in judged.headline
        assert judged.problems[0].do


def test_the_wifi_counts_only_if_traffic_uses_it() -> None:
    weak = healthy_except(wifi=measured("wifi", signal_dbm=-88))
    assert verdict(weak, NOW_MS, CABLE).good


def test_a_refusal_proves_the_way_works_so_the_person_need_do_nothing() -> None:
    judged = verdict(
        [
            measured("call_path", "refused"),
            measured("name_lookup", "name_not_found", target="payroll.example"),
        ],
        NOW_MS,
        WIFI,
    )
    assert [problem.says for problem in judged.problems] == [
        "the name payroll.example could not be found (DNS)",
        "the test server hall refused the connection",
    ]
    assert all(
        problem.do.startswith("Nothing is wrong on your side")
        for problem in judged.problems
    )
    # No answer can have any cause.
    judged = verdict([measured("call_path", "timeout")], NOW_MS, WIFI)
    assert judged.problems[0].do.startswith("Restart your router")


def test_a_name_that_does_not_exist_hides_no_name_server_that_fails_for_another() -> (
    None
):
    judged = verdict(
        [
            measured("web", "name_server_failed", target="payroll"),
            measured("name_lookup", "name_not_found", target="intranet.example"),
        ],
        NOW_MS,
        WIFI,
    )
    assert any(problem.says.startswith("payroll ") for problem in judged.problems)


def test_staff_are_not_asked_to_fix_an_offices_line() -> None:
    office = Whereabouts(place="office", site="hall", connection="wired")
    judged = verdict(
        healthy_except(path=measured("path", provider_loss_ratio=0.2)), NOW_MS, office
    )
    assert judged.headline.startswith("this building's line loses 20%")
    assert "service desk" in judged.problems[0].tell


def test_a_speed_limited_by_the_far_end_blames_nobody() -> None:
    held = measured("bandwidth", up_bps=0.5e6, up_at_least=1, down_bps=50e6)
    assert verdict(healthy_except(bandwidth=held), NOW_MS, WIFI).good


def test_the_next_reflector_counts_if_the_nearest_is_down() -> None:
    judged = verdict(
        [*healthy_except(), measured("call_path", "refused", target="depot")],
        NOW_MS,
        WIFI,
    )
    assert judged.good


def test_a_relay_that_does_not_answer_proves_nothing() -> None:
    assert verdict(
        [*healthy_except(), measured("teams_relay", "timeout")], NOW_MS, WIFI
    ).good


def test_old_results_and_those_from_another_network_do_not_count() -> None:
    weak = measured("wifi", signal_dbm=-88, age_s=120)
    assert not verdict([weak], NOW_MS, WIFI).good
    for judged in (
        verdict([weak], NOW_MS + 2 * 3_600_000, WIFI),
        verdict([weak], NOW_MS, WIFI, since_ms=NOW_MS - 60_000),
        verdict([], NOW_MS, WIFI),
        verdict([measured("call_path", "not_configured")], NOW_MS, WIFI),
        verdict([measured("vpn", "not_present")], NOW_MS, WIFI),
    ):
        assert judged.good
        assert not judged.measured
        assert judged.headline.startswith("nothing was measured over the network")
    # The speed test runs once a day.
    slow = measured("bandwidth", up_bps=1e5, age_s=20 * 3600)
    assert not verdict([slow], NOW_MS, WIFI).good


_FIELDS = {probe.name: [field.name for field in probe.fields] for probe in MEASUREMENTS}


@given(st.data())
def test_no_results_break_the_verdict(data: st.DataObject) -> None:
    number = st.one_of(
        st.integers(-(2**40), 2**40), st.floats(), st.sampled_from("DFx")
    )
    results = []
    for _ in range(data.draw(st.integers(0, 8))):
        probe = data.draw(st.sampled_from(sorted(_FIELDS)))
        names = st.sampled_from(_FIELDS[probe])
        values = data.draw(st.dictionaries(names, number, max_size=6))
        outcome = data.draw(st.sampled_from(list(Outcome)))
        target = data.draw(st.sampled_from(["", "hall", "Microsoft Teams"]))
        results.append(Result(probe, 1, NOW_MS, outcome, target, values))
    where = data.draw(st.sampled_from([WIFI, CABLE, Whereabouts()]))
    judged = verdict(results, NOW_MS, where)
    assert judged.good == (not judged.problems)
    assert judged.headline
    assert advice_lines(judged)
