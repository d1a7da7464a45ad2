"""The times of the events of an iCalendar file (RFC 5545) within a span. Pure.

Local times follow the event's own time zone. A time that the clocks skip counts with
the offset before the change, and of a time that comes twice the first counts, as the
RFC requires: 01:30 in London on the last Sunday in March is 02:30 summer time. A length
of hours is exact on every night; a length of days ends at the same time of day.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import icalendar
import msgspec
from dateutil.rrule import rruleset, rrulestr

# icalendar's values have dozens of types; what they lack raises, as wrong text does.
Component = Any
MOST_EVENTS = 20_000
MOST_TIMES_OF_EVENT = 1_000
MOST_TIMES = 5_000
_MOST_PROBLEMS = 20
_FASTEST = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY", "HOURLY")
_LONGEST_TEXT = 1_000


class CalendarEvent(msgspec.Struct, frozen=True):
    """One time of one event. `uid` names the event within its calendar."""

    uid: str
    start_ms: int
    end_ms: int
    summary: str = ""
    description: str = ""
    location: str = ""
    people: tuple[str, ...] = ()
    """Addresses and names of those who attend, or of who invites if nobody does."""


class CalendarReading(msgspec.Struct, frozen=True):
    """The events, earliest first, and a sentence for each that could not be used."""

    events: tuple[CalendarEvent, ...] = ()
    problems: tuple[str, ...] = ()


class NotACalendar(ValueError):
    """The text cannot be used. The message is a sentence without a subject."""


class _EventUnusable(ValueError):
    """An event cannot be used; the text is the rest of a sentence that names it."""


def read_events(
    text: bytes, from_ms: int, to_ms: int, timezone: str
) -> CalendarReading:
    """Returns the events that are in force at any time from `from_ms` to `to_ms`.

    `timezone`: of times without one, and of whole days. Raises `NotACalendar`.
    """
    zone = ZoneInfo(timezone)
    components = _components(text)
    moved: dict[str, set[int]] = {}
    for component in components:
        with contextlib.suppress(KeyError, AttributeError, ValueError, TypeError):
            instead_of_ms = _ms(component["RECURRENCE-ID"].dt, zone)
            moved.setdefault(_uid(component), set()).add(instead_of_ms)
    events: list[CalendarEvent] = []
    problems: list[str] = []
    for component in components:
        try:
            events += _times(component, moved, from_ms, to_ms, zone)
        except _EventUnusable as error:
            problems.append(f"{_name(component)} {error}"[:300])
        except (ValueError, TypeError, OverflowError, AttributeError) as error:
            # icalendar and dateutil raise all of these for what they cannot read.
            problems.append(f"{_name(component)} cannot be read: {error}"[:300])
        if len(events) > MOST_TIMES:
            raise NotACalendar(
                f"has more than {MOST_TIMES} times in "
                f"{round((to_ms - from_ms) / 86_400_000)} days: expected fewer"
            )
    more = len(problems) - _MOST_PROBLEMS
    if more > 0:
        problems[_MOST_PROBLEMS:] = [f"{more} more events cannot be used"]
    events.sort(key=lambda event: (event.start_ms, event.end_ms, event.uid))
    return CalendarReading(tuple(events), tuple(problems))


def _components(text: bytes) -> list[Component]:
    if not text.lstrip(b"\xef\xbb\xbf \r\n\t")[:15].upper().startswith(b"BEGIN:VCAL"):
        raise NotACalendar("is not iCalendar, which begins with BEGIN:VCALENDAR")
    if not text.rstrip(b" \r\n\t\0").upper().endswith(b"END:VCALENDAR"):
        raise NotACalendar("is incomplete: it does not end with END:VCALENDAR")
    try:
        calendars = icalendar.Calendar.from_ical(text, multiple=True)
        components = [event for each in calendars for event in each.walk("VEVENT")]
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise NotACalendar(f"is not valid iCalendar: {error}"[:300]) from None
    if len(components) > MOST_EVENTS:
        raise NotACalendar(
            f"has {len(components)} events, expected at most {MOST_EVENTS}"
        )
    return components


def _times(
    component: Component,
    moved: dict[str, set[int]],
    from_ms: int,
    to_ms: int,
    zone: ZoneInfo,
) -> Iterator[CalendarEvent]:
    if "DTSTART" not in component:
        raise _EventUnusable("has no DTSTART")
    if str(component.get("STATUS", "")).upper() == "CANCELLED":
        return
    begins = component["DTSTART"].dt
    length_ms, days = _length(component, begins, zone)
    uid = _uid(component)
    is_moved = "RECURRENCE-ID" in component
    replaced = set() if is_moved else moved.get(uid, set())
    # A day more, because the first time in the span may have begun before it.
    earliest_ms = from_ms - length_ms - (days + 1) * 86_400_000
    starts = (
        [begins]
        if is_moved
        else _recurrences(component, begins, earliest_ms, to_ms, zone)
    )
    for start in starts:
        start_ms = _ms(start, zone)
        end_ms = _ms(start + timedelta(days=days), zone) + length_ms
        if start_ms < to_ms and end_ms > from_ms and start_ms not in replaced:
            yield CalendarEvent(
                f"{uid}/{start_ms}" if is_moved else uid,
                start_ms,
                end_ms,
                _text(component, "SUMMARY"),
                _text(component, "DESCRIPTION"),
                _text(component, "LOCATION"),
                tuple(_people(component)),
            )


def _length(
    component: Component, begins: date | datetime, zone: ZoneInfo
) -> tuple[int, int]:
    """The event's length: exact milliseconds, and whole days."""
    is_day = not isinstance(begins, datetime)
    if "DTEND" in component:
        ends = component["DTEND"].dt
        if is_day != (not isinstance(ends, datetime)):
            raise _EventUnusable("begins on a day and ends at a time, or the reverse")
        if is_day:
            length_ms, days = 0, (ends - begins).days
        else:
            length_ms, days = _ms(ends, zone) - _ms(begins, zone), 0
    elif "DURATION" in component:
        duration: timedelta = component["DURATION"].dt
        days = duration.days
        length_ms = round((duration - timedelta(days=days)).total_seconds() * 1000)
    else:
        length_ms, days = 0, int(is_day)
    if length_ms + days * 86_400_000 < 0:
        raise _EventUnusable("ends before it begins")
    if not (length_ms or days):
        raise _EventUnusable("has no length: give it an end")
    return length_ms, days


def _recurrences(
    component: Component,
    begins: date | datetime,
    from_ms: int,
    to_ms: int,
    zone: ZoneInfo,
) -> list[date | datetime]:
    """The starts in the span, in the form of DTSTART."""
    named = {name: _listed(component, name) for name in ("RRULE", "RDATE", "EXDATE")}
    if not (named["RRULE"] or named["RDATE"]):
        return [begins]
    own_zone = begins.tzinfo if isinstance(begins, datetime) else None

    def local(moment: date | datetime) -> datetime:
        """Without a time zone: recurrences are counted in local time."""
        if not isinstance(moment, datetime):
            return datetime.combine(moment, time())
        if moment.tzinfo is None:
            return moment
        return moment.astimezone(own_zone or zone).replace(tzinfo=None)

    times = rruleset()
    times.rdate(local(begins))
    for rule in named["RRULE"]:
        times.rrule(rrulestr(_rule_text(rule, local), dtstart=local(begins)))
    for moment in _moments(named["RDATE"]):
        times.rdate(local(moment))
    for moment in _moments(named["EXDATE"]):
        times.exdate(local(moment))
    first, last = (
        _at(ms, own_zone or zone).replace(tzinfo=None) + timedelta(days=days)
        for ms, days in ((from_ms, -1), (to_ms, 1))
    )
    starts = list(
        itertools.islice(
            itertools.takewhile(lambda at: at <= last, times.xafter(first, inc=True)),
            MOST_TIMES_OF_EVENT + 1,
        )
    )
    if len(starts) > MOST_TIMES_OF_EVENT:
        raise _EventUnusable(
            f"recurs more than {MOST_TIMES_OF_EVENT} times in the span"
        )
    if not isinstance(begins, datetime):
        return [start.date() for start in starts]
    return [start.replace(tzinfo=own_zone) for start in starts]


def _rule_text(rule: Any, local: Callable[[date | datetime], datetime]) -> str:
    frequency = str((rule.get("FREQ") or [""])[0]).upper()
    if frequency not in _FASTEST:
        raise _EventUnusable(
            f"recurs {frequency or 'never'}: expected hourly or slower"
        )
    if int((rule.get("INTERVAL") or [1])[0]) < 1:
        raise _EventUnusable("recurs with an INTERVAL below 1")
    rule = icalendar.vRecur(rule)
    if until := rule.get("UNTIL"):
        last = until[0]
        ends = local(last)
        if not isinstance(last, datetime):
            ends = datetime.combine(last, time(23, 59, 59))
        # dateutil requires the same form as DTSTART, which has no zone here.
        del rule["UNTIL"]
        return f"{rule.to_ical().decode()};UNTIL={ends:%Y%m%dT%H%M%S}"
    return str(rule.to_ical().decode())


def _listed(component: Component, name: str) -> list[Any]:
    value = component.get(name)
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _moments(lists: Iterable[Any]) -> Iterator[date | datetime]:
    for dates in lists:
        for entry in getattr(dates, "dts", ()):
            moment = entry.dt
            # RDATE may be a period: (start, end).
            yield moment[0] if isinstance(moment, tuple) else moment


def _ms(moment: date | datetime, zone: tzinfo) -> int:
    if not isinstance(moment, datetime):
        moment = datetime.combine(moment, time())
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    return round(moment.timestamp() * 1000)


def _at(ms: int, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC).astimezone(zone)


def _uid(component: Component) -> str:
    return str(component.get("UID", ""))[:200]


def _name(component: Component) -> str:
    return repr(_text(component, "SUMMARY")[:60] or _uid(component) or "an event")


def _text(component: Component, name: str) -> str:
    value = component.get(name, "")
    first = value[0] if isinstance(value, list) and value else value
    return str(first)[:_LONGEST_TEXT].strip()


def _people(component: Component) -> Iterator[str]:
    attendees = _listed(component, "ATTENDEE")[:50]
    for person in attendees or _listed(component, "ORGANIZER")[:1]:
        address = str(person)
        yield address[7:] if address.lower().startswith("mailto:") else address
        if common_name := getattr(person, "params", {}).get("CN"):
            yield str(common_name)
