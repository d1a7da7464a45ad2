"""What a reader of the journal can do, of whatever kind the journal is."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self

from collectors.journal.journal_reader import Chunk
from collectors.journal.journal_stats import ReaderStats
from collectors.journal.segment import Positions


class BatchReader(Protocol):
    """See `JournalReader`, which reads files."""

    name: str
    stats: ReaderStats

    @property
    def positions(self) -> Positions: ...

    async def read(
        self, max_rows: int = 50_000, wait_s: float = 5.0
    ) -> Chunk | None: ...

    def passed(self, positions: Positions) -> None: ...

    def oldest_ms(self) -> int | None: ...

    def unread_ms(self) -> int | None: ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None: ...


class OpenReader(Protocol):
    """Makes the reader of that name."""

    def __call__(
        self, name: str, start: Positions | None = None, yields: bool = False
    ) -> BatchReader: ...
