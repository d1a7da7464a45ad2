"""Our formulas agree with another implementation of the same standards."""

import contextlib
import io
import runpy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from services import SHARED

from probes.wire import bursts, mos

pytestmark = pytest.mark.corpus


def reference(name):
    """The names that a reference script defines, without its output."""
    path = SHARED / "reference" / name
    if not path.exists():
        pytest.skip(f"no reference beside this checkout: {path}")
    with contextlib.redirect_stdout(io.StringIO()):
        return runpy.run_path(str(path))


@pytest.fixture(scope="module")
def g107():
    return reference("emodel_check.py")


@pytest.fixture(scope="module")
def rfc3611():
    return reference("jitter_rfc3611_vectors.py")


def test_the_best_rating_is_that_of_the_whole_model_at_its_defaults(g107):
    whole = g107["full"]()
    assert pytest.approx(whole["R"], abs=0.01) == mos.BEST_R
    assert mos.mos_from_r(mos.BEST_R) == pytest.approx(whole["MOS"], abs=1e-3)


def test_delay_and_rating_agree_with_the_whole_model(g107):
    for tenth in range(0, 10_000, 7):
        delay_ms = tenth / 10
        assert mos.delay_impairment(delay_ms) == pytest.approx(
            g107["idd"](delay_ms), abs=1e-9
        )
    for r in range(-10, 111):
        assert mos.mos_from_r(r) == pytest.approx(g107["mos"](r))


@pytest.mark.parametrize(
    "codec", [mos.G711, mos.G711_PLC, mos.G729A, mos.Codec(15, 16.1)]
)
@pytest.mark.parametrize("ratio", [1, 2, 5])
def test_loss_agrees_with_the_whole_model(g107, codec, ratio):
    for percent in (0, 0.5, 1, 2, 3, 5, 10, 50):
        whole = g107["full"](Ppl=percent, Ie=codec.ie, Bpl=codec.bpl, BurstR=ratio)
        assert mos.loss_impairment(percent / 100, codec, ratio) == pytest.approx(
            whole["Ieeff"], abs=1e-9
        )


@given(st.lists(st.booleans(), min_size=1, max_size=300), st.sampled_from([10, 20]))
def test_bursts_agree_packet_by_packet(rfc3611, lost, packet_ms):
    expected = rfc3611["xr"](lost, m=packet_ms)
    metrics = bursts.bursts(lost, packet_ms)
    assert metrics.gap_density_ratio * 256 == pytest.approx(expected["gap_density"])
    assert metrics.gap_ms == pytest.approx(expected["gap_len"])
    if expected["c13"]:
        assert metrics.burst_ms == pytest.approx(expected["burst_len"])
    if any(lost):
        assert metrics.burst_density_ratio * 256 == pytest.approx(
            expected["burst_density"]
        )
