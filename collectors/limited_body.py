"""Reads the body of an HTTP request or answer without filling the memory."""

from __future__ import annotations

from collections.abc import AsyncIterable


async def read_limited(parts: AsyncIterable[bytes], most_bytes: int) -> bytes | None:
    """Returns the body; None if it is larger than `most_bytes`. A small packed answer
    can be a very large one, so the size is watched while the unpacked parts come."""
    body = bytearray()
    async for part in parts:
        body += part
        if len(body) > most_bytes:
            return None
    return bytes(body)
