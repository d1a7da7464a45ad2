"""Where the agent's own log goes.

Elsewhere it is standard error, which the system keeps (journald, launchd). On Windows
nobody sees that of a program without a window: there it is a file too, and the system's
Application log gets starts, stops and errors.
"""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import sys
from pathlib import Path

from probes.platforms import event_log

NAME = "agent.log"
_MOST_BYTES, _OLDER = 500_000, 2
# Their numbers in the Application log.
_STARTED, _STOPPED, _FAILED = 1, 2, 3
_log = logging.getLogger(__name__)


def start_log(folder: Path, platform: str = sys.platform) -> None:
    """Sets up the log of this process. A file that cannot be written is no reason not
    to run: the rest of the log says why."""
    handlers: list[logging.Handler] = []
    trouble = ""
    if sys.stderr is not None:
        handlers.append(_formatted(logging.StreamHandler(), "%(levelname)s"))
    if platform == "win32":
        handlers.append(EventLogHandler())
        try:
            folder.mkdir(parents=True, exist_ok=True)
            handlers.append(
                _formatted(LogFile(folder / NAME), "%(asctime)s %(levelname)s")
            )
        except OSError as error:
            trouble = f"{folder / NAME} cannot be written: {error}"
    logging.basicConfig(level=logging.INFO, handlers=handlers, force=True)
    for library in ("httpx2", "httpcore2", "asyncio"):
        logging.getLogger(library).setLevel(logging.WARNING)
    if trouble:
        _log.error("log_failed error=%s", trouble)


def log_error(message: str) -> None:
    """Says why the agent does not run, once `start_log` has been called."""
    _log.error("%s", message)


class LogFile(logging.handlers.RotatingFileHandler):
    """At most 1.5 MB in three files, UTF-8. If another program holds the file when a
    new one is due, the old one grows until the next attempt; nothing is lost."""

    def __init__(self, path: Path, most_bytes: int = _MOST_BYTES) -> None:
        super().__init__(path, "a", most_bytes, _OLDER, encoding="utf-8")

    def rotate(self, source: str, dest: str) -> None:
        with contextlib.suppress(OSError):
            Path(source).replace(dest)


class EventLogHandler(logging.Handler):
    """Hands starts, stops and errors to the Application log of Windows."""

    def emit(self, record: logging.LogRecord) -> None:
        event = event_of(record)
        if event is not None and sys.platform == "win32":
            with contextlib.suppress(OSError):
                event_log.write_event(*event)


def event_of(record: logging.LogRecord) -> tuple[int, int, str] | None:
    """Kind, number and text of the event for `record`; None if it is not one. Pure."""
    text = record.getMessage()
    if record.levelno >= logging.ERROR:
        return event_log.ERROR, _FAILED, text
    if text.startswith("agent_started"):
        return event_log.INFORMATION, _STARTED, text
    if text.startswith("agent_stopped"):
        return event_log.INFORMATION, _STOPPED, text
    return None


def _formatted(handler: logging.Handler, before: str) -> logging.Handler:
    handler.setFormatter(logging.Formatter(f"{before} %(message)s"))
    return handler
