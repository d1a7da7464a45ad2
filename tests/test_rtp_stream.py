"""An RTP stream's losses, order, clock and jitter, packet by packet."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rtp_captures import STEP_NS, STEP_TICKS

from collectors.rtp.rtp_stream import RtpStream, StreamKey, estimate_clock
from probes.measure.jitter import running
from probes.wire.bursts import bursts

KEY = StreamKey(b"\1\2\3\4", 4000, b"\5\6\7\x08", 5000, 1)
losses = st.lists(st.booleans(), min_size=1, max_size=400)


def stream_of(sequences, hz=8000, delays_ms=None):
    stream = RtpStream(KEY, hz)
    for at, n in enumerate(sequences):
        delay_ns = int(1e6 * delays_ms[at]) if delays_ms else 0
        stream.add(
            *(n * STEP_NS + delay_ns, 8, n & 0xFFFF, n * STEP_TICKS & 0xFFFFFFFF),
            *(46, False),
        )
    stream.use_sample()
    return stream


@given(losses, st.integers(0, 1 << 17))
def test_losses_and_their_bursts_are_exact_across_every_wrap(lost, first):
    lost = [False, *lost, False]
    stream = stream_of(first + n for n, gone in enumerate(lost) if not gone)
    stream.flush()
    assert stream.expected == len(lost)
    assert stream.received == len(lost) - sum(lost)
    assert stream.bursts.figures(20) == bursts(lost, 20)


@given(st.permutations(range(40)), st.lists(st.integers(0, 39), max_size=10))
def test_order_and_repeats_change_neither_loss_nor_received(order, repeats):
    stream = stream_of([1000 + n for n in (*order, *repeats)])
    stream.flush()
    assert (stream.expected, stream.received) == (40, 40)
    assert stream.duplicates == len(repeats)
    assert stream.packets == 40 + len(repeats)


def test_a_packet_that_comes_late_is_out_of_order_and_not_lost():
    stream = stream_of([1, 2, 4, 5, 3, 6, 8])
    assert (stream.expected - stream.received, stream.reordered) == (1, 1)


def test_a_stray_packet_is_no_loss_but_two_in_sequence_are_a_restart():
    stream = stream_of([*range(100), 40_000, *range(100, 200)])
    assert (stream.expected, stream.received, stream.restarts) == (200, 200, 0)
    stream = stream_of([*range(100), *range(40_000, 40_100)])
    stream.flush()
    assert (stream.expected, stream.received, stream.restarts) == (200, 200, 1)


@given(st.lists(st.floats(0, 19), min_size=2, max_size=150))
def test_jitter_is_that_of_the_rfc(delays_ms):
    stream = stream_of(range(len(delays_ms)), delays_ms=delays_ms)
    times = [(20.0 * n, 20.0 * n + delay) for n, delay in enumerate(delays_ms)]
    estimates = list(running(times))
    assert stream.jitter_ms == pytest.approx(estimates[-1], abs=1e-3)
    assert stream.jitter_samples == len(delays_ms) - 1


def test_jitter_is_in_order_of_arrival_with_packets_that_were_overtaken():
    late_ms = [25.0 * (n % 20 == 10) + n % 3 for n in range(400)]
    order = sorted(range(400), key=lambda n: 20.0 * n + late_ms[n])
    times = [(20.0 * n, 20.0 * n + late_ms[n]) for n in order]
    stream = stream_of(order, delays_ms=[late_ms[n] for n in order])
    assert stream.jitter_ms == pytest.approx(list(running(times))[-1], abs=1e-3)
    assert (stream.reordered, stream.jitter_samples) == (20, 399)
    # A copy, as of a port that is mirrored twice, is no packet without jitter.
    twice = [n for n in order for _ in range(1 + (n % 20 == 3))]
    doubled = stream_of(twice, delays_ms=[late_ms[n] for n in twice])
    assert (doubled.jitter_ms, doubled.duplicates) == (stream.jitter_ms, 20)


@pytest.mark.parametrize("hz", [8000, 16_000, 48_000])
def test_a_clock_that_nobody_announced_is_estimated(hz):
    sample = [(n * STEP_NS, n * hz // 50 & 0xFFFFFFFF, n) for n in range(64)]
    assert estimate_clock(sample) == hz
    assert estimate_clock(sample[:5]) == 0


def test_the_repeats_of_a_tone_are_not_jitter():
    stream = RtpStream(KEY, 8000)
    for n in range(100):
        tone = 40 <= n < 50
        stamp = 40 * STEP_TICKS if tone else n * STEP_TICKS
        stream.add(n * STEP_NS, 101 if tone else 8, n, stamp, 46, False)
    stream.use_sample()
    assert stream.jitter_max_ms == 0


def test_a_codec_with_another_clock_is_no_jitter():
    stream = RtpStream(KEY, 8000)
    stream.clocks = {8: 8000, 111: 48_000}
    for n in range(300):
        is_opus = 100 <= n < 200
        kind, ticks = (111, 960) if is_opus else (8, STEP_TICKS)
        stream.add(n * STEP_NS, kind, n, 5_000_000 * is_opus + n * ticks, 46, False)
    stream.use_sample()
    assert stream.jitter_max_ms == 0
    assert stream.jitter_samples == 297


def test_speech_that_begins_with_a_mark_and_other_timestamps_is_not_late():
    for marker, late in ((True, 0), (False, 1)):
        stream = RtpStream(KEY, 8000)
        for n in range(400):
            stamp = n * STEP_TICKS - 24_000 * (n >= 200) & 0xFFFFFFFF
            stream.add(n * STEP_NS, 8, n, stamp, 46, marker and n == 200)
        assert min(1, stream.late) == late


def test_a_packet_beyond_the_assumed_buffer_is_too_late_to_be_played():
    delays = [0.0] * 200
    delays[150] = 90.0
    assert stream_of(range(200), delays_ms=delays).late == 1
