"""A paced stream of questions by UDP and what came back of it: STAMP's or STUN's.

It runs in a thread of its own: the clock that is measured with must not wait for
whatever else the agent's event loop has to do. On Linux the kernel stamps arrivals,
so one wake-up a packet is enough; elsewhere a second thread waits for them.
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
# The last questions, which only ask a reflector how many it has seen, are numbered far
# behind the stream's: a stateless one gives itself away by copying the number.
CLOSING_GAP = 1000
_CLOSING_TRIES = 3

Reply = TypeVar("Reply")


class Arrival(NamedTuple, Generic[Reply]):
    """The answer to question `number`. Local times are from one monotonic clock, ns."""

    t4_ns: int
    number: int
    reply: Reply


class StreamResult(NamedTuple, Generic[Reply]):
    """All that one run saw. `sent_ns[n]` is when question n left, on the clock of the
    arrivals. `closing` holds the answers to the closing questions by number. `error`
    is the system's, where it ended the run."""

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
    """Arrivals with the kernel's own time, read whenever there is leisure to."""

    def __init__(self, channel: socket.socket) -> None:
        channel.setsockopt(socket.SOL_SOCKET, _TIMESTAMPNS_NEW, 1)
        self._channel = channel

    def drain(self) -> list[tuple[int, bytes]]:
        """What has arrived, as (time on `perf_counter_ns`, packet). `OSError` where
        the network reported one."""
        if sys.platform == "win32":
            raise NotImplementedError("only Linux's kernel stamps arrivals")
        found: list[tuple[int, bytes]] = []
        # The kernel's clock is the wall clock, which may be stepped: it is tied to
        # the monotonic one anew each time.
        ahead_ns = time.time_ns() - time.perf_counter_ns()
        while True:
            try:
                packet, ancillary, _flags, _from = self._channel.recvmsg(2048, 64)
            except BlockingIOError:
                return found
            arrived_ns = now_ns = time.perf_counter_ns()
            for level, kind, value in ancillary:
                if (level, kind) == (socket.SOL_SOCKET, _TIMESTAMPNS_NEW):
                    seconds, rest = _TIMESPEC.unpack_from(value)
                    stamped_ns = seconds * 1_000_000_000 + rest - ahead_ns
                    # A step of the wall clock since would put it out of reason.
                    if now_ns - _SLEPT_NS < stamped_ns < arrived_ns:
                        arrived_ns = stamped_ns
            found.append((arrived_ns, packet))

    def close(self) -> None:
        pass


class _ThreadInbox:
    """Arrivals stamped by a thread that does nothing else."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._channel.settimeout(0.2)
        self._found: deque[tuple[int, bytes]] = deque()
        self._error: OSError | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._wait, name="stream-inbox")
        self._thread.start()

    def _wait(self) -> None:
        while not self._over.is_set():
            try:
                packet = self._channel.recv(2048)
                self._found.append((time.perf_counter_ns(), packet))
            except TimeoutError:
                continue
            except OSError as error:
                self._error = error
                self._over.wait(0.01)

    def drain(self) -> list[tuple[int, bytes]]:
        error, self._error = self._error, None
        if error is not None and not self._found:
            raise error
        return [self._found.popleft() for _ in range(len(self._found))]

    def close(self) -> None:
        self._over.set()
        self._thread.join()


def _inbox(channel: socket.socket, kernel_times: bool) -> _Inbox:
    if kernel_times and sys.platform == "linux":
        with contextlib.suppress(OSError):
            return _KernelInbox(channel)
    return _ThreadInbox(channel)


def set_dscp(channel: socket.socket, dscp: int) -> None:
    """Asks for `dscp` on what is sent; systems that do not allow it just don't."""
    with contextlib.suppress(OSError):
        if channel.family == socket.AF_INET6:
            option = getattr(socket, "IPV6_TCLASS", None)
            if option is not None:
                channel.setsockopt(socket.IPPROTO_IPV6, option, dscp << 2)
        else:
            channel.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, dscp << 2)


class Stream(Generic[Reply]):
    """One run over a connected, non-blocking UDP socket. `run` blocks; `stop` ends it
    soon from any thread. With `closing`, a run in which something was lost ends with
    a few questions more."""

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
                # A short run may be over before its first answer is back.
                left_s = started_s + _GIVE_UP_S - time.perf_counter()
                self._wait_for(inbox, lambda: bool(self._arrivals), left_s)
            if self._arrivals and not slept:
                self._wait_for(inbox, self._all_back, _STRAGGLERS_S)
                if self._closes and not self._all_back():
                    self._close(inbox)
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
        """The stream itself. False where the machine slept in the middle of it."""
        started_ns = before_ns = time.perf_counter_ns()
        wall_ns = time.time_ns()
        give_up_ns = started_ns + round(_GIVE_UP_S * 1e9)
        for number in range(self._packets):
            # The schedule is absolute. What is late is caught up at no more than
            # twice the pace: a burst of our own would be measured as the network's.
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
            self._take(inbox)
            hopeless = now_ns > give_up_ns or self._errors >= _GIVE_UP_ERRORS
            if hopeless and not self._arrivals:
                return True
        return True

    def _sleep_until(self, due_ns: int) -> None:
        # Not `Event.wait`: on Windows its clock ticks every 15.6 ms, this one's not.
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
                # An ICMP error of an earlier packet is told, once, on the next send.
                self._fail(error)
        return now_ns

    def _fail(self, error: OSError) -> None:
        self._error = error
        self._errors += 1

    def _take(self, inbox: _Inbox) -> None:
        try:
            found = inbox.drain()
        except OSError as error:
            self._fail(error)
            return
        for arrived_ns, packet in found:
            heard = self._codec.parse(packet)
            if heard is None:
                continue
            number, reply = heard
            self._in[0] += 1
            self._in[1] += len(packet)
            if number < self._packets:
                self._arrivals.append(Arrival(arrived_ns, number, reply))
            else:
                self._closing[number] = reply

    def _all_back(self) -> bool:
        if len(self._arrivals) < len(self._sent_ns):
            return False
        back = {each.number for each in self._arrivals}
        return len(back) == len(self._sent_ns)

    def _wait_for(
        self, inbox: _Inbox, true: Callable[[], bool], seconds: float
    ) -> None:
        deadline = time.perf_counter() + seconds
        while not true() and time.perf_counter() < deadline:
            if self._stop.wait(0.01):
                return
            self._take(inbox)

    def _close(self, inbox: _Inbox) -> None:
        for attempt in range(_CLOSING_TRIES):
            self._send(self._packets + CLOSING_GAP + attempt)
            self._wait_for(inbox, lambda: bool(self._closing), 0.5)
            if self._closing:
                return
