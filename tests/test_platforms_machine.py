"""The computer's own number, as each system gives it."""

from __future__ import annotations

import struct
import uuid
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from platform_samples import damaged

from probes.platforms import linux
from probes.platforms.macos_tools import parse_ioreg
from probes.platforms.smbios import system_numbers
from probes.wire.failure import Outcome
from probes.wire.machine_number import machine_digest

UUID = uuid.UUID("4c4c4544-0044-4a10-8034-b7c04f503732")
# Written after the form that ioreg prints, not recorded on a Mac.
IOREG = """+-o J314sAP  <class IOPlatformExpertDevice, id 0x10000025, registered>
    {
      "manufacturer" = <"Apple Inc.">
      "IOPlatformSerialNumber" = "C02ABCDEFGH1"
      "model" = <"MacBookPro18,3">
      "IOPlatformUUID" = "11111111-2222-3333-4444-555555555555"
      "IOPolledInterface" = "AppleARMWatchdogTimerHibernateHandler"
    }
"""


def structure(kind: int, formatted: bytes, *strings: bytes) -> bytes:
    texts = b"".join(text + b"\0" for text in strings) or b"\0"
    return bytes([kind, 4 + len(formatted), 0, 0]) + formatted + texts + b"\0"


def table(*structures: bytes, version: tuple[int, int] = (3, 2)) -> bytes:
    content = b"".join(structures) + structure(127, b"")
    return struct.pack("<BBBBI", 0, *version, 0, len(content)) + content


def system(serial: int = 3, octets: bytes = UUID.bytes_le) -> bytes:
    return structure(
        1,
        bytes([1, 2, 0, serial]) + octets + bytes([6, 0, 0]),
        b"Dell Inc.",
        b"Latitude 7440",
        b"PF3ABCDE ",
    )


BIOS = structure(0, bytes(20), b"Dell Inc.", b"1.2.3")
BARE = structure(17, bytes(20))


def test_the_numbers_are_in_the_structure_of_the_system() -> None:
    numbers = ("PF3ABCDE", str(UUID))
    assert system_numbers(table(BIOS, BARE, system())) == numbers
    old = table(system(octets=UUID.bytes), version=(2, 4))
    assert system_numbers(old) == numbers


def test_numbers_that_firmware_does_not_have_are_left_out() -> None:
    assert system_numbers(table(system(serial=0))) == (str(UUID),)
    assert system_numbers(table(system(serial=9))) == (str(UUID),)
    assert system_numbers(table(system(octets=b"\xff" * 16))) == ("PF3ABCDE",)
    # Of SMBIOS 2.0: the structure ends before the UUID.
    short = structure(1, bytes([0, 0, 0, 1]), b"PF3ABCDE")
    assert system_numbers(table(short)) == ("PF3ABCDE",)


@pytest.mark.parametrize("content", [b"", b"\0" * 8, table(BIOS), table(BIOS)[:20]])
def test_a_table_without_a_system_is_a_bad_answer(content: bytes) -> None:
    assert system_numbers(content) is Outcome.BAD_ANSWER


@given(damaged([table(BIOS, BARE, system()), table(system(), version=(2, 4))]))
def test_a_damaged_table_never_breaks_the_parser(content: bytes) -> None:
    numbers = system_numbers(content)
    if not isinstance(numbers, Outcome):
        assert all(numbers)
        assert len(machine_digest(*numbers)) in (0, 64)


@given(st.binary(max_size=200))
def test_random_octets_never_break_the_parser(content: bytes) -> None:
    system_numbers(content)


def test_macos_prints_the_numbers() -> None:
    assert parse_ioreg(IOREG) == (
        "C02ABCDEFGH1",
        "11111111-2222-3333-4444-555555555555",
    )
    assert parse_ioreg('"IOPlatformSerialNumber" = "C02"') is Outcome.BAD_ANSWER
    assert parse_ioreg("+-o Root  <class IOPlatformExpertDevice>\n{\n}") == ()


def test_linux_reads_what_was_made_for_it(tmp_path: Path) -> None:
    given_folder, etc = tmp_path / "credentials", tmp_path / "etc"
    given_folder.mkdir()
    etc.mkdir()
    assert linux.machine_numbers([given_folder, etc]) == ()
    (etc / "machine-number").write_text("PF3ABCDE\n")
    assert linux.machine_numbers([given_folder, etc]) == ("PF3ABCDE",)
    (given_folder / "machine-number").write_bytes(b"5CG1234XYZ\n\xff")
    assert linux.machine_numbers([given_folder, etc])[1:] == ("PF3ABCDE",)
