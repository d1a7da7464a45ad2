"""What Towpath keeps is for its own user alone, whatever the umask it starts with."""

from __future__ import annotations

import asyncio
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from river import Council, Running, started
from river_laptops import Laptops

OPEN_UMASK = ("sh", "-c", 'umask 000 && exec "$@"', "sh")


@pytest.mark.service
async def test_files_of_a_running_installation_are_private(tmp_path: Path) -> None:
    council = Council(tmp_path)
    council.write_settings()
    running = Running(council, before=OPEN_UMASK)
    async with started(running), Laptops(council, https=3) as laptops:
        await laptops.more(3)
        await laptops.finish()
        state = council.config.state
        open_to_others = await asyncio.to_thread(open_below, state)
    assert open_to_others == []


def test_files_of_the_agent_are_private(tmp_path: Path) -> None:
    state = tmp_path / "agent"
    (tmp_path / "agent.toml").write_text(
        f'server = "https://localhost:1"\nstate_folder = "{state}"\n'
    )
    agent = [
        sys.executable,
        "-m",
        "probes.agent.agent_cli",
        "--config",
        str(tmp_path / "agent.toml"),
    ]
    ended = subprocess.run(
        [*OPEN_UMASK, *agent, "pause", "1h"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert open_below(state, least=1) == []


def open_below(folder: Path, least: int = 10) -> list[str]:
    """Files and folders below (and the folder itself) that others may look into."""
    paths = [folder, *folder.rglob("*")]
    assert sum(path.is_file() for path in paths) >= least, "nothing was written"
    return [
        f"{path.relative_to(folder)} {stat.filemode(mode)}"
        for path in paths
        for mode in [path.lstat().st_mode]
        if mode & 0o077
    ]
