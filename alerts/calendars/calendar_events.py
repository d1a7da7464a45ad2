"""The times of the events of an iCalendar file (RFC 5545) within a span. Pure.

Local times follow the event's own time zone. A time that the clocks skip counts with
the offset before the change, and of a time that comes twice the first counts, as the
RFC requires: 01:30 in London on the last Sunday in March is 02:30 summer time. A length
of hours is exact on every night; a length of days ends at the same time of day.
"""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from dateutil.rrule import rruleset, rrulestr

from probes.wire.counted_text import counted

# icalendar's values have dozens of types; what they lack raises, as wrong text does.
Component = Any
DAY_MS = 86_400_000
MOST_EVENTS = 20_000
MOST_TIMES_OF_EVENT = 1_000
MOST_TIMES = 5_000
_MOST_PROBLEMS = 20
_FASTEST = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY", "HOURLY")
_LONGEST_TEXT = 1_000
_LATEST_MS = 4_102_444_800_000  # 2100: no page can show the year 10,000
# What icalendar says of a value that it could not read.
_BROKEN = re.compile(r"Cannot access '\w+' on broken property '([\w-]+)'[^:]*: (.*)")
# Exchange writes names of time zones with a colon, and not always in quotes.
_COLON_IN_ZONE = re.compile(rb';TZID=([^";\r\n]*:[^"\r\n]*):(\d{8}[\dTZ,]*[\r\n])')


class CalendarEvent(msgspec.Struct, frozen=True):
    """One time of one event. `uid` names the event within its calendar; `people`:
    addresses and names of those who attend, or of who invites if nobody does."""

    uid: str
    start_ms: int
    end_ms: int
    summary: str = ""
    description: str = ""
    location: str = ""
    people: tuple[str, ...] = ()


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
    components = _newest_versions(_components(text))
    replacements: dict[str, Replacements] = {}
    for component in components:
        with contextlib.suppress(KeyError, AttributeError, ValueError, TypeError):
            instead_of = component["RECURRENCE-ID"]
            known = replacements.setdefault(_uid(component), Replacements())
            known.add(component, instead_of, zone)
    events: list[CalendarEvent] = []
    problems: list[str] = []
    for component in components:
        try:
            known = replacements.get(_uid(component), Replacements())
            events += _times(component, known, from_ms, to_ms, zone)
            if problem := _zone_problem(component, timezone):
                problems.append(f"{_name(component)} {problem}"[:300])
        except _EventUnusable as error:
            problems.append(f"{_name(component)} {error}"[:300])
        except (ValueError, TypeError, OverflowError, AttributeError) as error:
            # icalendar and dateutil raise all of these for what they cannot read.
            problems.append(f"{_name(component)} {_unreadable(error)}"[:300])
        if len(events) > MOST_TIMES:
            days = counted(round((to_ms - from_ms) / DAY_MS), "day")
            reason = f"has more than {MOST_TIMES} times in {days}: expected fewer"
            raise NotACalendar(reason)
    if (more := len(problems) - _MOST_PROBLEMS) > 0:
        problems[_MOST_PROBLEMS:] = [f"{counted(more, 'more event')} cannot be used"]
    events.sort(key=lambda event: (event.start_ms, event.end_ms, event.uid))
    return CalendarReading(tuple(events), tuple(problems))


def _components(text: bytes) -> list[Component]:
    if not text.lstrip(b"\xef\xbb\xbf \r\n\t")[:15].upper().startswith(b"BEGIN:VCAL"):
        raise NotACalendar("is not iCalendar, which begins with BEGIN:VCALENDAR")
    if not text.rstrip(b" \r\n\t\0").upper().endswith(b"END:VCALENDAR"):
        raise NotACalendar("is incomplete: it does not end with END:VCALENDAR")
    # Only here: a command that reads the settings needs no calendar.
    import icalendar

    text = _COLON_IN_ZONE.sub(rb';TZID="\1":\2', text)
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


def _unreadable(error: Exception) -> str:
    """`cannot be read: its RRULE: expected frequency, got: WEKLY`"""
    broken = _BROKEN.fullmatch(str(error))
    reason = str(error)
    if broken is not None:
        reason = f"its {broken[1]}: {broken[2][:1].lower()}{broken[2][1:]}"
    return f"cannot be read: {reason}"


class Replacements:
    """What stands in place of single times of one recurring event, and from which of
    them on another version is in force (RANGE=THISANDFUTURE)."""

    def __init__(self) -> None:
        self._instead_of: set[int | date] = set()
        self._onwards: list[tuple[int, Component]] = []
        self.longest_shift_ms = 0

    def add(self, component: Component, instead_of: Any, zone: ZoneInfo) -> None:
        moment, at_ms = instead_of.dt, _ms(instead_of.dt, zone)
        # A date may stand for the time of that day.
        self._instead_of.add(at_ms if isinstance(moment, datetime) else moment)
        if str(instead_of.params.get("RANGE", "")).upper() == "THISANDFUTURE":
            self._onwards.append((at_ms, component))
            self._onwards.sort(key=lambda onward: onward[0])
            if "DTSTART" in component:
                shift_ms = abs(_ms(component["DTSTART"].dt, zone) - at_ms)
                self.longest_shift_ms = max(self.longest_shift_ms, shift_ms)

    def stands_for(self, start: date | datetime, zone: ZoneInfo) -> bool:
        day = start.date() if isinstance(start, datetime) else start
        return day in self._instead_of or _ms(start, zone) in self._instead_of

    def version_at(self, start_ms: int) -> Component | None:
        """The version that is in force from this time on; None: the event's own."""
        versions = [c for at_ms, c in self._onwards if at_ms <= start_ms]
        return versions[-1] if versions else None


def _times(
    component: Component,
    replacements: Replacements,
    from_ms: int,
    to_ms: int,
    zone: ZoneInfo,
) -> Iterator[CalendarEvent]:
    if "DTSTART" not in component:
        raise _EventUnusable("has no DTSTART")
    if _is_cancelled(component):
        return
    begins = component["DTSTART"].dt
    length_ms, days = _length(component, begins, zone)
    if "RECURRENCE-ID" in component:
        name = f"{_uid(component)}/{_ms(begins, zone)}"
        yield from _event(component, name, begins, from_ms, to_ms, zone)
        return
    shift_ms = replacements.longest_shift_ms
    # A day more, because the first time in the span may have begun before it.
    earliest_ms = from_ms - length_ms - (days + 1) * DAY_MS - shift_ms
    for start in _recurrences(component, begins, earliest_ms, to_ms + shift_ms, zone):
        if replacements.stands_for(start, zone):
            continue
        version = replacements.version_at(_ms(start, zone))
        if version is None:
            yield from _event(component, _uid(component), start, from_ms, to_ms, zone)
        elif not _is_cancelled(version) and "DTSTART" in version:
            shift = version["DTSTART"].dt - version["RECURRENCE-ID"].dt
            moved = start + shift
            yield from _event(version, _uid(component), moved, from_ms, to_ms, zone)


def _event(
    component: Component,
    uid: str,
    start: date | datetime,
    from_ms: int,
    to_ms: int,
    zone: ZoneInfo,
) -> Iterator[CalendarEvent]:
    """The time of `component` that begins at `start`, if it is in the span."""
    length_ms, days = _length(component, component["DTSTART"].dt, zone)
    start_ms = _ms(start, zone)
    end_ms = min(_ms(start + timedelta(days=days), zone) + length_ms, _LATEST_MS)
    if start_ms < to_ms and end_ms > from_ms:
        yield CalendarEvent(
            uid,
            start_ms,
            end_ms,
            _text(component, "SUMMARY"),
            _text(component, "DESCRIPTION"),
            _text(component, "LOCATION"),
            tuple(_people(component)),
        )


def _is_cancelled(component: Component) -> bool:
    return str(component.get("STATUS", "")).upper() == "CANCELLED"


def _newest_versions(components: Sequence[Component]) -> list[Component]:
    """Without events of which the file has a version with a higher SEQUENCE."""
    newest: dict[tuple[str, bytes], int] = {}
    keys = []
    for component in components:
        instead_of = _listed(component, "RECURRENCE-ID")
        at = b",".join(moment.to_ical() for moment in instead_of)
        sequence = str(component.get("SEQUENCE", 0))
        version = int(sequence) if sequence.isdecimal() else 0
        key = (_uid(component), at)
        keys.append((key, version))
        newest[key] = max(newest.get(key, 0), version)
    return [
        component
        for component, (key, version) in zip(components, keys, strict=True)
        if not key[0] or version == newest[key]
    ]


def _zone_problem(component: Component, timezone: str) -> str:
    """Why its times may be others than meant; else empty."""
    begins = component["DTSTART"]
    name = str(begins.params.get("TZID", ""))
    if not name or not isinstance(begins.dt, datetime) or begins.dt.tzinfo is not None:
        return ""
    return f"names the time zone {name!r}, which is unknown: read as {timezone}"


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
            # An event that ends on its day is often meant to last it.
            length_ms, days = 0, (ends - begins).days or 1
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
    days_out = set()
    for moment in _moments(named["EXDATE"]):
        times.exdate(local(moment))
        if not isinstance(moment, datetime):
            days_out.add(moment)
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
    starts = [start for start in starts if start.date() not in days_out]
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
    rule = type(rule)(rule)
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
