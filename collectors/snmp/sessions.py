"""Opens sessions, each on the fastest library that can hold it."""

from __future__ import annotations

import importlib.util
from types import TracebackType
from typing import Self

from collectors.snmp.credentials import Credential
from collectors.snmp.session import Patience, Session

# No wheel on Windows and on Intel macOS: there pysnmp speaks instead, more slowly.
HAS_GUFO = importlib.util.find_spec("gufo") is not None


class Sessions:
    """`async with Sessions() as sessions:`; closes what the libraries share."""

    def __init__(self, prefer_gufo: bool = HAS_GUFO) -> None:
        self._prefer_gufo = prefer_gufo and HAS_GUFO
        self._engine: object | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._engine is not None:
            from collectors.snmp.pysnmp_session import close_engine

            close_engine(self._engine)
            self._engine = None

    def open(
        self, address: str, port: int, credential: Credential, patience: Patience
    ) -> Session:
        """A session to an agent at an IP literal. Sends nothing yet."""
        # gufo-snmp has no way to name a v3 context.
        if self._prefer_gufo and not credential.context:
            from collectors.snmp.gufo_session import GufoSession

            return GufoSession(address, port, credential, patience)
        from collectors.snmp.pysnmp_session import PysnmpSession, open_engine

        if self._engine is None:
            # Tens of ms to make, so one for all.
            self._engine = open_engine()
        return PysnmpSession(self._engine, address, port, credential, patience)
