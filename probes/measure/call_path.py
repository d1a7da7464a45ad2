"""A short media-like stream to the council's reflector and back: would a call work?

The stream is 50 packets a second, with the size and the DSCP of voice.
`probes/measure/call_figures.py` works out the figures.
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

# 20 ms of audio at 36 kbit/s (90 octets, what Teams usually sends), plus 12 of RTP and
# 10 of SRTP. A bigger packet would use more data and show nothing more.
VOICE_BYTES = 112
VOICE_DSCP = 46
INTERVAL_MS = 20.0
# 10 s, as long as the call in Microsoft's own connectivity test.
PACKETS = 500
# A short run, 2 s, for a burst of measurements. With all bursts a day stays below 25
# MB.
SHORT_PACKETS = 100


class StampCodec:
    """A STAMP session-sender: packets of `size` octets that request `dscp`."""

    def __init__(self, size: int, dscp: int) -> None:
        self._tlvs = stamp.tail(size, dscp)
        self._ssid = secrets.randbelow(0xFFFF) + 1
        self._t1_by_number: dict[int, int] = {}

    def build(self, number: int) -> bytes:
        t1 = self._t1_by_number[number] = stamp.ntp_of(time.time_ns())
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
        # A reply must come from a host that saw the request. RFC 8762 alone has no
        # session id, so 0 is accepted too.
        if reply.ssid not in (self._ssid, 0):
            return None
        if self._t1_by_number.get(reply.sender_sequence) != reply.t1_ntp:
            return None
        return reply.sender_sequence, reply


class AuthenticatedStampCodec(StampCodec):
    """The same in STAMP's authenticated mode: packets of 112 octets without TLVs, so
    the DSCP on arrival is not known."""

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
