"""The agent's MSI under Wine: silent installation, upgrade, repair, uninstallation.

What Wine cannot show: `MsiHiddenProperties` (its log has all properties), access
lists between users, delayed start and failure actions (`MsiConfigureServices`), a user
without rights (Wine's is always an administrator), and files in use (3010)."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from ingest_council import Door, door
from installed_agent import KEY, InstalledAgent, build_package, windows_path
from waiting import until
from windows_python import ROOT, windows_laptop

from collectors.ingest.enrolment_tokens import TokenWish
from collectors.ingest.ingest_config import (
    PolicyConfig,
    ServiceConfig,
    TeamsRelayConfig,
)
from probes.wire.clock import wall_ms

pytestmark = [pytest.mark.soak, pytest.mark.service, pytest.mark.timeout(1200)]
QUICK = PolicyConfig(
    teams_relay=TeamsRelayConfig(host=""),
    services=(ServiceConfig(name="council", url="https://127.0.0.1:1/"),),
    cadence_s={"vpn": 1, "agent": 1, "web": 1, "name_lookup": 0, "call_path": 0},
    report_s=10,
)
# Fatal error during installation.
FAILED = 1603


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    # Spaces and umlauts, as in the folder of a deployment tool.
    folder = tmp_path_factory.mktemp("packages") / "Zoë Müller & Söhne"
    folder.mkdir()
    return {
        version: build_package(folder / f"towpath agent {version}.msi", version)
        for version in ("0.1.0", "0.2.0")
    }


@pytest.fixture(scope="module")
def windows(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InstalledAgent]:
    installed = InstalledAgent(windows_laptop(tmp_path_factory.mktemp("wine") / "c"))
    yield installed
    installed.close()


@pytest.fixture
def agent(windows: InstalledAgent) -> Iterator[InstalledAgent]:
    yield windows
    # What a test that failed has left.
    if windows.product_code():
        windows.uninstall()


def pilot_token(council: Door) -> str:
    wish = TokenWish("hall", 1, 1, ring="pilot")
    return council.registry.admin.add_token(wish, wall_ms(), "alex")


def documented(package: Path, server: str, token: str, log: Path) -> list[str]:
    """The command line of docs/fleet.md for this package, server and token."""
    own = {
        "towpath-agent.msi": windows_path(package),
        r"%TEMP%\towpath-agent.log": windows_path(log),
        "SERVER=https://towpath.example.gov.uk": f"SERVER={server}",
        "TOKEN=THE-TOKEN": f"TOKEN={token}",
    }
    return _documented("SERVER", own)


def documented_repair(product_code: str, token: str) -> list[str]:
    own = {"{PRODUCT-CODE}": product_code, "TOKEN=THE-TOKEN": f"TOKEN={token}"}
    return _documented("REINSTALLMODE", own)


def _documented(has: str, own: dict[str, str]) -> list[str]:
    """The one with a token and the property `has`."""
    text = (ROOT / "docs" / "fleet.md").read_text("utf-8")
    lines = re.findall(r"^msiexec (/i .*\bTOKEN=.*)$", text, re.MULTILINE)
    (line,) = (line for line in lines if f" {has}=" in line)
    words = str(line).split()
    assert own.keys() <= set(words)
    return [own.get(word, word) for word in words]


async def install(
    agent: InstalledAgent, package: Path, council: Door, token: str, log: Path
) -> None:
    agent.set_policy(ca_file=windows_path(council.certificates.authority))
    server = f"https://127.0.0.1:{council.ingest.port}"
    words = documented(package, server, token, log)
    assert await asyncio.to_thread(agent.msiexec, *words) == 0


def test_the_same_commit_gives_the_same_package(
    packages: dict[str, Path], tmp_path: Path
) -> None:
    again = build_package(tmp_path / "again.msi", "0.1.0")
    assert again.read_bytes() == packages["0.1.0"].read_bytes()
    assert again.stat().st_size < 25_000_000


async def test_one_silent_command_line_enrols_a_laptop_that_reports(
    agent: InstalledAgent, packages: dict[str, Path], tmp_path: Path
) -> None:
    log = tmp_path / "install.log"
    async with door(tmp_path / "council", policy=QUICK) as council:
        token = pilot_token(council)
        await install(agent, packages["0.1.0"], council, token, log)
        before = agent.program_files()
        await until(lambda: len(council.append.rows()) >= 6, seconds=180)
        (known,) = council.registry.agents()
        assert (known.home_site, known.ring) == ("hall", "pilot")
        await until(lambda: agent.status() is not None, seconds=60)
        # The person at the laptop.
        code, shown = await asyncio.to_thread(agent.command, "status")
        assert code in {0, 1}, shown
        assert f"Your council knows this laptop as {known.agent}." in shown
        code, shown = await asyncio.to_thread(agent.command, "pause", "30m")
        assert (code, "Nothing is measured until" in shown) == (0, True), shown
        code, shown = await asyncio.to_thread(agent.command, "sent")
        assert (code, '"report"' in shown) == (0, True)
        # An agent that is killed is started again.
        started_ms = getattr(agent.status(), "started_ms", 0)
        agent.laptop.run_wine("taskkill", "/f", "/im", "python.exe")
        await until(
            lambda: getattr(agent.status(), "started_ms", 0) > started_ms, seconds=120
        )
        assert agent.program_files() == before
        # A laptop that the server has lost comes back with a token and a repair.
        council.registry.admin.forget(known.agent, wall_ms(), "alex")
        repair = documented_repair(agent.product_code(), pilot_token(council))
        assert await asyncio.to_thread(agent.msiexec, *repair) == 0
        await until(lambda: len(council.registry.agents()) == 1, seconds=120)
        assert agent.device()[1] == known.agent
        await until(lambda: not (agent.state / "enrolment-token").exists(), seconds=60)
    # The token is used, and nowhere any more; Wine's log has all properties.
    assert not (agent.state / "enrolment-token").exists()
    assert token not in str(agent.registry(KEY))
    lines = log.read_bytes().replace(b"\0", b"").decode("utf-8", "replace").split("\n")
    assert not [x for x in lines if token in x and not x.startswith("Property(S): ")]
    assert "agent_started" in agent.log()
    # Closed to others, and open to them.
    assert agent.state.stat().st_mode & 0o007 == 0
    assert agent.uninstall() == 0
    assert not agent.service_runs()
    assert agent.left_over() == []
    assert not agent.data.exists()


async def test_an_upgrade_of_a_running_service_keeps_id_credential_and_spool(
    agent: InstalledAgent, packages: dict[str, Path], tmp_path: Path
) -> None:
    async with door(tmp_path / "council", policy=QUICK) as council:
        log = tmp_path / "install.log"
        await install(agent, packages["0.1.0"], council, pilot_token(council), log)
        await until(lambda: len(council.append.rows()) >= 3, seconds=180)

    def waiting() -> int:
        status = agent.status()
        return 0 if status is None else status.waiting

    # The server is away now.
    await until(lambda: waiting() >= 3, seconds=120)
    before, kept, settings = waiting(), agent.device(), agent.registry(KEY)
    started_ms = getattr(agent.status(), "started_ms", 0)
    assert await asyncio.to_thread(agent.install, packages["0.2.0"]) == 0
    await until(
        lambda: getattr(agent.status(), "started_ms", 0) > started_ms, seconds=120
    )
    assert waiting() >= before
    # The end of its input stopped the agent; it was not killed.
    assert "agent_stopped" in agent.log()
    assert (agent.device(), agent.registry(KEY)) == (kept, settings)
    assert settings["ring"] == "pilot"
    assert agent.service_runs()
    # An older version is refused, and changes nothing.
    newer = agent.product_code()
    assert await asyncio.to_thread(agent.install, packages["0.1.0"]) == FAILED
    assert agent.product_code() == newer
    # A repair puts back what is missing.
    missing = agent.program / "lib" / "probes" / "agent" / "agent_cli.py"
    missing.unlink()
    again = ("REINSTALL=ALL", "REINSTALLMODE=amus")
    assert await asyncio.to_thread(agent.msiexec, "/i", newer, "/qn", *again) == 0
    assert missing.is_file()
    assert agent.device() == kept
    # KEEPSTATE=1 keeps what a later installation goes on with.
    assert await asyncio.to_thread(agent.uninstall, "KEEPSTATE=1") == 0
    assert agent.device() == kept
    assert agent.left_over() == [str(agent.data)]
    assert await asyncio.to_thread(agent.install, packages["0.2.0"]) == 0
    assert agent.device() == kept
    assert await asyncio.to_thread(agent.uninstall) == 0
    assert not agent.data.exists()


def test_what_the_agent_would_not_accept_is_refused_and_nothing_is_installed(
    agent: InstalledAgent, packages: dict[str, Path]
) -> None:
    server = "SERVER=https://towpath.council.example"
    for wrong in (
        ("SERVER=http://towpath.council.example",),
        (server, f"TOKEN={'t' * 1001}"),
        (server, f"RING={'r' * 31}"),
    ):
        assert agent.install(packages["0.1.0"], *wrong) == FAILED
        assert (agent.product_code(), agent.left_over()) == ("", [])
