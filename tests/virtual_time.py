"""An event loop whose clock jumps to the next timer, and SNMP without sockets in it.

Hours of waiting take no time, and nothing depends on how busy the machine is.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from collectors.snmp.session.channel import SocketChannel
from collectors.snmp.session.credentials import Credential
from collectors.snmp.session.session import RetryPolicy
from collectors.snmp.session.udp_session import UdpSession
from towpath.demo.simulated_switches import SimulatedSwitch

_Result = TypeVar("_Result")
_NOWHERE = ("memory", 0)


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
    def __init__(self) -> None:
        self._now_s = 1_000.0
        selector = _JumpingSelector()
        selector.jump = self._jump
        super().__init__(selector)

    def time(self) -> float:
        return self._now_s

    def pass_time(self, seconds: float) -> None:
        """As if the caller had kept the processor busy for so long."""
        self._now_s += seconds

    def _jump(self, seconds: float) -> None:
        self._now_s += seconds


def run_virtually(main: Coroutine[Any, Any, _Result]) -> _Result:
    """Runs `main`; `asyncio.get_running_loop().time` is its clock."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


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
