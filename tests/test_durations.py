"""Lengths of time are read and written in one way everywhere."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.wire.durations import (
    duration_text,
    exact_duration_text,
    parse_duration_ms,
)


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("250ms", 250),
        ("90s", 90_000),
        ("90", 90_000),
        ("5m", 300_000),
        ("1.5h", 5_400_000),
        (" 2 h ", 7_200_000),
        ("7d", 604_800_000),
        ("0s", 0),
    ],
)
def test_lengths_of_time_are_read(text: str, ms: int) -> None:
    assert parse_duration_ms(text) == ms


@pytest.mark.parametrize("text", ["", "h", "-5m", "5 weeks", "1e3s", "1h30m", "inf"])
def test_anything_else_is_refused_with_what_was_expected(text: str) -> None:
    with pytest.raises(ValueError, match="expected such as 5m, 90s, 1h or 7d"):
        parse_duration_ms(text)


@given(st.text(max_size=12))
def test_any_text_is_a_length_of_time_or_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert parse_duration_ms(text) >= 0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0 s"),
        (0, "0 s"),
        (0.2504, "250 ms"),
        (59.4, "59 s"),
        (60, "1 min"),
        (90, "90 s"),
        (150, "2 min"),
        (3_599, "1 h"),
        (5_400, "1 h 30 min"),
        (11_100, "3 h 5 min"),
        (90_061, "1 day 1 h"),
        (237_600, "2 days 18 h"),
        (20.5 * 86_400, "20 days"),
    ],
)
def test_lengths_of_time_are_written(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (60, "1 minute"),
        (90, "90 seconds"),
        (5_400, "90 minutes"),
        (86_400, "1 day"),
        (172_800, "2 days"),
        (0, "0 seconds"),
    ],
)
def test_a_setting_is_written_exactly(seconds: int, text: str) -> None:
    assert exact_duration_text(seconds) == text


@given(st.integers(1, 10**9 - 1))
def test_what_is_written_exactly_loses_nothing(seconds: int) -> None:
    count, unit = exact_duration_text(seconds).split()
    assert parse_duration_ms(count + unit[0]) == seconds * 1000
