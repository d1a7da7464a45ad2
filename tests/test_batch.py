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


_NAMES = ("rtt_ms", "jitter_ms", "sent", "received")
_values = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.just(2**63), st.text()
)


@given(st.lists(st.tuples(_values, _values, _values, _values), min_size=1))
def test_columns_that_are_checked_together_are_judged_as_each_alone(
    rows: list[tuple[object, ...]],
) -> None:
    tags = [["a"] * len(rows)]
    times = list(range(len(rows)))

    def check(*names: str) -> Batch | None:
        values = [[row[_NAMES.index(name)] for row in rows] for name in names]
        schema = Schema("call_path", ("agent",), names)
        try:
            return check_batch(
                Batch("a", 1, schema, (times, *tags, *values)), CATALOGUE
            )
        except Misfit:
            return None

    together = check(*_NAMES)
    alone = [check(name) for name in _NAMES]
    assert (together is None) is any(each is None for each in alone)
    if together is not None:
        for name, each in zip(_NAMES, alone, strict=True):
            assert each is not None
            assert repr(together.field(name)) == repr(each.field(name))


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
