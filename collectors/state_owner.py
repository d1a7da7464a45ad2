"""Root leaves no files that the user who runs Towpath cannot read."""

from __future__ import annotations

import os
from pathlib import Path


def is_of_another(folder: Path) -> bool:
    """Whether this is root, and `folder` belongs to another user. Raises `OSError`."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return False
    return folder.stat().st_uid != 0


def become_owner(folder: Path) -> None:
    """The process becomes the owner of `folder` for good, and writes there as that
    user. Call it before any thread is started. Raises `OSError`."""
    owner = folder.stat()
    os.setgroups([])
    os.setresgid(owner.st_gid, owner.st_gid, owner.st_gid)
    os.setresuid(owner.st_uid, owner.st_uid, owner.st_uid)


def can_become_owner(folder: Path) -> bool:
    """Whether the owner of `folder` can read this program: modules are imported when
    they are needed. Tried in a child."""
    child = os.fork()
    if child == 0:
        is_readable = False
        try:
            become_owner(folder)
            is_readable = all(os.access(f, os.R_OK) for f in (os.__file__, __file__))
        finally:
            os._exit(0 if is_readable else 1)
    return os.waitpid(child, 0)[1] == 0
