"""Root leaves no files that the user who runs Towpath cannot read."""

from __future__ import annotations

import os
from pathlib import Path


def become_owner(folder: Path) -> None:
    """If root, the process becomes the owner of `folder` for good, and writes there as
    that user. Call it before any thread is started. Raises `OSError`."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return
    owner = folder.stat()
    if owner.st_uid:
        os.setgroups([])
        os.setresgid(owner.st_gid, owner.st_gid, owner.st_gid)
        os.setresuid(owner.st_uid, owner.st_uid, owner.st_uid)
