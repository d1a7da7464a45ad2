"""A short media-like stream to the council's reflector and back: would a call work?

The stream is 50 packets a second, with the size and the DSCP of voice.
`probes/measure/call_figures.py` works out the figures.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator

import msgspec

from probes.measure.call_figures import summarise
from probes.measure.packet_stream import marks_packets
from probes.measure.probe_runner import ProbeRunner, RoundContext
from probes.measure.udp_exchange import StreamPacing, exchange
from probes.wire import stamp, stamp_auth
from probes.wire.clock import WallClock
from probes.wire.failure import is_failure
from probes.wire.path_probes import (
    CALL_PACKETS,
    CALL_PATH,
    SHORT_CALL_PACKETS,
    VOICE_BYTES,
)
from probes.wire.policy import CLIENT_TO_EDGE, CallTargets, ReflectorAt
from probes.wire.report import Result

NAME = CALL_PATH.name
VERSION = 2

VOICE_DSCP = 46
INTERVAL_MS = 20.0


class CallStream(msgspec.Struct, frozen=True):
    """The stream of one run: `packets` of `payload_bytes` of UDP payload (44, or 48 to
    1472), `interval_ms` apart, marked with `dscp`. `kernel_times`: use the kernel's
    time stamps if it has them."""

    packets: int = CALL_PACKETS
    interval_ms: float = INTERVAL_MS
    payload_bytes: int = VOICE_BYTES
    dscp: int = VOICE_DSCP
    kernel_times: bool = True


CALL_STREAM = CallStream()


class StampCodec:
    """A STAMP session-sender: packets of `size` octets that request `dscp`."""

    def __init__(self, size: int, dscp: int) -> None:
        self._tlvs = stamp.request_tlvs(size, dscp)
        self._ssid = secrets.randbelow(0xFFFF) + 1
        self._t1_by_number: dict[int, int] = {}

    def build(self, number: int) -> bytes:
        t1 = self._t1_by_number[number] = stamp.ntp_of(time.time_ns())
        return self._request(number, t1)

    def _request(self, number: int, t1: int) -> bytes:
        return stamp.request(number, t1, self._ssid, tlvs=self._tlvs)

    def _read(self, packet: bytes) -> stamp.ReflectorReply:
        return stamp.read_reply(packet)

    def parse(self, packet: bytes) -> tuple[int, stamp.ReflectorReply] | None:
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

    def _read(self, packet: bytes) -> stamp.ReflectorReply:
        return stamp_auth.read_reply(packet, self._key)


async def measure(
    reflector: ReflectorAt,
    *,
    now_ms: WallClock,
    stream: CallStream = CALL_STREAM,
    targets: CallTargets = CLIENT_TO_EDGE,
) -> Result:
    """One run against `reflector`: a STAMP reflector (RFC 8762), with or without state
    and the TLVs of RFC 8972, or one of TWAMP Light.

    With a `stamp_key` STAMP runs in its authenticated mode, whose packets have 112
    octets of payload. If UDP gets no answer but the reflector's TCP port does, the
    outcome is `udp_blocked`. Takes `packets * interval_ms` and up to 3 s; gives up
    after 3 s of silence. Network errors never raise.
    """
    time_ms = now_ms()
    key = bytes.fromhex(reflector.stamp_key)
    ended = await exchange(
        reflector.host,
        reflector.stamp_port,
        lambda: (
            AuthenticatedStampCodec(key)
            if key
            else StampCodec(stream.payload_bytes, stream.dscp)
        ),
        StreamPacing(
            stream.packets,
            stream.interval_ms,
            stream.dscp,
            True,
            stream.kernel_times,
        ),
        reflector.tcp_port,
    )
    return Result(
        probe=NAME,
        version=VERSION,
        time_ms=time_ms,
        outcome=ended.outcome,
        target=reflector.id,
        values=summarise(ended.run, stream.interval_ms, targets, marked=marks_packets())
        if ended.run
        else {},
        cost_bytes=ended.cost_bytes,
    )


class CallPathRunner(ProbeRunner):
    """Measures against the nearest reflector, which the policy lists first, and against
    the next one if that does not answer."""

    async def run(self, context: RoundContext) -> AsyncIterator[Result]:
        packets = SHORT_CALL_PACKETS if context.brief else CALL_PACKETS
        for reflector in context.policy.reflectors:
            result = await measure(
                reflector,
                now_ms=context.now_ms,
                stream=CallStream(packets=packets),
                targets=context.policy.targets,
            )
            yield result
            if not is_failure(result.outcome):
                break
