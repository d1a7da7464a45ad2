"""An event loop whose clock jumps to the next timer, and datagrams without sockets.

Hours of waiting take no time, and nothing depends on how busy the machine is.
"""

from __future__ import annotations

import asyncio
import functools
import selectors
import time
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

import pytest

from collectors.snmp.polling import poll_run
from collectors.snmp.polling.device_poll import PollSettings
from collectors.snmp.session import sessions
from collectors.snmp.session.channel import SocketChannel
from collectors.snmp.session.credentials import Credential
from collectors.snmp.session.session import RetryPolicy
from collectors.snmp.session.udp_session import UdpSession
from towpath.demo.simulated_switches import SimulatedSwitch

_Result = TypeVar("_Result")
_Arguments = ParamSpec("_Arguments")
_NOWHERE = ("memory", 0)
_FIRST_PORT = 40_000


class _JumpingSelector(selectors.DefaultSelector):
    """Does not wait: it calls `jump` with the time that it would have waited."""

    jump: Callable[[float], None]

    def select(
        self, timeout: float | None = None
    ) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout:
            self.jump(timeout)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its datagrams stay in memory, and what is meant for a thread is done at once."""

    def __init__(self) -> None:
        self._now_s = 1_000.0
        self._bound: dict[int, asyncio.DatagramProtocol] = {}
        self._last_port = _FIRST_PORT
        selector = _JumpingSelector()
        selector.jump = self._jump
        super().__init__(selector)

    def time(self) -> float:
        return self._now_s

    def pass_time(self, seconds: float) -> None:
        """As if the caller had kept the processor busy for this long."""
        self._now_s += seconds

    def _jump(self, seconds: float) -> None:
        self._now_s += seconds

    def run_in_executor(self, _: Any, func: Any, *args: Any) -> Any:
        done = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - raised to what awaits it
            done.set_exception(error)
        return done

    async def create_datagram_endpoint(  # type: ignore[override]
        self,
        protocol_factory: Callable[[], asyncio.DatagramProtocol],
        local_addr: tuple[str, int] | None = None,
        remote_addr: tuple[str, int] | None = None,
    ) -> tuple[asyncio.DatagramTransport, asyncio.DatagramProtocol]:
        """Like UDP within one machine: a closed port refuses datagrams."""
        port = local_addr[1] if local_addr else 0
        if not port:
            self._last_port += 1
            port = self._last_port
        protocol = self._bound[port] = protocol_factory()
        peer = remote_addr[1] if remote_addr else None
        socket = _Socket(self._bound, port, peer)
        protocol.connection_made(socket)
        return socket, protocol


class _Socket(asyncio.DatagramTransport):
    """One end in memory. `bound`: the receiver of each port."""

    def __init__(
        self, bound: dict[int, asyncio.DatagramProtocol], port: int, peer: int | None
    ) -> None:
        super().__init__({"sockname": ("127.0.0.1", port)})
        self._bound, self._port, self._peer = bound, port, peer

    def sendto(self, data: Any, addr: Any = None) -> None:
        to = self._bound.get(addr[1] if self._peer is None else self._peer)
        loop = asyncio.get_running_loop()
        if to is not None:
            source = ("127.0.0.1", self._port)
            loop.call_soon(to.datagram_received, bytes(data), source)
        elif self._peer is not None:
            loop.call_soon(
                self._bound[self._port].error_received, ConnectionRefusedError()
            )

    def close(self) -> None:
        self._bound.pop(self._port, None)


def run_virtually(main: Coroutine[Any, Any, _Result]) -> _Result:
    """Runs `main`; `asyncio.get_running_loop().time` is its clock."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


def in_virtual_time(
    test: Callable[_Arguments, Coroutine[Any, Any, None]],
) -> Callable[_Arguments, None]:
    """A test whose `time` is that of a virtual loop, and whose UDP needs no sockets."""

    @functools.wraps(test)
    def run(*arguments: _Arguments.args, **named: _Arguments.kwargs) -> None:
        with (
            asyncio.Runner(loop_factory=VirtualLoop) as runner,
            pytest.MonkeyPatch.context() as patch,
        ):
            now_s = runner.get_loop().time
            for clock in ("monotonic", "time"):
                patch.setattr(time, clock, now_s)
            patch.setattr(time, "time_ns", lambda: round(now_s() * 1e9))
            settings = functools.partial(PollSettings, monotonic_s=now_s)
            patch.setattr(poll_run, "PollSettings", settings)
            # gufo-snmp brings sockets of its own.
            patch.setattr(sessions, "_fastest_class", lambda: UdpSession)
            runner.run(test(*arguments, **named))

    return run


class _Wire(asyncio.DatagramTransport):
    """Brings datagrams to the other end, as soon as the loop is free."""

    def __init__(self, to: asyncio.DatagramProtocol) -> None:
        super().__init__()
        self._to = to

    def sendto(self, data: Any, addr: Any = None) -> None:
        loop = asyncio.get_running_loop()
        loop.call_soon(self._to.datagram_received, bytes(data), _NOWHERE)

    def close(self) -> None:
        pass


class MemorySession(UdpSession):
    """A session with a simulated switch in the same process."""

    def __init__(
        self, switch: SimulatedSwitch, credential: Credential, retry_policy: RetryPolicy
    ) -> None:
        super().__init__("127.0.0.1", 1, credential, retry_policy)
        self._switch = switch

    async def _open(self) -> SocketChannel:
        channel = SocketChannel()
        channel.connection_made(_Wire(self._switch))
        self._switch._transport = _Wire(channel)
        return channel
