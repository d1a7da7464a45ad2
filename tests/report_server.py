"""A real TLS server that receives reports, and a laptop that delivers to it."""

import asyncio
import contextlib
import gzip
import json
import ssl
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest

from collectors.ingest.certificate import Certificates, make_certificates
from probes.agent.publish_https import HttpsPublisher
from probes.agent.report_delivery import (
    ReportDelivery,
)
from probes.agent.server_connection import ServerConnection
from probes.agent.settings import SpoolLimits
from probes.agent.spool import Spool
from probes.diagnosis.sent_log import SentLog
from probes.wire.report import (
    AgentCredential,
    Receipt,
    Report,
    Whereabouts,
)

NOW_MS = 1_790_000_000_000
WHO = AgentCredential("agent-1", "s3cret")


def report(id: str) -> Report:
    return Report(1, id, "agent-1", NOW_MS, "test", Whereabouts(), ())


class Request(msgspec.Struct):
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def ids(self) -> list[str]:
        return [report["id"] for report in json.loads(gzip.decompress(self.body))]


Answer = Callable[[Request], bytes | None]


def http(status: int, body: object = None, **headers: str) -> bytes:
    content = b"" if body is None else msgspec.json.encode(body)
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(content)}"]
    lines += [f"{name.replace('_', '-')}: {text}" for name, text in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


def accept(request: Request) -> bytes:
    return http(200, Receipt(tuple(request.ids)))


class ReportServer:
    """A real TLS server that answers with `answer`. If that is None, it hangs up."""

    def __init__(self, certificates: Certificates) -> None:
        self.answer: Answer = accept
        self.requests: list[Request] = []
        self.connections = 0
        self.ca_file = str(certificates.authority)
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(certificates.certificate, certificates.private_key)
        self.port = 0

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["ReportServer"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.connections += 1
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, EOFError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                first, *lines = head.strip().split("\r\n")
                headers = {
                    name.lower(): text.strip()
                    for name, _, text in (line.partition(":") for line in lines)
                }
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                self.requests.append(Request(first.split()[1], headers, body))
                answer = self.answer(self.requests[-1])
                if answer is None:
                    break
                writer.write(answer)
                await writer.drain()
                if b"\r\n\r\n" not in answer or headers.get("x-half"):
                    break
                if answer.startswith(b"HTTP/1.1 666"):
                    break
        writer.transport.abort()


@pytest.fixture(scope="module")
def certificates() -> Certificates:
    return make_certificates(Path(tempfile.mkdtemp()))


class Laptop:
    def __init__(
        self, folder: Path, report_server: ReportServer, request_s: float = 20
    ) -> None:
        self.folder = folder
        self.spool = Spool(folder, SpoolLimits(), lambda: NOW_MS)
        self.door = ServerConnection(
            f"https://127.0.0.1:{report_server.port}",
            WHO,
            report_server.ca_file,
            "towpath-agent/test",
            request_s,
        )
        self.delivery = ReportDelivery(
            self.spool,
            HttpsPublisher(self.door),
            SentLog(folder),
            lambda: NOW_MS,
            lambda: 0.5,
        )

    @contextlib.asynccontextmanager
    async def running(self, reports: int = 3) -> AsyncIterator["Laptop"]:
        with self.spool:
            for number in range(reports):
                self.spool.put(report(f"r{number}"))
            async with self.door:
                yield self

    @property
    def ids(self) -> list[str]:
        return [report.id for report in self.spool.oldest(10**4, 10**9)]


@pytest.fixture
async def report_server(certificates: Certificates) -> AsyncIterator[ReportServer]:
    async with ReportServer(certificates).running() as running:
        yield running
