"""The version of Towpath that is installed."""

from __future__ import annotations

from pathlib import Path

# Where an installer puts the package and, beside it, the folder that names its version.
_INSTALLED_IN = Path(__file__).resolve().parents[2]


def installed_version(folder: Path = _INSTALLED_IN) -> str:
    """Returns the version of the package; `unknown` if it was never installed."""
    name = next((path.name for path in folder.glob("towpath-*.dist-info")), "")
    if name:
        return name.removeprefix("towpath-").removesuffix(".dist-info")
    # An installation for work on the code, or in an archive. The library takes two
    # megabytes, which an agent on a laptop need not have.
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("towpath")
    except PackageNotFoundError:
        return "unknown"
