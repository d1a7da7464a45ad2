"""The list of what is in the MSI (CycloneDX), as for the other packages."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from agent_files import AgentFiles, Files, wheels_in
from bill_of_materials import Bundled, write_bill
from installed_files import python_version

_LIBRARIES = PurePosixPath("lib")


def agent_contents(libraries: Files, wheels: Path) -> AgentFiles:
    """`libraries`, which were made from the wheels in a folder."""
    return AgentFiles(libraries, *wheels_in(wheels))


def write_contents(package: Path, files: Files, agent: AgentFiles, python: str) -> Path:
    """Writes `PACKAGE.cdx.json`. `python`: the name of the file that Python came in."""
    bundled = (bundled_python(files, python),)
    return write_bill(package, agent, files, _LIBRARIES, "windows-x86_64", bundled)


def bundled_python(files: Files, name: str) -> Bundled:
    """The Python in the MSI, with the version in the `name` that it came in, or else
    that of its library. Pure."""
    named = re.search(r"\d+\.\d+(\.\d+)?", name)
    number = python_version([path.name for path in files])
    version = named[0] if named else f"{number[0]}.{number[1:]}"
    return Bundled("cpython", version, "PSF-2.0", PurePosixPath("python"))
