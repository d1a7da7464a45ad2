"""Fetches a calendar politely: only if it has changed, and never more than 10 MB."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from alerts.download import DownloadFailed, DownloadLimits, download

MOST_BYTES = 10_000_000


class CalendarUnreachable(DownloadFailed):
    """No calendar was received."""


class Validators(NamedTuple):
    """What the server names the version that is known by (RFC 9110)."""

    etag: str = ""
    modified: str = ""


class FeedAnswer(NamedTuple):
    """`text` is None if it has not changed since."""

    text: bytes | None
    validators: Validators


async def request_calendar(
    url: str, known: Validators, ca_file: str | Path | None, timeout_s: float
) -> FeedAnswer:
    """Returns the calendar at `url`. Raises `CalendarUnreachable`."""
    # Calendar programs write https as webcal.
    if url.startswith(("webcal://", "webcals://")):
        url = "https://" + url.partition("://")[2]
    headers = {"Accept": "text/calendar, */*;q=0.1"}
    if known.etag:
        headers["If-None-Match"] = known.etag
    if known.modified:
        headers["If-Modified-Since"] = known.modified
    remedy = ": publish one with fewer events"
    limits = DownloadLimits("calendar", MOST_BYTES, timeout_s, ca_file, remedy)
    try:
        answer = await download(url, headers, limits)
    except DownloadFailed as failed:
        raise CalendarUnreachable(str(failed), failed.after_s) from None
    if answer.body is None:
        return FeedAnswer(None, known)
    return FeedAnswer(
        answer.body,
        Validators(
            answer.headers.get("ETag", "")[:500],
            answer.headers.get("Last-Modified", "")[:100],
        ),
    )
