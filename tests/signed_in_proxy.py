"""A real proxy that needs a name and password: `staff`, `secret`."""

import contextlib
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import services
from waiting import wait_until


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


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
