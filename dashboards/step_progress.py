"""How far a long piece of work is: the step, and the part of it if it has several."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

Progress = Callable[[str], None]
_Part = TypeVar("_Part")


def untold(step: str) -> None:
    """A `Progress` that shows nothing."""


def told_parts(
    progress: Progress, step: str, parts: Sequence[_Part]
) -> Iterator[_Part]:
    """Yields the parts of a step, and says before each which one it is."""
    for number, part in enumerate(parts, 1):
        several = f": part {number} of {len(parts)}" if len(parts) > 1 else ""
        progress(f"{step}{several}")
        yield part
