"""What is kept of a call record: nothing that names or locates a person.

`person` is a number that one run of Towpath draws for an account (`PersonMask`). It is
needed to count people, is never written anywhere, and means nothing after that run.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from hashlib import blake2b
from typing import Literal

import msgspec

Media = Literal["audio", "video", "screen_sharing"]
MEDIA: tuple[Media, ...] = ("audio", "video", "screen_sharing")
Verdict = Literal["good", "poor", "unclassified"]
Side = Literal["client", "network", "server", "unknown"]
Leg = Literal["meeting", "direct", "phone"]
Size = Literal["two", "small", "large"]
Stage = Literal["", "setup", "midcall", "unknown"]


# From this many who took part, a meeting is large: as a live event nearly always is.
LARGE_MEETING = 20


class CallPlace(msgspec.Struct, frozen=True):
    """Where an end of a call was. `place` is inside (an office), outside or unknown;
    `site` is empty unless it was inside."""

    place: str = "unknown"
    site: str = ""
    connection: str = "unknown"
    vpn: str = "unknown"
    provider: str = "unknown"
    gateway: str = ""


class StreamEnd(msgspec.Struct, frozen=True):
    """One stream of media as one of our ends had it.

    `sent`: whether that end sent it (its first leg) or received it (its last leg); None
    if the record does not say. `leg`: to Microsoft (`meeting`), to another client
    (`direct`) or to a telephone line. `due_to`: the figures that made it poor. `side`:
    the client, network or server that a poor stream is probably due to.
    """

    person: int
    room: str
    place: CallPlace
    leg: Leg
    media: Media
    sent: bool | None
    verdict: Verdict
    due_to: tuple[str, ...] = ()
    side: Side = "unknown"
    jitter_ms: float | None = None
    rtt_ms: float | None = None
    loss_ratio: float | None = None
    size: Size = "two"


class SessionEnd(msgspec.Struct, frozen=True):
    """One of our ends in a session. `failed`: the stage at which it failed, if so."""

    person: int
    room: str
    place: CallPlace
    leg: Leg
    failed: Stage = ""
    size: Size = "two"


class CallRecord(msgspec.Struct, frozen=True):
    """A call as it counts in groups: in the window in which it ended, which the list of
    records says."""

    streams: tuple[StreamEnd, ...] = ()
    sessions: tuple[SessionEnd, ...] = ()


class PersonMask:
    """Numbers for accounts: the same account has the same number until Towpath stops.
    The key is random and only in memory, so that nobody can find the account again."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def __call__(self, account: str) -> int:
        digest = blake2b(
            account.lower().encode(errors="replace"), digest_size=8, key=self._key
        ).digest()
        # 0 is nobody.
        return int.from_bytes(digest, "big") or 1


class EndAddresses(msgspec.Struct, frozen=True):
    """An end's addresses and kind of connection, only for finding its place."""

    address: str
    subnet: str
    reflexive: str
    connection: str


Locate = Callable[[EndAddresses], CallPlace]
