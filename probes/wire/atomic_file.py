"""Writes a file so that a crash leaves either the old content or the new."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from probes.wire.fsync import sync
from probes.wire.held_files import while_held

PRIVATE = 0o600


def replace_file(
    path: Path,
    body: bytes | memoryview,
    *,
    durable: bool,
    mode: int | None = PRIVATE,
    concurrent: bool = False,
    owner: tuple[int, int] | None = None,
) -> None:
    """Writes `body` to a file beside `path` and renames it. Raises `OSError`.

    `durable`: content and name are on disk when this returns, so that they survive a
    power cut. `mode`: the file's mode, whatever the umask; None leaves it to the umask.
    `concurrent`: other processes may write the same file at the same time. `owner`:
    (user id, group id), if not the process's own. A missing folder is created, for
    those who may read the file. On Windows modes and owners have no effect: the
    folder's access list applies.
    """
    if not path.parent.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        if mode is not None:
            path.parent.chmod(0o750 if mode & 0o040 else 0o700)
    suffix = f".{secrets.token_hex(8)}.new" if concurrent else ".new"
    new = path.with_name(path.name + suffix)
    while_held(lambda: new.unlink(missing_ok=True))  # left by a crash
    try:
        write_new_file(new, body, durable=durable, mode=mode)
        if owner is not None and hasattr(os, "chown"):
            os.chown(new, *owner)
        while_held(lambda: new.replace(path))
    except BaseException:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)
        raise
    if durable:
        # Some file systems cannot sync a folder; the content is on disk by now.
        with contextlib.suppress(OSError):
            sync(path.parent)


def write_new_file(
    path: Path, body: bytes | memoryview, *, durable: bool, mode: int | None = PRIVATE
) -> None:
    """Creates `path` with that content and mode. Raises `FileExistsError`, `OSError`.

    `durable`: the content is on disk when this returns; the name is not until the
    folder is synced.
    """
    # Private until the mode is set, so that nobody can open it in between.
    created = 0o666 if mode is None else mode & PRIVATE
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, created)
    with os.fdopen(handle, "wb") as file:
        if mode is not None and hasattr(os, "fchmod"):
            os.fchmod(handle, mode)
        file.write(body)
        if durable:
            file.flush()
            os.fsync(handle)
