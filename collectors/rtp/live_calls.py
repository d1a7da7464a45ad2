"""What SIP on a mirrored port says: how calls are set up, and which media are awaited
where. Pure, in bounded memory.

Messages are read in memory and dropped at once. Of numbers, names and Call-IDs only
digests are held, those of callers with a key that ends with the process.
"""

from __future__ import annotations

from collections import Counter

from collectors.rtp.frame_decoder import Datagram
from collectors.rtp.rtp_stream import StreamKey
from collectors.rtp.sdp_offers import Place, SdpOffers
from collectors.rtp.sip_calls import SipCalls
from collectors.rtp.sip_connections import SipConnections
from collectors.rtp.sip_messages import SdpMedia, call_digest, read_sip
from collectors.rtp.watched_stream import awaits_nothing, on_hold, sends_nothing

_MOST_CALLS, _MOST_PLACES = 20_000, 40_000


class LiveCalls:
    """`take` each datagram or segment that may be SIP; counts `sip`, and those of
    `SipConnections`. `calls` has what becomes of calls."""

    def __init__(self, counts: Counter[str]) -> None:
        self._counts = counts
        self.calls = SipCalls(_MOST_CALLS)
        self._media: dict[Place, SdpMedia] = {}
        self._offers = SdpOffers(_MOST_CALLS)
        # The kernel's filter leaves out segments about other things than calls.
        self._connections = SipConnections(counts, sees_all=False)

    def take(self, at_ns: int, datagram: Datagram) -> None:
        if datagram.tcp_sequence is None:
            self._read(at_ns, datagram.source, datagram.payload)
            return
        for message in self._connections.take(at_ns, datagram):
            self._read(at_ns, datagram.source, message)

    def drop_unfinished(self, now_ns: int) -> None:
        """Forgets the beginnings of messages that did not go on."""
        self._connections.drop_unfinished(now_ns)

    def _read(self, at_ns: int, source: bytes, payload: bytes) -> None:
        message = read_sip(payload)
        if message is None:
            return
        self._counts["sip"] += 1
        digest = call_digest(message.call_id)
        self.calls.take(at_ns, digest, message)
        for place in self._offers.held(digest, source, message):
            held = self._media.get(place)
            if held is not None:
                self._media[place] = on_hold(held)
        for place, media in self._offers.take(digest, source, message):
            self._media.pop(place, None)
            self._media[place] = media
            if len(self._media) > _MOST_PLACES:
                del self._media[next(iter(self._media))]

    def awaited(self, key: StreamKey) -> SdpMedia | None:
        """What the receiver of a stream said that it awaits."""
        return self._media.get((key.target, key.target_port))

    def is_on_hold(self, key: StreamKey) -> bool:
        """Whether either end has said that nothing will come back."""
        receiver = self.awaited(key)
        sender = self._media.get((key.source, key.source_port))
        return (receiver is not None and sends_nothing(receiver)) or (
            sender is not None and awaits_nothing(sender)
        )
