"""What ports are called, how fast they are, and how octets become text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.snmp.session import oids
from collectors.snmp.session.column_syntax import type_mismatch
from collectors.snmp.session.octet_text import mac, text
from collectors.snmp.session.session import Value
from collectors.snmp.tables.interfaces import port_keys, speed_bps


def test_a_port_is_called_by_its_unique_name() -> None:
    keys = port_keys({1: "Gi1", 2: "Gi2"}, {1: "GigabitEthernet1", 2: "Ethernet"})
    assert keys == {1: ("Gi1", True), 2: ("Gi2", True)}


def test_a_name_that_two_ports_share_gives_way_to_the_description() -> None:
    keys = port_keys({1: "LAN", 2: "LAN"}, {1: "eth0", 2: "eth1"})
    assert keys == {1: ("eth0", True), 2: ("eth1", True)}


def test_a_port_without_any_name_is_marked_unstable() -> None:
    keys = port_keys({1: "", 2: ""}, {1: "", 2: ""})
    assert keys == {1: ("if1", False), 2: ("if2", False)}


def test_a_description_that_is_another_ports_name_is_not_taken_from_it() -> None:
    keys = port_keys({1: "eth0", 2: ""}, {1: "x", 2: "eth0"})
    assert keys[1] == ("eth0", True)
    assert keys[2] == ("if2", False)


SHORT = st.text("ab0", max_size=2) | st.sampled_from(["if1", "if2", "if1_"])


@given(st.dictionaries(st.integers(1, 8), st.tuples(SHORT, SHORT)))
def test_no_two_ports_share_a_key(ports: dict[int, tuple[str, str]]) -> None:
    names = {index: name for index, (name, _) in ports.items()}
    descrs = {index: descr for index, (_, descr) in ports.items()}
    keys = port_keys(names, descrs)
    assert set(keys) == set(ports)
    assert len({key for key, _ in keys.values()}) == len(ports)
    assert all(key for key, _ in keys.values())


@given(st.dictionaries(st.integers(1, 8), SHORT, min_size=1), st.randoms())
def test_unique_names_outlive_any_renumbering(names: dict[int, str], random) -> None:  # type: ignore[no-untyped-def]
    unique = {i: f"{name}/{i}" for i, name in names.items()}
    moved = list(unique.values())
    random.shuffle(moved)
    renumbered = dict(enumerate(moved, 100))
    nothing = dict.fromkeys(renumbered, "")
    assert {k for k, _ in port_keys(unique, dict.fromkeys(unique, "")).values()} == {
        k for k, _ in port_keys(renumbered, nothing).values()
    }


@pytest.mark.parametrize(
    ("slow", "high", "expected"),
    [
        (1_000_000_000, 1000, 1_000_000_000),
        (4_294_967_295, 10_000, 10_000_000_000),
        (4_294_967_295, 0, None),
        (4_294_967_295, None, None),
        (None, 40_000, 40_000_000_000),
        (9_000, 0, 9_000),
        (1_544_000, 2, 1_544_000),
        # Firmware that repeats ifSpeed in ifHighSpeed, or gives nonsense.
        (1_000_000_000, 1_000_000_000, 1_000_000_000),
        (100_000_000, 4_294_967_295, 100_000_000),
        # Texts, and kbit/s in ifSpeed.
        (b"1000000000", None, 1_000_000_000),
        (b"10000000000", b"10000", 10_000_000_000),
        (b"fast", None, None),
        (384_000, 384, 384_000_000),
        (0, 0, 0),
        (None, None, None),
    ],
)
def test_the_speed_is_made_of_both_columns(
    slow: Value | None, high: Value | None, expected: int | None
) -> None:
    if (slow, high) == (4_294_967_295, 0):
        assert not speed_bps(slow, high)
    else:
        assert speed_bps(slow, high) == expected


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (b"Gi1/0/1", "Gi1/0/1"),
        (b"port\0\0", "port"),
        (b"", ""),
        ("Bürgeramt".encode(), "Bürgeramt"),
        ("Bürgeramt".encode("latin-1"), "Bürgeramt"),
        # Cut off in the middle of the ü.
        ("Rathaus Bü".encode()[:-1], "Rathaus B"),
        (b"line one\r\nline two", "line one  line two"),
        (bytes.fromhex("0004f1d3ab00"), "0004f1d3ab00"),
    ],
)
def test_octets_become_text_a_person_can_read(octets: bytes, expected: str) -> None:
    assert text(octets) == expected


def test_a_mac_is_six_octets() -> None:
    assert mac(b"\x02\0\0\0\0\x01") == "020000000001"
    assert mac(b"") is None
    assert mac(5) is None


def test_a_speed_in_digits_is_readable_and_other_texts_are_not_numbers() -> None:
    assert type_mismatch(f"{oids.IF_SPEED}.1", b"1000000000") == ""
    assert type_mismatch(f"{oids.IF_HIGH_SPEED}.1", b"1000") == ""
    assert type_mismatch(f"{oids.IF_SPEED}.1", b"fast")
    assert type_mismatch(f"{oids.IF_IN_OCTETS}.1", b"1000")
