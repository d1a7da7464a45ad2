"""When a busy server may be asked again, by its `Retry-After` header."""

from __future__ import annotations

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.wire.http_date import http_date_s
from probes.wire.retry_after import retry_after_s

# Wed, 21 Oct 2026 07:28:00 GMT
DATE_S = 1_792_567_680.0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("120", 120),
        ("0", 0),
        ("-5", None),
        ("1.5", None),
        ("\u0663", None),
        ("9" * 5000, 999_999_999),
        ("Wed, 21 Oct 2026 07:28:00 GMT", 60),
        ("Wed, 21 Oct 2026 07:26:00 GMT", 0),
        ("Wednesday, 21-Oct-26 07:28:00 GMT", 60),
        ("Wed Oct 21 07:28:00 2026", 60),
        ("Wed, 21 Oct 2026 07:27:60 GMT", 59),
        ("Wed, 31 Feb 2026 07:28:00 GMT", None),
        ("Wed, 21 Okt 2026 07:28:00 GMT", None),
        ("Wed, 21 Oct 2026 07:28:00 BST", None),
        ("soon", None),
    ],
)
def test_seconds_and_dates_are_read(header: str | None, seconds: float | None) -> None:
    assert retry_after_s(header, DATE_S - 60) == seconds


@given(st.text(max_size=60), st.floats(0, 4e9))
def test_no_header_raises(text: str, now_s: float) -> None:
    seconds = retry_after_s(text, now_s)
    assert seconds is None or seconds >= 0


@given(st.integers(0, 253_402_300_799))
def test_a_date_is_read_as_it_was_written(seconds: int) -> None:
    assert http_date_s(formatdate(seconds, usegmt=True)) == seconds
