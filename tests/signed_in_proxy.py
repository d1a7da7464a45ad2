"""A real proxy that needs a name and password (`staff`, `secret`), and what is behind
it."""

import asyncio
import contextlib
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import services
from waiting import wait_until

from collectors.ingest.certificate import make_certificates
from probes.measure.active_interface import local_address


@pytest.fixture
def tinyproxy(tmp_path: Path) -> Iterator[int]:
    """Yields its port."""
    port = services.free_port()
    config = tmp_path / "tinyproxy.conf"
    config.write_text(
        f"Port {port}\nListen 127.0.0.1\nAllow 127.0.0.1\nMaxClients 20\n"
        f'LogFile "{tmp_path / "tinyproxy.log"}"\nBasicAuth staff secret\n'
    )
    command = [services.program("tinyproxy"), "-d", "-c", str(config)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: _answers(port), "tinyproxy does not answer")
            yield port
        finally:
            process.terminate()


def certified(folder: Path) -> tuple[str, ssl.SSLContext, Path]:
    """An address of this machine that is not a loopback one, because those are reached
    directly with any setting; TLS for a server there; and its authority."""
    address = local_address("203.0.113.1")
    if not address:
        services.absent("this machine has no address but loopback ones")
    made = make_certificates(folder, (address,))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(made.certificate, made.private_key)
    return address, tls, made.authority


@contextlib.asynccontextmanager
async def encrypted_proxy(tls: ssl.SSLContext, host: str) -> AsyncIterator[int]:
    """A proxy that itself is reached by TLS, and asks for no name; yields its port."""
    relays: list[asyncio.Task[None]] = []

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(4_096):
                writer.write(data)
        writer.transport.abort()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
        far = await asyncio.open_connection(*to.rsplit(":", 1))
        writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        relays.append(asyncio.create_task(relay(far[0], writer)))
        await relay(reader, far[1])

    proxy = await asyncio.start_server(serve, host, 0, ssl=tls)
    yield proxy.sockets[0].getsockname()[1]
    proxy.close()
    await asyncio.gather(*relays)


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
