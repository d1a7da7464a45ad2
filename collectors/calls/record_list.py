"""Reads pages of lists of call records. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

import msgspec

from collectors.calls.record_values import (
    Json,
    Odd,
    as_object,
    as_objects,
    as_text,
    time_ms,
)

RECORD_ID = re.compile(r"[0-9A-Za-z-]{1,64}", re.ASCII)
# Teams ends a meeting after 30 hours.
_LONGEST_CALL_MS = 31 * 3_600_000
_LISTED_FIELDS = "id,version,startDateTime,endDateTime"
API = "/v1.0/communications/callRecords"


class ListedRecord(msgspec.Struct, frozen=True):
    """What a list says of a record."""

    id: str
    version: int
    ended_ms: int


class PageHead(msgspec.Struct):
    """The links of a page, and what shows that it is one: a record has an `id`, a list
    a `value`. Everything else in it is skipped."""

    next: object = msgspec.field(name="@odata.nextLink", default=None)
    sessions: object = msgspec.field(name="sessions@odata.nextLink", default=None)
    id: object = None
    value: msgspec.Raw = msgspec.Raw()


class PageRefused(ValueError):
    """A page cannot be read, in one sentence without its content."""


def list_url(graph_url: str, from_ms: int, to_ms: int) -> str:
    """Returns the address of the records of calls that began in that time."""
    begin, end = (graph_time(ms) for ms in (from_ms, to_ms))
    text = f"startDateTime ge {begin} and startDateTime lt {end}"
    return f"{graph_url}{API}?$filter={quote(text)}&$select={_LISTED_FIELDS}"


def listed_url(graph_url: str, id: str) -> str:
    """Returns the address of what a list says of one record."""
    return f"{graph_url}{API}/{id}?$select={_LISTED_FIELDS}"


def record_url(graph_url: str, id: str) -> str:
    """Returns the address of one record with its sessions."""
    return f"{graph_url}{API}/{id}?$expand=sessions($expand=segments)"


def page_rows(body: bytes) -> list[Json]:
    """Returns the objects of one page of a list. Raises `PageRefused`."""
    try:
        page = as_object(msgspec.json.decode(body))
    except (ValueError, RecursionError):
        raise PageRefused("Microsoft Graph sent a list that is not JSON") from None
    if not isinstance(page.get("value"), list):
        raise PageRefused("Microsoft Graph sent something other than a list of records")
    return as_objects(page["value"])


def read_page(body: bytes, odd: Odd) -> list[ListedRecord]:
    """Returns the records of one page. Raises `PageRefused`."""
    return [one for raw in page_rows(body) if (one := _listed(raw, odd))]


def read_listed(body: bytes, odd: Odd) -> ListedRecord | None:
    """Returns what a list would say of one record. Raises `PageRefused`."""
    try:
        return _listed(as_object(msgspec.json.decode(body)), odd)
    except (ValueError, RecursionError):
        raise PageRefused("Microsoft Graph sent a record that is not JSON") from None


def _listed(raw: Json, odd: Odd) -> ListedRecord | None:
    id, version = as_text(raw.get("id")), raw.get("version")
    ended_ms = time_ms(raw.get("endDateTime"), odd)
    started_ms = time_ms(raw.get("startDateTime"), odd)
    if ended_ms is not None and started_ms is not None:
        # One that ends before it begins, or impossibly late, counts when it began.
        if ended_ms - started_ms > _LONGEST_CALL_MS:
            odd["ends_too_late"] += 1
            ended_ms = started_ms
        ended_ms = max(ended_ms, started_ms)
    at_ms = started_ms if ended_ms is None else ended_ms
    if at_ms is None or not RECORD_ID.fullmatch(id):
        odd["no_time"] += 1
        return None
    return ListedRecord(id, version if type(version) is int else 0, at_ms)


def page_head(body: bytes) -> PageHead | None:
    """Returns the head of a list or record; None if `body` is neither, or damaged."""
    try:
        head = msgspec.json.decode(body, type=PageHead)
    except (ValueError, RecursionError):
        return None
    return head if head.id or bytes(head.value) else None


def is_record(head: PageHead, id: str) -> bool:
    """Whether a page is the first of the record with that id."""
    return as_text(head.id).casefold() == id.casefold()


def next_link(head: PageHead, graph_url: str) -> str | None:
    """Returns the address of the next page, of a list or of a record's sessions.

    Raises `PageRefused` if it leads to another host: the token would go there.
    """
    link = as_text(head.next) or as_text(head.sessions)
    if not link:
        return None
    # Microsoft's own examples have this form for pages of sessions.
    link = link.replace("/$metadata#", "/")
    if not _is_same_host(link, graph_url):
        raise PageRefused("Microsoft Graph names another host for its next page")
    return link


def _is_same_host(link: str, graph_url: str) -> bool:
    try:
        return urlsplit(link)[:2] == urlsplit(graph_url)[:2]
    except ValueError:
        return False


def graph_time(ms: int) -> str:
    """Returns a time as Graph's addresses have it."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
