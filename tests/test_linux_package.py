"""The agent's Debian package and its one file for a system's Python: the same in each
build, listed in an SBOM, and run as on a laptop, by an unprivileged user."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import services
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from probes.agent.settings import SpoolLimits
from probes.agent.settings_layers import merge_settings
from probes.agent.spool import Spool
from probes.platforms import linux
from probes.wire.report import VERSION, Report, Whereabouts

PACKAGES = Path(__file__).resolve().parents[1] / "deploy" / "packages"
sys.path.insert(0, str(PACKAGES))
# Not packages of the project: the tools of `make deb` and `make zipapp`.
agent_files = pytest.importorskip("agent_files")
deb_package = pytest.importorskip("deb_package")
zip_application = pytest.importorskip("zip_application")

pytestmark = [pytest.mark.service, pytest.mark.timeout(240)]
TARGET = "linux-x86_64"
UNIT = "usr/lib/systemd/system/towpath-agent.service"
Build = Callable[..., Path]


@pytest.fixture(scope="module")
def collected() -> Any:
    try:
        return agent_files.collect(TARGET)
    except subprocess.CalledProcessError as error:
        services.absent(f"the agent's libraries cannot be downloaded: {error}")


@pytest.fixture(scope="module")
def build(collected: Any) -> Any:
    """Builds a package with files that were collected once."""

    def built(module: Any, *arguments: Any) -> Path:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SOURCE_DATE_EPOCH", "1767225600")
            patch.setattr(module, "collect", lambda _: collected)
            package: Path = module.build(*arguments)
            return package

    return built


@pytest.fixture(scope="module")
def deb(build: Build, tmp_path_factory: pytest.TempPathFactory) -> Path:
    services.program("dpkg-deb")
    return build(deb_package, tmp_path_factory.mktemp("deb"), TARGET, "0.1.0")


@pytest.fixture(scope="module")
def zipapp(build: Build, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(zip_application, tmp_path_factory.mktemp("zipapp"), TARGET)


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
        if self.user:
            subprocess.run(["chown", "-R", self.user, folder], check=True)

    def dpkg(self, *arguments: str | Path) -> None:
        force = ["--force-not-root", "--force-script-chrootless"]
        force += ["--force-depends", "--force-bad-path"]
        root = [f"--root={self.folder}", f"--log={self.folder}/log"]
        done = self.run("dpkg", *root, *force, *map(str, arguments))
        assert done.returncode == 0, done.stderr

    def install(self, deb: Path) -> None:
        # The folder of the tests is closed to others.
        copy = Path(shutil.copy(deb, self.folder))
        copy.chmod(0o644)
        self.dpkg("--install", copy)
        copy.unlink()

    def agent(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run(str(self.folder / "usr/bin/towpath-agent"), *arguments)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.folder,
            env={
                "PATH": "/usr/bin:/bin:/usr/sbin:/sbin",
                "HOME": str(self.folder),
                "TOWPATH_AGENT_STATE_FOLDER": str(self.state),
                "PYTHONPATH": str(self.folder / "planted"),
                "LC_ALL": "C.UTF-8",
            },
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


def named_files(component: dict[str, Any]) -> dict[str, str]:
    return {
        part["name"]: part["hashes"][0]["content"]
        for part in component.get("components", [])
        if part["type"] == "file"
    }


def check_bill(package: Path, files: dict[str, bytes]) -> dict[str, Any]:
    """The SBOM beside the package is valid, and lists just these files."""
    text = package.with_name(f"{package.name}.cdx.json").read_text("utf-8")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bill: dict[str, Any] = json.loads(text)
    whole = bill["metadata"]["component"]
    digest = hashlib.sha256(package.read_bytes()).hexdigest()
    assert whole["hashes"] == [{"alg": "SHA-256", "content": digest}]
    listed = named_files(whole)
    for component in bill["components"]:
        assert component["purl"].startswith("pkg:pypi/"), component["name"]
        assert component["licenses"], component["name"]
        assert component["externalReferences"], component["name"]
        assert named_files(component), component["name"]
        listed |= named_files(component)
    assert listed == {
        name: hashlib.sha256(content).hexdigest() for name, content in files.items()
    }
    locked = re.findall(r"^([a-z0-9-]+)==([^ ]+)", agent_files.LOCK.read_text(), re.M)
    held = {(c["name"], c["version"]) for c in bill["components"]}
    # The lock also has what other systems need.
    assert held == set(locked) - {("httpx2-jsfetch", "1.0")}
    return bill


def test_the_deb_is_the_same_in_each_build_and_listed(
    deb: Path, build: Build, tmp_path: Path
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
    deb: Path, build: Build, laptop: LaptopRoot, tmp_path: Path
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


def start(zipapp: Path, home: Path, *arguments: str, python: str = "python3") -> Any:
    return subprocess.run(
        [python, str(zipapp), *arguments],
        cwd=home,
        env={
            "PATH": "/usr/bin:/bin",
            "HOME": str(home),
            "PYTHONPATH": str(home / "planted"),
            "LC_ALL": "C.UTF-8",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_one_file_runs_the_agent_and_is_unpacked_once(
    zipapp: Path, tmp_path: Path
) -> None:
    (tmp_path / "planted").mkdir()
    (tmp_path / "planted" / "probes.py").write_text("raise SystemExit('planted')")
    shutil.copy(tmp_path / "planted" / "probes.py", tmp_path)
    first = start(zipapp, tmp_path, "--version")
    assert (first.stdout, first.stderr) == ("towpath-agent/0.1.0\n", "")
    cache = tmp_path / ".cache" / "towpath-agent"
    (folder,) = cache.iterdir()
    assert cache.stat().st_mode & 0o077 == 0
    assert list(folder.glob("msgspec/_core.cpython-3*.so"))
    made = folder.stat().st_mtime_ns
    assert start(zipapp, tmp_path, "settings").returncode == 0
    assert folder.stat().st_mtime_ns == made
    # A newer one is unpacked beside it.
    newer = tmp_path / "newer.pyz"
    newer.write_bytes(zipapp.read_bytes())
    with zipfile.ZipFile(newer, "a") as archive:
        archive.writestr("more.txt", "")
    assert start(newer, tmp_path, "--version").returncode == 0
    assert len(list(cache.iterdir())) == 2


def test_a_folder_that_others_may_write_to_is_not_run_from(
    zipapp: Path, tmp_path: Path
) -> None:
    cache = tmp_path / ".cache" / "towpath-agent"
    cache.mkdir(parents=True)
    cache.chmod(0o777)
    refused = start(zipapp, tmp_path, "--version")
    assert refused.returncode == 1
    assert refused.stderr.endswith(f"others may write in {cache}\n")
    cache.chmod(0o700)
    broken = tmp_path / "broken.pyz"
    broken.write_bytes(zipapp.read_bytes()[:-30_000])
    assert start(broken, tmp_path, "--version").returncode == 1


def test_one_file_is_the_same_in_each_build_and_listed(
    zipapp: Path, build: Build, tmp_path: Path
) -> None:
    again = build(zip_application, tmp_path, TARGET)
    assert again.read_bytes() == zipapp.read_bytes()
    with zipfile.ZipFile(zipapp) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    bill = check_bill(zipapp, files)
    target = {"name": "towpath:target", "value": TARGET}
    assert target in bill["metadata"]["component"]["properties"]


def test_every_python_of_the_package_finds_its_compiled_libraries(
    collected: Any,
) -> None:
    names = {str(path) for path in collected.files}
    for python in agent_files.PYTHONS:
        tag = python.replace(".", "")
        assert f"msgspec/_core.cpython-{tag}-x86_64-linux-gnu.so" in names
    assert "psutil/_psutil_linux.abi3.so" in names
    assert not [name for name in names if name.startswith(("collectors", "alerts"))]
    assert PurePosixPath("probes/agent/agent_cli.py") in collected.files


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
