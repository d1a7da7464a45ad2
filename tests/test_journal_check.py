"""The fast check of whole columns is as strict as looking at every cell."""

import math
from enum import StrEnum
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from collectors.batch import Batch, Schema, check
from probes.catalogue import Catalogue, Field, Measurement, Misfit, conform

FIELDS = (
    Field("i", "int", "1", "whole"),
    Field("f", "float", "1", "broken"),
    Field("s", "str", "1", "text"),
)
CATALOGUE = Catalogue([Measurement("m", "m", (), FIELDS, 60, 120, 1)])


class Word(StrEnum):
    OK = "ok"


CELLS = st.one_of(
    st.none(),
    st.integers(),
    st.floats(),
    st.text(max_size=3),
    st.booleans(),
    st.sampled_from(
        [2**63, 2**63 - 1, -(2**63), 10**400, 10**5000, 1e308, Word.OK, b"x", [], -0.0]
    ),
)
COLUMNS = st.one_of(
    st.lists(CELLS, min_size=1, max_size=6),
    st.lists(st.floats(allow_nan=False), min_size=1, max_size=6),
    st.lists(st.floats() | st.none(), min_size=1, max_size=6),
    st.lists(st.integers(), min_size=1, max_size=6),
    st.lists(st.integers() | st.none(), min_size=1, max_size=6),
)


def same(a: Any, b: Any) -> bool:
    if type(a) is float and type(b) is float:
        return a == b and math.copysign(1, a) == math.copysign(1, b)
    return type(a) is type(b) and bool(a == b)


@given(field=st.sampled_from(FIELDS), column=COLUMNS)
def test_a_column_passes_where_each_of_its_cells_does(
    field: Field, column: list[Any]
) -> None:
    schema = Schema("m", (), (field.name,))
    batch = Batch("test", 1, schema, (list(range(len(column))), column))
    try:
        expected = [None if v is None else conform(v, field, "m") for v in column]
    except Misfit:
        expected = None
    try:
        found = check(batch, CATALOGUE).columns[1]
    except Misfit as misfit:
        found = None if misfit.reason else []
    if expected is None or found is None:
        assert found is expected
    else:
        assert all(map(same, found, expected))


def test_nothing_is_copied_where_nothing_had_to_be_turned() -> None:
    schema = Schema("m", (), ("i", "f", "s"))
    batch = Batch("test", 1, schema, ([1, 2], [1, None], [0.5, 1e308], ["a", None]))
    assert check(batch, CATALOGUE) is batch
