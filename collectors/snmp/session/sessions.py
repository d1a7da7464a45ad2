"""Opens sessions, each with the fastest library that can do it, and closes them."""

from __future__ import annotations

import importlib.util
from functools import cache
from typing import Self
from weakref import WeakSet

import structlog

from collectors.snmp.session.credentials import Credential
from collectors.snmp.session.session import RetryPolicy, Session
from collectors.snmp.session.udp_session import UdpSession

_log = structlog.get_logger()
# There is no wheel for Windows and Intel macOS: there Python does all the work.
HAS_GUFO = importlib.util.find_spec("gufo") is not None


class Sessions:
    """`async with Sessions() as sessions:` closes the sessions that are still open."""

    def __init__(self, prefer_gufo: bool = HAS_GUFO) -> None:
        self._prefer_gufo = prefer_gufo and HAS_GUFO
        self._opened: WeakSet[UdpSession] = WeakSet()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for session in self._opened:
            session.close()

    def open(
        self,
        address: str,
        port: int,
        credential: Credential,
        retry_policy: RetryPolicy,
    ) -> Session:
        """A session with the agent at an IP literal. Sends nothing yet."""
        session_class = UdpSession
        # gufo-snmp has no way to name a v3 context.
        if self._prefer_gufo and not credential.context:
            session_class = _fastest_class()
        session = session_class(address, port, credential, retry_policy)
        self._opened.add(session)
        return session


@cache
def _fastest_class() -> type[UdpSession]:
    """`GufoSession`, unless the library is not as expected: then Python does all."""
    try:
        from collectors.snmp.session import gufo_library
        from collectors.snmp.session.gufo_session import GufoSession

        error = gufo_library.mismatch()
    except ImportError as failure:
        error = str(failure)
    if error:
        _log.warning("gufo_snmp_not_used", error=error)
        return UdpSession
    return GufoSession
