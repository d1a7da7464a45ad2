"""Reads a calendar in a process of its own, with limits of time and memory.

A calendar comes from elsewhere. One that is large, deeply nested or recurs in a way
that takes hours to count must neither stop the alert engine nor take its memory.
"""

from __future__ import annotations

import sys

import msgspec

from alerts.calendars.calendar_events import (
    CalendarReading,
    NotACalendar,
    read_events,
)
from collectors.module_process import EndedEarly, ask_module

LONGEST_S = 60.0
_CPU_S = 40
_MEMORY_BYTES = 1_500 << 20


class CalendarUnreadable(ValueError):
    """The calendar cannot be used. The text is a sentence without a subject."""


class _Request(msgspec.Struct):
    from_ms: int
    to_ms: int
    timezone: str
    cpu_s: int


class _Answer(msgspec.Struct):
    reading: CalendarReading | None = None
    refusal: str = ""


async def read_calendar(
    text: bytes, from_ms: int, to_ms: int, timezone: str, cpu_s: int = _CPU_S
) -> CalendarReading:
    """As `read_events`. Raises `CalendarUnreadable`, also if it takes too long."""
    request = msgspec.json.encode(_Request(from_ms, to_ms, timezone, cpu_s))
    try:
        answer = await ask_module(
            "alerts.calendars.reading_process",
            request + b"\n" + text,
            _Answer,
            LONGEST_S,
        )
    except TimeoutError:
        raise CalendarUnreadable(f"takes more than {LONGEST_S:.0f} s to read") from None
    except EndedEarly:
        raise CalendarUnreadable(
            f"takes more than {cpu_s} s or {_MEMORY_BYTES >> 20} MiB to read: does an "
            "event recur without end and without a date that fits?"
        ) from None
    if answer.reading is None:
        raise CalendarUnreadable(answer.refusal)
    return answer.reading


def _answer(request: _Request, text: bytes) -> _Answer:
    try:
        return _Answer(
            read_events(text, request.from_ms, request.to_ms, request.timezone)
        )
    except NotACalendar as refusal:
        return _Answer(refusal=str(refusal))
    except RecursionError:
        return _Answer(refusal="is nested too deeply")


def _limit(cpu_s: int) -> None:
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))


if __name__ == "__main__":
    line, _, body = sys.stdin.buffer.read().partition(b"\n")
    request = msgspec.json.decode(line, type=_Request)
    _limit(request.cpu_s)
    sys.stdout.buffer.write(msgspec.json.encode(_answer(request, body)))
