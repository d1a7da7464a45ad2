"""A fake InfluxDB server of any version, with an InfluxStore connected to it."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import ssl
from collections.abc import AsyncIterator, Callable
from urllib.parse import parse_qs, urlsplit

from stores import CATALOGUE, START, batch

from collectors.store.influx_http import InfluxServer
from collectors.store.influx_store import InfluxStore

ROW = batch((START, {"a": "x"}, {"whole": 1}))


class FakeInflux:
    """An HTTP server that gives the answers of `answer` and keeps the requests."""

    def __init__(
        self,
        answer: Callable[[str, str, bytes], bytes | None],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._answer, self._tls = answer, tls
        self._busy: set[asyncio.Task[None]] = set()
        self.requests: list[
            tuple[str, dict[str, list[str]], dict[str, str], bytes]
        ] = []

    async def __aenter__(self) -> FakeInflux:
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", 0, ssl=self._tls
        )
        self.url = f"{'https' if self._tls else 'http'}://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._busy:
            task.cancel()
        await asyncio.gather(*self._busy, return_exceptions=True)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._busy.add(task)
        try:
            await self._reply(reader, writer)
        finally:
            writer.close()
            self._busy.discard(task)

    async def _reply(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            first, *rest = head.split("\r\n")
            headers = {
                name.lower(): value
                for name, _, value in (line.partition(": ") for line in rest)
            }
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            if headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            method, target, _ = first.split(" ")
            parts = urlsplit(target)
            self.requests.append((parts.path, parse_qs(parts.query), headers, body))
            answer = self._answer(method, parts.path, body)
            if answer is None:
                await asyncio.sleep(3600)
            writer.write(answer or b"")
            await writer.drain()


def http_answer(status: int, body: object = "", headers: str = "") -> bytes:
    text = (body if isinstance(body, str) else json.dumps(body)).encode()
    head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(text)}\r\n"
    return f"{head}Connection: close\r\n{headers}\r\n".encode() + text


PING = {
    "1.8": http_answer(204, headers="X-Influxdb-Version: 1.8.10\r\n"),
    "2": http_answer(204, headers="X-Influxdb-Version: v2.7.11\r\n"),
    "3": http_answer(200, {"version": "3.11.2", "revision": "x"}),
    "1.6": http_answer(204, headers="X-Influxdb-Version: 1.6.7~rc0\r\n"),
}


@contextlib.asynccontextmanager
async def fake_influx(
    version: str,
    write: Callable[[bytes], bytes | None] = lambda body: http_answer(204),
    other: Callable[[str, str, bytes], bytes | None] | None = None,
    token: str = "",
    timeout_s: float = 30.0,
) -> AsyncIterator[tuple[InfluxStore, FakeInflux]]:
    def answer(method: str, path: str, body: bytes) -> bytes | None:
        if path == "/ping":
            return PING[version]
        if path in ("/write", "/api/v2/write"):
            return write(body)
        if other is not None:
            return other(method, path, body)
        return http_answer(200, {"results": [{"statement_id": 0}]})

    async with FakeInflux(answer) as server:
        client = InfluxServer(server.url, token, "-", timeout_s, timeout_s)
        async with InfluxStore(client, "db", CATALOGUE) as store:
            yield store, server
