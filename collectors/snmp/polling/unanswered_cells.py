"""Requests again, a few times, what did not answer while a device's tables were read:
the answer may have been lost."""

from __future__ import annotations

from collections.abc import Sequence

from collectors.snmp.session.device_session import DeviceSession

# How often it is requested again, and how long after the last time.
_TIMES = 3
_APART_S = 300.0


class UnansweredCells:
    """The cells in doubt of one device."""

    def __init__(self) -> None:
        self._cells: list[str] = []
        self._asked_s = 0.0

    def replace(self, cells: Sequence[str], now_s: float) -> None:
        self._cells, self._asked_s = _TIMES * [*cells], now_s

    async def answer(self, snmp: DeviceSession, now_s: float) -> bool:
        """True if one answers now; asks only if it is time. Raises `Failed`."""
        if not self._cells or now_s - self._asked_s <= _APART_S:
            return False
        self._asked_s = now_s
        return await snmp.has(self._cells.pop(0))
