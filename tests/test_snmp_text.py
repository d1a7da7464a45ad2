"""Octet strings as text, in every way agents write them, and as numbers."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.snmp.session.octet_text import as_number, text

WESTERN = "St Mary\u2019s Library \u2013 Annexe 1"


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (b"FOC1234\xff\xff\xff\xff", "FOC1234"),
        (b"FOC1234\0\xff\xff\xff", "FOC1234"),
        (b"WS-C9300\0\0", "WS-C9300"),
        (b"F\xffB\xff4\xff0\xff", "FB40"),
        (WESTERN.encode("cp1252"), WESTERN),
        ("Uplink \u2013 Core 1".encode("cp1252"), "Uplink \u2013 Core 1"),
        ("“Hall”".encode("cp1252"), "“Hall”"),
        ("£500 replace".encode("latin-1"), "£500 replace"),
        ("Annexé 1".encode("latin-1"), "Annexé 1"),
        ("été".encode("latin-1"), "été"),
        # An octet that Windows-1252 has no character for costs that character only.
        (b"Hall \x81 cellar", "Hall   cellar"),
        ("核心交换机 A区".encode("gbk"), "核心交换机 A区"),
        ("机房1".encode("gbk"), "机房1"),
        ("Town Hall".encode("utf-16-le"), "Town Hall"),
        ("Town Hall".encode("utf-16-be"), "Town Hall"),
        ("Town Hall\0\0".encode("utf-16-le"), "Town Hall"),
        (b"\xff\xfe" + "Town Hall \u201926".encode("utf-16-le"), "Town Hall \u201926"),
        (b"\xfe\xff" + "Town Hall".encode("utf-16-be"), "Town Hall"),
        ("Café".encode("utf-16-le"), "Café"),
    ],
)
def test_a_text_is_read_in_the_code_page_it_was_written_in(
    octets: bytes, expected: str
) -> None:
    assert text(octets) == expected


@pytest.mark.parametrize("size", [1, 6, 16])
def test_memory_that_was_never_written_is_no_text(size: int) -> None:
    assert text(b"\xff" * size) is None


@pytest.mark.parametrize(
    "address",
    [
        "80ea8ea58100",
        "f492bfe29ee0",
        "788a20af5643",
        "ecb92381acb1",
        "001b21005041",
        "f492bfe29eff",
    ],
)
def test_a_mac_address_is_shown_in_hex(address: str) -> None:
    assert text(bytes.fromhex(address)) == address


@given(st.text(st.characters(codec="utf-8", categories=["L", "N", "Zs", "P"])))
def test_utf_8_is_read_as_it_was_written(written: str) -> None:
    plain = "".join(c for c in written if c.isprintable()).strip()
    assert text(plain.encode()) == plain


@given(st.binary())
def test_whatever_the_octets_the_text_can_be_printed(octets: bytes) -> None:
    decoded = text(octets)
    assert decoded is None or (decoded.isprintable() and "\ufffd" not in decoded)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)), st.binary())
def test_padding_changes_no_text(written: str, rest: bytes) -> None:
    plain = written.strip()
    padding = bytes(0xFF if octet & 1 else 0 for octet in rest)
    decoded = text(plain.encode() + padding)
    assert decoded == plain or (not plain and not decoded)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (5, 5),
        (25.3, 25.3),
        (b"25.3 C", 25.3),
        ("12.5 V".encode("utf-16-le"), 12.5),
        (math.nan, None),
        (math.inf, None),
        (b"1e999", None),
        (b"n/a (0x80)", None),
        (b"--", None),
        (b"\xff\xff\xff\xff", None),
        (bytes.fromhex("0009f1d3ab00"), None),
        ("1.3.6.1.4.1", None),
        ("10.1.2.3", None),
        (None, None),
    ],
)
def test_a_value_is_a_number_only_if_it_begins_with_one(
    value: int | float | bytes | str | None, expected: float | None
) -> None:
    assert as_number(value) == expected


@given(st.binary())
def test_octets_that_are_no_text_are_no_number(octets: bytes) -> None:
    parsed = as_number(octets)
    assert parsed is None or (
        math.isfinite(parsed) and any(c.isdigit() for c in text(octets) or "")
    )
