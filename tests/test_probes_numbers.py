"""Which texts are a number, and which only look like one."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from probes.wire.numbers import finite, number

UNITS = ["", " C", "C", " °C", "%", " %", " dBm", "dBm (ok)", " mA: Normal", " W/m2"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("25.3", 25.3),
        ("  25.3 C", 25.3),
        ("25.3C", 25.3),
        ("25.3 C / 77.5 F", 25.3),
        ("47 C/117 F", 47),
        ("-002.1000 dBm: Normal", -2.1),
        ("0.03 mW (-14.61 dBm)", 0.03),
        ("44.40 degrees C normal", 44.4),
        ("1.5947E+01", 15.947),
        ("+1.0VIN", 1),
        ("\u22123 °C", -3),
        ("%60", 60),
        ("\u200f60%\u200f", 60),
        ("12,5", 12.5),
        ("0,125", 0.125),
        ("1,234", 1234),
        ("1,234,567.8", 1234567.8),
        (".5", 0.5),
        ("9.13(0.2)", 9.13),
    ],
)
def test_a_number_may_have_a_unit_behind_it(text: str, expected: float) -> None:
    assert number(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "N/A",
        "n/a (0x80)",
        "--",
        "-",
        "-- C/-- F",
        "nan",
        "inf",
        "-inf",
        "Infinity",
        "1e999",
        "-1e999",
        "0x80",
        "0xaf",
        "00ff",
        "9f780441ca6666",
        "00 00",
        "28 00 2 4",
        "10.1.2.3",
        "1.2.3",
        "12:30:00",
        "2026-11-28",
        "28/11/2026",
        "1/0/2",
        "40GE1/1/0/0",
        "1000Base-T Copper Port",
        "00:80:48:70:70:49",
        "7.30,7.30,7.30",
        "1 234",
        "9" * 400,
        "\uff11\uff12",
        "T: 25.3",
    ],
)
def test_text_that_only_looks_like_a_number_is_none(text: str) -> None:
    assert number(text) is None


def test_a_point_groups_thousands_only_if_the_caller_says_so() -> None:
    assert number("1.201") == 1.201
    assert number("1.201", ",.") == 1201
    assert number("1.201,5 Mbps", ",.") == 1201.5


@given(
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(UNITS),
)
def test_every_printed_number_is_parsed(value: float, unit: str) -> None:
    assert number(f"{value!r}{unit}") == value


@given(st.integers(-(10**15), 10**15))
def test_every_whole_number_is_parsed_with_and_without_groups(value: int) -> None:
    assert number(str(value)) == value
    assert number(f"{value:,}") == value


@given(st.text())
def test_any_text_is_a_finite_number_or_none(text: str) -> None:
    parsed = number(text)
    assert parsed is None or math.isfinite(parsed)


@example("0.0x2")
@example("0.0xa")
@example("0.1.f")
@example("0.180.e9")
@given(st.from_regex(r"\s*[-+]?[0-9]+[.:/x-][0-9]+[.:/x-][0-9a-f]+", fullmatch=True))
def test_addresses_dates_times_and_slots_are_no_number(text: str) -> None:
    assert number(text) is None


@given(st.binary(min_size=3, max_size=20), st.sampled_from(" :-"))
def test_octets_in_hexadecimal_are_no_number(octets: bytes, between: str) -> None:
    assert number(octets.hex(between)) is None


def test_decibels_are_no_octets() -> None:
    assert number("25 dB") == 25


def test_nan_and_infinities_are_not_figures() -> None:
    values = (math.nan, math.inf, -math.inf, 10**400, 1.5, 7)
    assert [finite(value) for value in values] == [None, None, None, None, 1.5, 7]
