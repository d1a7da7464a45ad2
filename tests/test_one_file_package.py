"""The agent as one file for a system's Python, and the lists of what is in packages."""

from __future__ import annotations

import json
import shutil
import subprocess
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from agent_packages import (
    TARGET,
    agent_files,
    bill_of_materials,
    build,
    check_bill,
    collected,
    named_files,
    zip_application,
)
from sbom_validity import check_valid

pytestmark = [pytest.mark.service, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def zipapp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(zip_application, tmp_path_factory.mktemp("zipapp"), TARGET)


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
    zipapp: Path, tmp_path: Path
) -> None:
    again = build(zip_application, tmp_path, TARGET)
    assert again.read_bytes() == zipapp.read_bytes()
    with zipfile.ZipFile(zipapp) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    bill = check_bill(zipapp, files)
    target = {"name": "towpath:target", "value": TARGET}
    assert target in bill["metadata"]["component"]["properties"]


def test_what_else_is_in_a_package_is_listed_apart() -> None:
    files = {
        PurePosixPath("python", "python312.dll"): b"MZ",
        PurePosixPath("lib", "msgspec", "__pycache__", "_utils.cpython-312.pyc"): b"1",
        PurePosixPath("lib", "msgspec", "json.pyi"): b"2",
        PurePosixPath("lib", "probes", "agent", "agent_cli.py"): b"3",
        PurePosixPath("service.exe"): b"4",
    }
    python = bill_of_materials.Bundled(
        "cpython", "3.12.1", "PSF-2.0", (PurePosixPath("python"),)
    )
    bill = bill_of_materials.bill(
        "agent.msi", b"x", collected(), files, PurePosixPath("lib"), "windows", [python]
    )
    check_valid(json.dumps(bill))
    owners = {part["name"]: set(named_files(part)) for part in bill["components"]}
    assert owners["cpython"] == {"python/python312.dll"}
    assert owners["msgspec"] == {
        "lib/msgspec/__pycache__/_utils.cpython-312.pyc",
        "lib/msgspec/json.pyi",
    }
    own = set(named_files(bill["metadata"]["component"]))
    assert own == {"lib/probes/agent/agent_cli.py", "service.exe"}
    needs = {entry["ref"]: entry["dependsOn"] for entry in bill["dependencies"]}
    agent = bill["metadata"]["component"]["bom-ref"]
    assert needs.keys() == {agent, *(part["bom-ref"] for part in bill["components"])}
    assert "pkg:generic/cpython@3.12.1" in needs[agent]


def test_every_python_of_the_package_finds_its_compiled_libraries() -> None:
    names = {str(path) for path in collected().files}
    for python in agent_files.PYTHONS:
        tag = python.replace(".", "")
        assert f"msgspec/_core.cpython-{tag}-x86_64-linux-gnu.so" in names
    assert "psutil/_psutil_linux.abi3.so" in names
    assert not [name for name in names if name.startswith(("collectors", "alerts"))]
    assert PurePosixPath("probes/agent/agent_cli.py") in collected().files
