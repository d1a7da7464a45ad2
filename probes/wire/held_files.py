"""Waits for a file that another program of Windows holds open: a virus scanner, an
indexer or a backup opens what has just been written, for parts of a second."""

from __future__ import annotations

import errno
import sys
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
# ERROR_SHARING_VIOLATION, ERROR_LOCK_VIOLATION (winerror.h).
SHARED = {32, 33}
# With ERROR_ACCESS_DENIED, which Windows returns for a deleted file that another
# program still reads.
_HELD = {5, *SHARED}
# 1.5 s in all; a scanner is done earlier, and the agent's other work waits.
_WAITS_S = (0.02, 0.05, 0.1, 0.2, 0.4, 0.75)


def while_held(
    action: Callable[[], T],
    sleep: Callable[[float], None] = time.sleep,
    held: Collection[int] = _HELD,
) -> T:
    """Returns what `action` returns; tries again for up to 1.5 s if another program
    holds its file. Raises the last `OSError`."""
    for wait_s in _WAITS_S:
        try:
            return action()
        except OSError as error:
            if not is_held(error, held):
                raise
        sleep(wait_s)
    return action()


def is_held(
    error: OSError, held: Collection[int], platform: str = sys.platform
) -> bool:
    """Whether the error has one of the numbers `held`, or may have: for a file that
    cannot be opened Python does not give the number of Windows. Pure."""
    number = getattr(error, "winerror", None)
    if number is None:
        return platform == "win32" and error.errno == errno.EACCES
    return number in held


def read_held(
    path: Path, most_bytes: int = -1, sleep: Callable[[float], None] = time.sleep
) -> bytes:
    """Returns the first `most_bytes` of the file, all of them by default; waits as
    `while_held`, but not for a folder. Raises `OSError`."""

    def read() -> bytes:
        try:
            with path.open("rb") as file:
                return file.read(most_bytes)
        except PermissionError:
            # Windows has no error of its own for a folder.
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, "a folder", str(path)) from None
            raise

    return while_held(read, sleep, SHARED)
