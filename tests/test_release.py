"""What an installation gets: pinned, hashed, without test tools, listed in an SBOM."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from sbom_validity import check_valid

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PART = {"server": ROOT / "deploy/server.lock", "agent": ROOT / "deploy/agent.lock"}
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", re.MULTILINE)


def name_of(requirement: str) -> str:
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert match
    return normal(match[0])


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(lock: Path) -> dict[str, str]:
    return {normal(n): v for n, v in PIN.findall(lock.read_text())}


def wanted(part: str) -> set[str]:
    project = PYPROJECT["project"]
    extras = project["optional-dependencies"]
    names = list(project["dependencies"])
    if part == "server":
        names += extras["server"] + extras["pdf"]
    return {name_of(name) for name in names}


@pytest.mark.parametrize("part", PART)
def test_a_lock_has_what_it_needs_at_the_versions_that_were_tested(part: str) -> None:
    locked, tested = pins(PART[part]), pins(ROOT / "requirements.lock")
    assert wanted(part) <= set(locked), "run `make lock`"
    assert locked.items() <= tested.items(), "run `make lock`"


@pytest.mark.parametrize("part", PART)
def test_a_lock_has_no_test_tools_and_every_pin_a_hash(part: str) -> None:
    tools = {name_of(each) for each in PYPROJECT["dependency-groups"]["dev"]}
    assert not tools & set(pins(PART[part]))
    for block in re.split(r"\n(?=\S)", PART[part].read_text().strip()):
        assert "--hash=sha256:" in block, block[:60]


@pytest.mark.parametrize("platform", ["linux", "win32", "darwin"])
@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13", "3.14"])
def test_the_agents_lock_is_in_step_with_its_project_on_every_system(
    platform: str, python: str
) -> None:
    here = {
        "sys_platform": platform,
        "python_version": python,
        "python_full_version": f"{python}.1",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }
    lines = re.findall(r"^([a-z0-9].*?)(?: \\)?$", PART["agent"].read_text(), re.M)
    pinned = {}
    for line in map(Requirement, lines):
        if line.marker is None or line.marker.evaluate(here):
            (version,) = line.specifier
            pinned[normal(line.name)] = version.version
    for needed in map(Requirement, PYPROJECT["project"]["dependencies"]):
        if needed.marker is None or needed.marker.evaluate(here):
            version = pinned[normal(needed.name)]
            assert needed.specifier.contains(version), "run `make lock`"


def test_the_agents_lock_stays_light() -> None:
    heavy = {
        name_of(e) for e in PYPROJECT["project"]["optional-dependencies"]["server"]
    }
    assert not heavy & set(pins(PART["agent"]))
    assert len(pins(PART["agent"])) < 20


def test_a_release_has_the_wheel_the_locks_and_an_sbom_of_each(tmp_path: Path) -> None:
    bin = Path(sys.executable).parent
    made = subprocess.run(
        [ROOT / "deploy/make-release", bin, tmp_path],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "alerts/catalog/lines.yaml" in names
    assert "collectors/snmp/profiles/catalog/apc-pdu.yaml" in names
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/"))]
    assert not [name for name in names if "double" in name]
    for part, lock in PART.items():
        text = (tmp_path / f"towpath-{part}.cdx.json").read_text()
        check_valid(text)
        bom = json.loads(text)
        assert bom["bomFormat"] == "CycloneDX"
        assert bom["metadata"]["component"]["name"] == "towpath"
        listed = {normal(c["name"]): c for c in bom["components"]}
        assert {n: c["version"] for n, c in listed.items()} == pins(lock)
        assert all(c["purl"].startswith("pkg:pypi/") for c in listed.values())
    for line in (tmp_path / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split()
        content = (tmp_path / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == digest
