"""What Towpath keeps is for its own user alone, whatever the umask it starts with."""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ingest_council import opened_registry
from river import Council, Running, started
from river_laptops import Laptops

from alerts.alert_store import AlertStore
from alerts.api_tokens import ApiTokens, tokens_file
from collectors.support_codes import SupportCodes
from dashboards.web.api.written_requests import WrittenRequests
from dashboards.web.sign_in.access_audit import AccessAudit

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


NOW_MS = 1_800_000_000_000


def registry(folder: Path) -> None:
    with opened_registry(folder):
        pass


MAKERS: dict[str, Callable[[Path], object]] = {
    "alerts": lambda folder: AlertStore(folder / "alerts.sqlite").close(),
    "tokens": lambda folder: ApiTokens(tokens_file(folder / "alerts.sqlite")).make(
        "bot", "ada", NOW_MS + 1, NOW_MS
    ),
    "answers": lambda folder: WrittenRequests(folder / "written.sqlite").begin(
        "bot", "key", b"{}", NOW_MS
    ),
    "codes": lambda folder: SupportCodes(folder / "codes.sqlite", lambda: NOW_MS).make(
        "k1-aaaaaaaaaaaaaaaa"
    ),
    "sign-in": lambda folder: AccessAudit(
        folder / "sign-in.sqlite", lambda: NOW_MS
    ).record("Ada", "ada", "signed in"),
    "registry": registry,
}


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.usefixtures("open_umask")
def test_a_file_about_people_can_be_read_by_its_owner_alone(
    name: str, tmp_path: Path
) -> None:
    MAKERS[name](tmp_path)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert [path.name for path in files if path.stat().st_mode & 0o077] == []
