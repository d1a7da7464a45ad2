"""A short media-like stream to the council's reflector and back: could a call work?

The stream is 50 packets a second of the size of voice, marked as voice. What comes
back is turned into figures by `probes/measure/call_figures.py`.
"""

from __future__ import annotations

import secrets
import time

from probes.measure.call_figures import summarise
from probes.measure.udp_exchange import StreamPacing, exchange
from probes.wire import stamp, stamp_auth
from probes.wire.clock import WallClock
from probes.wire.policy import CLIENT_TO_EDGE, CallTargets
from probes.wire.report import Result

NAME = "call_path"
VERSION = 2

# 20 ms of audio at 36 kbit/s (90 octets, what Teams usually sends), RTP's 12 and
# SRTP's 10. A bigger packet would cost data and tell nothing more of loss and delay.
VOICE_BYTES = 112
VOICE_DSCP = 46
INTERVAL_MS = 20.0
# 10 s: what Microsoft's own connectivity test takes for a call.
PACKETS = 500
# The short rounds of a burst: 2 s. A day with all its bursts stays within 25 MB.
SHORT_PACKETS = 100


class StampCodec:
    """A STAMP session-sender's part: packets of `size` octets that ask for `dscp`."""

    def __init__(self, size: int, dscp: int) -> None:
        self._tlvs = stamp.tail(size, dscp)
        self._ssid = secrets.randbelow(0xFFFF) + 1
        self._asked: dict[int, int] = {}

    def build(self, number: int) -> bytes:
        t1 = self._asked[number] = stamp.ntp_of(time.time_ns())
        return self._request(number, t1)

    def _request(self, number: int, t1: int) -> bytes:
        return stamp.request(number, t1, self._ssid, tlvs=self._tlvs)

    def _read(self, packet: bytes) -> stamp.Reflected:
        return stamp.read_reply(packet)

    def parse(self, packet: bytes) -> tuple[int, stamp.Reflected] | None:
        try:
            reply = self._read(packet)
        except stamp.StampError:
            return None
        # Whoever answers must have seen the question. RFC 8762 has no session id.
        if reply.ssid not in (self._ssid, 0):
            return None
        if self._asked.get(reply.sender_sequence) != reply.t1_ntp:
            return None
        return reply.sender_sequence, reply


class AuthenticatedStampCodec(StampCodec):
    """The same in STAMP's authenticated mode: packets of 112 octets, without TLVs, so
    that the DSCP which arrived is not known."""

    def __init__(self, key: bytes) -> None:
        super().__init__(stamp.HEAD_BYTES, 0)
        self._key = key

    def _request(self, number: int, t1: int) -> bytes:
        return stamp_auth.request(number, t1, self._key, self._ssid)

    def _read(self, packet: bytes) -> stamp.Reflected:
        return stamp_auth.read_reply(packet, self._key)


async def measure(
    reflector_id: str,
    host: str,
    port: int = stamp.PORT,
    *,
    now_ms: WallClock,
    packets: int = PACKETS,
    interval_ms: float = INTERVAL_MS,
    payload_bytes: int = VOICE_BYTES,
    dscp: int = VOICE_DSCP,
    tcp_port: int | None = None,
    targets: CallTargets = CLIENT_TO_EDGE,
    key: bytes = b"",
    kernel_times: bool = True,
) -> Result:
    """One run against the reflector at `host`: STAMP's (RFC 8762), with or without
    state and RFC 8972's TLVs, or TWAMP Light's.

    `payload_bytes` is the UDP payload: 44, or 48 to 1472. `key`: STAMP's authenticated
    mode, whose packets have 112 octets of payload. `tcp_port` is one the same
    host serves by TCP: where UDP gets no answer but that port does, the outcome is
    `udp_blocked`. Takes `packets * interval_ms` and up to 3 s; gives up after 3 s of
    complete silence. Never raises for what the network does.
    """
    time_ms = now_ms()
    said = await exchange(
        host,
        port,
        lambda: (
            AuthenticatedStampCodec(key) if key else StampCodec(payload_bytes, dscp)
        ),
        StreamPacing(packets, interval_ms, dscp, True, kernel_times),
        tcp_port,
    )
    return Result(
        probe=NAME,
        version=VERSION,
        time_ms=time_ms,
        outcome=said.outcome,
        target=reflector_id,
        values=summarise(said.run, interval_ms, targets) if said.run else {},
        cost_bytes=said.cost_bytes,
    )
