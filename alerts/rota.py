"""Who is on call, by a calendar. Pure.

Towpath has no rota of its own: councils plan theirs in Outlook, Google or a tool of
theirs, and publish it as iCalendar. An event names a contact of the settings by its
title, or by who attends it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, NamedTuple

from pydantic import Field

from alerts.calendars.calendar_events import CalendarEvent
from alerts.calendars.calendar_feed import CalendarConfig
from collectors.strict_model import StrictModel


class Contact(StrictModel):
    """`[alerts.contacts.NAME]`: a person or team, and the channels that reach them.
    `names` and `addresses`: as the calendar of a rota writes them."""

    channels: Annotated[tuple[str, ...], Field(min_length=1)]
    names: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()


class RotaConfig(CalendarConfig):
    """`[alerts.rotas.NAME]`: a calendar of who is on call. `fallback`: the channels
    while it names nobody, or cannot be read: a page must reach somebody."""

    fallback: Annotated[tuple[str, ...], Field(min_length=1)]


class OnCallNow(NamedTuple):
    """`contacts`: their names in the settings; empty if the calendar names none, and
    then `why` says so."""

    contacts: tuple[str, ...]
    channels: tuple[str, ...]
    why: str = ""


def on_call(
    rota: RotaConfig,
    contacts: Mapping[str, Contact],
    running: Sequence[CalendarEvent],
) -> OnCallNow:
    """Who is on call by the events that are `running`, the one that began last first:
    a swap is entered as a shorter event over the usual one."""
    for event in running:
        named = contacts_of(event, contacts)
        if named:
            channels = dict.fromkeys(
                channel for name in named for channel in contacts[name].channels
            )
            return OnCallNow(named, tuple(channels))
    why = "the calendar has no event now"
    if running:
        why = f"{running[0].summary!r} names no contact of the settings"
    return OnCallNow((), rota.fallback, why)


def contacts_of(
    event: CalendarEvent, contacts: Mapping[str, Contact]
) -> tuple[str, ...]:
    """The contacts that the event names: by its title, or else by who attends."""
    titles = {part.strip().casefold() for part in _parts(event.summary)}
    people = {person.strip().casefold() for person in event.people}
    for texts in (titles, people):
        named = tuple(
            name
            for name, contact in contacts.items()
            if texts
            & {t.casefold() for t in (name, *contact.names, *contact.addresses)}
        )
        if named:
            return named
    return ()


def _parts(title: str) -> list[str]:
    """`On call: Ada Lovelace, Bob` names Ada Lovelace and Bob."""
    parts = [title]
    for separator in (":", " - ", " \N{EN DASH} "):
        parts += title.split(separator)
    return [name for part in parts for name in part.replace(" and ", ",").split(",")]
