"""The number of a computer, as both sides read it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.wire.machine_number import known_number, machine_digest
from probes.wire.report import Enrolment

SERIAL = machine_digest("PF3ABCDE")
OTHER_SERIAL = machine_digest("5CG1234XYZ")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Default string",
        " To be filled by O.E.M. ",
        "System Serial Number",
        "0123456789",
        "00000000",
        "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
        "00000000-0000-0000-0000-000000000000",
        "03000200-0400-0500-0006-000700080009",
        "None",
        "N/A",
        "........",
        "AB12",
        "x" * 65,
        "Zoë12345",
    ],
)
def test_a_number_that_makers_leave_open_is_none(text: str) -> None:
    assert known_number(text) == ""
    assert machine_digest(text) == ""


def test_a_number_is_the_same_however_it_is_written() -> None:
    assert machine_digest(" pf3abcde\n") == SERIAL
    assert machine_digest("PF3 ABCDE") == SERIAL
    assert machine_digest("Default string", "pf3abcde") == SERIAL
    assert SERIAL != OTHER_SERIAL


@given(st.text(max_size=80))
def test_any_text_is_a_number_or_none(text: str) -> None:
    number = known_number(text)
    assert known_number(number) == number
    digest = machine_digest(text)
    assert bool(digest) == bool(number)
    Enrolment("token", "device", digest)
    assert len(digest) in (0, 64)
