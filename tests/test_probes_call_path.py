"""The call path: figures of a run, and runs against reflectors of every kind."""

import asyncio
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st
from probe_runs import reflector_at, run_call_path
from udp_echo import echo

from probes.measure import packet_stream
from probes.measure.call_figures import summarise
from probes.measure.call_path import NAME
from probes.wire import stamp
from probes.wire.catalogue import check_sample
from probes.wire.failure import Outcome
from probes.wire.measurements import CATALOGUE
from probes.wire.policy import CallTargets
from probes.wire.report import Report, Whereabouts, samples

BASE_NS = 1_700_000_000_000_000_000
QUICK = {"packets": 60, "interval_ms": 4, "now_ms": lambda: 1_700_000_000_000}


def arrival(sequence, count, out_ms=10.0, in_ms=10.0, interval_ms=20.0):
    t1_ns = round(sequence * interval_ms * 1e6)
    t2_ns = t1_ns + round(out_ms * 1e6)
    t3_ns = t2_ns + 50_000
    reply = stamp.ReflectorReply(
        sequence=count,
        t3_ntp=stamp.ntp_of(BASE_NS + t3_ns),
        ssid=1,
        t2_ntp=stamp.ntp_of(BASE_NS + t2_ns),
        sender_sequence=sequence,
        t1_ntp=0,
        sender_ttl=64,
        dscp_arrived=-1,
    )
    return packet_stream.Arrival(t3_ns + round(in_ms * 1e6), sequence, reply)


def observed(arrivals, sent=500, reflected=None, interval_ms=20.0):
    times = [round(n * interval_ms * 1e6) for n in range(sent)]
    ordered = sorted(arrivals, key=lambda arrival: arrival.t4_ns)
    closing = {}
    if reflected is not None:
        closing_request = arrival(sent + packet_stream.CLOSING_GAP, reflected)
        closing = {closing_request.number: closing_request.reply}
    return packet_stream.StreamResult(times, ordered, closing, None, False, 0, 0, 0, 0)


def clean(sent=500, without=(), **kwargs):
    return [arrival(n, n, **kwargs) for n in range(sent) if n not in without]


def test_a_clean_run_has_no_loss_and_the_best_mos():
    values = summarise(observed(clean()), 20)
    for name in ("rtt_ms", "rtt_min_ms", "rtt_p95_ms"):
        assert values[name] == pytest.approx(20, abs=1e-5)
    assert values["jitter_ms"] == 0
    assert values["loss_ratio"] == values["loss_out_ratio"] == 0
    assert values["reorder_ratio"] == values["duplicate_ratio"] == 0
    assert values["mos_estimated"] == pytest.approx(4.409, abs=1e-3)
    assert values["poor"] == 0


def test_round_trips_do_not_include_the_reflectors_time():
    slow = []
    for one in clean():
        held = one.reply._replace(t3_ntp=one.reply.t3_ntp + (1 << 26))
        later_ns = one.t4_ns + round((1 << 26) * 1e9 / 2**32)
        slow.append(one._replace(t4_ns=later_ns, reply=held))
    assert summarise(observed(slow), 20)["rtt_ms"] == pytest.approx(20, abs=1e-3)


def test_a_reflector_whose_clock_jumped_cannot_make_a_round_trip_negative():
    broken = [
        one._replace(reply=one.reply._replace(t3_ntp=one.reply.t2_ntp - 2**40))
        for one in clean()
    ]
    assert summarise(observed(broken), 20)["rtt_ms"] > 0


def test_one_lost_packet_is_not_a_burst_and_not_poor():
    values = summarise(observed(clean(without={100})), 20)
    assert values["burst_loss_ratio"] == 0.1
    assert values["poor"] == 0


def test_two_packets_lost_within_200_ms_are_a_burst_and_poor():
    near = summarise(observed(clean(without={100, 105})), 20)
    far = summarise(observed(clean(without={100, 115})), 20)
    assert near["burst_loss_ratio"] == 0.2
    assert (near["poor"], far["poor"]) == (1, 0)


@pytest.mark.parametrize(("lost", "poor"), [(7, 0), (8, 1)])
def test_in_15_s_seven_lost_packets_pass_and_eight_do_not(lost, poor):
    gone = {n * 90 for n in range(lost)}
    assert summarise(observed(clean(750, gone), 750), 20)["poor"] == poor


def test_loss_is_judged_over_the_worst_15_s_of_a_longer_run():
    gone = {1000 + n * 40 for n in range(8)}
    values = summarise(observed(clean(3000, gone), 3000), 20)
    assert values["loss_ratio"] < 0.01
    assert values["poor"] == 1


@pytest.mark.parametrize(
    ("out_ms", "in_ms", "poor"), [(49.9, 49.9, 0), (50, 50.1, 1), (100, 100, 1)]
)
def test_a_round_trip_of_100_ms_misses_the_target(out_ms, in_ms, poor):
    run = observed(clean(out_ms=out_ms, in_ms=in_ms))
    assert summarise(run, 20)["poor"] == poor


def swapped(sent):
    """Two neighbouring packets arrive in reverse order."""
    run = clean(sent)
    one, two = run[200], run[201]
    run[200] = one._replace(t4_ns=two.t4_ns + 1_000_000)
    return run


def test_reordering_in_a_short_run_is_reported_but_not_judged():
    values = summarise(observed(swapped(500)), 20)
    assert values["reorder_ratio"] == pytest.approx(1 / 500)
    assert values["poor"] == 0


def test_reordering_is_judged_from_2000_packets():
    few = observed(swapped(2001), 2001)
    assert summarise(few, 20)["poor"] == 0
    strict = CallTargets(reorder_ratio=0.0004)
    assert summarise(few, 20, strict)["poor"] == 1


def test_the_reflectors_count_separates_loss_by_direction():
    # 10 were lost outbound and 20 inbound.
    out, back = set(range(100, 110)), set(range(200, 220))
    arrivals, count = [], 0
    for n in range(500):
        if n in out:
            continue
        if n not in back:
            arrivals.append(arrival(n, count))
        count += 1
    values = summarise(observed(arrivals, reflected=490), 20)
    assert values["loss_out_ratio"] == pytest.approx(10 / 500)
    assert values["loss_in_ratio"] == pytest.approx(20 / 490, abs=1e-6)


def test_without_the_reflectors_count_loss_has_no_direction():
    values = summarise(observed(clean(without={9})), 20)
    assert "loss_out_ratio" not in values
    assert "loss_in_ratio" not in values
    assert values["loss_ratio"] == 1 / 500


def test_an_impossible_count_is_ignored():
    for count in (0, 10, 600):
        run = observed(clean(without={9}), reflected=count)
        assert "loss_out_ratio" not in summarise(run, 20)


def test_jitter_is_that_of_the_worse_direction():
    shaken = [arrival(n, n, out_ms=10 + 5 * (n % 2)) for n in range(500)]
    values = summarise(observed(shaken), 20)
    assert values["jitter_out_ms"] == pytest.approx(5, rel=0.05)
    assert values["jitter_in_ms"] == pytest.approx(0, abs=1e-6)
    assert values["jitter_ms"] == values["jitter_out_ms"]


def test_packets_too_late_to_play_count_as_lost_only_in_the_mos():
    late = [arrival(n, n, in_ms=400 if 200 <= n < 225 else 10) for n in range(500)]
    values = summarise(observed(late), 20)
    assert values["loss_ratio"] == 0
    assert values["late_ratio"] == pytest.approx(25 / 500)
    quick = summarise(observed(clean()), 20)
    assert quick["late_ratio"] == 0
    assert values["mos_estimated"] < quick["mos_estimated"] - 0.3


def test_pdv_is_the_95th_percentile_above_the_minimum_of_the_worse_direction():
    shaken = [arrival(n, n, out_ms=10 + n % 100, in_ms=10) for n in range(500)]
    assert summarise(observed(shaken), 20)["pdv_ms"] == pytest.approx(94, abs=1e-5)


def test_each_target_has_its_own_verdict():
    values = summarise(observed(clean(without={100, 105}, out_ms=95)), 20)
    met = {name: value for name, value in values.items() if name.endswith("_met")}
    assert met == {"rtt_met": 0, "loss_met": 1, "burst_met": 0, "jitter_met": 1}


def test_bursts_and_gaps_are_reported():
    values = summarise(observed(clean(without={100, 101, 103, 300, 450})), 20)
    assert values["burst_ms"] == pytest.approx(50)
    assert values["burst_density_ratio"] > 0.5
    assert 0 < values["gap_density_ratio"] < 0.01


def test_duplicates_count_once_and_are_reported():
    run = clean()
    values = summarise(observed([*run, run[3]._replace(t4_ns=run[3].t4_ns + 9)]), 20)
    assert values["received"] == 500
    assert values["duplicate_ratio"] == 1 / 500


def test_a_single_reply_is_enough_for_figures():
    values = summarise(observed([arrival(0, 0)], reflected=1), 20)
    assert values["received"] == 1
    assert "jitter_ms" not in values
    assert values["poor"] == 1


@st.composite
def runs(draw):
    sent = draw(st.integers(1, 80))
    arrivals = draw(
        st.lists(
            st.builds(
                arrival,
                st.integers(0, sent - 1),
                st.integers(0, 2**32 - 1),
                st.floats(-1e6, 1e6),
                st.floats(0, 1e4),
            ),
            min_size=1,
            max_size=120,
        )
    )
    return observed(arrivals, sent, draw(st.none() | st.integers(0, 2**32 - 1)))


@given(runs(), st.sampled_from([5.0, 20.0]))
def test_the_figures_of_any_run_are_consistent(run, interval_ms):
    values = summarise(run, interval_ms)
    sent, received = values["sent"], values["received"]
    assert received + round(values["loss_ratio"] * sent) == sent
    assert 1 <= values["mos_estimated"] <= 4.5
    assert values["rtt_min_ms"] <= values["rtt_p95_ms"]
    for name, value in values.items():
        if name.endswith("_ratio") and name != "duplicate_ratio":
            assert 0 <= value <= 1, name
        assert value >= 0, name
    report = Report(1, "r", "a", 0, "test", Whereabouts(), ())
    from probes.wire.report import Result

    result = Result(NAME, 1, 0, Outcome.OK, "r1", values)
    whole = Report(1, "r", "a", 0, "test", Whereabouts(), (result,))
    assert samples(report, "", "") == []
    check_sample(samples(whole, "", "")[0], CATALOGUE)


async def against(answer, **kwargs):
    where = {name: kwargs.pop(name) for name in ("tcp_port", "key") if name in kwargs}
    async with echo(answer) as port:
        return await run_call_path(
            reflector_at("127.0.0.1", port, **where), **(QUICK | kwargs)
        )


def honest(data, count):
    sent = stamp.read_request(data)
    now = stamp.ntp_of(BASE_NS)
    return stamp.reply(sent, count, now, now, 64, stamp.reply_tlvs(data[44:]))


def stateless(data, _count):
    return honest(data, stamp.read_request(data).sequence)


@pytest.mark.parametrize("kernel_times", [True, False])
async def test_packets_sent_are_packets_received_or_lost(kernel_times):
    def every_fifth_is_gone(data, count):
        return [] if count % 5 == 0 and count < 60 else [honest(data, count)]

    result = await against(every_fifth_is_gone, kernel_times=kernel_times)
    assert result.outcome is Outcome.OK
    assert result.time_ms == 1_700_000_000_000
    assert (result.values["sent"], result.values["received"]) == (60, 48)
    assert result.values["loss_out_ratio"] == 0
    assert result.values["loss_in_ratio"] == 0.2


async def test_with_a_stateless_reflector_loss_has_no_direction():
    def gone(data, count):
        return [] if count == 7 else [stateless(data, count)]

    result = await against(gone)
    assert result.values["received"] == 59
    assert "loss_out_ratio" not in result.values


async def test_replies_to_requests_that_were_never_sent_do_not_count():
    def forged(data, count):
        sent = stamp.read_request(data)
        guess = stamp.reply(sent._replace(t1_ntp=sent.t1_ntp ^ 1), count, 0, 0)
        return [guess, b"", b"\xff" * 200, data]

    result = await against(forged, packets=10)
    assert result.outcome in (Outcome.TIMEOUT, Outcome.UDP_BLOCKED)
    assert result.values == {}


async def test_duplicates_are_detected_on_the_wire():
    result = await against(lambda data, count: [honest(data, count)] * 2)
    assert result.values["received"] == 60
    assert result.values["duplicate_ratio"] > 0.9


async def test_a_port_without_a_listener_refuses():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    result = await run_call_path(reflector_at("127.0.0.1", port), **QUICK)
    assert result.outcome is Outcome.REFUSED
    assert result.cost_bytes > 0


@pytest.mark.parametrize("name", ["no-such-host.invalid", "x" * 70 + ".invalid", ".."])
async def test_a_name_that_does_not_exist_is_not_found(name):
    result = await run_call_path(reflector_at(name), **QUICK)
    assert result.outcome in (Outcome.NAME_NOT_FOUND, Outcome.NAME_SERVER_FAILED)
    assert result.cost_bytes == 0


async def test_a_run_that_is_cancelled_ends_and_leaves_no_thread():
    def answer(data, count):
        return [honest(data, count)]

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await against(answer, packets=10_000, interval_ms=20)
    import threading

    names = [thread.name for thread in threading.enumerate()]
    assert "stream-inbox" not in names


async def test_the_stream_is_paced_by_its_schedule():
    received_s = []

    def noted(data, count):
        received_s.append(asyncio.get_running_loop().time())
        return [honest(data, count)]

    await against(noted, packets=50, interval_ms=10)
    # No packet is earlier than scheduled, except after a late one.
    assert received_s[-1] - received_s[0] > 0.45


def test_what_was_not_marked_says_nothing_of_the_networks_marks():
    def arrived(dscp, marked):
        run = observed(clean())
        marks = [
            a._replace(reply=a.reply._replace(dscp_arrived=dscp)) for a in run.arrivals
        ]
        values = summarise(run._replace(arrivals=marks), 20, marked=marked)
        return values.get("dscp_arrived")

    assert arrived(0, True) == 0
    assert arrived(46, True) == 46
    # Windows: a QoS policy marked it, or nothing did.
    assert arrived(46, False) == 46
    assert arrived(0, False) is None
    assert packet_stream.marks_packets("linux")
    assert not packet_stream.marks_packets("win32")
