"""Counted nouns and verbs in what people read."""

from __future__ import annotations

import pytest

from probes.wire.counted_text import DOES_NOT_ANSWER, counted, counted_part


@pytest.mark.parametrize(
    ("count", "total", "text"),
    [
        (1, 1, "1 of 1 device behind it does not answer"),
        (1, 5, "1 of 5 devices behind it does not answer"),
        (0, 1, "0 of 1 device behind it do not answer"),
        (2, 1200, "2 of 1,200 devices behind it do not answer"),
    ],
)
def test_the_noun_is_of_the_whole_and_the_verb_of_the_part(
    count: int, total: int, text: str
) -> None:
    part = counted_part(count, total, "device(s) behind it", *DOES_NOT_ANSWER)
    assert part == text


def test_plurals_that_are_not_an_s() -> None:
    assert counted(1, "switch", "switches") == "1 switch"
    assert counted(2, "switch", "switches") == "2 switches"
    assert counted_part(1, 2, "switch(es)", "is", "are") == "1 of 2 switches is"
