"""`NoticeSource`: the notices for staff now, and the document that programs get."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import msgspec

from dashboards.figure_text import iso
from dashboards.web.intranet.staff_notices import StaffView, staff_view
from dashboards.web.overview_cache import OverviewCache

LANGUAGE = "en-GB"


class NoticeSource:
    """`await view()` returns what staff may know, and the time that it is of."""

    def __init__(self, overviews: OverviewCache) -> None:
        self._overviews = overviews

    async def view(self) -> tuple[StaffView, int]:
        overview = await self._overviews.latest()
        ended, is_read = await self._overviews.ended()
        firing = [cause.alert for cause in overview.causes]
        is_complete = overview.is_complete and is_read and not overview.blind.sentences
        view = staff_view(
            [*firing, *ended],
            overview.silences,
            overview.estate,
            is_complete,
            overview.now_ms,
        )
        return view, overview.now_ms


class NoticeDocument(msgspec.Struct, frozen=True, kw_only=True):
    """One notice for staff. `sentences` is what people read."""

    id: str
    state: str
    service: str
    text: str
    sentences: str
    is_handled: bool
    since_at: str
    until_at: str | None
    changed_at: str


class ServiceDocument(msgspec.Struct, frozen=True):
    name: str
    is_working: bool


class NoticesDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What staff read on the intranet. `is_complete`: all that is watched can be seen
    at the moment."""

    language: str
    headline: str
    is_complete: bool
    services: tuple[ServiceDocument, ...]
    notices: tuple[NoticeDocument, ...]


def notices_document(view: StaffView, now_ms: int, zone: ZoneInfo) -> NoticesDocument:
    return NoticesDocument(
        language=LANGUAGE,
        headline=view.headline,
        is_complete=view.is_complete,
        services=tuple(ServiceDocument(*service) for service in view.services),
        notices=tuple(
            NoticeDocument(
                id=notice.id,
                state=notice.state,
                service=notice.service,
                text=notice.text,
                sentences=notice.sentences(zone, now_ms),
                is_handled=notice.is_handled,
                since_at=iso(notice.since_ms),
                until_at=None if notice.until_ms is None else iso(notice.until_ms),
                changed_at=iso(notice.changed_ms),
            )
            for notice in view.notices
        ),
    )
