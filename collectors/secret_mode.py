"""The mode of a file that has a secret."""

from __future__ import annotations

import stat
from pathlib import Path


def mode_refusal(path: Path) -> str:
    """Why its mode is refused, as a sentence; empty if only its owner and group can use
    it. Raises `OSError`."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if not mode & 0o007:
        return ""
    return f"{path} has mode {mode:04o}, expected 0600 or 0640: others could read it"
