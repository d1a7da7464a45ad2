"""The table that firmware describes a computer in (SMBIOS, DMTF DSP0134), as Windows
hands it out: the serial number and the UUID of the system, structure type 1."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator

from probes.wire.failure import Outcome

# 'RSMB', the provider of the raw table (sysinfoapi.h).
_PROVIDER = 0x52534D42
_MAX_BYTES = 1_000_000
# Of RawSMBIOSData: calling method, version, revision and length, before the table.
_HEADER_BYTES = 8
_SYSTEM, _END = 1, 127
_SERIAL_AT, _UUID_AT, _UUID_END = 0x07, 0x08, 0x18


if sys.platform == "win32":
    import ctypes

    from probes.platforms.system_library import system_library

    def raw_table() -> bytes | Outcome:
        """What GetSystemFirmwareTable returns; every user may read it."""
        kernel = system_library("kernel32.dll")
        size = kernel.GetSystemFirmwareTable(_PROVIDER, 0, None, 0)
        if not 0 < size <= _MAX_BYTES:
            return Outcome.NOT_SUPPORTED
        buffer = ctypes.create_string_buffer(size)
        written = kernel.GetSystemFirmwareTable(_PROVIDER, 0, buffer, size)
        return buffer.raw[:written] if 0 < written <= size else Outcome.NOT_SUPPORTED


def system_numbers(table: bytes) -> tuple[str, ...] | Outcome:
    """The serial number and the UUID of the system in that table, without those that
    it does not have. Returns `bad_answer` if there is no such table. Pure."""
    for structure, strings in _structures(table[_HEADER_BYTES:]):
        if structure[0] == _SYSTEM:
            numbers = (
                _string(structure, _SERIAL_AT, strings),
                _uuid(structure, later_than_2_5=tuple(table[1:3]) >= (2, 6)),
            )
            return tuple(number for number in numbers if number)
    return Outcome.BAD_ANSWER


def _structures(content: bytes) -> Iterator[tuple[bytes, list[bytes]]]:
    """The formatted part and the strings of each structure."""
    at = 0
    while at + 4 <= len(content):
        length = content[at + 1]
        formatted = content[at : at + length]
        if length < 4 or len(formatted) < length or formatted[0] == _END:
            return
        # The strings end with an empty one; two zeros follow if there are none.
        end = content.find(b"\0\0", at + length)
        if end < 0:
            return
        yield formatted, content[at + length : end].split(b"\0")
        at = end + 2


def _string(structure: bytes, at: int, strings: list[bytes]) -> str:
    number = structure[at] if at < len(structure) else 0
    if not 0 < number <= len(strings):
        return ""
    return strings[number - 1].decode("ascii", "replace").strip()


def _uuid(structure: bytes, *, later_than_2_5: bool) -> str:
    octets = structure[_UUID_AT:_UUID_END]
    # All zeros: not set; all ones: there is none.
    if len(octets) < _UUID_END - _UUID_AT or len(set(octets)) < 2:
        return ""
    # The first three parts are little-endian since version 2.6.
    value = uuid.UUID(bytes_le=octets) if later_than_2_5 else uuid.UUID(bytes=octets)
    return str(value)
