"""Is it me? Each cause by itself, and which one is said first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.diagnosis.agent_status import advice
from probes.diagnosis.verdict import verdict
from probes.wire.failure import Outcome
from probes.wire.measurements import MEASUREMENTS
from probes.wire.report import Result, Whereabouts

NOW_MS = 1_790_000_000_000
WIFI = Whereabouts(place="home", connection="wifi", vpn="up")
CABLE = Whereabouts(place="home", connection="wired", vpn="up")


def seen(
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


# A laptop where all is well.
GOOD = {
    "laptop": seen("laptop", cpu_ratio=0.2, memory_ratio=0.6),
    "wifi": seen("wifi", signal_dbm=-55, signal_min_dbm=-60, roams=0, band_ghz=5.0),
    "path": seen(
        "path",
        gateway_rtt_ms=3.0,
        gateway_loss_ratio=0.0,
        provider_rtt_ms=12.0,
        provider_loss_ratio=0.0,
        edge_rtt_ms=20.0,
        edge_loss_ratio=0.0,
    ),
    "vpn": seen(
        "vpn",
        up=1,
        product="AnyConnect",
        tunnel_rtt_ms=24.0,
        tunnel_loss_ratio=0.0,
        direct_rtt_ms=20.0,
        direct_loss_ratio=0.0,
    ),
    "web": seen("web", target="payroll"),
    "teams": seen("web", target="Microsoft Teams"),
    "names": seen("name_lookup", target="payroll.example", lookup_ms=12.0),
    "call_path": seen("call_path", rtt_ms=21.4, loss_ratio=0.0, poor=0),
    "bandwidth": seen("bandwidth", down_bps=48e6, up_bps=9e6, bufferbloat="A"),
}
POOR = seen("call_path", rtt_ms=80.0, loss_ratio=0.051, poor=1)


def but(**changes: Result) -> list[Result]:
    return list({**GOOD, **changes}.values())


def test_where_all_is_well_it_says_so() -> None:
    found = verdict(but(), NOW_MS, WIFI)
    assert found.good
    assert found.headline == (
        "your connection looks good: the council's hall answered in 21 ms, "
        "nothing was lost"
    )
    assert {each.segment for each in found.fine} == {
        "laptop", "wifi", "line", "vpn", "council", "microsoft",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "where", "says"),
    [
        ({"laptop": seen("laptop", cpu_ratio=0.97)}, WIFI,
         "your laptop is busy (processor 97%); your line is fine"),
        ({"laptop": seen("laptop", cpu_ratio=0.97, cpu_clock_ratio=0.3)}, WIFI,
         "your laptop has slowed itself down"),
        ({"laptop": seen("laptop", memory_ratio=0.98)}, WIFI, "memory is full"),
        ({"laptop": seen("laptop", half_duplex=1)}, CABLE, "cable's link is slow"),
        ({"wifi": seen("wifi", signal_dbm=-82)}, WIFI,
         "your Wi-Fi is weak (-82 dBm); your line is fine"),
        ({"wifi": seen("wifi", signal_dbm=-80, signal_derived=1)}, WIFI,
         "weak (about -80 dBm)"),
        ({"wifi": seen("wifi", signal_dbm=-60, signal_min_dbm=-88)}, WIFI,
         "your Wi-Fi was weak for moments"),
        ({"wifi": seen("wifi", signal_dbm=-60, snr_db=9)}, WIFI, "disturbed"),
        ({"wifi": seen("wifi", signal_dbm=-60, roams=7)}, WIFI, "access point 7 times"),
        ({"path": seen("path", gateway_loss_ratio=0.06, provider_loss_ratio=0.0)},
         WIFI, "your Wi-Fi loses 6% on the way to your router; your line is fine"),
        ({"path": seen("path", gateway_loss_ratio=0.06)}, CABLE,
         "your connection loses 6% on the way to your router"),
        ({"path": seen("path", provider_loss_ratio=0.04)}, WIFI,
         "your line loses 4%; your Wi-Fi is fine"),
        ({"path": seen("path", provider_rtt_ms=140.0)}, WIFI, "slow to answer (140 ms"),
        ({"bandwidth": seen("bandwidth", down_bps=4e6, up_bps=0.4e6)}, WIFI,
         "your line carries 0.4 Mbit/s away from you"),
        ({"bandwidth": seen("bandwidth", bufferbloat="F")}, WIFI,
         "your line answers late while something large"),
        ({"vpn": seen("vpn", up=1, tunnel_loss_ratio=0.08, direct_loss_ratio=0.0)},
         WIFI, "the VPN loses 8%, the way beside it 0%; your line is fine"),
        ({"vpn": seen("vpn", up=1, tunnel_rtt_ms=140.0, direct_rtt_ms=20.0)}, WIFI,
         "the VPN takes 140 ms, the way beside it 20 ms"),
        ({"vpn": seen("vpn", up=1, reconnects=5)}, WIFI, "came up anew 5 times"),
        ({"vpn": seen("vpn", up=1, path_mtu_black_hole=1)}, WIFI, "packets vanish"),
        ({"web": seen("web", "bad_answer", target="payroll")}, WIFI,
         "payroll answered with an error; your line is fine"),
        ({"call_path": seen("call_path", "timeout")}, WIFI,
         "hall did not answer in time"),
        ({"call_path": seen("call_path", "udp_blocked")}, WIFI, "UDP"),
        ({"call_path": seen("call_path", "no_network")}, WIFI, "there is no network"),
        ({"teams": seen("web", "timeout", target="Microsoft Teams")}, WIFI,
         "Microsoft Teams did not answer in time; your line is fine"),
        ({"web": seen("web", "tls_failed", target="payroll")}, WIFI, "certificate"),
        ({"web": seen("web", "clock_wrong", target="payroll")}, WIFI, "clock is wrong"),
        ({"web": seen("web", "captive_portal", target="payroll")}, WIFI, "sign-in"),
        ({"names": seen("name_lookup", "name_server_failed")}, WIFI,
         "this network's name server does not answer"),
        ({"names": seen("name_lookup", "timeout", resolver_through_vpn=1)}, WIFI,
         "the VPN's name server does not answer"),
        ({"names": seen("name_lookup", lookup_ms=2400.0)}, WIFI, "slowly (2.4 s)"),
        ({"call_path": POOR}, WIFI, "calls may be poor: the council's hall answered"),
    ],
)  # fmt: skip
def test_each_cause_by_itself_is_the_headline(
    changes: dict[str, Result], where: Whereabouts, says: str
) -> None:
    found = verdict(but(**changes), NOW_MS, where)
    assert not found.good
    assert says in found.headline
    assert says.split(";")[0] in found.bad[0].says
    # Whatever is wrong, its reader learns what can be done.
    assert found.bad[0].do or "slow to answer" in says


def test_of_several_causes_the_nearest_one_comes_first_and_explains_the_calls() -> None:
    found = verdict(
        but(
            wifi=seen("wifi", signal_dbm=-84),
            vpn=seen("vpn", up=1, tunnel_loss_ratio=0.08),
            call_path=POOR,
            teams=seen("web", "timeout", target="Microsoft Teams"),
        ),
        NOW_MS,
        WIFI,
    )
    assert [each.segment for each in found.bad] == ["wifi", "vpn", "microsoft"]
    assert found.headline == (
        "your Wi-Fi is weak (-84 dBm); and the VPN loses 8%, the way beside it 0%, "
        "so calls may be poor; your line is fine"
    )
    lines = advice(found)
    assert lines[1] == "What to do, the first one first:"
    assert lines[2].startswith("  1. Your Wi-Fi is weak (-84 dBm). Move nearer")


def test_what_hides_everything_else_is_said_alone() -> None:
    for outcome, says in (
        ("no_network", "this laptop has no network"),
        ("captive_portal", "a sign-in page (hotel, train) is waiting"),
        ("clock_wrong", "this laptop's clock is wrong"),
        ("name_server_failed", "this network's name server does not answer"),
    ):
        found = verdict(
            [
                seen("wifi", signal_dbm=-84),
                seen("web", outcome, target="payroll"),
                seen("call_path", outcome),
            ],
            NOW_MS,
            WIFI,
        )
        assert [each.segment for each in found.bad] == ["network"], outcome
        assert says in found.headline
        assert found.bad[0].do


def test_the_wifi_counts_only_where_the_traffic_goes_over_it() -> None:
    weak = but(wifi=seen("wifi", signal_dbm=-88))
    assert verdict(weak, NOW_MS, CABLE).good


def test_who_refuses_has_been_reached_and_the_person_need_do_nothing() -> None:
    found = verdict(
        [
            seen("call_path", "refused"),
            seen("name_lookup", "name_not_found", target="payroll.example"),
        ],
        NOW_MS,
        WIFI,
    )
    assert [each.says for each in found.bad] == [
        "hall refused the connection",
        "the name payroll.example is not known here",
    ]
    assert all(each.do.startswith("Nothing on your side") for each in found.bad)
    # A silence may be anybody's.
    found = verdict([seen("call_path", "timeout")], NOW_MS, WIFI)
    assert found.bad[0].do.startswith("Restart your router")


def test_a_line_of_an_office_is_not_the_persons_to_mend() -> None:
    office = Whereabouts(place="office", site="hall", connection="wired")
    found = verdict(but(path=seen("path", provider_loss_ratio=0.2)), NOW_MS, office)
    assert found.headline.startswith("this building's line loses 20%")
    assert "service desk" in found.bad[0].do


def test_a_speed_that_the_far_end_held_back_accuses_nobody() -> None:
    held = seen("bandwidth", up_bps=0.5e6, up_at_least=1, down_bps=50e6)
    assert verdict(but(bandwidth=held), NOW_MS, WIFI).good


def test_the_next_reflector_counts_where_the_nearest_is_dead() -> None:
    found = verdict(
        [*but(), seen("call_path", "refused", target="depot")], NOW_MS, WIFI
    )
    assert found.good


def test_a_relay_that_is_silent_proves_nothing() -> None:
    assert verdict([*but(), seen("teams_relay", "timeout")], NOW_MS, WIFI).good


def test_what_was_seen_long_ago_or_in_another_network_does_not_count() -> None:
    weak = seen("wifi", signal_dbm=-88, age_s=120)
    assert not verdict([weak], NOW_MS, WIFI).good
    for found in (
        verdict([weak], NOW_MS + 2 * 3_600_000, WIFI),
        verdict([weak], NOW_MS, WIFI, since_ms=NOW_MS - 60_000),
        verdict([], NOW_MS, WIFI),
        verdict([seen("call_path", "not_configured")], NOW_MS, WIFI),
        verdict([seen("vpn", "not_present")], NOW_MS, WIFI),
    ):
        assert found.good
        assert found.headline == "nothing was measured in the last hour"
    # A speed test is made once a day.
    slow = seen("bandwidth", up_bps=1e5, age_s=20 * 3600)
    assert not verdict([slow], NOW_MS, WIFI).good


_FIELDS = {each.name: [f.name for f in each.fields] for each in MEASUREMENTS}


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
    found = verdict(results, NOW_MS, where)
    assert found.good == (not found.bad)
    assert found.headline
    assert advice(found)
