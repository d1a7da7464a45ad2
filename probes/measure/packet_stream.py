"""A paced stream of UDP requests (STAMP or STUN) and the replies to it.

It runs in its own thread, because the agent's event loop would delay the time stamps.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from probes.measure.packet_inbox import PacketInbox, open_inbox
from probes.wire.packet_codec import PacketCodec

_GIVE_UP_S = 3.0
_GIVE_UP_ERRORS = 10
_STRAGGLERS_S = 1.0
_SLEPT_NS = 2_000_000_000
# The closing requests only read the reflector's packet count. Their numbers are far
# above those of the stream, so a stateless reflector, which copies the number, is
# recognised.
CLOSING_GAP = 1000
_CLOSING_TRIES = 3

Reply = TypeVar("Reply")


class Arrival(NamedTuple, Generic[Reply]):
    """The reply to request `number`. Local times are monotonic, in ns."""

    t4_ns: int
    number: int
    reply: Reply


class StreamResult(NamedTuple, Generic[Reply]):
    """The result of one run. `sent_ns[n]` is when request n was sent, on the clock of
    the arrivals. `closing` holds the replies to the closing requests by number. `error`
    is the last error from the system."""

    sent_ns: list[int]
    arrivals: list[Arrival[Reply]]
    closing: dict[int, Reply]
    error: OSError | None
    slept: bool
    packets_out: int
    octets_out: int
    packets_in: int
    octets_in: int


def marks_packets(platform: str = sys.platform) -> bool:
    """True if `set_dscp` has an effect. Windows ignores it (IP_TOS): there only a QoS
    policy marks packets."""
    return platform != "win32"


def set_dscp(channel: socket.socket, dscp: int) -> None:
    """Sets `dscp` on outgoing packets. On systems that do not allow it, does
    nothing."""
    with contextlib.suppress(OSError):
        if channel.family == socket.AF_INET6:
            option = getattr(socket, "IPV6_TCLASS", None)
            if option is not None:
                channel.setsockopt(socket.IPPROTO_IPV6, option, dscp << 2)
        else:
            channel.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, dscp << 2)


class Stream(Generic[Reply]):
    """One run over a connected, non-blocking UDP socket. `run` blocks; `stop`, from any
    thread, ends it soon. With `closing`, a run with losses ends with a few requests for
    the reflector's packet count."""

    def __init__(
        self,
        channel: socket.socket,
        codec: PacketCodec[Reply],
        packets: int,
        interval_ms: float,
        closing: bool = False,
        kernel_times: bool = True,
    ) -> None:
        self._channel, self._codec, self._packets = channel, codec, packets
        self._interval_ns = round(interval_ms * 1_000_000)
        self._closes, self._kernel_times = closing, kernel_times
        self._stop = threading.Event()
        self._sent_ns: list[int] = []
        self._arrivals: list[Arrival[Reply]] = []
        self._closing: dict[int, Reply] = {}
        self._error: OSError | None = None
        self._errors = 0
        self._out = [0, 0]
        self._in = [0, 0]

    def stop(self) -> None:
        self._stop.set()

    def run(self) -> StreamResult[Reply]:
        inbox = open_inbox(self._channel, self._kernel_times)
        slept = False
        try:
            started_s = time.perf_counter()
            slept = not self._send_all(inbox)
            if not self._arrivals and not self._errors and not slept:
                # A short run may end before the first reply arrives.
                left_s = started_s + _GIVE_UP_S - time.perf_counter()
                self._wait_for(inbox, lambda: bool(self._arrivals), left_s)
            if self._arrivals and not slept:
                self._wait_for(inbox, self._all_back, _STRAGGLERS_S)
                if self._closes and not self._all_back():
                    self._send_closing(inbox)
        finally:
            inbox.close()
        return StreamResult(
            self._sent_ns,
            self._arrivals,
            self._closing,
            self._error,
            slept,
            *self._out,
            *self._in,
        )

    def _send_all(self, inbox: PacketInbox) -> bool:
        """Sends the stream. Returns False if the machine slept in the middle of it."""
        started_ns = before_ns = time.perf_counter_ns()
        wall_ns = time.time_ns()
        give_up_ns = started_ns + round(_GIVE_UP_S * 1e9)
        for number in range(self._packets):
            # The schedule is absolute. A late sender catches up at no more than twice
            # the pace, or its own burst would look like the network's jitter.
            due_ns = started_ns + number * self._interval_ns
            if number:
                due_ns = max(due_ns, before_ns + self._interval_ns // 2)
            self._sleep_until(due_ns)
            if self._stop.is_set():
                return True
            now_ns, now_wall_ns = time.perf_counter_ns(), time.time_ns()
            if max(now_ns - before_ns, now_wall_ns - wall_ns) > _SLEPT_NS:
                return False
            before_ns, wall_ns = now_ns, now_wall_ns
            self._sent_ns.append(self._send(number))
            self._receive(inbox)
            hopeless = now_ns > give_up_ns or self._errors >= _GIVE_UP_ERRORS
            if hopeless and not self._arrivals:
                return True
        return True

    def _sleep_until(self, due_ns: int) -> None:
        # Not `Event.wait`: on Windows its clock ticks only every 15.6 ms.
        while not self._stop.is_set():
            wait_s = (due_ns - time.perf_counter_ns()) / 1e9
            if wait_s <= 0:
                return
            time.sleep(min(wait_s, 0.1))

    def _send(self, number: int) -> int:
        now_ns = time.perf_counter_ns()
        packet = self._codec.build(number)
        for _attempt in range(2):
            try:
                self._channel.send(packet)
                self._out[0] += 1
                self._out[1] += len(packet)
                break
            except BlockingIOError:
                break
            except OSError as error:
                # The next send reports the ICMP error of an earlier packet, once.
                self._fail(error)
        return now_ns

    def _fail(self, error: OSError) -> None:
        self._error = error
        self._errors += 1

    def _receive(self, inbox: PacketInbox) -> None:
        try:
            packets = inbox.drain()
        except OSError as error:
            self._fail(error)
            return
        for arrived_ns, packet in packets:
            parsed = self._codec.parse(packet)
            if parsed is None:
                continue
            number, reply = parsed
            self._in[0] += 1
            self._in[1] += len(packet)
            if number < self._packets:
                self._arrivals.append(Arrival(arrived_ns, number, reply))
            else:
                self._closing[number] = reply

    def _all_back(self) -> bool:
        if len(self._arrivals) < len(self._sent_ns):
            return False
        answered = {arrival.number for arrival in self._arrivals}
        return len(answered) == len(self._sent_ns)

    def _wait_for(
        self, inbox: PacketInbox, condition: Callable[[], bool], seconds: float
    ) -> None:
        deadline = time.perf_counter() + seconds
        while not condition() and time.perf_counter() < deadline:
            if self._stop.wait(0.01):
                return
            self._receive(inbox)

    def _send_closing(self, inbox: PacketInbox) -> None:
        for attempt in range(_CLOSING_TRIES):
            self._send(self._packets + CLOSING_GAP + attempt)
            self._wait_for(inbox, lambda: bool(self._closing), 0.5)
            if self._closing:
                return
