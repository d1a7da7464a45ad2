"""Settings of the journal, and its exceptions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from collectors.journal.segment import check_name
from collectors.strict_model import StrictModel

Bytes = Annotated[int, Field(ge=64 << 10)]


class JournalConfig(StrictModel):
    """The journal's folder and limits. `kind = "nats"` keeps the rows in streams of
    NATS (`[nats]`); the folder then has dead letters and locks only. Rows about one
    laptop are never kept for longer than `max_days`, read or not.

    `before`: the kind that it had before, as long as rows may be left there: readers
    read those first.
    `readers` must pass a segment before it is deleted, even if they have never run.
    Readers that have run are always waited for.
    """

    kind: Literal["files", "nats"] = "files"
    before: Literal["files", "nats"] | None = None
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
        if self.before == self.kind:
            raise ValueError(
                f'before = "{self.before}" is the kind that it has; expected the other '
                "kind, which it had before, or nothing"
            )
        for name in self.readers:
            check_name(name, "reader")
        return self


class JournalTaken(RuntimeError):
    """Another process writes this log. The text names the log."""


class JournalFailed(OSError):
    """The batches are not on disk: do not acknowledge them; send them again later."""


class JournalFull(JournalFailed):
    """The disk is full. Nothing acknowledged is lost, and the journal recovers by
    itself once there is room."""
