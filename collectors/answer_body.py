"""Reads the body of an HTTP answer without filling the memory."""

from __future__ import annotations

import httpx2


async def read_body(answer: httpx2.Response, most_bytes: int) -> bytes | None:
    """Returns the body, unpacked; None if it is larger than `most_bytes`. A small
    packed answer can be a very large one, so its size is watched while it comes."""
    body = bytearray()
    async for part in answer.aiter_bytes():
        body += part
        if len(body) > most_bytes:
            return None
    return bytes(body)
