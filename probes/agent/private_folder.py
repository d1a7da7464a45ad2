"""The agent's state folder, which only the agent's own user may read.

On Windows it is in the user's profile (%LOCALAPPDATA%), which nobody but the user, the
system and administrators may read; modes have no meaning there.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from pathlib import Path

# The files that the agent keeps; a folder that holds anything else is not its own.
_OURS = re.compile(
    r"(spool\.sqlite|spool\.corrupt|reserve|device|credential\.json|policy\.json|"
    r"status\.json|places\.json|paused|speed-test|sent(\.1)?\.jsonl|is-it-me\.html)"
    r"(-journal|\.new)?"
)


def mend_folder(folder: Path) -> str:
    """Makes the agent's own folder readable by this user alone. Returns a sentence if
    it stays open to others because it holds other files too. Raises `OSError`."""
    if sys.platform == "win32":
        return ""
    mode = folder.stat()
    if not mode.st_mode & 0o077:
        return ""
    ours = mode.st_uid == os.getuid() and all(
        _OURS.fullmatch(path.name) for path in folder.iterdir()
    )
    # A home or a folder for everybody (sticky) keeps its mode, even if it is empty.
    if ours and not mode.st_mode & stat.S_ISVTX and folder != Path.home():
        folder.chmod(0o700)
        return ""
    return (
        f"{folder} can be read by others (mode {stat.S_IMODE(mode.st_mode):04o}, "
        "expected 0700) and holds what is not the agent's; its own files are 0600"
    )
