"""Programs for the kernel's filter of packets (classic BPF). Pure.

What a program returns is how many octets of the packet the kernel copies. A load beyond
the packet's end drops it.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

LOAD_BYTE, LOAD_SHORT = 0x30, 0x28
LOAD_INDEXED_BYTE, LOAD_INDEXED_SHORT, LOAD_IP_HEAD = 0x50, 0x48, 0xB1
LOAD_INDEXED_WORD = 0x40
RECALL, STORE = 0x60, 0x02
LOAD_INDEX, RECALL_INDEX = 0x01, 0x61
EQUAL, AT_LEAST, ANY_BIT = 0x15, 0x35, 0x45
EQUAL_INDEX, ABOVE_INDEX, JUMP = 0x1D, 0x2D, 0x05
AND, ADD, SUBTRACT, SHIFT_LEFT, SHIFT_RIGHT = 0x54, 0x04, 0x14, 0x64, 0x74
ADD_INDEX, SUBTRACT_INDEX = 0x0C, 0x1C
TO_A, TO_INDEX = 0x87, 0x07
RETURN, RETURN_A = 0x06, 0x16
UDP_HEAD, ETHERNET_HEAD, VLAN_TAG = 8, 14, 4
KEEP_NOTHING = "drop"


class Instruction(NamedTuple):
    """One instruction; jumps count the instructions that are skipped."""

    code: int
    jump_true: int
    jump_false: int
    value: int


class FilterLine(NamedTuple):
    """An instruction with jumps by label: "" goes on with the next."""

    code: int
    value: int
    true: str = ""
    false: str = ""


FilterLines = list[FilterLine | str]


def go_to(label: str) -> FilterLine:
    """Jumps, also further than a condition can (255 instructions)."""
    return FilterLine(JUMP, 0, label)


def advance(octets: int) -> FilterLines:
    """Moves the index register."""
    return [FilterLine(TO_A, 0), FilterLine(ADD, octets), FilterLine(TO_INDEX, 0)]


def keep_from_index(octets: int) -> FilterLines:
    """Keeps the packet up to so many octets after the index."""
    return [FilterLine(TO_A, 0), FilterLine(ADD, octets), FilterLine(RETURN_A, 0)]


def keep_nothing() -> FilterLines:
    """Drops the packet; sections have their own, as conditions do not jump far."""
    return [KEEP_NOTHING, FilterLine(RETURN, 0)]


def assemble(lines: FilterLines) -> list[Instruction]:
    """The program. Of a label that is there several times, the next one is meant."""
    places: dict[str, list[int]] = {}
    plain: list[FilterLine] = []
    for line in lines:
        if isinstance(line, str):
            places.setdefault(line, []).append(len(plain))
        else:
            plain.append(line)

    def skipped(label: str, at: int) -> int:
        if not label:
            return 0
        return next(place for place in places[label] if place > at) - at - 1

    return [
        Instruction(line.code, 0, 0, skipped(line.true, at))
        if line.code == JUMP
        else Instruction(
            line.code, skipped(line.true, at), skipped(line.false, at), line.value
        )
        for at, line in enumerate(plain)
    ]


def packed(program: list[Instruction]) -> bytes:
    """The program as `struct sock_filter[]`."""
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
