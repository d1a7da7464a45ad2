"""Locks that keep a role to one process: two pollers would poll every device twice."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from collectors.process_lock import LockTaken, take_lock


class RoleTaken(RuntimeError):
    """Another process has the role. The text names the role and the process id."""


class RoleLocks:
    """`with RoleLocks(folder, roles):` holds a lock for each role.

    The system frees the locks however the process ends. Raises `RoleTaken` if another
    process has one.
    """

    def __init__(self, folder: Path, roles: Sequence[str]) -> None:
        self._folder, self._roles = folder, roles

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as held:
            for role in self._roles:
                try:
                    held.callback(os.close, take_lock(self._folder / f"{role}.lock"))
                except LockTaken as taken:
                    raise RoleTaken(
                        f"the role {role!r} already runs in another process (pid "
                        f"{taken.holder}); expected one process for each role"
                    ) from None
            self._held = held.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()
