"""Work that is done in parts, so that packets are read in between."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import TypeVar

_Result = TypeVar("_Result")
# A generator that yields after each part, and returns what the whole makes.
Parts = Generator[None, None, _Result]


async def work_in_parts(parts: Parts[_Result]) -> _Result:
    """Lets the event loop take a turn after each part."""
    while True:
        try:
            next(parts)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        await asyncio.sleep(0)
