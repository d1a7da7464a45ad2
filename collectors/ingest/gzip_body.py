"""Unpacks gzip bodies (RFC 1952) in bounded, linear work. Pure.

The body comes from the network and may be made to be expensive: an empty member takes
20 bytes and needs a new decompressor, and a member can unpack to 1,000 times its size.
So the bytes are fed in pieces (zlib returns the unused rest of a piece as a copy), and
the number of members, the content, and the ratio of content to body are all limited.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Protocol

from collectors.ingest.rejection_reasons import BodyRejected, RejectionReason
from probes.wire.report import MAX_BODY_BYTES

GZIP_MAGIC = b"\x1f\x8b"
MAX_MEMBERS = 16
# Reports that are all alike reach about 35; zlib can reach 1,032.
MAX_RATIO = 100
# Content up to this size may have any ratio.
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
    """Returns the content of a gzip body, at most `limit` bytes.

    Raises `BodyRejected` if there is more content, if the body is damaged or ends too
    early, or if it has more than `MAX_MEMBERS` members or a ratio over `MAX_RATIO`.
    """
    limit_by_ratio = max(_SMALL_BYTES, MAX_RATIO * len(body))
    content = bytearray()
    at = members = 0
    while at < len(body) or not members:
        members += 1
        if members > MAX_MEMBERS:
            raise BodyRejected(
                RejectionReason.UNREADABLE,
                f"the gzip body has more than {MAX_MEMBERS} members",
            )
        at = _unpack_member(body, at, make(), content, min(limit, limit_by_ratio))
        if len(content) > limit:
            raise BodyRejected(
                RejectionReason.TOO_LARGE,
                f"the body holds more than {limit} bytes unpacked",
            )
        if len(content) > limit_by_ratio:
            raise BodyRejected(
                RejectionReason.TOO_LARGE,
                f"the body holds more than {MAX_RATIO} times its size unpacked",
            )
    return bytes(content)


def _unpack_member(
    body: bytes, at: int, stream: _Decompressor, content: bytearray, most: int
) -> int:
    """Unpacks the member at offset `at` and appends it to `content`.

    Stops one byte beyond `most`. Returns the offset of the next member.
    """
    while at < len(body) and not stream.eof:
        piece = body[at : at + _PIECE_BYTES]
        try:
            content += stream.decompress(piece, most + 1 - len(content))
        except zlib.error:
            raise BodyRejected(
                RejectionReason.UNREADABLE, "the gzip body is damaged, send it again"
            ) from None
        if len(content) > most:
            return len(body)
        at += len(piece) - len(stream.unused_data)
    if not stream.eof:
        raise BodyRejected(RejectionReason.UNREADABLE, "the gzip body ends too early")
    return at
