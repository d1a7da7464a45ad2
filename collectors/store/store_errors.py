"""How a store fails: come back later, never these rows, or no answer to a question."""

from __future__ import annotations

from collectors.batch import Batch
from collectors.journal import Away

__all__ = ["Away", "QueryFailed", "RowsRefused"]


class RowsRefused(Exception):
    """The store will never take these rows, and has taken all others of the write.

    One sentence of why; `batches` are the refused rows alone.
    """

    def __init__(self, why: str, batches: list[Batch]) -> None:
        super().__init__(why)
        self.batches = batches


class QueryFailed(Exception):
    """A question could not be answered: the store is away, or it took too long."""
