"""Opens sessions, each as fast as it can be held, and closes them together."""

from __future__ import annotations

import importlib.util
from types import TracebackType
from typing import Self
from weakref import WeakSet

from collectors.snmp.session.credentials import Credential
from collectors.snmp.session.session import RetryPolicy, Session
from collectors.snmp.session.udp_session import UdpSession

# No wheel on Windows and on Intel macOS: there Python does all of it.
HAS_GUFO = importlib.util.find_spec("gufo") is not None


class Sessions:
    """`async with Sessions() as sessions:`; closes the sessions that are still open."""

    def __init__(self, prefer_gufo: bool = HAS_GUFO) -> None:
        self._prefer_gufo = prefer_gufo and HAS_GUFO
        self._opened: WeakSet[UdpSession] = WeakSet()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for session in self._opened:
            session.close()

    def open(
        self, address: str, port: int, credential: Credential, retry_policy: RetryPolicy
    ) -> Session:
        """A session to an agent at an IP literal. Sends nothing yet."""
        # gufo-snmp has no way to name a v3 context.
        if self._prefer_gufo and not credential.context:
            from collectors.snmp.session.gufo_session import GufoSession

            session: UdpSession = GufoSession(address, port, credential, retry_policy)
        else:
            session = UdpSession(address, port, credential, retry_policy)
        self._opened.add(session)
        return session
