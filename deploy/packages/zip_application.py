"""Builds the agent as one file for a system's Python: `make-zipapp OUT_FOLDER`.

One file for each kind of system (`--target`), as compiled libraries are of one kind.
It runs with Python 3.11 to 3.14. The same commit gives the same bytes. An SBOM is
written beside it.
"""

from __future__ import annotations

import argparse
import datetime
import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path, PurePosixPath

from agent_files import TARGETS, Files, collect, commit_time, project_version
from bill_of_materials import write_bill

HERE = Path(__file__).resolve().parent
NAME = "towpath-agent"
_FIRST_LINE = b"#!/usr/bin/env python3\n"
_START = PurePosixPath("__main__.py")


def main() -> int:
    parser = argparse.ArgumentParser("make-zipapp", description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--target", choices=sorted(TARGETS), default=this_system())
    options = parser.parse_args()
    try:
        package = build(options.out, options.target)
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        print(f"make-zipapp: {error}", file=sys.stderr)
        return 1
    print(package)
    return 0


def this_system() -> str:
    system = "macos" if sys.platform == "darwin" else "linux"
    return f"{system}-{os.uname().machine}"


def build(out: Path, target: str) -> Path:
    """Writes the file and its SBOM; returns the file."""
    agent = collect(target)
    files = {**agent.files, _START: (HERE / "zipapp_start.py").read_bytes()}
    out.mkdir(parents=True, exist_ok=True)
    package = out / f"{NAME}-{project_version()}-{target}.pyz"
    package.write_bytes(archive(files, commit_time()))
    package.chmod(0o755)
    write_bill(package, agent, files, PurePosixPath(), target)
    return package


def archive(files: Files, made_s: int) -> bytes:
    """A program that is a ZIP. Pure."""
    # A ZIP knows no time before 1980.
    made = datetime.datetime.fromtimestamp(max(made_s, 315_619_200), datetime.UTC)
    written = io.BytesIO()
    written.write(_FIRST_LINE)
    with zipfile.ZipFile(written, "a", zipfile.ZIP_DEFLATED, compresslevel=9) as zipped:
        for path, content in sorted(files.items()):
            entry = zipfile.ZipInfo(str(path), made.timetuple()[:6])
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            zipped.writestr(entry, content)
    return written.getvalue()
