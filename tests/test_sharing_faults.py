"""Pollers share the estate over three nats-servers of which one at a time is killed or
cut off: no device is polled twice at once, and all are polled again. `make soak`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from nats_servers import NAMESPACES, nats_program
from services import program


def _servers() -> list[str]:
    """Debian's, and the current one."""
    return sorted({program("nats-server"), nats_program()})


@pytest.mark.soak
@pytest.mark.netns
@pytest.mark.timeout(900)
@pytest.mark.parametrize("fault", ["kill", "cut"])
def test_with_one_of_three_servers_in_trouble_each_device_has_one_poller(
    tmp_path: Path, fault: str
) -> None:
    program("nft")
    here = Path(__file__).parent
    for number, server in enumerate(_servers()):
        folder = tmp_path / str(number)
        command = [program("unshare"), "--user", "--map-root-user", "--net", "--mount"]
        command += ["sh", "-c", NAMESPACES, "sh", sys.executable]
        command += [str(here / "sharing_faults.py"), str(folder), fault]
        path = f"{here.parent}{os.pathsep}{here}"
        done = subprocess.run(
            command,
            env={**os.environ, "PYTHONPATH": path, "TOWPATH_NATS_SERVER": server},
            capture_output=True,
            text=True,
            check=False,
        )
        print(server, done.stdout[-2000:])
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        assert ", 0 at once, " in done.stdout
        version = subprocess.check_output([server, "--version"], text=True)
        if " v2.9." not in version:
            # After cuts it may take that one minutes to agree on leaders.
            assert "polled not" not in done.stdout
