"""Many warnings of one kind are one line."""

from __future__ import annotations

import pytest

from collectors.alike_sentences import group_alike


def test_a_hundred_sites_without_a_line_are_one_sentence() -> None:
    sentences = [
        f"site {name} has devices but no line: no use of a line is shown"
        for name in ("hall", "library", "depot", "pool", *(f"s{n}" for n in range(96)))
    ]
    assert group_alike(sentences) == [
        "site hall has devices but no line: no use of a line is shown "
        "(99 more like this: library, depot, pool and 96 others)"
    ]


@pytest.mark.parametrize(
    ("first", "second", "example"),
    [
        (
            "site a: subnet 192.168.0.0/24 is also common in homes (BT): use a beacon",
            "site b: subnet 192.168.1.0/24 is also common in homes (BT): use a beacon",
            "b",
        ),
        (
            "SNMP credential 'old' is v2c: use v3",
            "SNMP credential 'older one' is v2c: use v3",
            "'older one'",
        ),
        (
            "device sw1 has site a, but its address is of b; its own setting is used",
            "device sw2 has site a, but its address is of b; its own setting is used",
            "sw2",
        ),
    ],
)
def test_sentences_that_differ_in_names_are_alike(
    first: str, second: str, example: str
) -> None:
    assert group_alike([first, second]) == [f"{first} (1 more like this: {example})"]


def test_different_sentences_keep_their_order_and_words() -> None:
    sentences = [
        "site a has devices but no line",
        "alerts.heartbeat_url is not set: nothing notices if Towpath stops",
        "alerts.channels: none is set, so alerts notify nobody",
        "SNMP credential 'a' is v2c: use v3",
        "SNMP credential 'a' does not encrypt: add priv_password",
    ]
    assert group_alike(sentences) == sentences
    assert group_alike([]) == []
