"""How long callers wait for a sign, and with which codes calls end (RFC 6076)."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rtp_captures import ethernet, ipv4, udp, write_capture
from services import corpus
from typer.testing import CliRunner

from collectors.rtp.rtp_table import call_table
from collectors.rtp.sip_calls import SipCallFigures, SipCalls
from collectors.rtp.sip_messages import call_digest, read_sip
from probes.wire.percentiles import percentile
from towpath.cli import app

MS = 1_000_000


def sip(
    what: int | str, call: str = "1", branch: str = "a", tag: bool = False, of: str = ""
) -> bytes:
    """A request, or the reply with a code."""
    start = f"SIP/2.0 {what} X" if isinstance(what, int) else ""
    method = of or (what if isinstance(what, str) else "INVITE")
    to = '"Ada;tag=x" <sip:1234@council.example;x=y>' + (";tag=9" if tag else "")
    return (
        f"{start or f'{what} sip:1234@council.example SIP/2.0'}\r\n"
        f"v: SIP/2.0/UDP 192.0.2.1;rport;branch=z9hG4bK{branch}, SIP/2.0/UDP h;branch=o"
        f"\r\nVia: SIP/2.0/UDP older;branch=z\r\nTo: {to}\r\nCall-ID: {call}@pbx\r\n"
        f"CSeq: 7 {method}\r\n\r\n"
    ).encode()


def followed(*messages: tuple[int, bytes], until_ms: int = 0) -> SipCallFigures | None:
    calls = SipCalls(100)
    for at_ms, payload in messages:
        message = read_sip(payload)
        assert message is not None
        calls.take(at_ms * MS, call_digest(message.call_id), message)
    return calls.finish((until_ms or messages[-1][0]) * MS)


def test_the_delay_ends_with_ringing_and_not_with_trying():
    figures = followed(
        *((0, sip("INVITE")), (500, sip("INVITE")), (550, sip(100))),
        *((1800, sip(183)), (2500, sip(180)), (9000, sip(200, tag=True))),
        # A call that is established is asked again, and ends.
        *((60_000, sip("INVITE", branch="b", tag=True)), (60_010, sip(488, "1", "b"))),
    )
    assert figures is not None
    assert (figures.attempts, figures.answered, figures.refused) == (1, 1, {})
    assert figures.successful_delay is not None
    assert figures.successful_delay.max_ms == 1800
    assert figures.failed_delay is None


def test_a_request_without_credentials_is_no_attempt_of_its_own():
    figures = followed(
        *((0, sip("INVITE")), (20, sip(407)), (21, sip("ACK"))),
        *((40, sip("INVITE", branch="b")), (140, sip(503, branch="b"))),
    )
    assert figures is not None
    assert (figures.attempts, figures.refused) == (1, {503: 1})
    assert figures.failed_delay is not None
    assert figures.failed_delay.max_ms == 100
    refused = followed((0, sip("INVITE")), (20, sip(407)))
    assert refused is not None
    assert (refused.refused, refused.failed_delay) == ({407: 1}, None)


def test_a_call_that_a_proxy_sends_on_counts_once_from_the_callers_side():
    figures = followed(
        *((0, sip("INVITE")), (5, sip("INVITE", branch="proxy"))),
        *((900, sip(486, branch="proxy")), (904, sip(486))),
    )
    assert figures is not None
    assert (figures.attempts, figures.refused) == (1, {486: 1})
    assert figures.failed_delay is not None
    assert figures.failed_delay.max_ms == 904


def test_a_call_that_is_given_up_ends_with_its_own_code_not_with_that_of_the_cancel():
    figures = followed(
        *((0, sip("INVITE")), (100, sip(180)), (4000, sip("CANCEL"))),
        *((4010, sip(200, of="CANCEL")), (4020, sip(487))),
    )
    assert figures is not None
    assert (figures.answered, figures.refused) == (0, {487: 1})


def test_silence_and_a_capture_that_ends_are_told_apart():
    figures = followed(
        *((0, sip("INVITE", "1")), (0, sip("INVITE", "2")), (10, sip(180, "2"))),
        (30_000, sip("INVITE", "3")),
        until_ms=40_000,
    )
    assert figures is not None
    assert (figures.attempts, figures.no_reply, figures.unfinished) == (3, 1, 2)
    assert followed((0, sip(200)), (1, sip("BYE"))) is None


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["INVITE", "ACK", "BYE", 100, 180, 200, 302, 407, 486]),
            st.integers(0, 5).map(str),
            st.sampled_from("ab"),
            st.integers(0, 40_000),
        ),
        max_size=60,
    )
)
def test_each_call_has_one_end_and_no_more_are_held_than_the_limit(messages):
    calls, now_ms = SipCalls(3), 0
    for what, call, branch, step_ms in messages:
        now_ms += step_ms
        message = read_sip(sip(what, call, branch))
        calls.take(now_ms * MS, call.encode(), message)
        assert len(calls._attempts) <= 3
    figures = calls.finish(now_ms * MS)
    if figures is None:
        return
    ends = figures.answered, *figures.refused.values()
    assert figures.attempts == sum(ends) + figures.no_reply + figures.unfinished
    assert figures.attempts <= sum(what == "INVITE" for what, *_ in messages)
    assert not calls._attempts


@given(st.lists(st.integers(0, 300), min_size=1, max_size=40))
def test_percentiles_of_counts_are_those_of_the_values(delays_ms):
    figures = followed(
        *((0, sip("INVITE", f"{n}")) for n in range(len(delays_ms))),
        *((ms, sip(200, f"{n}")) for n, ms in enumerate(delays_ms)),
    )
    assert figures is not None
    delay = figures.successful_delay
    assert delay is not None
    for percent, found in ((50, delay.p50_ms), (95, delay.p95_ms)):
        assert found == percentile(delays_ms, percent)


@pytest.fixture
def busy(tmp_path):
    messages = ((0, sip("INVITE")), (1700, sip(180)), (3000, sip(486)))
    return write_capture(
        tmp_path / "busy.pcap",
        [
            (at_ms * MS, ethernet(ipv4(udp(data, 5060, 5060))))
            for at_ms, data in messages
        ],
    )


def test_table_and_json_have_the_codes_and_no_number(busy):
    result = CliRunner().invoke(app, ["rtp", str(busy)])
    assert "486: busy, declined or given up" in result.stdout
    assert "1.7 s" in result.stdout
    result = CliRunner().invoke(app, ["rtp", str(busy), "--json"])
    found = json.loads(result.stdout)["sip"]
    assert (found["refused"], found["failed_delay"]["p50_ms"]) == ({"486": 1}, 1700)
    assert "1234" not in result.stdout


def test_the_table_of_calls_fits_80_columns():
    figures = followed((0, sip("INVITE")), (36_000, sip(408)))
    assert figures is not None
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(call_table(figures))
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= 80
    assert "408: fault" in text


@pytest.mark.corpus
def test_a_real_capture_has_the_delays_that_wireshark_shows():
    path = corpus("pcap", "ndpi_sip.pcap")
    result = CliRunner().invoke(app, ["rtp", str(path), "--json"])
    found = json.loads(result.stdout)["sip"]
    # Three of its four calls were challenged, and sent again 15 to 50 s later.
    assert found["refused"] == {"403": 2, "408": 1, "480": 1}
    assert (found["failed_delay"]["p50_ms"], found["failed_delay"]["max_ms"]) == (
        205,
        36_773,
    )
