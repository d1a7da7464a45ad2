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
    if sys.stderr is not None:
        handlers.append(_formatted(logging.StreamHandler(), "%(levelname)s"))
    if platform == "win32":
        handlers.append(EventLogHandler())
        # The first line says it if there is no folder.
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
        handlers.append(_formatted(LogFile(folder / NAME), "%(asctime)s %(levelname)s"))
    logging.basicConfig(level=logging.INFO, handlers=handlers, force=True)
    logging.getLogger("asyncio").setLevel(logging.WARNING)


class SentenceFormatter(logging.Formatter):
    """For a person's terminal: the sentence of a log line, without its event."""

    def format(self, record: logging.LogRecord) -> str:
        text = record.getMessage()
        _, found, sentence = text.partition(" error=")
        return f"towpath-agent: {sentence if found else text}"


def start_console_log() -> None:
    """Sets up the log of a command that a person types: warnings, as sentences."""
    handler = logging.StreamHandler()
    handler.setFormatter(SentenceFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


def log_error(message: str) -> None:
    """Says why the agent does not run, once `start_log` has been called."""
    _log.error("%s", message)


class LogFile(logging.handlers.RotatingFileHandler):
    """At most 1.5 MB in three files, UTF-8. If another program holds the file when a
    new one is due, the old one grows until the next attempt; nothing is lost.

    What a full disk does not take, or a file that another program holds open, is lost
    from the file and counted. The other places of the log get it, and why, once. Each
    line tries again.
    """

    def __init__(self, path: Path, most_bytes: int = _MOST_BYTES) -> None:
        super().__init__(path, "a", most_bytes, _OLDER, encoding="utf-8", delay=True)
        self.lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        before = self.lost
        super().emit(record)
        if before and self.lost == before:
            self.lost = 0
            _log.warning("log_recovered lost=%d", before)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        error = sys.exc_info()[1]
        # What is half written would come again with the next line.
        stream, self.stream = self.stream, None
        if stream is not None:
            with contextlib.suppress(OSError, ValueError):
                stream.close()
        self.lost += 1
        if self.lost == 1:
            _log.error(
                "log_failed error=%s cannot be written: %s", self.baseFilename, error
            )

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
