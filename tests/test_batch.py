"""Samples become batches and come back as they were; what does not fit is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.batch import Batch, Schema, batch_samples, check_batch
from collectors.server_measurements import CATALOGUE
from probes.wire.catalogue import Misfit
from probes.wire.sample import Sample

_samples = st.builds(
    Sample,
    measurement=st.just("device"),
    tags=st.dictionaries(
        st.sampled_from(["device", "site", "role"]), st.text(min_size=1), min_size=1
    ),
    fields=st.dictionaries(
        st.sampled_from(["up", "packets", "retries"]),
        st.integers(-(2**63), 2**63 - 1),
        min_size=1,
    ),
    time_ms=st.integers(0, 2**42),
)


@given(st.lists(_samples, min_size=1))
def test_gathered_samples_come_back_as_they_were(samples: list[Sample]) -> None:
    (batch,) = batch_samples(samples, "poll/x", 1)
    assert list(batch.samples()) == samples
    assert check_batch(batch, CATALOGUE) is batch


def test_whole_numbers_become_floats_if_a_float_is_declared() -> None:
    (batch,) = batch_samples(
        [Sample("device", {"device": "a"}, {"duration_ms": 3}, 5)], "poll/a", 9
    )
    (value,) = check_batch(batch, CATALOGUE).field("duration_ms")
    assert isinstance(value, float)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"up": "yes"}, "expected int"),
        ({"up": True}, "expected int"),
        ({"duration_ms": float("nan")}, "expected float"),
        ({"duratoin_ms": 1.0}, "did you mean 'duration_ms'"),
        ({"up": 2**63}, "expected int"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_name(
    fields: dict[str, object], says: str
) -> None:
    names = tuple(fields)
    batch = Batch(
        "poll/a",
        0,
        Schema("device", ("device",), names),
        ([0], ["a"], *([value] for value in fields.values())),
    )
    with pytest.raises(Misfit, match=says):
        check_batch(batch, CATALOGUE)


def test_columns_of_different_lengths_are_refused() -> None:
    batch = Batch("x", 0, Schema("device", (), ("up",)), ([0, 1], [1]))
    with pytest.raises(Misfit, match="different lengths"):
        check_batch(batch, CATALOGUE)
