"""Builds the agent's MSI for Windows (64 bits): `make-msi PYTHON OUT.msi`.

PYTHON is the official embeddable ZIP that `python.lock` names, downloaded from
https://www.python.org/downloads/windows/ before, or for tests a folder that
`make-windows-python` made. Needs gcc-mingw-w64-x86-64 and Wine, and the tools of
`make env`. The same commit, Python and compiler give the same bytes.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path, PurePosixPath

from agent_files import Files, commit_time, project_version
from cabinet import CabinetFile, write_cabinet
from installed_files import (
    compiled,
    embedded_python,
    folder_python,
    laid_out,
    library_files,
    python_version,
)
from installer_tables import (
    CABINET,
    MAKER,
    PRODUCT,
    SERVICE_PROGRAM,
    InstalledFile,
    file_key,
    guid,
    installer_tables,
)
from msi_contents import agent_contents, write_contents
from msi_database import Summary, write_msi

HERE = Path(__file__).resolve().parent
_COMPILER = "x86_64-w64-mingw32-gcc"
_FLAGS = [
    "-Os",
    "-s",
    "-static",
    "-DUNICODE",
    "-D_UNICODE",
    "-Wall",
    "-Wextra",
    "-Werror",
]
# Programs have no time of their own.
_FLAGS += ["-Wl,--no-insert-timestamp"]
ACTIONS = "installer-actions.dll"
# Options and libraries of each.
_PROGRAMS = {
    SERVICE_PROGRAM: (["-municode", "-mwindows"], ["-ladvapi32"]),
    # Without an address it gets one from the path of the file that is written.
    ACTIONS: (
        ["-shared", "-Wl,--image-base,0x180000000"],
        ["-lmsi", "-ladvapi32", "-lshell32"],
    ),
}


def main() -> int:
    parser = argparse.ArgumentParser("make-msi", description=__doc__)
    parser.add_argument("python", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--wheels", type=Path, help="folder of downloaded wheels")
    parser.add_argument("--version", default=project_version(), help="for the tests")
    options = parser.parse_args()
    os.environ.setdefault("SOURCE_DATE_EPOCH", str(commit_time()))
    try:
        package = _build(options)
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        print(f"make-msi: {error}", file=sys.stderr)
        return 1
    print(
        f"{hashlib.sha256(package).hexdigest()}  {options.out} ({len(package)} bytes)"
    )
    return 0


def build_program(work: Path, name: str) -> bytes:
    """Compiles a program or library of this folder."""
    out, source = work / name, f"{Path(name).stem}.c"
    options, libraries = _PROGRAMS[name]
    subprocess.run(
        [_COMPILER, *_FLAGS, *options, "-o", out, source, *libraries],
        cwd=HERE,
        check=True,
    )
    return out.read_bytes()


def _build(options: argparse.Namespace) -> bytes:
    """Writes the MSI and the list of what is in it."""
    if options.python.is_dir():
        python = folder_python(options.python)
    else:
        python = embedded_python(
            options.python, *(HERE / "python.lock").read_text().split()
        )
    version = python_version([str(path) for path in python])
    with tempfile.TemporaryDirectory(prefix="towpath-msi-") as work:
        wheels = options.wheels or Path(work, "wheels")
        libraries = library_files(wheels, version)
        agent = agent_contents(libraries, wheels)
        python, libraries = compiled(python, libraries, _wine(Path(work)))
        service = build_program(Path(work), SERVICE_PROGRAM)
        actions = build_program(Path(work), ACTIONS)
    files = laid_out(python, libraries, service)
    content = package(files, options.version, actions)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_bytes(content)
    write_contents(options.out, files, agent, options.python.name)
    return content


def package(files: Files, version: str, actions: bytes) -> bytes:
    """The MSI. Its codes follow from all that is in it."""
    listed = [
        InstalledFile(file_key(path), PurePosixPath(path), len(content))
        for path, content in files.items()
    ]
    cabinet = write_cabinet(
        [
            CabinetFile(file.key, content)
            for file, content in zip(listed, files.values(), strict=True)
        ]
    )
    tables = repr(installer_tables(listed, version, actions, ""))
    identity = hashlib.sha256(tables.encode() + cabinet).hexdigest()
    made_s = int(os.environ["SOURCE_DATE_EPOCH"])
    summary = Summary(
        title="Installation Database",
        subject=f"{PRODUCT} {version}",
        author=MAKER,
        comments="Measures how well this laptop is connected and reports it.",
        template="x64;1033",
        package_code=guid(f"package {identity}"),
        made=datetime.datetime.fromtimestamp(made_s, datetime.UTC),
        schema=500,
        compressed=True,
    )
    tables_of_it = installer_tables(
        listed, version, actions, guid(f"product {identity}")
    )
    return write_msi(tables_of_it, summary, {CABINET: cabinet})


def _wine(work: Path) -> list[str]:
    """Wine with a folder of its own, unless `WINEPREFIX` names one."""
    prefix = os.environ.get("WINEPREFIX", str(work / "wine"))
    return ["env", f"WINEPREFIX={prefix}", "WINEDEBUG=-all",
            "WINEDLLOVERRIDES=mscoree,mshtml=", "LC_ALL=C.UTF-8", "wine"]  # fmt: skip
