"""The version of Towpath that is installed."""

from __future__ import annotations


def installed_version() -> str:
    """Returns the version of the package; `unknown` if it was never installed."""
    # Few starts need it.
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("towpath")
    except PackageNotFoundError:
        return "unknown"
