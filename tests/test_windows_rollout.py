"""A stranger rolls the agent out: the MSI with the command line of docs/fleet.md, the
page Fleet, the stop switch, and nothing left after the uninstallation. Everything is
real but Windows, which is Wine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from council_page import page_text
from installed_agent import InstalledAgent, build_package, windows_path
from river import Council, Running, answer, started, towpath
from test_windows_installation import documented
from waiting import until
from windows_python import windows_laptop

pytestmark = [pytest.mark.soak, pytest.mark.service, pytest.mark.timeout(1200)]


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[InstalledAgent]:
    installed = InstalledAgent(windows_laptop(tmp_path / "c"))
    yield installed
    if installed.product_code():
        installed.uninstall()
    installed.close()


def command(council: Council, *words: str) -> str:
    done = towpath("fleet", *words, "-c", council.settings)
    assert done.returncode == 0, done.stderr
    return done.stdout


async def test_fleet_shows_a_new_laptop_the_stop_switch_stops_it_and_nothing_is_left(
    agent: InstalledAgent, tmp_path: Path
) -> None:
    package = await asyncio.to_thread(
        build_package, tmp_path / "towpath-agent.msi", "0.1.0"
    )
    council, key = Council(tmp_path / "council"), tmp_path / "stop.key"
    council.write_settings()
    public = next(
        word
        for word in command(council, "stop-key", str(key)).replace('"', " ").split()
        if len(word) == 64
    )
    council.write_settings(
        ingest=f'stop_key = "{public}"\n[ingest.policy.rings.pilot]\nhurry = false'
    )
    fleet = f"http://127.0.0.1:{council.web}/fleet"

    def shows(text: str) -> bool:
        return text in page_text(answer(fleet)[1])

    def quiet() -> str:
        status = agent.status()
        return "" if status is None else status.quiet

    async with started(Running(council)):
        wish = ("token", "--site", "hall", "--ring", "pilot")
        token = command(council, *wish).strip()
        agent.set_policy(ca_file=windows_path(council.tls.authority))
        words = documented(package, council.server, token, tmp_path / "install.log")
        assert await asyncio.to_thread(agent.msiexec, *words) == 0
        installed_s = time.monotonic()
        await until(
            lambda: asyncio.to_thread(shows, "Reported in the last day 1 "),
            "the page Fleet to show the laptop",
            seconds=120,
            every_s=1,
        )
        print(f"enrolled and seen {time.monotonic() - installed_s:.0f} s after")
        await asyncio.to_thread(
            command, council, "stop", "--key", str(key), "--why", "calls break"
        )
        stopped_s = time.monotonic()
        await until(lambda: "calls break" in quiet(), seconds=900, every_s=1)
        print(f"stopped {time.monotonic() - stopped_s:.0f} s after the order")
        await until(
            lambda: asyncio.to_thread(shows, "calls break"),
            "the page Fleet to show why",
            seconds=60,
            every_s=1,
        )
        _, shown = await asyncio.to_thread(agent.command, "status")
        assert "calls break" in shown
        await asyncio.to_thread(command, council, "resume", "--key", str(key))
        await until(lambda: not quiet(), seconds=900, every_s=1)
        assert await asyncio.to_thread(agent.uninstall) == 0
        assert agent.left_over() == []
        assert not agent.data.exists()
