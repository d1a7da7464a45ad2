"""The order in which people look for names."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.natural_order import natural_order


@pytest.mark.parametrize(
    "names",
    [
        ("Room 1", "Room 2", "Room 10", "Room 100"),
        ("Gi1/0/2", "Gi1/0/10", "Gi1/0/24", "Gi2/0/1", "Te1/1/1"),
        ("2 High Street", "10 High Street", "Alpha", "beta", "Gamma"),
        ("Ealing", "école", "École 2", "Efail", "Ysgol Wen", "Ysgol Ŵyn", "Zoo"),
        ("Łódź House", "Lofthouse", "Øst", "Otley"),
        ("Depot 007", "Depot 7a", "Depot 8"),
        ("\u202eAlpha", " Beta", "Gamma"),
        ("v1.9.12", "v1.10.2"),
        ("Site " + "9" * 60, "Site 1" + "0" * 60),
    ],
    ids=lambda names: ascii(names[0])[:20],
)
def test_names_are_in_the_order_in_which_people_look_for_them(
    names: tuple[str, ...],
) -> None:
    mixed = list(names)
    random.Random(1).shuffle(mixed)
    assert tuple(sorted(mixed, key=natural_order)) == names


@given(st.text(), st.text())
def test_different_names_are_never_equal_in_order(one: str, other: str) -> None:
    assert (natural_order(one) == natural_order(other)) is (one == other)


@given(st.integers(0), st.integers(0), st.text(max_size=5))
def test_numbers_in_names_are_compared_as_numbers(
    one: int, other: int, name: str
) -> None:
    keys = natural_order(f"{name} {one}"), natural_order(f"{name} {other}")
    assert (keys[0] < keys[1]) is (one < other)
