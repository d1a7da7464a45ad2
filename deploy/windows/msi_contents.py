"""The list of what is in the MSI (CycloneDX), as for the other packages."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from agent_files import AgentFiles, Files, wheels_in
from bill_of_materials import Bundled, write_bill

_LIBRARIES = PurePosixPath("lib")


def agent_contents(libraries: Files, wheels: Path) -> AgentFiles:
    """`libraries`, which were made from the wheels in a folder."""
    return AgentFiles(libraries, *wheels_in(wheels))


def write_contents(package: Path, files: Files, agent: AgentFiles, python: str) -> Path:
    """Writes `PACKAGE.cdx.json`. `python`: the name of the file that Python came in."""
    version = re.search(r"\d+\.\d+(\.\d+)?", python)
    cpython = Bundled(
        "cpython", version[0] if version else "", "PSF-2.0", PurePosixPath("python")
    )
    return write_bill(package, agent, files, _LIBRARIES, "windows-x86_64", (cpython,))
