"""How the commands of `towpath-agent` end: 0 success, 1 something is wrong or failed, 2
wrong usage or configuration."""

from __future__ import annotations

import sys

from probes.wire.software import installed_version

OK, FAILED, WRONG_USAGE = 0, 1, 2


def usage_error(message: str) -> int:
    """Prints `message` and returns the exit code of wrong usage or configuration."""
    print(f"towpath-agent: {message}", file=sys.stderr)
    return WRONG_USAGE


def failure(message: str) -> int:
    """Prints `message` and returns the exit code of a failure."""
    print(f"towpath-agent: {message}", file=sys.stderr)
    return FAILED


def software() -> str:
    """Returns the name and version that the agent reports."""
    return f"towpath-agent/{installed_version()}"
