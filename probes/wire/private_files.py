"""Files that only the agent's own user may read.

On Windows they lie in the user's own profile (%LOCALAPPDATA%), which nobody but the
user, the system and administrators may read; modes say nothing there.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import sys
from pathlib import Path

# What the agent itself keeps; a folder that holds anything else is not its own.
_OURS = re.compile(
    r"(spool\.sqlite|spool\.corrupt|reserve|device|credential\.json|policy\.json|"
    r"status\.json|places\.json|paused|speed-test|sent(\.1)?\.jsonl|is-it-me\.html)"
    r"(-journal|\.new)?"
)


def write_privately(path: Path, body: bytes, durable: bool = True) -> None:
    """`body` into `path`, whole or not at all, readable by this user alone.

    `durable`: on disk when this returns. `OSError` as the system gives it.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(body)
        file.flush()
        if durable:
            os.fsync(file.fileno())
    new.replace(path)
    if durable and sys.platform != "win32":
        # The name, too, has to outlive a power cut. Some file systems cannot promise.
        with contextlib.suppress(OSError):
            handle = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


def mend_folder(folder: Path) -> str:
    """Makes the agent's own folder readable by this user alone; a sentence where it
    stays open to others, because it is not the agent's alone. `OSError`."""
    if sys.platform == "win32":
        return ""
    mode = folder.stat()
    if not mode.st_mode & 0o077:
        return ""
    ours = mode.st_uid == os.getuid() and all(
        _OURS.fullmatch(each.name) for each in folder.iterdir()
    )
    # Nobody's home and no folder for everybody is narrowed, though it be empty.
    if ours and not mode.st_mode & stat.S_ISVTX and folder != Path.home():
        folder.chmod(0o700)
        return ""
    return (
        f"{folder} can be read by others (mode {stat.S_IMODE(mode.st_mode):04o}, "
        "expected 0700) and holds what is not the agent's; its own files are 0600"
    )
