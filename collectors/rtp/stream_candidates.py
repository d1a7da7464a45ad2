"""Decides which packets are a stream: several in sequence from one sender. Pure."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, NamedTuple, TypeVar

from collectors.rtp.rtp_header import RtpHeader

CONFIRM_PACKETS = 5
_MOST_STEP, _MOST_TICKS = 16, 1_000_000
# Duplicates and packets out of order do not confirm a stream. After so many packets
# that have not confirmed it, it is none.
_MOST_EARLY = 4 * CONFIRM_PACKETS
_Key = TypeVar("_Key", bound=Hashable)


class EarlyPacket(NamedTuple):
    """A packet of what may become a stream."""

    at_ns: int
    header: RtpHeader
    dscp: int


class StreamCandidates(Generic[_Key]):
    """Holds the first packets of at most `most` possible streams, the newest ones."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._packets: dict[_Key, list[EarlyPacket]] = {}

    def __len__(self) -> int:
        return len(self._packets)

    def put(
        self, key: _Key, packet: EarlyPacket, needed: int = CONFIRM_PACKETS
    ) -> list[EarlyPacket] | None:
        """All packets of the stream if `needed` packets in sequence have shown that it
        is one, else None. Each may be there twice, as from a port that is mirrored in
        both directions, or that sees packets on their way in and out."""
        packets = self._packets.get(key)
        if packets is None:
            packets = self._packets[key] = []
            if len(self._packets) > self._most:
                del self._packets[next(iter(self._packets))]
        elif len(packets) >= _MOST_EARLY or not _is_near(
            packets[-1].header, packet.header
        ):
            packets.clear()
        packets.append(packet)
        if len({early.header.sequence for early in packets}) < needed:
            return None
        self._packets.pop(key, None)
        return packets


def _is_near(before: RtpHeader, header: RtpHeader) -> bool:
    """Whether a packet may be of the same stream: the next, the same again, or one that
    was overtaken."""
    step = header.sequence - before.sequence & 0xFFFF
    if not step:
        return header.timestamp == before.timestamp
    ticks = header.timestamp - before.timestamp & 0xFFFFFFFF
    if step <= _MOST_STEP:
        return ticks <= _MOST_TICKS or ticks >= 1 << 31
    return step >= 0x10000 - _MOST_STEP and ticks >= (1 << 32) - _MOST_TICKS
