"""Unpacks gzip bodies (RFC 1952) in bounded, linear work. Pure.

What is packed comes from the network and may be made to cost: a member of no content
takes 20 bytes and a new decompressor, a highly packed one 1,000 times its size. So the
bytes are fed in pieces (what zlib has not used of a piece it hands back as a copy),
and members, content, and content for each byte are all bounded.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Protocol

from collectors.ingest.rejection_reasons import BodyRefused, Reason
from probes.wire.report import MAX_BODY_BYTES

GZIP_MAGIC = b"\x1f\x8b"
MAX_MEMBERS = 16
# Reports that are all alike come to some 35; zlib can reach 1,032.
MAX_RATIO = 100
# Up to here nothing is said against a ratio.
_SMALL_BYTES = 50_000
_PIECE_BYTES = 16_384
_GZIP = 16 + zlib.MAX_WBITS


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


def _gzip() -> _Decompressor:
    return zlib.decompressobj(_GZIP)


def unpack(
    body: bytes,
    limit: int = MAX_BODY_BYTES,
    make: Callable[[], _Decompressor] = _gzip,
) -> bytes:
    """The content of a gzip body, at most `limit` bytes of it.

    `BodyRefused` if there is more, if it is damaged or ends too early, or if it has
    more than `MAX_MEMBERS` members or content `MAX_RATIO` times its size.
    """
    limit_by_ratio = max(_SMALL_BYTES, MAX_RATIO * len(body))
    content = bytearray()
    at = members = 0
    while at < len(body) or not members:
        members += 1
        if members > MAX_MEMBERS:
            raise BodyRefused(
                Reason.UNREADABLE,
                f"the gzip body has more than {MAX_MEMBERS} members",
            )
        at = _unpack_member(body, at, make(), content, min(limit, limit_by_ratio))
        if len(content) > limit:
            raise BodyRefused(
                Reason.TOO_LARGE, f"the body holds more than {limit} bytes unpacked"
            )
        if len(content) > limit_by_ratio:
            raise BodyRefused(
                Reason.TOO_LARGE,
                f"the body holds more than {MAX_RATIO} times its size unpacked",
            )
    return bytes(content)


def _unpack_member(
    body: bytes, at: int, stream: _Decompressor, content: bytearray, most: int
) -> int:
    """Appends the member that begins at `at`, one byte beyond `most` at the furthest;
    returns where the next one begins."""
    while at < len(body) and not stream.eof:
        piece = body[at : at + _PIECE_BYTES]
        try:
            content += stream.decompress(piece, most + 1 - len(content))
        except zlib.error:
            raise BodyRefused(
                Reason.UNREADABLE, "the gzip body is damaged, send it again"
            ) from None
        if len(content) > most:
            return len(body)
        at += len(piece) - len(stream.unused_data)
    if not stream.eof:
        raise BodyRefused(Reason.UNREADABLE, "the gzip body ends too early")
    return at
