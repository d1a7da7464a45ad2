"""`towpath reflector`: runs the reflector alone, without the other roles."""

from __future__ import annotations

import asyncio
import signal

from collectors.file_limit import raise_file_limit
from collectors.reflector import ReflectorConfig, ReflectorService
from towpath.run import StartFailed


async def reflect(config: ReflectorConfig) -> None:
    """Answers agents' tests until SIGTERM or SIGINT."""
    raise_file_limit()
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    try:
        async with ReflectorService(config):
            await stop.wait()
    except (OSError, ValueError) as error:
        raise StartFailed(f"reflector: {error}") from error
