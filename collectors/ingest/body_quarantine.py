"""`BodyQuarantine`: keeps the last bodies that could not be read, for troubleshooting.

Limited in number, size and rate. Only the owner can read the files. They hold what was
sent and nothing about the sender: no address, no secret.
"""

from __future__ import annotations

import os
from pathlib import Path

from collectors.failure_log import FailureLog

_MAX_BYTES = 64_000
_MAX_PER_S = 20


class BodyQuarantine:
    def __init__(self, folder: Path, keep: int) -> None:
        self._folder, self._keep = folder, keep
        self._second, self._this_second, self._number = 0, 0, 0
        self._failures = FailureLog("bodies_not_kept", level="warning")

    def put(self, body: bytes, reason: str, now_ms: int) -> None:
        """Keeps `body` under a name that says when and why. Never raises: this is for
        people, and a full disk must not stop a report."""
        second = now_ms // 1000
        if second != self._second:
            self._second, self._this_second = second, 0
        self._this_second += 1
        if self._this_second > _MAX_PER_S:
            return
        self._number += 1
        name = f"{now_ms:013d}-{self._number:06d}-{reason}.body"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(
                self._folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600
            )
            with os.fdopen(handle, "wb") as file:
                file.write(body[:_MAX_BYTES])
            self._prune()
        except OSError as error:
            self._failures.failed(error)
        else:
            self._failures.recovered()

    def _prune(self) -> None:
        """Deletes the oldest files over the limit. `collectors.personal_data` deletes
        by age."""
        files = sorted(self._folder.glob("*.body"))
        for file in files[: max(0, len(files) - self._keep)]:
            file.unlink(missing_ok=True)
