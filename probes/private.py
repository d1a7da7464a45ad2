"""Files that only the agent's own user may read."""

from __future__ import annotations

import os
from pathlib import Path


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
