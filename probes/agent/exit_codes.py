"""How the commands of `towpath-agent` end: 0 success, 1 something is wrong or failed, 2
wrong usage or settings, or a laptop that is not enrolled. docs/fleet.md has what `run`
says with each."""

from __future__ import annotations

import sys
from collections.abc import Callable

from probes.wire.software import installed_version

OK, FAILED, WRONG_USAGE = 0, 1, 2


def print_error(message: str) -> None:
    print(f"towpath-agent: {message}", file=sys.stderr)


def usage_error(message: str, say: Callable[[str], None] = print_error) -> int:
    """Prints `message` and returns the exit code of wrong usage or configuration."""
    say(message)
    return WRONG_USAGE


def failure(message: str, say: Callable[[str], None] = print_error) -> int:
    """Prints `message` and returns the exit code of a failure."""
    say(message)
    return FAILED


def software() -> str:
    """Returns the name and version that the agent reports."""
    return f"towpath-agent/{installed_version()}"
