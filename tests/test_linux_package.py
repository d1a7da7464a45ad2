"""The agent's Debian package: the same in each build, listed in an SBOM, and run by an
unprivileged user, as on a laptop."""

from __future__ import annotations

import asyncio
import io
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import services
from agent_packages import (
    TARGET,
    build,
    check_bill,
    deb_package,
)
from ingest_council import door
from waiting import until

from collectors.ingest.ingest_config import PolicyConfig, TeamsRelayConfig
from probes.agent.settings import SpoolLimits
from probes.agent.settings_layers import merge_settings
from probes.agent.spool import Spool
from probes.platforms import linux
from probes.wire.clock import wall_ms
from probes.wire.report import VERSION, Report, Whereabouts

pytestmark = [pytest.mark.service, pytest.mark.timeout(240)]
UNIT = "usr/lib/systemd/system/towpath-agent.service"


@pytest.fixture(scope="module")
def deb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    services.program("dpkg-deb")
    return build(deb_package, tmp_path_factory.mktemp("deb"), TARGET, "0.1.0")


class LaptopRoot:
    """A folder that a package is installed into, by a user without any rights."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.user = "nobody" if os.getuid() == 0 else None
        for name in ("info", "updates", "triggers"):
            (folder / "var/lib/dpkg" / name).mkdir(parents=True)
        for name in ("status", "available"):
            (folder / "var/lib/dpkg" / name).touch()
        self.state = folder / "var/lib/towpath-agent"
        self.environment = {
            "PATH": "/usr/bin:/bin:/usr/sbin:/sbin",
            "HOME": str(folder),
            "TOWPATH_AGENT_STATE_FOLDER": str(self.state),
            "PYTHONPATH": str(folder / "planted"),
            "LC_ALL": "C.UTF-8",
        }
        if self.user:
            subprocess.run(["chown", "-R", self.user, folder], check=True)

    def dpkg(self, *arguments: str | Path) -> None:
        force = ["--force-not-root", "--force-script-chrootless"]
        # Nor is every file written to the disk at once.
        force += ["--force-depends", "--force-bad-path", "--force-unsafe-io"]
        root = [f"--root={self.folder}", f"--log={self.folder}/log"]
        done = self.run("dpkg", *root, *force, *map(str, arguments))
        assert done.returncode == 0, done.stderr

    def install(self, deb: Path) -> None:
        # The folder of the tests is closed to others.
        copy = Path(shutil.copy(deb, self.folder))
        copy.chmod(0o644)
        self.dpkg("--install", copy)
        copy.unlink()

    def agent(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        program = self.folder / "usr/bin/towpath-agent"
        return self.run(str(program), *arguments, **more)

    def run(self, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.folder,
            env={**self.environment, **more},
            user=self.user,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def laptop() -> Iterator[LaptopRoot]:
    # The folders of pytest are closed to other users.
    with tempfile.TemporaryDirectory(prefix="towpath-laptop-") as folder:
        yield LaptopRoot(Path(folder))


def contents(deb: Path) -> dict[str, tuple[tarfile.TarInfo, bytes]]:
    done = subprocess.run(
        ["dpkg-deb", "--fsys-tarfile", deb], capture_output=True, check=True
    )
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        return {
            member.name.removeprefix("./"): (
                member,
                (archive.extractfile(member) or io.BytesIO()).read(),
            )
            for member in archive
            if member.isfile()
        }


def test_the_deb_is_the_same_in_each_build_and_listed(
    deb: Path, tmp_path: Path
) -> None:
    again = build(deb_package, tmp_path, TARGET, "0.1.0")
    assert again.read_bytes() == deb.read_bytes()
    bill, bill_again = (Path(f"{path}.cdx.json") for path in (deb, again))
    assert bill_again.read_text() == bill.read_text()
    files = contents(deb)
    check_bill(deb, {name: content for name, (_, content) in files.items()})
    for name, (facts, _) in files.items():
        assert (facts.uid, facts.gid, facts.mtime) == (0, 0, 1_767_225_600), name
        assert facts.mode == (0o755 if name.startswith("usr/bin/") else 0o644), name
    text = (content for name, (_, content) in files.items() if name.endswith(".py"))
    assert not [content for content in text if b"/opt/towpath" in content]


def test_the_deb_is_installed_run_upgraded_and_purged(
    deb: Path, laptop: LaptopRoot, tmp_path: Path
) -> None:
    laptop.install(deb)
    # What is beside it, or where the environment points to, is not imported.
    for folder in (laptop.folder, laptop.folder / "planted"):
        folder.mkdir(exist_ok=True)
        (folder / "probes.py").write_text("raise SystemExit('planted')")
    assert laptop.agent("--version").stdout == "towpath-agent/0.1.0\n"
    shown = laptop.agent("settings")
    assert shown.returncode == 0, shown.stderr
    assert "state_folder" in shown.stdout
    collects = laptop.agent("what-we-collect")
    assert "WHAT IS NEVER COLLECTED" in collects.stdout
    keep_state(laptop)
    newer = build(deb_package, tmp_path / "newer", TARGET, "0.2.0")
    laptop.install(newer)
    assert kept_state(laptop) == ("an id", 1)
    laptop.dpkg("--remove", "towpath-agent")
    assert kept_state(laptop) == ("an id", 1)
    assert not list((laptop.folder / "usr").rglob("towpath-agent*"))
    laptop.install(newer)
    assert kept_state(laptop) == ("an id", 1)
    laptop.dpkg("--purge", "towpath-agent")
    left = [str(path) for path in laptop.folder.rglob("*") if "towpath" in path.name]
    assert left == []


def keep_state(laptop: LaptopRoot) -> None:
    laptop.state.mkdir(parents=True)
    (laptop.state / "device").write_text("an id")
    with Spool(laptop.state, SpoolLimits(), lambda: 5) as spool:
        spool.put(Report(VERSION, "r1", "agent", 5, "test", Whereabouts(), ()))
    if laptop.user:
        subprocess.run(["chown", "-R", laptop.user, laptop.state], check=True)


def kept_state(laptop: LaptopRoot) -> tuple[str, int]:
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copytree(laptop.state, Path(folder, "state"))
        with Spool(copy, SpoolLimits(), lambda: 5) as spool:
            return (copy / "device").read_text(), spool.waiting


def test_the_service_of_the_deb_is_accepted_and_confined(
    deb: Path, tmp_path: Path
) -> None:
    analyze = services.program("systemd-analyze")
    _, unit = contents(deb)[UNIT]
    text = unit.decode()
    assert "ExecStart=/usr/bin/towpath-agent run" in text
    assert "User=towpath-agent\n" in text
    assert "/private/" not in text
    copy = tmp_path / "towpath-agent.service"
    copy.write_text(text.replace("/usr/bin/towpath-agent run", "/bin/true"))
    verified = subprocess.run(
        [analyze, "verify", "--man=no", copy],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert [line for line in verified.stderr.splitlines() if copy.name in line] == []
    # Below 2.5 of 10; an unconfined service has 9.6.
    exposed = subprocess.run(
        [analyze, "security", "--offline=yes", "--threshold=25", "--no-pager", copy],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert exposed.returncode == 0, exposed.stdout[-300:]


@pytest.mark.soak
def test_lintian_finds_nothing(deb: Path, laptop: LaptopRoot) -> None:
    if shutil.which("lintian") is None:
        pytest.skip("lintian is not installed")
    user = "nobody" if os.getuid() == 0 else None
    copy = Path(shutil.copy(deb, laptop.folder))
    copy.chmod(0o644)
    done = subprocess.run(
        ["lintian", "--fail-on", "error,warning", "--no-cfg", copy],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        user=user,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "LC_ALL": "C.UTF-8"},
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_a_package_for_linux_brings_is_weaker_than_anything_else(
    tmp_path: Path,
) -> None:
    package, policy = tmp_path / "usr/lib/towpath-agent.d", tmp_path / "etc"
    for folder in (package, policy / "towpath-agent.d"):
        folder.mkdir(parents=True)
    (package / "package.toml").write_text('shared_folder = "/run/x"\nring = "all"')
    (policy / "towpath-agent.d" / "council.toml").write_text('ring = "pilot"')
    given = linux.managed_settings(tmp_path)
    loaded = merge_settings('shared_folder = ""', "agent.toml", {}, given)
    assert loaded.settings.ring == "pilot"
    assert loaded.settings.shared_folder == ""
    assert loaded.origins["shared_folder"] == "agent.toml"
    loaded = merge_settings("", "agent.toml", {}, given)
    assert loaded.settings.shared_folder == "/run/x"


async def test_a_laptop_with_the_deb_enrols_and_reports(
    deb: Path, laptop: LaptopRoot, tmp_path: Path
) -> None:
    quick = PolicyConfig(
        teams_relay=TeamsRelayConfig(host=""),
        cadence_s={"vpn": 1, "agent": 1, "name_lookup": 0, "call_path": 0},
        report_s=10,
    )
    laptop.install(deb)
    async with door(tmp_path / "council", policy=quick) as council:
        authority = laptop.folder / "authority.pem"
        authority.write_bytes(council.certificates.authority.read_bytes())
        authority.chmod(0o644)
        settings = {
            "TOWPATH_AGENT_SERVER": f"https://127.0.0.1:{council.ingest.port}",
            "TOWPATH_AGENT_CA_FILE": str(authority),
            "TOWPATH_AGENT_SHARED_FOLDER": str(laptop.folder / "people"),
            "TOWPATH_AGENT_ENROLMENT_TOKEN": council.registry.admin.make_token(
                "hall", 1, 1, wall_ms()
            ),
        }
        process = await asyncio.create_subprocess_exec(
            laptop.folder / "usr/bin/towpath-agent",
            "run",
            env={**laptop.environment, **settings},
            user=laptop.user,
            cwd=laptop.folder,
        )
        try:
            await until(lambda: len(council.append.rows()) >= 4, seconds=60)
        finally:
            process.terminate()
            assert await process.wait() == 0
        shown = await asyncio.to_thread(laptop.agent, "status", **settings)
        assert "Your council knows this laptop as" in shown.stdout
    assert {"vpn", "agent"} <= {batch.measurement for batch in council.append.batches}
