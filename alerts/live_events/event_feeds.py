"""The calendars of events, as fetched, and the schedule that they make."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from zoneinfo import ZoneInfo

from alerts.alert_config import AlertConfig
from alerts.calendars.calendar_feed import CalendarFeed, FeedState, read_state
from alerts.event_calendar import EventCalendar, without_people
from alerts.live_events.event_schedule import EventSchedule, schedule_events
from collectors.estate.estate_model import Estate


def event_feed_name(calendar: str) -> str:
    """Its name among the kept calendars: one of maintenance may have the same."""
    return f"events.{calendar}"


def event_feeds(config: AlertConfig) -> dict[str, CalendarFeed]:
    """The calendars by name. What is about people is removed before they are kept."""
    return {
        name: CalendarFeed(
            event_feed_name(name),
            calendar,
            config.calendar_folder,
            config.timezone,
            functools.partial(without_people, calendar=calendar),
        )
        for name, calendar in config.events.items()
    }


def saved_states(config: AlertConfig) -> dict[str, FeedState]:
    """The calendars as last read, also by another process."""
    folder = config.calendar_folder
    return {name: read_state(folder, event_feed_name(name)) for name in config.events}


def schedule_of(
    calendars: Mapping[str, EventCalendar],
    states: Mapping[str, FeedState],
    estate: Estate,
    zone: ZoneInfo,
) -> EventSchedule:
    """The events of all calendars that were read."""
    return schedule_events(
        ((calendar, states[name].events) for name, calendar in calendars.items()),
        estate,
        zone,
    )
