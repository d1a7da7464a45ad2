"""Waits for a file that another program of Windows holds open: a virus scanner, an
indexer or a backup opens what has just been written, for parts of a second."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
# ERROR_ACCESS_DENIED, ERROR_SHARING_VIOLATION, ERROR_LOCK_VIOLATION (winerror.h).
_HELD = {5, 32, 33}
# 1.5 s in all; a scanner is done earlier, and the agent's other work waits.
_WAITS_S = (0.02, 0.05, 0.1, 0.2, 0.4, 0.75)


def while_held(
    action: Callable[[], T], sleep: Callable[[float], None] = time.sleep
) -> T:
    """Returns what `action` returns; tries again for up to 1.5 s if another program
    holds its file. Raises the last `OSError`."""
    for wait_s in _WAITS_S:
        try:
            return action()
        except OSError as error:
            if getattr(error, "winerror", None) not in _HELD:
                raise
        sleep(wait_s)
    return action()
