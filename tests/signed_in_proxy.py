"""A real proxy that needs a name and password (`staff`, `secret`), and what is behind
it."""

import contextlib
import socket
import ssl
import subprocess
from collections.abc import Iterator
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


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
