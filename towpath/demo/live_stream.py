"""The live stream of the demo's committee: an HLS manifest that advances, until it is
frozen by `POST /freeze`, as if the encoder had stopped. `POST /resume` ends that."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Self

PATH = "/live.m3u8"
_SEGMENT_S, _LISTED = 4, 5
# MPEG transport stream: packets without content.
_SEGMENT = (b"\x47\x1f\xff\x10" + b"\xff" * 184) * 7
_ANSWER_S = 5.0


class LiveStream:
    """`async with LiveStream(port)`: serves the stream on 127.0.0.1."""

    def __init__(self, port: int, clock_s: Callable[[], float] = time.time) -> None:
        self._port, self._clock_s = port, clock_s
        self._frozen_s: float | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    def answer(self, method: str, path: str) -> tuple[str, str, bytes]:
        """Returns status, type and body."""
        if method == "POST" and path in ("/freeze", "/resume"):
            self._frozen_s = self._clock_s() if path == "/freeze" else None
            return "204 No Content", "", b""
        if method == "GET" and path == PATH:
            now_s = self._clock_s() if self._frozen_s is None else self._frozen_s
            body = manifest(now_s).encode()
            return "200 OK", "application/vnd.apple.mpegurl", body
        if method == "GET" and path.endswith(".ts"):
            return "200 OK", "video/mp2t", _SEGMENT
        return "404 Not Found", "text/plain", b"There is only /live.m3u8.\n"

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(OSError, TimeoutError, EOFError, ValueError):
            async with asyncio.timeout(_ANSWER_S):
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                method, path, _ = head.split("\r\n", 1)[0].split(" ", 2)
                status, kind, body = self.answer(method, path.partition("?")[0])
                named = f"Content-Type: {kind}\r\n" if kind else ""
                writer.write(
                    f"HTTP/1.1 {status}\r\n{named}Cache-Control: no-cache\r\n"
                    f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode()
                    + body
                )
                await writer.drain()
        writer.close()


def manifest(now_s: float) -> str:
    """Returns the playlist at a time (RFC 8216): the newest segments. Pure."""
    newest = int(now_s) // _SEGMENT_S
    first = newest - _LISTED + 1
    segments = [f"#EXTINF:{_SEGMENT_S},\n{n}.ts" for n in range(first, newest + 1)]
    head = ("#EXTM3U", "#EXT-X-VERSION:3", f"#EXT-X-TARGETDURATION:{_SEGMENT_S}")
    return "\n".join((*head, f"#EXT-X-MEDIA-SEQUENCE:{first}", *segments)) + "\n"
