"""The E-model gives the values of the formulas in ITU-T G.107 and G.113."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.wire.mos import (
    BEST_R,
    G711,
    G711_PLC,
    G729A,
    delay_impairment,
    estimate,
    loss_impairment,
    mos_from_r,
)

MOS_OF_R = {
    0: 1.000,
    20: 1.252,
    30: 1.609,
    40: 2.064,
    50: 2.575,
    60: 3.100,
    70: 3.597,
    80: 4.024,
    90: 4.339,
    93.2: 4.4093,
    94.2: 4.4278,
    95: 4.4414,
    100: 4.500,
}
IDD = {
    100: 0,
    120: 0.001,
    150: 0.164,
    175: 1.035,
    200: 3.044,
    250: 8.917,
    300: 14.761,
    400: 24.070,
    500: 30.636,
}
IE_EFF = {
    G711: (9.896, 17.925, 30.159, 39.041, 51.075, 66.434),
    G711_PLC: (1.855, 3.640, 7.011, 10.142, 15.781, 27.066),
    G729A: (13.154, 15.200, 19.000, 22.455, 28.500, 39.966),
}
LOSS_TO_MOS = [
    (G711_PLC, 1, 89.560, 4.328),
    (G711_PLC, 2, 86.189, 4.235),
    (G711_PLC, 5, 77.419, 3.923),
    (G711_PLC, 10, 66.134, 3.411),
    (G711, 1, 75.275, 3.834),
    (G711, 5, 42.125, 2.169),
    (G729A, 0, 82.2, 4.104),
    (G729A, 1, 78.0, 3.946),
    (G729A, 5, 64.7, 3.340),
]
PATHS = [
    (20, 2, 0, 4.409),
    (60, 10, 1, 4.328),
    (150, 25, 3, 4.131),
    (300, 40, 5, 3.526),
]

rtts = st.floats(0, 5000)
jitters = st.floats(0, 1000)
losses = st.floats(0, 1)


@pytest.mark.parametrize(("r", "mos"), MOS_OF_R.items())
def test_a_rating_gives_the_published_mos(r, mos):
    assert mos_from_r(r) == pytest.approx(mos, abs=6e-4)


def test_the_mos_is_never_below_one_although_the_polynomial_is():
    assert mos_from_r(3.2) == 1.0


@pytest.mark.parametrize(("delay_ms", "idd"), IDD.items())
def test_delay_impairment_is_that_of_g107(delay_ms, idd):
    assert delay_impairment(delay_ms) == pytest.approx(idd, abs=6e-4)


@pytest.mark.parametrize("codec", IE_EFF)
def test_loss_impairment_is_that_of_g107_for_each_codec(codec):
    impairments = [loss_impairment(p / 100, codec) for p in (0.5, 1, 2, 3, 5, 10)]
    assert impairments == pytest.approx(IE_EFF[codec], abs=6e-4)


def test_bursty_loss_impairs_more_than_random_loss():
    assert loss_impairment(0.05, G711_PLC, 2) == pytest.approx(17.210, abs=6e-4)


@pytest.mark.parametrize(("codec", "percent", "r", "mos"), LOSS_TO_MOS)
def test_loss_alone_gives_the_published_mos(codec, percent, r, mos):
    rating = BEST_R - loss_impairment(percent / 100, codec)
    assert rating == pytest.approx(r, abs=6e-4)
    assert mos_from_r(rating) == pytest.approx(mos, abs=6e-4)


@pytest.mark.parametrize(("rtt_ms", "jitter_ms", "percent", "mos"), PATHS)
def test_a_path_gives_the_expected_estimate(rtt_ms, jitter_ms, percent, mos):
    estimated = estimate(rtt_ms, jitter_ms, percent / 100)
    assert estimated == pytest.approx(mos, abs=6e-4)


@given(rtts, jitters, losses, st.floats(1, 50))
def test_an_estimate_is_between_1_and_4_5(rtt_ms, jitter_ms, loss, ratio):
    assert 1 <= estimate(rtt_ms, jitter_ms, loss, ratio) <= 4.5


@given(rtts, jitters, losses, losses)
def test_more_loss_is_never_better(rtt_ms, jitter_ms, one, other):
    less, more = sorted((one, other))
    assert estimate(rtt_ms, jitter_ms, more) <= estimate(rtt_ms, jitter_ms, less) + 1e-9


@given(rtts, rtts, jitters, losses)
def test_more_delay_is_never_better(one, other, jitter_ms, loss):
    less, more = sorted((one, other))
    assert estimate(more, jitter_ms, loss) <= estimate(less, jitter_ms, loss) + 1e-9
