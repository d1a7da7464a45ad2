"""Who is on call, by the events of a calendar."""

from __future__ import annotations

import pytest

from alerts.calendars.calendar_events import CalendarEvent
from alerts.rota import Contact, RotaConfig, on_call

CONTACTS = {
    "ada": Contact(
        channels=("ada_sms", "ada_mail"),
        names=("Ada Lovelace",),
        addresses=("ada@example.gov.uk",),
    ),
    "network-team": Contact(channels=("team_mail",)),
}
ROTA = RotaConfig(url="https://rota.example/r.ics", fallback=("duty",))


def _event(summary: str, *people: str, start_ms: int = 0) -> CalendarEvent:
    return CalendarEvent("u", start_ms, 100, summary, people=people)


@pytest.mark.parametrize(
    "event",
    [
        _event("Ada Lovelace"),
        _event("ada"),
        _event("On call: Ada Lovelace"),
        _event("ada lovelace - network on call"),
        _event("Network on call", "ada@example.gov.uk"),
        _event("Network on call", "Ada Lovelace"),
        _event("Network on call", "ADA@EXAMPLE.GOV.UK"),
    ],
)
def test_an_event_names_a_contact_by_its_title_or_by_who_attends(
    event: CalendarEvent,
) -> None:
    found = on_call(ROTA, CONTACTS, [event])
    assert (found.contacts, found.channels) == (("ada",), ("ada_sms", "ada_mail"))


def test_two_names_are_two_contacts_and_a_swap_comes_first() -> None:
    both = on_call(ROTA, CONTACTS, [_event("Ada Lovelace, network-team")])
    assert both.channels == ("ada_sms", "ada_mail", "team_mail")
    swap = [_event("network-team", start_ms=5), _event("Ada Lovelace")]
    assert on_call(ROTA, CONTACTS, swap).contacts == ("network-team",)
    unknown = [_event("Holiday", start_ms=5), _event("Ada Lovelace")]
    assert on_call(ROTA, CONTACTS, unknown).contacts == ("ada",)


@pytest.mark.parametrize(
    ("running", "why"),
    [
        ([], "the calendar has no event now"),
        ([_event("Bob")], "'Bob' names no contact of the settings"),
    ],
)
def test_while_nobody_is_named_the_fallback_is_used(
    running: list[CalendarEvent], why: str
) -> None:
    assert on_call(ROTA, CONTACTS, running) == ((), ("duty",), why)
