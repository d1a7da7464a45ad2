"""DNS messages as far as a look-up of addresses needs them (RFC 1035). Pure."""

from __future__ import annotations

import struct
from enum import IntEnum

import msgspec

A, AAAA = 1, 28
_IN = 1
_HEAD_BYTES = 12
_MAX_NAME_BYTES = 255


class DnsCode(IntEnum):
    """What a name server answers, besides addresses."""

    OK = 0
    NO_SUCH_NAME = 3
    REFUSED = 5


class DnsAnswer(msgspec.Struct, frozen=True):
    """`code`: of `DnsCode`, or another. `found`: it has a record of the kind that was
    asked for. `truncated`: it did not fit into a datagram."""

    code: int
    found: bool
    truncated: bool


def encode_question(name: str, kind: int) -> bytes:
    """The question section for the records of `kind` of `name`. Raises `ValueError`
    if that is no name."""
    try:
        text = name.encode("ascii")
    except UnicodeEncodeError:
        text = name.encode("idna")
    encoded = b""
    for label in text.removesuffix(b".").split(b"."):
        if not 1 <= len(label) <= 63:
            raise ValueError(f"{name!r} is not a name: a label has {len(label)} octets")
        encoded += bytes([len(label)]) + label
    if len(encoded) >= _MAX_NAME_BYTES:
        raise ValueError(f"{name!r} is too long for a name")
    return encoded + b"\0" + struct.pack("!HH", kind, _IN)


def encode_query(id: int, question: bytes) -> bytes:
    """A query that asks the name server to do the whole look-up."""
    return struct.pack("!HHHHHH", id, 0x0100, 1, 0, 0, 0) + question


def read_answer(message: bytes, id: int, question: bytes) -> DnsAnswer | None:
    """Returns what `message` answers, None if it does not answer this query. Raises
    `ValueError` if it does and cannot be read."""
    if len(message) < _HEAD_BYTES:
        return None
    got_id, flags, questions, records, _, _ = struct.unpack_from("!HHHHHH", message)
    code, truncated = flags & 0xF, bool(flags & 0x0200)
    if got_id != id or not flags & 0x8000:
        return None
    if questions == 0 and code != DnsCode.OK:
        # Some servers do not repeat a question that they reject.
        return DnsAnswer(code, False, truncated)
    asked = message[_HEAD_BYTES : _HEAD_BYTES + len(question)]
    if questions != 1 or asked.lower() != question.lower():
        return None
    if truncated:
        return DnsAnswer(code, False, truncated)
    (kind,) = struct.unpack_from("!H", question, len(question) - 4)
    found, at = False, _HEAD_BYTES + len(question)
    try:
        for _ in range(records):
            at = _after_name(message, at)
            got_kind, kind_class, _, size = struct.unpack_from("!HHIH", message, at)
            at += 10 + size
            if at > len(message):
                raise ValueError("a record ends after the message")
            found |= got_kind == kind and kind_class == _IN
    except (struct.error, IndexError):
        raise ValueError("the message ends within a record") from None
    return DnsAnswer(code, found, False)


def _after_name(message: bytes, at: int) -> int:
    """Where the name that begins at `at` ends. A pointer (RFC 1035 section 4.1.4) is
    its last part, wherever it leads."""
    while True:
        length = message[at]
        if length >= 0xC0:
            return at + 2
        if length >= 0x40:
            raise ValueError("a label of an unknown kind")
        at += 1 + length
        if not length:
            return at
