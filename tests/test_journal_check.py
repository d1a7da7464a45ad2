"""The fast check of whole columns is as strict as looking at every cell."""

import math
from enum import StrEnum
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from collectors.batch import Batch, Schema, check_batch, sift
from collectors.journal import Journal, JournalConfig, JournalReader
from probes.wire.catalogue import Catalogue, Field, Measurement, Misfit, Tag, conform

FIELDS = (
    Field("i", "int", "1", "whole"),
    Field("f", "float", "1", "broken"),
    Field("s", "str", "1", "text"),
)
CATALOGUE = Catalogue([Measurement("m", "m", (), FIELDS, 60, 120, 1)])
TAGGED = Catalogue([Measurement("m", "m", (Tag("t", "t"),), FIELDS, 60, 120, 1)])


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
def test_a_column_passes_if_each_of_its_cells_does(
    field: Field, column: list[Any]
) -> None:
    schema = Schema("m", (), (field.name,))
    batch = Batch("test", 1, schema, (list(range(len(column))), column))
    try:
        expected = [None if v is None else conform(v, field, "m") for v in column]
    except Misfit:
        expected = None
    try:
        found = check_batch(batch, CATALOGUE).columns[1]
    except Misfit as misfit:
        found = None if misfit.reason else []
    if expected is None or found is None:
        assert found is expected
    else:
        assert all(map(same, found, expected))


def test_nothing_is_copied_if_nothing_had_to_be_converted() -> None:
    schema = Schema("m", (), ("i", "f", "s"))
    batch = Batch("test", 1, schema, ([1, 2], [1, None], [0.5, 1e308], ["a", None]))
    assert check_batch(batch, CATALOGUE) is batch


ROWS = st.lists(
    st.tuples(
        st.integers(0, 2**42) | st.sampled_from([None, "now", 2**63, 1.5]),
        st.sampled_from(["a", "b"]) | st.sampled_from([None, 3]),
        CELLS,
        CELLS,
        CELLS,
    ),
    min_size=1,
    max_size=5,
)


def cells(batch: Batch | None) -> list[tuple[str, str, str, str]]:
    """All values with their row and field, to be compared."""
    if batch is None:
        return []
    own = batch.columns[:2]
    return sorted(
        (shown(row[0]), shown(row[1]), name, shown(value))
        for name, column in zip(batch.schema.fields, batch.columns[2:], strict=True)
        for *row, value in zip(*own, column, strict=True)
        if value is not None
    )


def shown(value: object) -> str:
    # Whole numbers become floats where one is declared; Python prints no 10**5000.
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**1000:
        return repr(float(value))
    return "huge" if isinstance(value, int) else repr(value)


@given(rows=ROWS)
def test_one_bad_value_costs_that_value_and_nothing_else(
    rows: list[tuple[Any, ...]],
) -> None:
    columns = tuple(list(column) for column in zip(*rows, strict=True))
    batch = Batch("test", 1, Schema("m", ("t",), ("i", "f", "s")), columns)
    sifted = sift(batch, TAGGED)
    assert sorted(cells(sifted.fit) + cells(sifted.aside)) == cells(batch)
    if sifted.fit is not None:
        assert check_batch(sifted.fit, TAGGED) is sifted.fit
    for time_ms, tag, *values in rows:
        sound = type(time_ms) is int and time_ms < 2**63 and isinstance(tag, str)
        for field, value in zip(FIELDS, values, strict=True):
            if value is None:
                continue
            cell = (shown(time_ms), shown(tag), field.name, shown(value))
            try:
                conform(value, field, "m")
            except Misfit:
                assert cell in cells(sifted.aside)
            else:
                assert cell in cells(sifted.fit if sound else sifted.aside)
    assert bool(sifted.reasons) == (sifted.text != "")
    # What was set aside is not taken the second time either.
    if sifted.aside is not None:
        assert sift(sifted.aside, TAGGED).fit is None


def test_what_has_no_name_is_set_aside_whole() -> None:
    batch = Batch("test", 1, Schema("smell", (), ("i",)), ([1, 2], [1, 2]))
    sifted = sift(batch, CATALOGUE)
    assert (sifted.fit, sifted.aside, sifted.reasons.total()) == (None, batch, 2)


async def test_the_journal_keeps_the_rest_of_a_row_that_has_nan(tmp_path: Path) -> None:
    schema = Schema("m", ("t",), ("i", "f"))
    columns = ([1, 2], ["a", "b"], [7, 8], [math.nan, 0.5])
    async with Journal(JournalConfig(folder=tmp_path), "poll", TAGGED) as journal:
        await journal.append(Batch("test", 1, schema, columns))
        async with JournalReader(tmp_path, "test") as reader:
            chunk = await reader.read(wait_s=5)
    assert chunk is not None
    (batch,) = chunk.batches
    assert batch.field("i") == [7, 8]
    assert batch.field("f") == [None, 0.5]
    assert journal.stats.dead_rows == 1
    assert journal.stats.dead_reasons == {"field f is not float": 1}
    (letter,) = (tmp_path / "poll" / "dead").rglob("*.jsonl")
    assert '"t"' in letter.read_text()
