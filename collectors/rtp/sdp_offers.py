"""Where hosts await which media in their calls, as their SDP has it. Pure, in bounded
memory."""

from __future__ import annotations

from collections.abc import Iterable

from collectors.rtp.sip_messages import SdpMedia, SipMessage, join_bundled

Place = tuple[bytes, int]


class SdpOffers:
    """`take` each message with the digest of its call and the host that sent it. Holds
    the places of what a host offered in a call last, of the newest `most`."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._places: dict[tuple[bytes, bytes], list[Place]] = {}

    def take(
        self, call: bytes, host: bytes, message: SipMessage
    ) -> list[tuple[Place, SdpMedia]]:
        """The media that the message offers, each with every place of it."""
        if not message.media:
            return []
        offered = [
            (place, media)
            for media in join_bundled(message.media)
            for place in ((media.address, media.port), *media.candidates)
        ]
        self._places[call, host] = [place for place, _ in offered]
        if len(self._places) > self._most:
            del self._places[next(iter(self._places))]
        return offered

    def held(self, call: bytes, host: bytes, message: SipMessage) -> Iterable[Place]:
        """The places at which the host awaits nothing for now, by the message."""
        return self._places.get((call, host), ()) if message.is_held else ()
