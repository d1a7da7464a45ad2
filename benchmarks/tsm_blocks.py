"""Blocks of InfluxDB's TSM files (1.x and 2.x): times and values of one field. Pure.

A block has a kind, the length of its times, times and values. Only encodings that are
simple to write are used: times of equal steps, whole numbers that are uncompressed or
all the same, and texts as one literal of snappy. Floats are encoded as in Facebook's
Gorilla, the one encoding that there is for them.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

MOST_VALUES = 1000
KINDS = {"float": 0, "int": 1, "str": 3}
_NS = 1_000_000
# What ends a block of floats: Go's NaN.
_END = 0x7FF8000000000001


class Block(NamedTuple):
    """What a file holds of one field between two times, with its checksum."""

    first_ns: int
    last_ns: int
    stored: bytes


@dataclass(frozen=True)
class Times:
    """Times of equal steps."""

    first_ms: int
    step_ms: int
    count: int

    @property
    def last_ms(self) -> int:
        return self.first_ms + (self.count - 1) * self.step_ms

    def within(self, from_ms: int, to_ms: int) -> Times:
        """Returns those from `from_ms` to before `to_ms`."""
        skipped = max(0, -(-(from_ms - self.first_ms) // self.step_ms))
        ended = max(0, -(-(to_ms - self.first_ms) // self.step_ms))
        count = max(0, min(self.count, ended) - skipped)
        return Times(self.first_ms + skipped * self.step_ms, self.step_ms, count)

    def parts(self) -> list[Times]:
        """Returns what fits in one block each. They end at the same places of any
        times, so that most have the same length."""
        parts, at = [], 0
        while at < self.count:
            first_ms = self.first_ms + at * self.step_ms
            fits = MOST_VALUES - first_ms // self.step_ms % MOST_VALUES
            part = Times(first_ms, self.step_ms, min(fits, self.count - at))
            parts.append(part)
            at += part.count
        return parts


def block(kind: str, times: Times, values: bytes) -> Block:
    """Returns a block of encoded `values`."""
    encoded = _times(times)
    data = bytes([KINDS[kind]]) + _uvarint(len(encoded)) + encoded + values
    checksum = struct.pack(">I", zlib.crc32(data))
    return Block(times.first_ms * _NS, times.last_ms * _NS, checksum + data)


def _times(times: Times) -> bytes:
    first = struct.pack(">Q", times.first_ms * _NS)
    if times.count == 1:
        return b"\0" + first
    step, zeros = times.step_ms * _NS, 0
    while step % 10 == 0 and zeros < 12:
        step, zeros = step // 10, zeros + 1
    return bytes([2 << 4 | zeros]) + first + _uvarint(step) + _uvarint(times.count)


def float_values(values: Sequence[float]) -> bytes:
    bits = [struct.unpack(">Q", struct.pack(">d", value))[0] for value in values]
    parts = [f"{bits[0]:064b}"]
    for before, now in zip(bits, [*bits[1:], _END], strict=True):
        changed = before ^ now
        if not changed:
            parts.append("0")
            continue
        leading = min(64 - changed.bit_length(), 31)
        trailing = (changed & -changed).bit_length() - 1
        length = 64 - leading - trailing
        # 64 does not fit into six bits, and is written as 0.
        parts.append(
            f"11{leading:05b}{length % 64:06b}{changed >> trailing:0{length}b}"
        )
    text = "".join(parts)
    text += "0" * (-len(text) % 8)
    return bytes([1 << 4]) + int(text, 2).to_bytes(len(text) // 8, "big")


def float_bits(bits: Sequence[int]) -> bytes:
    """Returns floats, given by their bits, without compressing them: three times as
    fast to encode. After the first, each is written with the window of that."""
    changed = [
        f"{before ^ now:064b}"
        for before, now in zip(bits, [*bits[1:], _END], strict=True)
    ]
    text = f"{bits[0]:064b}11{0:011b}{'10'.join(changed)}"
    text += "0" * (-len(text) % 8)
    return bytes([1 << 4]) + int(text, 2).to_bytes(len(text) // 8, "big")


def int_values(values: Sequence[int]) -> bytes:
    steps = [now - before for before, now in zip([0, *values], values, strict=False)]
    folded = [step << 1 if step >= 0 else (-step << 1) - 1 for step in steps]
    if len(folded) > 2 and not any(folded[1:]):
        first = struct.pack(">Q", folded[0])
        return bytes([2 << 4]) + first + _uvarint(0) + _uvarint(len(folded) - 1)
    return b"\0" + struct.pack(f">{len(folded)}Q", *folded)


def text_values(values: Sequence[str]) -> bytes:
    texts = [value.encode() for value in values]
    data = b"".join(_uvarint(len(text)) + text for text in texts)
    # Snappy: the length of all, and one literal whose length has four bytes.
    literal = bytes([63 << 2]) + struct.pack("<I", len(data) - 1)
    return bytes([1 << 4]) + _uvarint(len(data)) + literal + data


def _uvarint(number: int) -> bytes:
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)
