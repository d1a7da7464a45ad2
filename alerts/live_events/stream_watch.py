"""`StreamWatch`: whether the live streams of rooms advance.

Advancing, standing still, not there and not measured are four things. A manifest that
was seen once shows nothing yet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from alerts.download import DownloadFailed, DownloadLimits, download, host_of, keeps_tls
from alerts.live_events.stream_manifest import (
    ManifestUnusable,
    StreamManifest,
    StreamState,
    parse_manifest,
)
from collectors.checked_hosts import CheckedHosts
from collectors.estate.estate_model import Room
from probes.wire.clock import WallClock
from probes.wire.sample import Value

MOST_BYTES = 2_000_000
# Of each of up to three steps: the rows of rooms wait for it.
TIMEOUT_S = 3.0
# Without a new segment for so long, and for three segments, a player has nothing left.
_STILL_S, _STILL_SEGMENTS = 20.0, 3
# The number of each in the rows, the lowest the worst, as of rooms.
STREAM_STATES: dict[StreamState, int] = {
    "absent": 0,
    "still": 1,
    "unmeasured": 2,
    "advancing": 3,
}
_UP: dict[StreamState, int | None] = {
    "absent": 0,
    "still": 0,
    "unmeasured": None,
    "advancing": 1,
}


class StreamNow(NamedTuple):
    """`text`: more about it, for people. `age_s`: since it was last seen to advance;
    None if it was not. `ended`: its maker has ended it, so nothing has failed."""

    state: StreamState
    text: str = ""
    age_s: float | None = None
    ended: bool = False

    def fields(self) -> dict[str, Value | None]:
        """What a row of `room` has of it."""
        return {
            "stream_state": STREAM_STATES[self.state],
            "stream_up": None if self.ended else _UP[self.state],
            "stream_text": self.text or None,
            "stream_age_s": self.age_s,
        }


@dataclass(frozen=True)
class _Seen:
    """The newest position of a stream, since when it is that, and whether another one
    was seen before."""

    position: str
    since_ms: int
    advanced: bool


def next_state(
    seen: _Seen | None, manifest: StreamManifest, now_ms: int
) -> tuple[_Seen, StreamNow]:
    """Returns what is known after one more look. Pure."""
    if seen is None or manifest.position != seen.position:
        seen = _Seen(manifest.position, now_ms, seen is not None)
    elif now_ms < seen.since_ms:
        # The clock was set back.
        seen = _Seen(seen.position, now_ms, seen.advanced)
    age_s = (now_ms - seen.since_ms) / 1000
    known_s = age_s if seen.advanced else None
    if manifest.ended:
        text = "its manifest says that it has ended"
        return seen, StreamNow("still", text, known_s, ended=True)
    if age_s > max(_STILL_S, _STILL_SEGMENTS * manifest.segment_s):
        text = f"no new segment for {age_s:.0f} s"
        return seen, StreamNow("still", text, known_s)
    if seen.advanced:
        return seen, StreamNow("advancing", "", known_s)
    return seen, StreamNow("unmeasured", "its manifest was seen only once so far")


class StreamWatch:
    """`await look(rooms)` fetches their manifests once, all at the same time, and
    forgets others. `now(room)` is what is known of one; None if nothing is."""

    def __init__(self, now_ms: WallClock, timeout_s: float = TIMEOUT_S) -> None:
        self._now_ms = now_ms
        self._limits = DownloadLimits("manifest", MOST_BYTES, timeout_s)
        self._seen: Mapping[str, _Seen] = {}
        self._states: Mapping[str, StreamNow] = {}

    def now(self, room: str) -> StreamNow | None:
        return self._states.get(room)

    async def look(self, rooms: Iterable[Room]) -> None:
        """Raises nothing that the other end causes."""
        watched = [room for room in rooms if room.stream_url]
        # Should this fail, nothing is known, and no old state passes for the present.
        self._states = {}
        looks = await asyncio.gather(*(self._look(room) for room in watched))
        named = [(room, *look) for room, look in zip(watched, looks, strict=True)]
        # By address: that a room has another stream is no new segment.
        self._seen = {room.stream_url: seen for room, seen, _ in named if seen}
        self._states = {room.id: state for room, _, state in named}

    async def _look(self, room: Room) -> tuple[_Seen | None, StreamNow]:
        seen = self._seen.get(room.stream_url)
        try:
            manifest = await self._fetch(room.stream_url)
        except DownloadFailed as failed:
            return seen, StreamNow("absent", str(failed))
        except ManifestUnusable as unusable:
            return seen, StreamNow(unusable.state, f"the manifest {unusable}")
        return next_state(seen, manifest, self._now_ms())

    async def _fetch(self, url: str) -> StreamManifest:
        """The manifest that has the segments: the one at `url`, or its first
        variant."""
        hosts = CheckedHosts()
        answer = await download(url, {}, self._limits, hosts=hosts)
        manifest = parse_manifest(answer.body or b"", answer.url)
        if not manifest.variant:
            return manifest
        # What a manifest names is its maker's choice: never another host without TLS.
        own, variant = answer.url, manifest.variant
        same_host = host_of(own, "manifest") == host_of(variant, "manifest")
        if not (same_host or keeps_tls("https://", variant)):
            raise ManifestUnusable("leads to another host without https")
        answer = await download(variant, {}, self._limits, own, hosts)
        manifest = parse_manifest(answer.body or b"", answer.url)
        if manifest.variant:
            raise ManifestUnusable("leads to manifests that list no segments")
        return manifest
