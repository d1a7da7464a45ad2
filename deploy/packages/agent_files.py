"""The agent's own files and its libraries, for packages that use the system's Python.

Libraries come from wheels that `deploy/agent.lock` pins, with their hashes. Those with
compiled parts (msgspec, psutil, websockets) are there once for each Python: the name
of a compiled module has the Python in it (`_core.cpython-312-x86_64-linux-gnu.so`), so
one folder serves all of them.
"""

from __future__ import annotations

import email.parser
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "deploy" / "agent.lock"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "towpath")
# Those that a council's laptops have: Debian 12 and 13, Ubuntu 24.04 and later.
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
# What pip calls the systems that a package can be made for.
TARGETS = {
    "linux-x86_64": ("manylinux2014_x86_64", "manylinux_2_17_x86_64"),
    "linux-aarch64": ("manylinux2014_aarch64", "manylinux_2_17_aarch64"),
    "macos-arm64": ("macosx_11_0_arm64", "macosx_12_0_arm64"),
    "macos-x86_64": ("macosx_10_9_x86_64", "macosx_11_0_x86_64"),
}
_LEFT_OUT = {"tests", "test", "__pycache__"}
# For compilers and type checkers.
_NOT_RUN = {".c", ".h", ".pyi", ".typed"}
# About another way to install it.
_NOT_HERE = {"RECORD", "entry_points.txt"}
PROJECT = "towpath"
Files = dict[PurePosixPath, bytes]


class Wheel(NamedTuple):
    """One library as it was downloaded."""

    name: str
    file_name: str
    sha256: str


class AgentFiles(NamedTuple):
    """`files` are importable from one folder; `wheels` are what they come from, and
    `owners` the library of each file."""

    files: Files
    wheels: list[Wheel]
    owners: dict[PurePosixPath, str]


def project_version() -> str:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return str(project["version"])


def commit_time() -> int:
    """The time of everything in a package: SOURCE_DATE_EPOCH, or the commit's."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given:
        return int(given)
    done = subprocess.run(
        ["git", "log", "-1", "--format=%ct"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return int(done.stdout or 1_767_225_600)


def collect(target: str) -> AgentFiles:
    """The files for `target`. Raises `ValueError` if two wheels disagree about one, or
    `subprocess.CalledProcessError` if one cannot be downloaded."""
    files: Files = {}
    owners: dict[PurePosixPath, str] = {}
    wheels: set[Wheel] = set()
    for python in PYTHONS:
        folder = _downloaded(target, python)
        listed, owned = wheels_in(folder)
        wheels |= set(listed)
        owners |= owned
        for wheel in listed:
            _add(files, folder / wheel.file_name)
    with tempfile.TemporaryDirectory() as built:
        _add(files, build_wheel(Path(built)), only="probes")
        owners |= dict.fromkeys(files.keys() - owners.keys(), PROJECT)
    return AgentFiles(dict(sorted(files.items())), sorted(wheels), owners)


def build_wheel(folder: Path) -> Path:
    """Builds the project's own wheel in an empty folder."""
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(commit_time())}
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder],
        cwd=ROOT, env=environment, check=True, capture_output=True,
    )  # fmt: skip
    (built,) = folder.glob("*.whl")
    return built


def wheels_in(folder: Path) -> tuple[list[Wheel], dict[PurePosixPath, str]]:
    """The wheels of a folder, and the library of each file in them."""
    wheels: list[Wheel] = []
    owners: dict[PurePosixPath, str] = {}
    for path in sorted(folder.glob("*.whl")):
        name = _normal(path.name.partition("-")[0])
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        wheels.append(Wheel(name, path.name, digest))
        owners |= {inside: name for inside, _ in wheel_files(path)}
    return wheels, owners


def _add(files: Files, wheel: Path, only: str = "") -> None:
    for path, content in wheel_files(wheel):
        metadata = is_metadata(path)
        if only and not metadata and path.parts[0] != only:
            continue
        before = files.setdefault(path, content)
        # `WHEEL` names the Python of this one.
        if before != content and not metadata:
            raise ValueError(f"{wheel.name} has another {path}")


def is_metadata(path: PurePosixPath) -> bool:
    return path.parts[0].endswith(".dist-info")


def wheel_files(wheel: Path) -> Iterator[tuple[PurePosixPath, bytes]]:
    """What every package of the agent, the MSI too, has of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            path = PurePosixPath(name)
            left_out = _LEFT_OUT & set(path.parts) or path.suffix in _NOT_RUN
            data = path.parts[0].endswith(".data")
            if left_out or data or name.endswith("/") or path.name in _NOT_HERE:
                continue
            yield path, archive.read(name)


def _downloaded(target: str, python: str) -> Path:
    """The folder with the wheels, downloaded once for each state of the lock."""
    state = hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]
    folder = CACHE / "agent-wheels" / f"{state}-{target}-{python}"
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))
    try:
        download_wheels(new, TARGETS[target], python.replace(".", ""))
        new.rename(folder)
    except OSError:
        # Another build may have been first.
        if not folder.is_dir():
            raise
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return folder


def download_wheels(folder: Path, platforms: Iterable[str], python: str) -> None:
    """Downloads what `LOCK` pins for a Python such as `312`; hashes are checked."""
    wanted = [part for name in platforms for part in ("--platform", name)]
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
         "--disable-pip-version-check", "--only-binary=:all:", "--require-hashes",
         *wanted, "--python-version", python,
         "--implementation", "cp", "--dest", folder, "--requirement", LOCK],
        check=True,
    )  # fmt: skip


class Library(NamedTuple):
    """What the metadata of one library says."""

    name: str
    version: str
    licence: str
    summary: str
    requires: tuple[str, ...]


def libraries(files: Files) -> list[Library]:
    """The libraries that are in `files`, by the metadata in them. Pure."""
    found = []
    for path, content in files.items():
        if path.name == "METADATA" and path.parent.name.endswith(".dist-info"):
            head = email.parser.HeaderParser().parsestr(content.decode("utf-8"))
            needed = [
                _name(text) for text in head.get_all("Requires-Dist", [])
                if "extra ==" not in text
            ]  # fmt: skip
            found.append(
                Library(
                    _normal(head["Name"]),
                    head["Version"],
                    _licence(head.get("License-Expression"), head.get("License"),
                             head.get_all("Classifier", [])),
                    head.get("Summary", ""),
                    tuple(sorted(set(needed))),
                )
            )  # fmt: skip
    return sorted(found)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _name(requirement: str) -> str:
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    return _normal(match[0]) if match else ""


# Trove classifiers and short names as SPDX writes them.
_SPDX = {
    "OSI Approved :: MIT License": "MIT",
    "OSI Approved :: Apache Software License": "Apache-2.0",
    "OSI Approved :: ISC License (ISCL)": "ISC",
    "EPL-2.0 OR BSD-3-Clause": "EPL-2.0 OR BSD-3-Clause",
    "BSD-3-Clause": "BSD-3-Clause",
    "MIT": "MIT",
}


def _licence(expression: str | None, text: str | None, classifiers: list[str]) -> str:
    """The licence as an SPDX expression; empty if the metadata has none."""
    if expression:
        return expression
    if text and text.strip() in _SPDX:
        return _SPDX[text.strip()]
    for classifier in classifiers:
        spdx = _SPDX.get(classifier.removeprefix("License :: "))
        if spdx:
            return spdx
    return ""
