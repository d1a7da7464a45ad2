"""Where a journal lies, how large it may be, and what it says when it cannot write."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from collectors.journal.segment import check_name
from collectors.strict_model import StrictModel

Bytes = Annotated[int, Field(ge=64 << 10)]


class JournalConfig(StrictModel):
    """Where the journal lies, how much of the disk it may have, and for how long: what
    is about one laptop may nowhere lie longer than `max_days`, read or not.

    `readers` are names that must pass a segment before it is deleted even where they
    have not been seen yet; readers that have been seen are always waited for.
    """

    folder: Path
    max_bytes: Bytes = 2 << 30
    max_days: Annotated[int, Field(ge=1, le=30)] = 30
    segment_bytes: Bytes = 64_000_000
    segment_s: Annotated[float, Field(gt=0)] = 600
    reserve_bytes: Annotated[int, Field(ge=0)] = 8_000_000
    readers: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.segment_bytes * 2 > self.max_bytes:
            raise ValueError(
                f"segment_bytes = {self.segment_bytes} is too large: expected at "
                f"most half of max_bytes = {self.max_bytes}"
            )
        for name in self.readers:
            check_name(name, "reader")
        return self


class JournalTaken(RuntimeError):
    """Another process writes this log; the text says which log."""


class JournalFailed(OSError):
    """What was appended is not on disk; do not acknowledge it, send it again later."""


class JournalFull(JournalFailed):
    """There is no room on the disk. Nothing acknowledged is lost; it recovers by
    itself when there is room."""
