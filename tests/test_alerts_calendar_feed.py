"""Calendars from a real web server: asked politely, bounded, and kept when it fails."""

from __future__ import annotations

from pathlib import Path

import pytest
from calendar_server import CalendarServer, calendar_server
from ical_texts import calendar_text, utc_ms
from pydantic import ValidationError

from alerts.calendars.calendar_feed import (
    DAY_MS,
    CalendarConfig,
    CalendarFeed,
    read_state,
)
from collectors.secret import Secret

__all__ = ["calendar_server"]
NOW_MS = utc_ms("2026-06-01 12:00")
EVERY_MS = 900_000
WORKS = calendar_text("UID:a\nDTSTART:20260602T020000Z\nDURATION:PT1H\nSUMMARY:works")


def _feed(folder: Path, served: CalendarServer, **more: object) -> CalendarFeed:
    config = CalendarConfig.model_validate({"url": served.url, **more})
    return CalendarFeed("works", config, folder, "Europe/London")


def _summaries(feed: CalendarFeed) -> list[str]:
    return [event.summary for event in feed.state.events]


async def test_an_unchanged_calendar_is_not_sent_again(
    tmp_path: Path, calendar_server: CalendarServer
) -> None:
    calendar_server.body = WORKS
    feed = _feed(tmp_path, calendar_server)
    assert await feed.refresh(NOW_MS)
    assert _summaries(feed) == ["works"]
    assert not await feed.refresh(NOW_MS + EVERY_MS - 1)
    assert not await feed.refresh(NOW_MS + EVERY_MS)
    assert [status for _, status in calendar_server.requests] == [200, 304]
    assert feed.state.checked_ms == NOW_MS + EVERY_MS
    assert calendar_server.requests[0][0]["User-Agent"] == "Towpath"
    # What a restart knows: the same, without asking sooner.
    again = _feed(tmp_path, calendar_server)
    assert _summaries(again) == ["works"]
    assert not await again.refresh(NOW_MS + EVERY_MS + 1)
    assert len(calendar_server.requests) == 2


async def test_a_calendar_that_cannot_be_fetched_stays_in_use_and_its_age_is_said(
    tmp_path: Path, calendar_server: CalendarServer
) -> None:
    calendar_server.body = WORKS
    feed = _feed(tmp_path, calendar_server)
    await feed.refresh(NOW_MS)
    calendar_server.status = 500
    later_ms = NOW_MS + EVERY_MS
    assert not await feed.refresh(later_ms)
    assert _summaries(feed) == ["works"]
    sentence = read_state(tmp_path, "works").trouble("works", NOW_MS + 3 * DAY_MS)
    host = calendar_server.url.partition("/secret-path")[0]
    assert sentence == f"The calendar works is 3 days old: {host}: answered 500."
    # It backs off, and works again by itself.
    assert not await feed.refresh(later_ms + EVERY_MS - 1)
    assert len(calendar_server.requests) == 2
    calendar_server.status = 200
    await feed.refresh(later_ms + EVERY_MS)
    assert feed.state.trouble("works", later_ms + EVERY_MS) == ""


async def test_a_server_that_asks_for_a_pause_gets_it(
    tmp_path: Path, calendar_server: CalendarServer
) -> None:
    calendar_server.status = 429
    calendar_server.headers = {"Retry-After": "7200"}
    feed = _feed(tmp_path, calendar_server)
    await feed.refresh(NOW_MS)
    await feed.refresh(NOW_MS + 7_199_000)
    assert len(calendar_server.requests) == 1
    await feed.refresh(NOW_MS + 7_200_000)
    assert len(calendar_server.requests) == 2
    assert feed.state.trouble("works", NOW_MS).startswith(
        "The calendar works could not be read yet: "
    )


@pytest.mark.parametrize("endless", [True, False])
async def test_more_than_10_mb_are_refused_and_the_copy_is_kept(
    tmp_path: Path, calendar_server: CalendarServer, endless: bool
) -> None:
    calendar_server.body = WORKS
    feed = _feed(tmp_path, calendar_server)
    await feed.refresh(NOW_MS)
    calendar_server.endless = endless
    calendar_server.body = WORKS + b" " * 10_000_000
    await feed.refresh(NOW_MS + EVERY_MS)
    assert "the calendar is larger than 10 MB, which is refused" in feed.state.error
    assert _summaries(feed) == ["works"]


@pytest.mark.parametrize(
    "body",
    [
        b"<html>Sign in to Example</html>",
        WORKS[:-20],
        calendar_text(
            *(
                f"UID:{n}\nDTSTART:20200101T000000Z\nDURATION:PT1H\n"
                "RRULE:FREQ=HOURLY;INTERVAL=2"
                for n in range(11)
            )
        ),
    ],
    ids=["a sign-in page", "cut off", "thousands of times"],
)
async def test_a_version_that_cannot_be_read_leaves_the_last_one_in_use(
    tmp_path: Path, calendar_server: CalendarServer, body: bytes
) -> None:
    calendar_server.body = WORKS
    feed = _feed(tmp_path, calendar_server)
    await feed.refresh(NOW_MS)
    calendar_server.body = body
    assert not await feed.refresh(NOW_MS + EVERY_MS)
    assert feed.state.error.startswith("its newest version ")
    assert _summaries(feed) == ["works"]
    # A restart has the last good copy, and asks for the whole text again.
    again = _feed(tmp_path, calendar_server)
    calendar_server.body = WORKS
    await again.refresh(NOW_MS + 2 * EVERY_MS)
    assert calendar_server.requests[-1][1] == 200
    assert again.state.error == ""


async def test_a_redirect_is_followed_and_an_endless_one_is_not(
    tmp_path: Path, calendar_server: CalendarServer
) -> None:
    calendar_server.status = 302
    calendar_server.headers = {"Location": "/elsewhere.ics"}
    feed = _feed(tmp_path, calendar_server)
    await feed.refresh(NOW_MS)
    assert len(calendar_server.requests) == 4
    assert "more than 3 redirects" in feed.state.error
    assert "secret-path" not in feed.state.error


async def test_times_move_on_without_a_new_version_even_if_the_server_is_gone(
    tmp_path: Path, calendar_server: CalendarServer
) -> None:
    calendar_server.body = calendar_text(
        "UID:a\nDTSTART:20260602T020000Z\nDURATION:PT1H\nRRULE:FREQ=WEEKLY"
    )
    feed = _feed(tmp_path, calendar_server)
    await feed.refresh(NOW_MS)
    last_ms = feed.state.events[-1].start_ms
    calendar_server.status = 503
    assert await feed.refresh(NOW_MS + 7 * DAY_MS)
    assert feed.state.events[-1].start_ms == last_ms + 7 * DAY_MS


async def test_a_calendar_may_be_a_file_and_its_address_a_secret(
    tmp_path: Path, calendar_server: CalendarServer
) -> None:
    (tmp_path / "works.txt").write_bytes(WORKS)
    config = CalendarConfig(file=tmp_path / "works.txt")
    feed = CalendarFeed("file", config, tmp_path, "Europe/London")
    assert await feed.refresh(NOW_MS)
    assert _summaries(feed) == ["works"]
    (tmp_path / "url").write_text(calendar_server.url)
    calendar_server.body = WORKS
    config = CalendarConfig(url=Secret(file=tmp_path / "url"))
    feed = CalendarFeed("secret", config, tmp_path, "Europe/London")
    assert await feed.refresh(NOW_MS)
    (tmp_path / "url").unlink()
    await feed.refresh(NOW_MS + EVERY_MS)
    assert "cannot be read" in feed.state.error


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({}, "expected either url or file"),
        ({"url": "https://a", "file": "b"}, "expected either url or file"),
        ({"url": "ftp://a"}, "expected an address that begins with https://"),
    ],
)
def test_a_wrong_place_of_a_calendar_is_one_sentence(
    config: dict[str, str], said: str
) -> None:
    with pytest.raises(ValidationError, match=said):
        CalendarConfig.model_validate(config)
