"""Waits until data is on disk: `fsync` and `fdatasync` (POSIX.1-2017)."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

# macOS has no fdatasync; Linux's saves one write of the inode when only times change.
sync_data: Callable[[int], None] = getattr(os, "fdatasync", os.fsync)


def sync(path: Path) -> None:
    """Waits until a file, or a folder's names, are on disk. Raises `OSError`."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
