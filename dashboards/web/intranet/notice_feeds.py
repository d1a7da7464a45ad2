"""Notices for staff as RSS 2.0 and Atom (RFC 4287). Pure."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from email.utils import format_datetime
from zoneinfo import ZoneInfo

import msgspec

from dashboards.figure_text import iso
from dashboards.web.intranet.notice_source import LANGUAGE
from dashboards.web.intranet.staff_notices import StaffNotice, StaffView
from probes.wire.display import isolated

_ATOM = "http://www.w3.org/2005/Atom"
_XML = "{http://www.w3.org/XML/1998/namespace}"
_HEAD = b'<?xml version="1.0" encoding="utf-8"?>\n'


class FeedPlace(msgspec.Struct, frozen=True):
    """`base`: the address that the feed's own paths are below; `council`: whose it is.
    `zone`: of the times in its sentences."""

    base: str
    council: str
    zone: ZoneInfo

    @property
    def title(self) -> str:
        about = "Network and services"
        return f"{about}: {isolated(self.council)}" if self.council else about

    def tag(self, id: str) -> str:
        """An id that stays the same wherever the feed is (RFC 4151)."""
        host = self.base.partition("://")[2].partition("/")[0].partition(":")[0]
        return f"tag:{host or 'localhost'},2026:towpath-{id}"


def rss(view: StaffView, place: FeedPlace, now_ms: int) -> bytes:
    ET.register_namespace("atom", _ATOM)
    root = ET.Element("rss", {"version": "2.0"})
    channel = ET.SubElement(root, "channel")
    _text(channel, "title", place.title)
    _text(channel, "link", f"{place.base}/intranet")
    _text(channel, "description", view.headline)
    _text(channel, "language", LANGUAGE.lower())
    _text(channel, "ttl", "5")
    own = {"href": f"{place.base}/intranet.rss", "rel": "self"}
    own["type"] = "application/rss+xml"
    ET.SubElement(channel, f"{{{_ATOM}}}link", own)
    for notice in view.notices:
        item = ET.SubElement(channel, "item")
        _text(item, "title", _title(notice))
        _text(item, "link", f"{place.base}/intranet")
        _text(item, "description", notice.sentences(place.zone, now_ms))
        _text(item, "category", notice.service)
        guid = ET.SubElement(item, "guid", {"isPermaLink": "false"})
        guid.text = place.tag(notice.id)
        at = datetime.fromtimestamp(notice.changed_ms / 1000, UTC)
        _text(item, "pubDate", format_datetime(at, usegmt=True))
    return _bytes(root)


def atom(view: StaffView, place: FeedPlace, now_ms: int) -> bytes:
    root = ET.Element("feed", {"xmlns": _ATOM, f"{_XML}lang": LANGUAGE})
    _text(root, "id", place.tag("notices"))
    _text(root, "title", place.title)
    _text(root, "subtitle", view.headline)
    # Without notices: a time that never changes.
    changed_ms = max((notice.changed_ms for notice in view.notices), default=0)
    _text(root, "updated", iso(changed_ms))
    author = ET.SubElement(root, "author")
    _text(author, "name", isolated(place.council) or "Towpath")
    ET.SubElement(root, "link", {"rel": "self", "href": f"{place.base}/intranet.atom"})
    ET.SubElement(root, "link", {"rel": "alternate", "href": f"{place.base}/intranet"})
    for notice in view.notices:
        entry = ET.SubElement(root, "entry")
        _text(entry, "id", place.tag(notice.id))
        _text(entry, "title", _title(notice))
        _text(entry, "updated", iso(notice.changed_ms))
        _text(entry, "published", iso(min(notice.since_ms, notice.changed_ms)))
        ET.SubElement(entry, "category", {"term": notice.service})
        ET.SubElement(
            entry, "link", {"rel": "alternate", "href": f"{place.base}/intranet"}
        )
        content = ET.SubElement(entry, "content", {"type": "text"})
        content.text = notice.sentences(place.zone, now_ms)
    return _bytes(root)


def _title(notice: StaffNotice) -> str:
    return f"{notice.label}: {notice.text}"


def _text(parent: ET.Element, name: str, text: str) -> None:
    ET.SubElement(parent, name).text = text


def _bytes(root: ET.Element) -> bytes:
    text: bytes = ET.tostring(root, encoding="utf-8")
    return _HEAD + text
