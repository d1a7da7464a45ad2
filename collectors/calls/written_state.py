"""The file with the end of the last time span whose rows are in the journal."""

from __future__ import annotations

from pathlib import Path

import msgspec
import structlog

from probes.wire.atomic_file import replace_file
from probes.wire.clock import WallClock

_log = structlog.get_logger()
_DAY_MS = 86_400_000
# Microsoft has nothing older than 30 days.
_MOST_DAYS = 29


class _Written(msgspec.Struct):
    written_ms: int


class WrittenState:
    """`load` when it starts, `save` after each span of `period_ms`. Both block."""

    def __init__(
        self, file: Path, period_ms: int, first_days: int, now_ms: WallClock
    ) -> None:
        self._file, self._period_ms = file, period_ms
        self._first_days, self._now_ms = first_days, now_ms

    def load(self) -> int:
        """Returns the end of the last span. Without a state that can be read, it is
        `first_days` ago: spans that are written again are the same rows."""
        now_ms = self._now_ms()
        from_ms = now_ms - self._first_days * _DAY_MS
        try:
            saved = msgspec.json.decode(self._file.read_bytes(), type=_Written)
            # A clock that was ahead must not keep it from reading until then.
            if saved.written_ms <= now_ms:
                from_ms = max(saved.written_ms, now_ms - _MOST_DAYS * _DAY_MS)
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            _log.error("calls_state_lost", file=str(self._file), error=str(error))
        return from_ms // self._period_ms * self._period_ms

    def save(self, written_ms: int) -> None:
        """Replaces the file, durably. Raises `OSError`."""
        data = msgspec.json.encode(_Written(written_ms))
        replace_file(self._file, data, durable=True)
