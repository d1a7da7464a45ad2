"""What a process runs, and the rows about that."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any

from collectors.self_metrics import Source

Piece = AbstractAsyncContextManager[Any] | AbstractContextManager[Any]
# By what each is called in sentences, in the order of their start.
Pieces = list[tuple[str, Piece]]
# By what each is about.
Sources = list[tuple[str, Source]]
