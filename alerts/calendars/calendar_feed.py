"""`CalendarFeed`: a calendar from elsewhere, its last good copy, and its age."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Self

import msgspec
from pydantic import Field, field_validator, model_validator

from alerts.calendars.calendar_events import DAY_MS, CalendarEvent
from alerts.calendars.feed_request import (
    MOST_BYTES,
    CalendarUnreachable,
    FeedAnswer,
    Validators,
    request_calendar,
)
from alerts.calendars.reading_process import CalendarUnreadable, read_calendar
from collectors.estate.opening_hours import TimeZone
from collectors.secret import Secret
from collectors.strict_model import StrictModel
from probes.wire.atomic_file import replace_file
from probes.wire.durations import duration_text

# The times of events are known this far ahead, and are counted again every few hours.
AHEAD_MS = 35 * DAY_MS
_BACK_MS = 7 * DAY_MS
_COUNT_AGAIN_MS = 6 * 3_600_000
_LONGEST_PAUSE_MS = 6 * 3_600_000


class CalendarConfig(StrictModel):
    """Where a calendar is: `url`, which may be a secret, or `file`. It is fetched every
    `every_s`. `timezone`: of times without one; else that of `[alerts]`."""

    url: str | Secret = ""
    file: Path | None = None
    every_s: Annotated[float, Field(ge=1)] = 900.0
    timeout_s: Annotated[float, Field(gt=0)] = 20.0
    ca_file: str = ""
    timezone: TimeZone | None = None

    @field_validator("url")
    @classmethod
    def _address(cls, value: str | Secret) -> str | Secret:
        schemes = ("https://", "http://", "webcal://", "webcals://")
        if isinstance(value, str) and value and not value.startswith(schemes):
            raise ValueError("expected an address that begins with https:// or http://")
        return value

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if bool(self.url) == (self.file is not None):
            raise ValueError("expected either url or file")
        return self


class FeedState(msgspec.Struct):
    """What is known of a calendar. `checked_ms`: when it was last fetched, or was
    unchanged. `error`: why the newest attempt failed, since `failing_ms`. `events`:
    from the last copy that could be read, counted at `counted_ms`."""

    checked_ms: int = 0
    tried_ms: int = 0
    next_ms: int = 0
    counted_ms: int = 0
    failing_ms: int = 0
    failures: int = 0
    etag: str = ""
    modified: str = ""
    error: str = ""
    events: tuple[CalendarEvent, ...] = ()
    problems: tuple[str, ...] = ()

    def trouble(self, name: str, now_ms: int) -> str:
        """A sentence if its newest version is not known; else empty."""
        if not self.error:
            return ""
        if not self.checked_ms:
            return f"The calendar {name} could not be read yet: {self.error}."
        age = duration_text((now_ms - self.checked_ms) / 1000)
        return f"The calendar {name} is {age} old: {self.error}."

    def running(self, now_ms: int) -> list[CalendarEvent]:
        """The events that are in force now, the one that began last first."""
        running = [e for e in self.events if e.start_ms <= now_ms < e.end_ms]
        return sorted(running, key=lambda event: -event.start_ms)


class CalendarFeed:
    """One calendar. `folder` keeps its last good copy and its state over restarts.
    `reduce` removes from its text what must not be kept."""

    def __init__(
        self,
        name: str,
        config: CalendarConfig,
        folder: Path,
        timezone: str,
        reduce: Callable[[bytes], bytes] | None = None,
    ) -> None:
        self.name, self._config, self._reduce = name, config, reduce
        self._timezone = config.timezone or timezone
        self._copy, self._file = folder / f"{name}.ics", state_file(folder, name)
        self.state = read_state(folder, name)

    async def refresh(self, now_ms: int) -> bool:
        """Fetches it if that is due; True if its events may have changed.

        Raises nothing that the other end causes: a feed that cannot be fetched or read
        leaves the last good copy in use.
        """
        state = self.state
        text: bytes | None = None
        if now_ms >= state.next_ms or now_ms < state.tried_ms:
            state.tried_ms = now_ms
            try:
                text = await self._fetch(now_ms)
            except CalendarUnreachable as error:
                self._note_failure(str(error), now_ms, error.after_s)
            if text is not None and self._reduce is not None:
                text = await asyncio.to_thread(self._reduce, text)
        is_new = text is not None
        if not is_new and 0 <= now_ms - state.counted_ms < _COUNT_AGAIN_MS:
            await asyncio.to_thread(self._save)
            return False
        if text is None:
            text = await asyncio.to_thread(self._kept_copy)
        if text is None:
            await asyncio.to_thread(self._save)
            return False
        try:
            reading = await read_calendar(
                text, now_ms - _BACK_MS, now_ms + AHEAD_MS, self._timezone
            )
        except CalendarUnreadable as error:
            # A later attempt must receive the text again, not that it is unchanged.
            state.etag = state.modified = ""
            self._note_failure(f"its newest version {error}", now_ms)
            await asyncio.to_thread(self._save)
            return False
        state.events, state.problems = reading.events, reading.problems
        state.counted_ms = now_ms
        if is_new:
            await asyncio.to_thread(replace_file, self._copy, text, durable=False)
            self._note_success(now_ms)
        await asyncio.to_thread(self._save)
        return True

    async def _fetch(self, now_ms: int) -> bytes | None:
        """The calendar; None if it has not changed."""
        config, state = self._config, self.state
        if config.file is not None:
            text = await asyncio.to_thread(_file_text, config.file)
            answer = FeedAnswer(text, Validators())
        else:
            try:
                url = await asyncio.to_thread(_url, config)
            except LookupError as error:
                raise CalendarUnreachable(str(error)) from None
            known = Validators(state.etag, state.modified) if state.counted_ms else None
            answer = await request_calendar(
                url, known or Validators(), config.ca_file, config.timeout_s
            )
        state.etag, state.modified = answer.validators
        if answer.text is None:
            self._note_success(now_ms)
        return answer.text

    def _note_success(self, now_ms: int) -> None:
        state = self.state
        state.checked_ms, state.error = now_ms, ""
        state.failures = state.failing_ms = 0
        state.next_ms = now_ms + round(self._config.every_s * 1000)

    def _note_failure(
        self, error: str, now_ms: int, after_s: float | None = None
    ) -> None:
        state = self.state
        state.failing_ms = state.failing_ms or now_ms
        state.failures += 1
        state.error = error
        pause_ms = self._config.every_s * 1000 * 2 ** min(state.failures - 1, 8)
        pause_ms = max(min(pause_ms, _LONGEST_PAUSE_MS), (after_s or 0) * 1000)
        state.next_ms = now_ms + round(min(pause_ms, DAY_MS))

    def _kept_copy(self) -> bytes | None:
        try:
            return self._copy.read_bytes()
        except OSError:
            return None

    def _save(self) -> None:
        replace_file(self._file, msgspec.json.encode(self.state), durable=False)


def state_file(folder: Path, name: str) -> Path:
    return folder / f"{name}.json"


def read_state(folder: Path, name: str) -> FeedState:
    """The state as last saved, for other processes too; empty if there is none."""
    try:
        saved = state_file(folder, name).read_bytes()
        return msgspec.json.decode(saved, type=FeedState)
    except (OSError, ValueError):
        return FeedState()


def _url(config: CalendarConfig) -> str:
    return config.url if isinstance(config.url, str) else config.url.value()


def _file_text(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            text = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise CalendarUnreachable(f"{path}: {error.strerror}") from None
    if len(text) > MOST_BYTES:
        raise CalendarUnreachable(
            f"{path}: is larger than {MOST_BYTES // 1_000_000} MB, which is refused"
        )
    return text
