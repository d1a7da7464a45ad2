"""`towpath maintenance …`. Each function returns its exit code: 0 if all is well, 1 if
it found a problem, 2 if arguments are wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from pydantic import ValidationError

from alerts import unknown_names
from alerts.alert_access import add_silence, end_silence, list_silences
from alerts.alert_config import AlertConfig
from alerts.calendar_maintenance import maintenance_from_events
from alerts.calendars.calendar_feed import AHEAD_MS, read_state
from alerts.calendars.reading_process import CalendarUnreadable, read_calendar
from alerts.maintenance_planner import plan_windows
from alerts.maintenance_windows import MaintenanceWindow, calendar_of, silences_of
from alerts.planned_silences import (
    COMMAND,
    add_window,
    end_window,
    recurring_windows,
)
from alerts.rule_files import Rules
from alerts.silence import Silence, silence_of
from alerts.silence_coverage import next_times
from collectors.estate.estate_model import Estate
from probes.wire.counted_text import counted

Out = Callable[[str], None]
_SHOWN_TIMES = 3
# What the command calls fields of a window.
OPTIONS = {"start": "--from", "end": "--until", "lasts": "--for", "rrule": "--rrule"}


def maintenance_add(
    standing: Path,
    wanted: Mapping[str, Any],
    timezone: str,
    now_ms: int,
    known: tuple[Rules, Estate] | None = None,
    out: Out = print,
    names: Mapping[str, str] = OPTIONS,
) -> int:
    """Plans maintenance: once, or again and again if `wanted` has an `rrule`.

    `wanted`: the fields of `MaintenanceWindow`; without `start` it begins now. `known`:
    rules and estate to check names against; without it, names are not checked.
    `names`: what messages call the fields.
    """
    local_now = datetime.fromtimestamp(now_ms // 1000, ZoneInfo(timezone))
    fields = {
        "name": "by hand",
        **wanted,
        "start": wanted.get("start") or local_now.replace(tzinfo=None),
        "end": wanted.get("end") or None,
    }
    try:
        window = MaintenanceWindow.model_validate(fields)
        times = _times(window, timezone, now_ms)
    except ValidationError as error:
        for problem in error.errors():
            field = str(problem["loc"][0]) if problem["loc"] else ""
            text = problem["msg"].removeprefix("Value error, ")
            named = f"{names[field]}: " if field in names else ""
            out(f"{named}{text}")
        return 2
    except CalendarUnreadable as error:
        out(str(error))
        return 2
    findings = []
    if known:
        example = silence_of(window.named, 0, 1)
        findings = list(unknown_names.unknown_in_silence(example, *known))
    if not times:
        findings.append(
            "it is over already, or begins in more than 35 days"
            if window.rrule
            else "it is over already"
        )
    if findings:
        for finding in findings:
            out(finding)
        return 2
    zone = ZoneInfo(timezone)
    if not window.rrule:
        added = add_silence(standing, times[0])
        span = _span(added, zone, now_ms)
        out(f"maintenance {added.id} of {added.scope_text}: {span}")
        return 0
    id = add_window(standing, window)
    asyncio.run(
        plan_windows(standing, COMMAND, recurring_windows(standing), timezone, now_ms)
    )
    out(f"window {id} of {times[0].scope_text} recurs. Its next times:")
    for silence in times[:_SHOWN_TIMES]:
        out(f"  {_span(silence, zone, now_ms)}")
    return 0


def _times(window: MaintenanceWindow, timezone: str, now_ms: int) -> list[Silence]:
    """Its next times; of one that does not recur, however far ahead."""
    until_ms = now_ms + AHEAD_MS
    if not window.rrule:
        until_ms = max(
            until_ms, round(window.start.replace(tzinfo=UTC).timestamp()) * 1000
        )
        until_ms += 2 * 86_400_000
    reading = asyncio.run(
        read_calendar(calendar_of([("", window)], timezone), now_ms, until_ms, timezone)
    )
    if reading.problems:
        raise CalendarUnreadable("; ".join(reading.problems))
    return silences_of({"": window}, reading.events, "")


def maintenance_list(
    config: AlertConfig,
    estate: Estate | None,
    now_ms: int,
    everything: bool = False,
    as_json: bool = False,
    out: Out = print,
) -> int:
    """Lists maintenance in force and planned, and how old the calendars are. Returns 1
    if a calendar could not be fetched or read."""
    standing = config.standing
    silences = [s for s in list_silences(standing, now_ms) if s.planned]
    if as_json:
        out(msgspec.json.encode(silences).decode())
        return 0
    zone = ZoneInfo(config.timezone)
    shown = silences if everything else next_times(silences, now_ms)
    if shown:
        for silence in shown:
            out(_line(silence, now_ms, zone))
    else:
        out("No maintenance is planned.")
    for id, window in recurring_windows(standing).items():
        out(f"window {id}: {window.rrule}, {window.why or window.name}")
    troubled = False
    for name, calendar in config.calendars.items():
        state = read_state(config.calendar_folder, name)
        sentence = state.trouble(name, now_ms)
        problems = list(state.problems)
        if estate is not None:
            problems += maintenance_from_events(
                name, calendar, state.events, estate
            ).problems
        fetched = f"fetched {_clock(state.checked_ms, zone, now_ms)}"
        known = fetched if state.checked_ms else "not fetched yet"
        times = counted(len(state.events), "time")
        out(sentence or f"The calendar {name}: {known}, {times}.")
        for problem in problems:
            out(f"  not used: {problem}")
        troubled = troubled or bool(sentence)
    return int(troubled)


def maintenance_end(
    standing: Path, id: int, who: str, now_ms: int, out: Out = print
) -> int:
    """Ends maintenance that is in force, or cancels what is planned."""
    if end_silence(standing, id, now_ms, who):
        out(f"maintenance {id} has ended")
        return 0
    out(f"there is no maintenance {id} in force or planned")
    return 2


def maintenance_stop(
    standing: Path, id: int, timezone: str, now_ms: int, out: Out = print
) -> int:
    """Ends a window that recurs, with all its times."""
    if not end_window(standing, id, now_ms):
        out(f"no window {id} recurs")
        return 2
    windows = recurring_windows(standing)
    asyncio.run(plan_windows(standing, COMMAND, windows, timezone, now_ms))
    out(f"window {id} no longer recurs")
    return 0


def _line(silence: Silence, now_ms: int, zone: ZoneInfo) -> str:
    state = "in force" if silence.is_active(now_ms) else "planned"
    by = silence.who or silence.source
    return (
        f"{silence.id:>4}  {state:<8}  {_span(silence, zone, now_ms)}: "
        f"{silence.scope_text}, "
        f"{by}: {silence.why}"
    )


def _span(silence: Silence, zone: ZoneInfo, now_ms: int) -> str:
    begins, ends = (
        _clock(ms, zone, now_ms) for ms in (silence.from_ms, silence.until_ms)
    )
    if ends.rpartition(" ")[0] == begins.rpartition(" ")[0]:
        ends = ends.rpartition(" ")[2]
    return f"{begins} to {ends}"


def _clock(ms: int, zone: ZoneInfo, now_ms: int) -> str:
    """With the year if it is another one."""
    local, now = (
        datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(zone)
        for at_ms in (ms, now_ms)
    )
    year = "" if local.year == now.year else f" {local.year}"
    return f"{local:%a} {local.day} {local:%b}{year} {local:%H:%M}"
