"""The start of the command `towpath`, also where only the agent is installed: laptops
have the same package without what the server needs."""

from __future__ import annotations

import sys


def start() -> None:
    """Runs the command, or says what is missing in one sentence (exit code 2)."""
    try:
        from towpath.cli import main
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in {"towpath", "collectors", "alerts"}:
            raise
        print(
            f"towpath: this is the installation of a laptop (no {error.name}). Its "
            "command is towpath-agent; the server needs the package with its extra: "
            "towpath[server]",
            file=sys.stderr,
        )
        sys.exit(2)
    main()
