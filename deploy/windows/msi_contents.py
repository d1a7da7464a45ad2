"""The list of what is in the MSI (CycloneDX), as for the other packages."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from agent_files import AgentFiles, Files, wheels_in
from bill_of_materials import Bundled, write_bill
from installed_files import python_version

_LIBRARIES, _PYTHON = PurePosixPath("lib"), PurePosixPath("python")
# Libraries that come with Python and have vulnerabilities of their own: name, licence,
# files, and the text in these that has the version.
_IN_PYTHON = (
    ("openssl", "Apache-2.0", r"lib(crypto|ssl)-.*\.dll", rb"OpenSSL (\d+\.\d+\.\d+)"),
    ("sqlite", "blessing", r"sqlite3\.dll", rb"\0(3\.\d+\.\d+)\0"),
    ("expat", "MIT", r"pyexpat\.pyd", rb"expat_(\d+\.\d+\.\d+)"),
    ("bzip2", "bzip2-1.0.6", r"_bz2\.pyd", rb"\0(1\.\d+\.\d+), \d+-\w+-\d+"),
)


def agent_contents(libraries: Files, wheels: Path) -> AgentFiles:
    """`libraries`, which were made from the wheels in a folder."""
    return AgentFiles(libraries, *wheels_in(wheels))


def write_contents(package: Path, files: Files, agent: AgentFiles, python: str) -> Path:
    """Writes `PACKAGE.cdx.json`. `python`: the name of the file that Python came in."""
    bundled = (bundled_python(files, python), *bundled_in_python(files))
    return write_bill(package, agent, files, _LIBRARIES, "windows-x86_64", bundled)


def bundled_python(files: Files, name: str) -> Bundled:
    """The Python in the MSI, with the version in the `name` that it came in, or else
    that of its library. Pure."""
    named = re.search(r"\d+\.\d+(\.\d+)?", name)
    number = python_version([path.name for path in files])
    version = named[0] if named else f"{number[0]}.{number[1:]}"
    return Bundled("cpython", version, "PSF-2.0", (_PYTHON,))


def bundled_in_python(files: Files) -> list[Bundled]:
    """The libraries that come with the Python in the MSI, with the versions that their
    files have. A library without any file there is not listed. Pure."""
    found = []
    for name, licence, pattern, text in _IN_PYTHON:
        paths = [
            path
            for path in files
            if path.is_relative_to(_PYTHON) and re.fullmatch(pattern, path.name)
        ]
        if not paths:
            continue
        match = next(
            filter(None, (re.search(text, files[path]) for path in paths)), None
        )
        version = match[1].decode() if match else "unknown"
        # Python's own modules stay Python's.
        own = tuple(path for path in paths if path.suffix == ".dll")
        found.append(Bundled(name, version, licence, own))
    return found
