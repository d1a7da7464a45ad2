"""`MaintenanceWindow`: planned work, once or again and again, and its times."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import Field, field_validator, model_validator

from alerts.calendars.calendar_events import CalendarEvent
from alerts.silence import SCOPES, Silence
from collectors.estate.opening_hours import TimeZone
from collectors.strict_model import StrictModel
from probes.wire.durations import parse_duration_ms

_NOTHING = (
    "expected a site, a device, a line, a supplier or a rule: maintenance of "
    "everything would page nobody at all"
)
_LONGEST_MS = 90 * 86_400_000
# A time that no calendar has stays in the file, and no page could show it.
_YEARS = 2000, 2099


class Scope(StrictModel):
    """What maintenance or a silence is limited to. Several are an intersection."""

    site: str = ""
    device: str = ""
    line: str = ""
    supplier: str = ""
    rule: str = ""

    @property
    def named(self) -> dict[str, str]:
        return {kind: name for kind in SCOPES if (name := getattr(self, kind))}


class MaintenanceWindow(Scope):
    """`[[alerts.maintenance]]`. It begins at `start` (local time) and ends after
    `lasts` or at `end`. `rrule` repeats it, as in iCalendar: FREQ=WEEKLY;BYDAY=SU.
    `timezone`: else that of `[alerts]`."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,59}$")]
    start: datetime
    lasts: str = ""
    end: datetime | None = None
    rrule: Annotated[str, Field(pattern=r"^[A-Za-z0-9=;,:+-]*$")] = ""
    timezone: TimeZone | None = None
    why: str = ""
    who: str = ""

    @field_validator("start", "end", mode="before")
    @classmethod
    def _local_time(cls, value: Any) -> Any:
        return local_time(value) if isinstance(value, str) else value

    @field_validator("start", "end")
    @classmethod
    def _without_offset(cls, value: datetime | None) -> datetime | None:
        if value is not None and value.tzinfo is not None:
            raise ValueError("expected local time, without an offset: see timezone")
        if value is not None and not _YEARS[0] <= value.year <= _YEARS[1]:
            raise ValueError(f"expected a year from {_YEARS[0]} to {_YEARS[1]}")
        return value

    @field_validator("lasts")
    @classmethod
    def _is_length(cls, value: str) -> str:
        if value and not 0 < parse_duration_ms(value) <= _LONGEST_MS:
            raise ValueError("expected a length above 0 and of at most 90 days")
        return value

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not self.named:
            raise ValueError(_NOTHING)
        if bool(self.lasts) == (self.end is not None):
            raise ValueError("expected either lasts or end")
        if self.end is not None and self.end <= self.start:
            raise ValueError(
                f"end {self.end:%Y-%m-%d %H:%M} is not after start "
                f"{self.start:%Y-%m-%d %H:%M}: are they swapped?"
            )
        return self

    def as_event(self, uid: str, timezone: str) -> str:
        """The window as an event of iCalendar, which knows about days when the clocks
        change."""
        zone = self.timezone or timezone
        lines = [
            "BEGIN:VEVENT",
            f"UID:{uid}",
            f"SUMMARY:{self.name}",
            f"DTSTART;TZID={zone}:{self.start:%Y%m%dT%H%M%S}",
            f"DTEND;TZID={zone}:{self.end:%Y%m%dT%H%M%S}"
            if self.end is not None
            else f"DURATION:PT{parse_duration_ms(self.lasts) // 1000}S",
        ]
        if self.rrule:
            lines.append(f"RRULE:{self.rrule.upper().removeprefix('RRULE:')}")
        return "\r\n".join([*lines, "END:VEVENT\r\n"])

    def silence(self, source: str, event: CalendarEvent) -> Silence:
        return Silence(
            0,
            event.start_ms,
            event.end_ms,
            why=self.why or self.name,
            who=self.who,
            planned=1,
            source=source,
            uid=event.uid,
            **self.named,
        )


def calendar_of(
    windows: Iterable[tuple[str, MaintenanceWindow]], timezone: str
) -> bytes:
    """The windows, by their uid, as one calendar."""
    events = "".join(window.as_event(uid, timezone) for uid, window in windows)
    head = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Towpath//EN\r\n"
    return f"{head}{events}END:VCALENDAR\r\n".encode()


def silences_of(
    windows: dict[str, MaintenanceWindow], events: Sequence[CalendarEvent], source: str
) -> list[Silence]:
    """The times of `windows` (by uid) as silences."""
    return [
        windows[event.uid].silence(source, event)
        for event in events
        if event.uid in windows
    ]


def local_time(text: str) -> datetime:
    """`2026-12-01 22:00`. Raises `ValueError` with a sentence."""
    with contextlib.suppress(ValueError):
        return datetime.fromisoformat(text.strip())
    raise ValueError(
        f"{text!r} is not a time, expected such as 2026-12-01 22:00 (local time)"
    )
