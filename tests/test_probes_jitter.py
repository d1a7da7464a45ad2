"""Jitter of RFC 3550, bursts of RFC 3611 and percentiles."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.measure.jitter import jitter, running
from probes.wire.bursts import GMIN, burst_ratio, bursts, count_bursts, worst_window
from probes.wire.percentiles import percentile

SENT = (0, 20, 40, 60, 80, 100)
RECEIVED = (50, 70, 95, 110, 140, 150)

times = st.lists(st.tuples(st.floats(0, 1e7), st.floats(0, 1e7)), max_size=200)
losses = st.lists(st.booleans(), min_size=1, max_size=400)


def test_jitter_follows_rfc_3550_packet_by_packet():
    estimates = list(running(zip(SENT, RECEIVED, strict=True)))
    expected = [0, 0, 0.3125, 0.60546875, 1.192626953125, 1.7430877685546875]
    assert estimates == expected


def test_a_constant_difference_of_10_gives_a_jitter_near_10_after_100_packets():
    arrivals = [(20 * n, 20 * n + (10 if n % 2 else 0)) for n in range(101)]
    assert list(running(arrivals))[-1] == pytest.approx(9.98426, abs=1e-5)


def test_a_run_shorter_than_the_warm_up_gives_the_last_value_of_the_rfc():
    assert jitter(zip(SENT, RECEIVED, strict=True)) == 1.7430877685546875


def test_a_long_run_gives_its_mean_and_not_its_last_value():
    calm_at_last = [(20 * n, 20 * n + (10 if n % 2 else 0)) for n in range(400)]
    calm_at_last += [(20 * n, 20 * n) for n in range(400, 450)]
    assert 8 < (jitter(calm_at_last) or 0) < 10
    assert list(running(calm_at_last))[-1] < 1


def test_one_packet_has_no_jitter():
    assert jitter([(0, 1)]) is None
    assert jitter([]) is None


@given(times)
def test_jitter_is_never_negative(arrivals):
    assert all(estimate >= 0 for estimate in running(arrivals))


@given(times, st.floats(-1e6, 1e6))
def test_jitter_does_not_depend_on_the_clocks(arrivals, ahead):
    shifted = [(sent, received + ahead) for sent, received in arrivals]
    assert list(running(shifted)) == pytest.approx(list(running(arrivals)), abs=1e-3)


def test_percentiles_are_measured_values():
    assert percentile([5, 1, 4, 2, 3], 50) == 3
    assert percentile(range(1, 101), 95) == 95
    assert percentile([7], 99) == 7
    assert percentile([1, 2], 0) == 1
    # Ranks 10.45 and 10.5: rounded to the nearest, halves up, as the stores do.
    assert percentile(range(1, 12), 95) == 10
    assert percentile(range(1, 22), 50) == 11


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.integers(0, 100))
def test_a_percentile_is_one_of_the_values(values, percent):
    assert percentile(values, percent) in values


def test_bursts_and_gaps_are_those_of_rfc_3611():
    good, lost = [False], [True]
    run = good * 20 + lost + good * 20 + [True, True, False, True]
    run += good * 20 + lost + good * 20
    metrics = bursts(run, packet_ms=20)
    assert metrics.burst_density_ratio * 256 == pytest.approx(204.8)
    assert metrics.gap_density_ratio * 256 == pytest.approx(4.1967, abs=1e-4)
    assert metrics.gap_ms == pytest.approx(630)
    assert metrics.burst_ms == pytest.approx(50)


@given(losses)
def test_densities_are_ratios_and_durations_are_not_negative(run):
    metrics = bursts(run, packet_ms=20)
    assert 0 <= metrics.burst_density_ratio <= 1
    assert 0 <= metrics.gap_density_ratio <= 1
    assert metrics.burst_ms >= -1e-9
    assert metrics.gap_ms >= 0


@given(losses)
def test_densities_and_durations_are_those_of_the_losses_by_their_distances(run):
    lost = [False] * GMIN + run
    at = [place for place, gone in enumerate(lost) if gone]
    groups = [[place] for place in at[:1]]
    for before, place in pairwise(at):
        if place - before > GMIN:
            groups.append([])
        groups[-1].append(place)
    assert count_bursts(lost).has_bursts == any(len(group) > 1 for group in groups)
    if not at:
        return
    # The last group may not have ended, so it counts as a burst even if it is one loss.
    close = [group for group in groups[:-1] if len(group) > 1] + groups[-1:]
    packets = sum(group[-1] - group[0] + 1 for group in close)
    single = len(groups) - len(close)
    metrics = bursts(lost, packet_ms=20)
    assert metrics.burst_ms == pytest.approx(20 * packets / len(close))
    assert metrics.burst_density_ratio == pytest.approx(sum(map(len, close)) / packets)
    in_gaps = at[-1] + 1 - packets
    # Of a gap, the received packets, the lost ones, and the first loss of the burst.
    assert metrics.gap_density_ratio == pytest.approx(single / in_gaps)
    assert metrics.gap_ms == pytest.approx(20 * (in_gaps / len(close) + 1))


def test_a_run_without_loss_has_no_burst():
    assert bursts([False] * 500, 20) == (0.0, 0.0, 0.0, 0.0)


@given(losses, st.integers(1, 50))
def test_the_worst_window_is_the_worst_of_all_windows(run, packets):
    starts = range(max(1, len(run) - packets + 1))
    assert worst_window(run, packets) == max(
        sum(run[at : at + packets]) for at in starts
    )


def test_clustered_losses_have_a_burst_ratio_above_one():
    alone = [n % 10 == 0 for n in range(1000)]
    together = [n % 100 < 10 for n in range(1000)]
    assert burst_ratio(alone) == 1.0
    assert burst_ratio(together) == pytest.approx(9.0)
    assert burst_ratio([True] * 5) == burst_ratio([False] * 5) == 1.0
