from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from collectors.reflector import ReflectorConfig
from collectors.reflector.ndt7_server import (
    MalformedRequest,
    SubtestRequest,
    parse_request,
)
from collectors.reflector.reflector_limits import AllowList, SourceRates, StampSessions

visits = st.lists(st.tuples(st.integers(0, 30), st.floats(0, 5)), max_size=300)


def test_a_session_counts_its_own_packets():
    sessions: StampSessions[str] = StampSessions(most=10, idle_s=60)
    assert [sessions.count("a", 0.0) for _ in range(3)] == [0, 1, 2]
    assert sessions.count("b", 0.0) == 0


def test_a_session_begins_anew_after_its_idle_time():
    sessions: StampSessions[str] = StampSessions(most=10, idle_s=60)
    sessions.count("a", 0.0)
    assert sessions.count("a", 60.0) == 1
    assert sessions.count("a", 120.5) == 0
    sessions.expire(180.6)
    assert len(sessions) == 0


def test_the_longest_idle_session_makes_room():
    sessions: StampSessions[str] = StampSessions(most=2, idle_s=60)
    for name in ("a", "b", "a", "c"):
        sessions.count(name, 0.0)
    assert sessions.count("a", 0.0) == 2
    assert sessions.count("b", 0.0) == 0


@given(visits, st.integers(1, 8))
def test_memory_is_bounded_for_any_visitors(visits, most):
    sessions: StampSessions[int] = StampSessions(most, idle_s=3)
    rates: SourceRates[int] = SourceRates(per_s=2, most=most)
    now_s = 0.0
    for key, later_s in visits:
        now_s += later_s
        sessions.count(key, now_s)
        rates.allow(key, now_s)
        assert len(sessions) <= most


@given(st.lists(st.floats(0, 2), max_size=300), st.integers(1, 20))
def test_nobody_gets_more_than_the_rate_and_one_seconds_worth(gaps, per_s):
    rates: SourceRates[str] = SourceRates(per_s, most=10)
    now_s, allowed = 0.0, 0
    for gap_s in gaps:
        now_s += gap_s
        allowed += rates.allow("a", now_s)
    assert allowed <= per_s * (now_s + 1) + 1e-6


def test_one_visitors_haste_costs_another_nothing():
    rates: SourceRates[str] = SourceRates(per_s=2, most=10)
    assert [rates.allow("a", 0.0) for _ in range(3)] == [True, True, False]
    assert rates.allow("b", 0.0)


def test_the_allow_list_knows_both_families_and_mapped_addresses():
    allow = AllowList((ip_network("10.0.0.0/8"), ip_network("fd00::/8")))
    assert allow.allows("10.1.2.3")
    assert allow.allows("::ffff:10.1.2.3")
    assert allow.allows("fd12::1%eth0")
    assert not allow.allows("192.0.2.1")
    assert not allow.allows("2001:db8::1")
    assert not allow.allows("no address")
    assert AllowList(()).allows("192.0.2.1")


def test_a_certificate_without_its_key_is_refused():
    with pytest.raises(ValidationError, match="belong together"):
        ReflectorConfig(tls_certificate="a.pem")


@pytest.mark.parametrize(
    ("target", "ask"),
    [
        ("/ndt/v7/download", SubtestRequest("download")),
        ("/ndt/v7/upload?client_name=x&client_os=", SubtestRequest("upload")),
        ("/ndt/v7/download?early_exit=250", SubtestRequest("download", 250_000_000)),
        ("/ndt/v7/upload?early_exit=250", SubtestRequest("upload")),
        ("/ndt/v7/download?towpath_most_bytes=5000", SubtestRequest("download", 5000)),
        ("/ndt/v7/download?towpath_most_bytes=lots", SubtestRequest("download")),
        ("/ndt/v7/elsewhere", None),
        ("/", None),
    ],
)
def test_a_target_names_a_test(target, ask):
    assert parse_request(target) == ask


@pytest.mark.parametrize(
    "query",
    ["=1", "early_exit=200", "early_exit=", "a=" + "x" * 4100, "a=%ff"],
)
def test_a_query_the_specification_forbids_is_refused(query):
    with pytest.raises(MalformedRequest):
        parse_request(f"/ndt/v7/download?{query}")


@given(st.text(max_size=200))
def test_no_query_whatever_troubles_the_reader(query):
    try:
        ask = parse_request(f"/ndt/v7/download?{query}")
    except MalformedRequest:
        return
    assert ask is None or ask.most_bytes >= 0
