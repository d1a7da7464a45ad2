"""Has a module's work done in a process of its own: neither its time nor its memory is
that of the process which asks."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import TypeVar

import msgspec

_Answer = TypeVar("_Answer")


class EndedEarly(RuntimeError):
    """The process ended with `code`, without an answer."""

    def __init__(self, code: int | None) -> None:
        super().__init__(f"ended early (code {code})")
        self.code = code


async def ask_module(
    module: str, request: bytes, answer: type[_Answer], longest_s: float
) -> _Answer:
    """Runs `module` with `request` as its standard input, and returns the JSON that it
    writes to its standard output. Raises `TimeoutError` after `longest_s`, and
    `EndedEarly`. The process never outlives the call."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        # Without -P, modules of the folder it is started in would be run.
        *("-P", "-m", module),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(longest_s):
            output, _ = await process.communicate(request)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    try:
        return msgspec.json.decode(output, type=answer)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise EndedEarly(process.returncode) from None
