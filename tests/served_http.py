"""An HTTP server on a real socket for the tests, and bytes to send to it."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from collectors.http import (
    Certificate,
    Endpoint,
    HttpRefusal,
    HttpServer,
    ServerLimits,
)
from collectors.ingest.certificate import Certificates, make_certificates

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Served:
    """A server whose `/in` signs in, `/take` reads the body, `/wait` waits."""

    def __init__(self, limits: ServerLimits, certificates: Certificates | None) -> None:
        self.refused: Counter[HttpRefusal] = Counter()
        self.requests: list[tuple[str, bytes]] = []
        self.go_on = asyncio.Event()
        self.certificates = certificates
        app = Starlette(
            routes=[
                Route("/in/{name}", self._sign_in),
                Route("/take", self._take, methods=["POST"]),
                Route("/wait/{name}", self._wait),
                Route("/large", lambda request: Response(b"x" * 30_000_000)),
            ]
        )
        self.server = HttpServer(
            app,
            Endpoint("127.0.0.1", 0, "test.port"),
            limits,
            certificate=None
            if certificates is None
            else Certificate(certificates.certificate, certificates.private_key),
            on_refusal=self._count,
        )

    async def connect(self, source: str = "127.0.0.1") -> Streams:
        trust = None
        if self.certificates is not None:
            trust = ssl.create_default_context(cafile=str(self.certificates.authority))
        return await asyncio.open_connection(
            "127.0.0.1", self.server.port, ssl=trust, local_addr=(source, 0)
        )

    async def silent(self, source: str = "127.0.0.1") -> Streams:
        """A TCP connection that never begins TLS."""
        return await asyncio.open_connection(
            "127.0.0.1", self.server.port, local_addr=(source, 0)
        )

    def _count(self, reason: HttpRefusal) -> None:
        self.refused[reason] += 1

    async def _sign_in(self, request: Request) -> Response:
        self.requests.append((request.url.path, b""))
        there = request.scope["connection"].sign_in(request.path_params["name"])
        return Response(status_code=200 if there else 503)

    async def _take(self, request: Request) -> Response:
        body = await request.body()
        self.requests.append((request.url.path, body))
        return Response(b"%d" % len(body))

    async def _wait(self, request: Request) -> Response:
        request.scope["connection"].sign_in(request.path_params["name"])
        await self.go_on.wait()
        return Response(b"waited")


@contextlib.asynccontextmanager
async def served(folder: Path | None = None, **limits: Any) -> AsyncIterator[Served]:
    certificates = None if folder is None else make_certificates(folder / "tls")
    running = Served(ServerLimits(**limits), certificates)
    await running.server.start()
    try:
        yield running
    finally:
        await running.server.stop()


async def exchange(streams: Streams, text: bytes) -> bytes:
    """Sends `text` and returns one answer with its body; empty if the peer closed."""
    reader, writer = streams
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        writer.write(text)
        await writer.drain()
        async with asyncio.timeout(20):
            head = await reader.readuntil(b"\r\n\r\n")
            length = 0
            for line in head.lower().split(b"\r\n"):
                if line.startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
            return head + await reader.readexactly(length)
    return b""


async def closed(streams: Streams) -> bool:
    """Waits until the peer has closed the connection."""
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        async with asyncio.timeout(20):
            while await streams[0].read(65_536):
                pass
    streams[1].close()
    return True


GET_IN = b"GET /in/%s HTTP/1.1\r\nHost: x\r\n\r\n"

POST = b"POST /take HTTP/1.1\r\nHost: x\r\n"
