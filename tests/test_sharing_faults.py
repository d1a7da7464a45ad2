"""Pollers share the estate over three nats-servers of which one at a time is killed or
cut off: no device is polled twice at once, and all are polled again. `make soak`."""

from __future__ import annotations

from pathlib import Path

import pytest
from nats_servers import is_version_2_9, nats_program, run_in_namespaces
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
    script = Path(__file__).with_name("sharing_faults.py")
    for number, server in enumerate(_servers()):
        print(server)
        folder = tmp_path / str(number)
        printed = run_in_namespaces(
            str(script), str(folder), fault, TOWPATH_NATS_SERVER=server
        )
        assert ", 0 at once, " in printed
        if not is_version_2_9(server):
            # After cuts it may take that one minutes to agree on leaders.
            assert "polled not" not in printed
