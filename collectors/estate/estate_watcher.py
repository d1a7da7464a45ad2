"""Reloads the estate file when it changes and keeps the last good estate."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Self

import structlog

from collectors.alike_sentences import group_alike
from collectors.background_tasks import BackgroundTasks
from collectors.estate.estate_loader import EstateError, load, warnings
from collectors.estate.estate_model import Estate
from collectors.wake_times import sleep_with_others

_log = structlog.get_logger()


class EstateFile:
    """`current` is always a valid estate; an invalid file does not replace it.

    The constructor reads the file and raises `EstateError` if it is invalid. A file
    that becomes invalid later is logged once, with every finding, and `findings` holds
    them until the file is valid again.
    """

    def __init__(self, path: Path, every_s: float = 5.0) -> None:
        self._path, self._every_s = path, every_s
        self._seen = _stamp(path)
        self.current: Estate = load(path)
        self.findings: list[str] = []
        self.generation = 1
        self._tasks = BackgroundTasks()

    async def __aenter__(self) -> Self:
        for warning in group_alike(warnings(self.current)):
            _log.warning("estate_warning", warning=warning)
        self._tasks.start(self._follow(), "estate-file")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.stop()

    def reload(self) -> bool:
        """Reads the file now, as SIGHUP does. Returns True if the estate is valid."""
        self._seen = _stamp(self._path)
        try:
            estate = load(self._path)
        except EstateError as error:
            if error.findings != self.findings:
                self.findings = error.findings
                _log.error(
                    "estate_refused",
                    kept="the last valid estate",
                    findings=error.findings,
                )
            return False
        self.findings = []
        if estate != self.current:
            self.current = estate
            self.generation += 1
            _log.info(
                "estate_read",
                sites=len(estate.sites),
                devices=len(estate.devices),
                lines=len(estate.lines),
            )
        return True

    async def _follow(self) -> None:
        while True:
            await sleep_with_others(self._every_s)
            if _stamp(self._path) != self._seen:
                await asyncio.to_thread(self.reload)


def _stamp(path: Path) -> tuple[tuple[str, int, int], ...]:
    """Returns names, sizes and times of the files: they change when one is saved."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    stamps = []
    for file in files:
        with contextlib.suppress(OSError):
            state = file.stat()
            stamps.append((file.name, state.st_size, state.st_mtime_ns))
    return tuple(stamps)
