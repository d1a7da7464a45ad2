"""The agent's state folder, which only the agent's own user may read.

On Windows modes have no meaning. Only the user, the system and administrators may read
the user's profile (%LOCALAPPDATA%), but everybody may read what is elsewhere, such as
in %PROGRAMDATA%: there the folder gets an access list of its own.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Mapping
from pathlib import Path, PureWindowsPath

# The files that the agent keeps; a folder that holds anything else is not its own.
_OURS = re.compile(
    r"(spool\.sqlite|spool\.corrupt|reserve|device|credential\.json|policy\.json|"
    r"stop-orders\.json|status\.json|support\.json|places\.json|paused|"
    r"speed-test|sent(\.1)?\.jsonl|is-it-me\.html|agent\.log(\.\d)?)"
    r"(-journal|\.new|\.trial|\.damaged)?"
)


def mend_folder(folder: Path) -> str:
    """Makes the agent's own folder readable by this user alone. Returns a sentence if
    it stays open to others because it holds other files too. Raises `OSError` if that
    cannot be done, and on Windows if the folder stays open to others."""
    if sys.platform == "win32":
        from probes.platforms.private_access import make_private

        # A link in the profile may lead out of it.
        folder = folder.resolve()
        if not in_profile(folder, os.environ):
            make_private(folder)
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


def in_profile(folder: Path, environment: Mapping[str, str]) -> bool:
    """True if `folder` is in the profile of the user of Windows. Pure."""
    profile = environment.get("USERPROFILE", "")
    return bool(profile) and PureWindowsPath(folder).is_relative_to(profile)
