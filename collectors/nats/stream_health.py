"""How a stream is, from what the servers answer. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec
from nats.js import errors as jetstream_errors

from probes.wire.sample import Value


class StreamHealth(msgspec.Struct, frozen=True):
    """`oldest_ms`: when the oldest message was published; None if there is none.
    `used_ratio` is None if the stream has no limit. Without a leader nothing else is
    known. `slowest` is the reader with the most unread messages."""

    leader: bool
    messages: int = 0
    bytes: int = 0
    used_ratio: float | None = None
    replicas: int = 0
    replicas_missing: int = 0
    oldest_ms: int | None = None
    unread: int = 0
    slowest: str = ""

    def fields(self, now_ms: int) -> dict[str, Value]:
        """Of a row of `self_stream`."""
        if not self.leader:
            return {"leader": 0}
        fields: dict[str, Value] = {
            "leader": 1,
            "messages": self.messages,
            "bytes": self.bytes,
            "replicas": self.replicas,
            "replicas_missing": self.replicas_missing,
            "unread": self.unread,
        }
        if self.used_ratio is not None:
            fields["used_ratio"] = self.used_ratio
        if self.oldest_ms is not None:
            fields["age_s"] = max(0, now_ms - self.oldest_ms) / 1000
        if self.slowest:
            fields["slowest"] = self.slowest
        return fields


def stream_health(
    info: Mapping[str, Any],
    readers: Iterable[Mapping[str, Any]],
    max_bytes: int | None,
    wanted: int,
) -> StreamHealth:
    """From the answers to STREAM.INFO and CONSUMER.LIST. `wanted`: replicas as the
    settings have them, which may have changed since the stream was made."""
    state, cluster = info["state"], info.get("cluster")
    # A server that is alone names no cluster.
    if cluster is not None and not cluster.get("leader"):
        return StreamHealth(leader=False)
    peers = (cluster or {}).get("replicas") or []
    current = 1 + sum(bool(p.get("current")) and not p.get("offline") for p in peers)
    unread = {r["name"]: _unread(r, state["last_seq"]) for r in readers}
    slowest = max(unread, key=lambda name: unread[name], default="")
    most = unread.get(slowest, 0)
    return StreamHealth(
        leader=True,
        messages=state["messages"],
        bytes=state["bytes"],
        used_ratio=state["bytes"] / max_bytes if max_bytes else None,
        replicas=wanted,
        replicas_missing=max(0, wanted - current),
        oldest_ms=_time_ms(state["first_ts"]) if state["messages"] else None,
        unread=most,
        slowest=slowest if most else "",
    )


def without_leader(error: BaseException) -> StreamHealth | None:
    """The health of a stream for which no server answers; None if it was deleted."""
    if isinstance(error, jetstream_errors.NotFoundError):
        return None
    return StreamHealth(leader=False)


def _unread(reader: Mapping[str, Any], last_sequence: int) -> int:
    passed: int = (reader.get("ack_floor") or {}).get("stream_seq", 0)
    waiting: int = reader.get("num_pending", 0) + reader.get("num_ack_pending", 0)
    # What was deleted before this reader came needs no reading.
    return min(max(0, last_sequence - passed), waiting)


def _time_ms(text: str) -> int:
    """Of a time with nanoseconds."""
    whole, _, rest = text.removesuffix("Z").partition(".")
    begun = datetime.fromisoformat(f"{whole}+00:00").timestamp()
    return int(begun * 1000) + int(f"{rest:0<3}"[:3])
