"""A server for the tests that gives one answer, whatever it is asked."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator


@contextlib.asynccontextmanager
async def serving(
    answer: bytes | None,
    tls: ssl.SSLContext | None = None,
    pause_s: float = 0.0,
    host: str = "127.0.0.1",
) -> AsyncIterator[int]:
    """A server that answers every request with `answer`; None: it hangs up."""

    tasks: set[asyncio.Task[None] | None] = set()

    async def serve(r: asyncio.StreamReader, w: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        try:
            await speak(r, w)
        finally:
            w.transport.abort()

    async def speak(r: asyncio.StreamReader, w: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await r.readuntil(b"\r\n\r\n")
            await asyncio.sleep(pause_s)
            if answer is not None:
                w.write(answer)
                await w.drain()
                if w.can_write_eof():
                    w.write_eof()
                await r.read()

    server = await asyncio.start_server(serve, host, 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        # Connections that were begun are served; then every one is ended.
        await asyncio.sleep(0.01)
        for task in tasks:
            if task is not None:
                task.cancel()
        await asyncio.gather(*filter(None, tasks), return_exceptions=True)
