"""What the person at the laptop reads: `towpath-agent status`, and each result as
text."""

import msgspec
import pytest

from probes.diagnosis.agent_status import (
    Status,
    place_sentence,
    status_lines,
    summary_lines,
)
from probes.diagnosis.result_figures import figure_lines, figures, label
from probes.wire.durations import rough_duration_text
from probes.wire.failure import Outcome
from probes.wire.measurements import MEASUREMENTS
from probes.wire.outcome_text import OUTCOME_TEXT
from probes.wire.probe_list import PROBES
from probes.wire.report import Result, Whereabouts
from probes.wire.result_summary import summary

NOW_MS = 1_790_000_000_000


def result(
    probe: str, outcome: str = "ok", age_s: int = 60, **values: float | str
) -> Result:
    target = "" if probe in {"vpn", "wifi", "laptop", "agent"} else "hall"
    return Result(
        probe, 1, NOW_MS - age_s * 1000, Outcome(outcome), target, dict(values)
    )


def status(**changes: object) -> Status:
    usual = Status(
        written_ms=NOW_MS,
        started_ms=NOW_MS,
        software="towpath-agent/1",
        server="https://t",
        agent="a",
    )
    return msgspec.structs.replace(usual, **changes)


def test_the_status_shows_what_waits_what_fails_and_what_is_next() -> None:
    lines = "\n".join(
        status_lines(
            status(
                waiting=1,
                dropped=4,
                delivery_trouble="the broker is away",
                refused={"version 9": 2},
                last=(result("call_path", rtt_ms=20.0, loss_ratio=0.001, poor=0),),
                next_ms={"call_path": NOW_MS + 90_000},
                spent_bytes=3_400_000,
                spent_today_bytes=1_200_000,
                budget_today_bytes=25_000_000,
                budget_bytes=750_000_000,
                delivered_ms=NOW_MS - 7_200_000,
            ),
            NOW_MS,
        )
    )
    for text in (
        "1 report waiting to be sent, last delivered 2 hours ago",
        "Results cannot be sent at the moment: the broker is away.",
        "The server refused 2 reports: version 9.",
        "The agent dropped 4 old reports to make room.",
        "Call quality (hall)  Good: delay 20 ms, a few packets lost (0.1%)  1 min",
        "RTT 20 ms, packet loss 0.1%, rated poor no",
        "Next: call quality in 90 s",
        "Data used today: 1.2 MB of 25 MB. This month: 3.4 MB of 750 MB.",
    ):
        assert text in lines
    old = status_lines(status(written_ms=NOW_MS - 3 * 3_600_000), NOW_MS)
    assert old[0] == "The agent is not running. It last ran 3 hours ago."
    assert "has not run" in status_lines(None, NOW_MS)[0]


def test_every_outcome_and_every_probe_has_a_text() -> None:
    assert set(OUTCOME_TEXT) == set(Outcome)
    assert all(probe.title for probe in PROBES)


@pytest.mark.parametrize(
    ("measured", "text"),
    [
        (result("call_path", rtt_ms=23.4, loss_ratio=0.0, poor=0),
         "Good: delay 23 ms, no packets lost"),
        (result("call_path", rtt_ms=80, loss_ratio=0.0512, jitter_ms=41.0, poor=1),
         "Poor: delay 80 ms, 5.1% of packets lost, unsteady (jitter 41 ms)"),
        (result("call_path"), "Worked"),
        (result("call_path", "timeout"), "Did not answer in time"),
        (result("path", gateway_rtt_ms=0.4, provider_rtt_ms=11.6),
         "Delay under 1 ms to your router, 12 ms to your provider"),
        (result("path", method="connect"), "Worked"),
        (result("teams_relay", rtt_ms=31.0, loss_ratio=0.004),
         "Delay 31 ms, a few packets lost (0.4%)"),
        (result("name_lookup", "name_not_found"), "Could not be found (DNS)"),
        (result("name_lookup", lookup_ms=12.2), "Found in 12 ms"),
        (result("web", total_ms=240.0), "Answered in 240 ms"),
        (result("vpn", up=1, product="AnyConnect", tunnel_rtt_ms=24.0),
         "Connected (AnyConnect), delay 24 ms"),
        (result("vpn", up=1), "Connected"),
        (result("vpn", up=0), "Not connected"),
        (result("wifi", signal_dbm=-55), "Good signal, -55 dBm"),
        (result("wifi", signal_dbm=-70), "Fair signal, -70 dBm"),
        (result("wifi", signal_dbm=-84), "Weak signal, -84 dBm"),
        (result("wifi", signal_dbm=-80, signal_derived=1),
         "Weak signal, about -80 dBm"),
        (result("wifi", signal_dbm=-60, signal_min_dbm=-88),
         "Good signal, -60 dBm; weak at times, -88 dBm"),
        (result("wifi", quality_ratio=0.84), "Signal 84%"),
        (result("laptop", cpu_ratio=0.234, memory_ratio=0.6),
         "Processor 23% busy, memory 60% full"),
        (result("bandwidth", down_bps=48.2e6, up_bps=9e6, up_at_least=1),
         "Download 48.2 Mbit/s, upload at least 9 Mbit/s"),
        (result("bandwidth", "busy"),
         "Was not measured: the server is busy, the agent will try again"),
        (result("agent", spool_reports=0), "Running"),
        (result("agent", spool_reports=1), "Running, 1 report waiting to be sent"),
        (result("tomorrow", figure=1), "Worked"),
    ],
)  # fmt: skip
def test_a_result_is_summed_up_in_plain_words(measured: Result, text: str) -> None:
    assert summary(measured) == text


@pytest.mark.parametrize(
    ("measured", "text"),
    [
        (result("bandwidth", down_bps=48_200_000.0, retry_after_s=9),
         "download 48.2 Mbit/s, retry after 9 s"),
        (result("bandwidth", down_bps=5.07e9, responsiveness_rpm=2863333.1),
         "download 5,070 Mbit/s, responsiveness 2,863,333 RPM"),
        (result("call_path", sent=500, received=1, rtt_ms=0.07231, pdv_ms=0.0468),
         "packets sent 500, packets received 1, RTT 0.07 ms, PDV p95 0.05 ms"),
        (result("call_path", burst_density_ratio=0.0, dscp_arrived=46, loss_ratio=2e-5),
         "burst density (RFC 3611) 0%, DSCP on arrival 46 (EF), "
         "packet loss under 0.01%"),
        (result("call_path", dscp_arrived=8, mos_estimated=4.316),
         "DSCP on arrival 8, MOS (estimated) 4.3"),
        (result("call_path", rtt_met=0, loss_met=1, burst_met=0, poor=1),
         "misses the RTT target, misses the burst loss target, rated poor yes"),
        (result("bandwidth", down_bps=48e6, down_at_least=1, up_bps=9e6, at_least=1),
         "download at least 48 Mbit/s, upload 9 Mbit/s"),
        (result("laptop", uptime_days=1, link_mtu_byte=1500),
         "uptime 1 day, link MTU 1,500 bytes"),
        (result("vpn", product="AnyConnect", teams_way="split_out"),
         "AnyConnect, route to Teams split_out"),
        (result("call_path", of_tomorrow_ms=3.0), "of tomorrow 3"),
    ],
)  # fmt: skip
def test_figures_have_an_engineers_name_a_unit_and_few_digits(
    measured: Result, text: str
) -> None:
    assert figures(measured) == text


def test_no_field_is_shown_by_its_raw_name() -> None:
    for measurement in MEASUREMENTS:
        for field in measurement.fields:
            assert not label(field.name).endswith(("_ms", "_ratio", "_bps", "_byte"))
            assert "_" not in label(field.name)


def test_figures_are_wrapped_for_a_terminal() -> None:
    many = result("call_path", **{f"field_{number}": 1 for number in range(40)})
    lines = figure_lines([many, result("web", "timeout")])
    assert max(map(len, lines)) <= 79
    assert lines[0].startswith("  Call quality (hall): ok; field 0 1, ")
    assert lines[1].startswith("    ")
    assert lines[-1] == "  Web service (hall): timeout"


def test_results_stand_in_columns_with_their_age() -> None:
    results = [result("vpn", up=1), result("web", "refused", age_s=600)]
    assert summary_lines(results, NOW_MS) == [
        "  VPN                 Connected               1 minute ago",
        "  Web service (hall)  Refused the connection  10 minutes ago",
    ]
    assert summary_lines(results)[0] == "  VPN                 Connected"


def test_the_place_is_a_sentence_with_its_reason() -> None:
    office = Whereabouts(place="office", site="Hall", connection="wired", vpn="absent")
    assert place_sentence(office, "the beacon answered") == (
        "The laptop is at the office Hall, on a cable (the beacon answered)."
    )
    unknown = Whereabouts(connection="wifi", vpn="up")
    assert place_sentence(unknown, "") == (
        "The laptop is in a network that the agent does not know, on Wi-Fi, with the "
        "VPN connected."
    )


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "0 seconds"),
        (1_000, "1 second"),
        (59_000, "59 seconds"),
        (60_000, "1 minute"),
        (119_000, "2 minutes"),
        (7_000_000, "117 minutes"),
        (86_400_000, "24 hours"),
        (172_800_000, "2 days"),
    ],
)
def test_a_duration_is_one_number_and_one_unit(ms: int, text: str) -> None:
    assert rough_duration_text(ms / 1000) == text
