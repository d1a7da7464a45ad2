"""Follows the RTP streams of a packet ring by their headers, with what RTCP says of
them, in bounded memory.

The usual packet (Ethernet, IPv4 without options, UDP, RTP) is read by one `unpack`. Any
other goes through the decoder of captures.
"""

from __future__ import annotations

import mmap
import struct
from collections import Counter

from collectors.rtp.capture_file import ETHERNET
from collectors.rtp.far_reports import FarReports
from collectors.rtp.frame_decoder import Datagram, FrameDecoder
from collectors.rtp.live_calls import LiveCalls
from collectors.rtp.loop_parts import Parts
from collectors.rtp.packet_ring import RingBlock
from collectors.rtp.rtcp_packets import is_rtcp
from collectors.rtp.rtp_codecs import is_event
from collectors.rtp.rtp_header import RtpHeader, read_rtp
from collectors.rtp.rtp_stream import RtpStream, StreamKey
from collectors.rtp.sip_messages import format_of
from collectors.rtp.stream_candidates import EarlyPacket, StreamCandidates
from collectors.rtp.usual_packet import (
    FRAGMENT_BITS,
    IPV4,
    NO_OPTIONS,
    UDP,
    USUAL,
    USUAL_BYTES,
)

# struct tpacket3_hdr: offset of the next, time, copied length, length, MAC header.
_PACKET = struct.Struct("=IIIII4xH")
MOST_STREAMS, _MOST_CANDIDATES = 20_000, 8_192
_IDLE_NS = 10_000_000_000
_ENDED_AT_ONCE = 100
# The packet types of RTCP, 192 to 223, without their last five bits.
_RTCP_KINDS = 6


class LiveStreams:
    """`read_block` goes through a block of the ring. `streams` has what was found;
    `take_idle` those that have ended, `reports` what far ends say of them. `counts`:
    `packets`, `rtp` (of streams), `over_limit` (of streams for which there was no
    room), and those of `FarReports`."""

    def __init__(
        self, most_streams: int = MOST_STREAMS, with_sip: bool = False
    ) -> None:
        self._most_streams = most_streams
        self.counts: Counter[str] = Counter()
        self.reports = FarReports(self.counts)
        self.calls = LiveCalls(self.counts) if with_sip else None
        self.streams: dict[StreamKey, RtpStream] = {}
        self.last_ns = 0
        self._candidates = StreamCandidates[StreamKey](_MOST_CANDIDATES)
        self._decoder = FrameDecoder(with_tcp=with_sip)

    def read_block(self, memory: mmap.mmap | bytearray, block: RingBlock) -> None:
        """Counts the packets of a block, and overwrites what is more than headers."""
        # A plain tuple finds a `StreamKey`, and takes less time to make.
        streams: dict[tuple[bytes, int, bytes, int, int], RtpStream]
        streams = self.streams  # type: ignore[assignment]
        packet, usual = _PACKET.unpack_from, USUAL.unpack_from
        at, at_ns, followed = block.first_at, self.last_ns, 0
        for _ in range(block.packets):
            step, seconds, nanoseconds, kept, _, head_at = packet(memory, at)
            at_ns = seconds * 1_000_000_000 + nanoseconds
            start = at + head_at
            at += step
            if kept >= USUAL_BYTES:
                cells = usual(memory, start)
                kind, head, tos, fragment, protocol = cells[:5]
                if (
                    head == NO_OPTIONS
                    and kind == IPV4
                    and protocol == UDP
                    and not fragment & FRAGMENT_BITS
                ):
                    source, target, from_port, to_port, second = cells[5:10]
                    sequence, stamp, ssrc = cells[10:]
                    stream = streams.get((source, from_port, target, to_port, ssrc))
                    # What is sent back by a reflector may be RTCP of the same ends.
                    if stream is not None and second >> 5 != _RTCP_KINDS:
                        followed += 1
                        stream.add(
                            *(at_ns, second & 127, sequence, stamp, tos >> 2),
                            second > 127,
                        )
                        continue
            if not self._read_other(at_ns, bytes(memory[start : start + kept])):
                # It may have names, which the ring would keep until it has turned.
                memory[start : start + kept] = bytes(kept)
        self.last_ns = at_ns
        self.counts["packets"] += block.packets
        self.counts["rtp"] += followed

    def _read_other(self, at_ns: int, frame: bytes) -> bool:
        """A packet of a stream that is not followed yet, or an unusual one. True if
        it was the headers of RTP, and so has nothing that names a person."""
        datagram = self._decoder.decode(ETHERNET, frame)
        if datagram is None:
            # The filter keeps no later fragment that could be joined.
            self._decoder.forget_fragments()
            return False
        if datagram.tcp_sequence is not None:
            if self.calls is not None:
                self.calls.take(at_ns, datagram)
            return False
        header = read_rtp(datagram.payload, datagram.size)
        if header is not None:
            self._take_packet(at_ns, datagram, header)
        elif is_rtcp(datagram.payload):
            self.reports.take(at_ns, datagram)
        elif self.calls is not None:
            self.calls.take(at_ns, datagram)
        return header is not None

    def _take_packet(self, at_ns: int, datagram: Datagram, header: RtpHeader) -> None:
        key = StreamKey(
            *(datagram.source, datagram.source_port, datagram.target),
            *(datagram.target_port, header.ssrc),
        )
        packet = EarlyPacket(at_ns, header, datagram.dscp)
        stream = self.streams.get(key)
        if stream is not None:
            self._add(stream, packet)
            return
        packets = self._candidates.put(key, packet)
        if packets is None:
            return
        if len(self.streams) >= self._most_streams:
            self.counts["over_limit"] += len(packets)
            return
        awaited = self.calls.awaited(key) if self.calls is not None else None
        format_ = format_of(header.payload_type, awaited)
        hz = 0 if is_event(format_.name) else format_.hz
        stream = self.streams[key] = RtpStream(key, hz)
        if awaited is not None:
            stream.clocks |= {
                kind: format_.hz
                for kind, format_ in awaited.formats.items()
                if format_.hz and not is_event(format_.name)
            }
        self.reports.add(stream, awaited is not None and awaited.is_secure)
        for earlier in packets:
            self._add(stream, earlier)

    def _add(self, stream: RtpStream, packet: EarlyPacket) -> None:
        self.counts["rtp"] += 1
        kind, marker, sequence, stamp, _ = packet.header
        stream.add(packet.at_ns, kind, sequence, stamp, packet.dscp, marker)

    def take_counts(self) -> Counter[str]:
        """The counts since the last call."""
        taken = self.counts.copy()
        self.counts.clear()
        return taken

    def take_idle(self, now_ns: int = 0) -> Parts[list[RtpStream]]:
        """Removes the streams without packets for ten seconds: before the last packet
        of any, or before `now_ns` if nothing comes at all. Returns them."""
        now_ns = max(now_ns, self.last_ns)
        idle = [s for s in self.streams.values() if now_ns - s.last_ns > _IDLE_NS]
        for at, stream in enumerate(idle):
            if at % _ENDED_AT_ONCE == 0:
                yield
            # A packet may have come since, and counts as well.
            del self.streams[stream.key]
            self.reports.drop(stream)
            stream.use_sample()
            stream.flush()
        return idle
