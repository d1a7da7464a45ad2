"""Errors of a store: it is unavailable, it refuses rows, or a query fails."""

from __future__ import annotations

from collectors.batch import Batch
from collectors.journal import Away

__all__ = ["Away", "QueryFailed", "RowsRefused", "TooManyRows"]


class RowsRefused(Exception):
    """The store will never accept some rows of a write, and has written the others.

    `why` is one sentence; `batches` has only the refused rows.
    """

    def __init__(self, why: str, batches: list[Batch]) -> None:
        super().__init__(why)
        self.batches = batches


class QueryFailed(Exception):
    """A query could not be answered: the store is unavailable or took too long."""


class TooManyRows(QueryFailed):
    """The answer has more rows than the caller allows."""
