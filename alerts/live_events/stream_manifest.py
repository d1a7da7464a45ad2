"""What the manifest of a live stream lists: HLS (RFC 8216) and DASH (ISO 23009-1).
Pure."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import Literal, NamedTuple
from urllib.parse import urljoin

# A manifest of any real stream declares neither; both can be used to fill the memory.
# UTF-16, in which they would not be found, has a zero byte in each letter of theirs.
_DECLARATIONS = (b"<!DOCTYPE", b"<!ENTITY", b"\0")
_DASH = "{urn:mpeg:dash:schema:mpd:2011}"
_NUMBER = re.compile(r"\d{1,18}")


StreamState = Literal["absent", "still", "unmeasured", "advancing"]


class ManifestUnusable(ValueError):
    """It shows no segments. The text follows "the manifest". `state`: what that says of
    the stream."""

    def __init__(self, why: str, state: StreamState = "absent") -> None:
        super().__init__(why)
        self.state = state


class StreamManifest(NamedTuple):
    """`position`: names the newest segment, so that another one is another text.
    `segment_s`: how long its segments are at most. `ended`: nothing more will come.
    `variant`: the address of a manifest that has the segments, if this one has none."""

    position: str = ""
    segment_s: float = 0.0
    ended: bool = False
    variant: str = ""


def parse_manifest(body: bytes, url: str) -> StreamManifest:
    """Returns what is in a manifest from `url`. Raises `ManifestUnusable`."""
    text = body.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.startswith(b"#EXTM3U"):
        return _hls(text.decode("utf-8", "replace"), url)
    if text.startswith(b"<"):
        return _dash(text)
    raise ManifestUnusable("is neither HLS nor DASH")


def _hls(text: str, url: str) -> StreamManifest:
    sequence, count, longest_s = 0, 0, 0.0
    newest, is_variant, ended = "", False, False
    for line in map(str.strip, text.splitlines()):
        name, _, value = line.partition(":")
        if name == "#EXT-X-STREAM-INF":
            is_variant = True
        elif name == "#EXT-X-MEDIA-SEQUENCE":
            sequence = _whole(value)
        elif name == "#EXT-X-TARGETDURATION":
            longest_s = float(_whole(value))
        elif name == "#EXT-X-ENDLIST":
            ended = True
        elif name == "#EXT-X-PART":
            # Low latency: parts of the segment that is still being made.
            newest = value
        elif line and not line.startswith("#"):
            if is_variant:
                return StreamManifest(variant=_joined(url, line))
            count, newest = count + 1, line
    if not newest:
        raise ManifestUnusable("lists no segment yet", "still")
    # An encoder that starts again counts from 0, under other names.
    return StreamManifest(f"{sequence + count} {newest}", longest_s, ended)


def _joined(url: str, reference: str) -> str:
    try:
        return urljoin(url, reference)
    except ValueError:
        raise ManifestUnusable("has a damaged address") from None


def _dash(text: bytes) -> StreamManifest:
    if any(word in text.upper() for word in _DECLARATIONS):
        raise ManifestUnusable("has declarations that no manifest needs")
    try:
        root = ET.fromstring(text)
    except (ET.ParseError, ValueError, LookupError):
        raise ManifestUnusable("is not XML") from None
    if root.tag != f"{_DASH}MPD":
        raise ManifestUnusable("is neither HLS nor DASH")
    timelines = [_timeline(template) for template in _templates(root)]
    listed = sum(1 for _ in root.iter(f"{_DASH}SegmentURL"))
    if not timelines and not listed:
        why = "names no segments, so nothing shows that it advances"
        raise ManifestUnusable(why, "unmeasured")
    ends = " ".join(end for end, _ in timelines)
    longest_s = max((segment_s for _, segment_s in timelines), default=0.0)
    ended = root.get("type", "static") != "dynamic"
    return StreamManifest(f"{listed} {ends}", longest_s, ended)


def _templates(root: ET.Element) -> Iterator[ET.Element]:
    for template in root.iter(f"{_DASH}SegmentTemplate"):
        if template.find(f"{_DASH}SegmentTimeline/{_DASH}S") is not None:
            yield template


def _timeline(template: ET.Element) -> tuple[str, float]:
    """When its last segment ends, in its own units, and its longest one in seconds."""
    scale, end, longest = max(_whole(template.get("timescale", "1")), 1), 0, 0
    for run in template.iterfind(f"{_DASH}SegmentTimeline/{_DASH}S"):
        length, repeats = _whole(run.get("d", "")), _whole(run.get("r", ""))
        start = _whole(run.get("t", "")) if run.get("t") else end
        end, longest = start + length * (repeats + 1), max(longest, length)
    return str(end), longest / scale


def _whole(text: str) -> int:
    number = _NUMBER.match(text.strip())
    return int(number[0]) if number else 0
