"""A paced stream of UDP requests (STAMP or STUN) and the replies to it.

It runs in its own thread, because the agent's event loop would delay the time stamps.
On Linux the kernel stamps arrivals, so one wake-up per packet is enough; elsewhere a
second thread waits for them.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, NamedTuple, Protocol, TypeVar

from probes.wire.packet_codec import PacketCodec

_TIMESTAMPNS_NEW = 64  # SO_TIMESTAMPNS_NEW: two 64-bit numbers on every architecture
_TIMESPEC = struct.Struct("@qq")
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


class _Inbox(Protocol):
    def drain(self) -> list[tuple[int, bytes]]: ...
    def close(self) -> None: ...


class _KernelInbox:
    """Arrivals with the kernel's time stamps, so they may be read late."""

    def __init__(self, channel: socket.socket) -> None:
        channel.setsockopt(socket.SOL_SOCKET, _TIMESTAMPNS_NEW, 1)
        self._channel = channel

    def drain(self) -> list[tuple[int, bytes]]:
        """Returns what has arrived as (time on `perf_counter_ns`, packet). Raises
        `OSError` if the network reported an error."""
        if sys.platform == "win32":
            raise NotImplementedError("only the Linux kernel stamps arrivals")
        packets: list[tuple[int, bytes]] = []
        # The kernel uses the wall clock, which may be stepped, so the offset to the
        # monotonic clock is taken again each time.
        ahead_ns = time.time_ns() - time.perf_counter_ns()
        while True:
            try:
                packet, ancillary, _flags, _from = self._channel.recvmsg(2048, 64)
            except BlockingIOError:
                return packets
            arrived_ns = now_ns = time.perf_counter_ns()
            for level, kind, value in ancillary:
                if (level, kind) == (socket.SOL_SOCKET, _TIMESTAMPNS_NEW):
                    seconds, rest = _TIMESPEC.unpack_from(value)
                    stamped_ns = seconds * 1_000_000_000 + rest - ahead_ns
                    # If the wall clock was stepped since, the stamp is implausible.
                    if now_ns - _SLEPT_NS < stamped_ns < arrived_ns:
                        arrived_ns = stamped_ns
            packets.append((arrived_ns, packet))

    def close(self) -> None:
        pass


class _ThreadInbox:
    """Arrivals stamped by a thread that does nothing else."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._channel.settimeout(0.2)
        self._packets: deque[tuple[int, bytes]] = deque()
        self._error: OSError | None = None
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._wait, name="stream-inbox")
        self._thread.start()

    def _wait(self) -> None:
        while not self._closed.is_set():
            try:
                packet = self._channel.recv(2048)
                self._packets.append((time.perf_counter_ns(), packet))
            except TimeoutError:
                continue
            except OSError as error:
                self._error = error
                self._closed.wait(0.01)

    def drain(self) -> list[tuple[int, bytes]]:
        error, self._error = self._error, None
        if error is not None and not self._packets:
            raise error
        return [self._packets.popleft() for _ in range(len(self._packets))]

    def close(self) -> None:
        self._closed.set()
        self._thread.join()


def _inbox(channel: socket.socket, kernel_times: bool) -> _Inbox:
    if kernel_times and sys.platform == "linux":
        with contextlib.suppress(OSError):
            return _KernelInbox(channel)
    return _ThreadInbox(channel)


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
        inbox = _inbox(self._channel, self._kernel_times)
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

    def _send_all(self, inbox: _Inbox) -> bool:
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

    def _receive(self, inbox: _Inbox) -> None:
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
        self, inbox: _Inbox, condition: Callable[[], bool], seconds: float
    ) -> None:
        deadline = time.perf_counter() + seconds
        while not condition() and time.perf_counter() < deadline:
            if self._stop.wait(0.01):
                return
            self._receive(inbox)

    def _send_closing(self, inbox: _Inbox) -> None:
        for attempt in range(_CLOSING_TRIES):
            self._send(self._packets + CLOSING_GAP + attempt)
            self._wait_for(inbox, lambda: bool(self._closing), 0.5)
            if self._closing:
                return
