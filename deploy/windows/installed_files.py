"""The files of the agent on a Windows laptop: Python, its libraries, the agent.

    python\\    the official embeddable Python; `python3XX._pth` names what it imports
    lib\\       the agent's libraries (`deploy/agent.lock`) and `probes`, compiled too
    bin\\       `towpath-agent.cmd`, which is on PATH

Python never writes there, and it looks at no variable of the environment (`-I`).
"""

from __future__ import annotations

import hashlib
import io
import re
import subprocess
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

from agent_files import (
    ROOT,
    Files,
    build_wheel,
    download_wheels,
    is_metadata,
    wheel_files,
)
from installer_tables import SERVICE_PROGRAM

# What an embeddable Python has, and the agent never imports.
_NOT_NEEDED = re.compile(r"(_msi|_wmi|winsound|_test\w*)\.pyd|python\.cat")
_COMMAND = b'@"%~dp0..\\python\\python.exe" -I -B -m probes.agent.agent_cli %*\r\n'
# The time of every entry of an archive: no file has one of its own.
_MADE = (2026, 1, 1, 0, 0, 0)


def python_version(names: list[str]) -> str:
    """`312` by the names of the files of a Python for Windows. Raises `ValueError`."""
    for name in names:
        match = re.fullmatch(r"python(3\d\d+)\.dll", name)
        if match:
            return match[1]
    raise ValueError("there is no python3XX.dll in it")


def embedded_python(path: Path, name: str, sha256: str) -> Files:
    """The files of the official embeddable ZIP. Raises `ValueError` if it is another
    one."""
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if path.name != name or found != sha256:
        raise ValueError(
            f"{path} has the hash {found}, expected {name} with {sha256} "
            "(deploy/windows/python.lock)"
        )
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        files = {PurePosixPath(n): archive.read(n) for n in archive.namelist()}
    return _usable_python(files)


def folder_python(folder: Path) -> Files:
    """The same of a Python in a folder with `Lib`, for the tests; its library is a ZIP
    as in the official one."""
    files = {
        PurePosixPath(path.name): path.read_bytes()
        for path in folder.iterdir()
        if path.suffix in {".exe", ".dll", ".pyd"}
    }
    library = folder / "Lib"
    modules = {
        PurePosixPath(path.relative_to(library)): path.read_bytes()
        for path in library.rglob("*.py")
        if "site-packages" not in path.parts
    }
    version = python_version([str(path) for path in files])
    files[PurePosixPath(f"python{version}.zip")] = _zip(modules)
    return _usable_python(files)


def _usable_python(files: Files) -> Files:
    version = python_version([str(path) for path in files])
    kept = {p: c for p, c in files.items() if not _NOT_NEEDED.fullmatch(p.name)}
    paths = f"python{version}.zip\r\n.\r\n..\\lib\r\n"
    kept[PurePosixPath(f"python{version}._pth")] = paths.encode()
    return kept


def library_files(wheels: Path, version: str) -> Files:
    """The agent's libraries and `probes`, from wheels that are downloaded to the folder
    `wheels` if it has none. Hashes are checked."""
    if not any(wheels.glob("*.whl")):
        download_wheels(wheels, ("win_amd64",), version)
    files: Files = {}
    with tempfile.TemporaryDirectory() as built:
        own = build_wheel(Path(built))
        for wheel in [*sorted(wheels.glob("*.whl")), own]:
            ours = wheel == own
            files |= {
                path: content
                for path, content in wheel_files(wheel)
                if not ours or path.parts[0] == "probes" or is_metadata(path)
            }
    return files


def compiled(python: Files, libraries: Files, wine: list[str]) -> tuple[Files, Files]:
    """Adds `.pyc` files, by the very Python that will read them: its magic number is in
    them. They hold no times, and are not checked against their sources."""
    with tempfile.TemporaryDirectory(prefix="towpath-msi-") as work:
        stage = Path(work)
        (stage / "python").mkdir()
        for path, content in python.items():
            (stage / "python" / path).write_bytes(content)
        for path, content in libraries.items():
            target = stage / "lib" / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        archive = next(path for path in python if path.suffix == ".zip")
        plain = _unzip(python[archive])
        sources = {path: c for path, c in plain.items() if path.suffix == ".py"}
        for path, content in sources.items():
            target = stage / "stdlib" / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        done = subprocess.run(
            [*wine, str(stage / "python" / "python.exe"), "-I", "-B", "-c", _COMPILE],
            cwd=stage,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=300,
            check=False,
        )
        if done.returncode != 0:
            raise ValueError(
                f"the modules cannot be compiled: {done.stdout.decode()[-2000:]}"
                f"{done.stderr.decode()[-2000:]}"
            )
        libraries = _tree(stage / "lib")
        if sources:
            rest = {path: c for path, c in plain.items() if path not in sources}
            modules = _tree(stage / "stdlib")
            python = {**python, archive: _zip({**rest, **modules})}
    return python, libraries


# In the ZIP a `.pyc` takes the place of its source, elsewhere it is beside it.
_COMPILE = """
import compileall, py_compile, sys
unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
done = compileall.compile_dir("lib", maxlevels=20, quiet=1, force=True,
    stripdir="lib", prependdir="lib", invalidation_mode=unchecked)
import os
if os.path.isdir("stdlib"):
    done &= compileall.compile_dir("stdlib", maxlevels=20, quiet=1, force=True,
        legacy=True, stripdir="stdlib", invalidation_mode=unchecked)
    for folder, _, names in os.walk("stdlib"):
        for name in names:
            if name.endswith(".py"):
                os.remove(os.path.join(folder, name))
sys.exit(not done)
"""


def _tree(folder: Path) -> Files:
    return {
        PurePosixPath(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def _zip(files: Files) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for path in sorted(files):
            # Stored: the cabinet compresses it, and Python starts sooner.
            archive.writestr(zipfile.ZipInfo(str(path), _MADE), files[path])
    return written.getvalue()


def _unzip(content: bytes) -> Files:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {
            PurePosixPath(name): archive.read(name)
            for name in archive.namelist()
            if not name.endswith("/")
        }


def laid_out(python: Files, libraries: Files, service: bytes) -> Files:
    """Everything below the program's folder. Pure."""
    files = {PurePosixPath("python") / path: c for path, c in python.items()}
    files |= {PurePosixPath("lib") / path: c for path, c in libraries.items()}
    files[PurePosixPath(SERVICE_PROGRAM)] = service
    files[PurePosixPath("bin", "towpath-agent.cmd")] = _COMMAND
    files[PurePosixPath("LICENSE.txt")] = (ROOT / "LICENSE").read_bytes()
    return dict(sorted(files.items()))
