"""What a reading of many tables has brought so far, so that it can go on later.

A slow agent needs several polls for its tables. The same reading is then started again
in the next poll: what was answered before is returned from here without a request, and
a walk that was cut off continues after its last row.
"""

from __future__ import annotations

import msgspec

from collectors.snmp.session.poll_budget import OctetAllowance
from collectors.snmp.session.session import Failed, Value


class WalkProgress(msgspec.Struct):
    """The rows of one walk, and the arcs of the last one."""

    rows: dict[str, Value | None] = {}
    last: tuple[int, ...] = ()

    def start_again(self) -> None:
        self.rows, self.last = {}, ()


class ReadProgress:
    """One reading of one device, over as many polls as it takes."""

    def __init__(self) -> None:
        # All polls together may bring no more octets than one.
        self.allowance = OctetAllowance()
        # None if the agent has no such value.
        self.values: dict[str, Value | None] = {}
        self.walks: dict[str, dict[str, Value]] = {}
        # Tables or columns that the agent does not answer, though it answers others.
        self.broken: dict[str, Failed] = {}
        # What was not answered, though the agent was there: broken, or lost.
        self.unanswered: list[str] = []
        # Whether the agent accepts a GET of these OIDs, joined by spaces.
        self.accepted: dict[str, bool] = {}
        # The OID after another one below a base.
        self.following: dict[tuple[str, str], str] = {}
        self._unfinished: dict[str, WalkProgress] = {}

    def start_walk(self, base: str) -> WalkProgress:
        """The walk below `base`, as far as it has come."""
        return self._unfinished.setdefault(base, WalkProgress())

    def end_walk(self, base: str, rows: dict[str, Value]) -> None:
        del self._unfinished[base]
        self.walks[base] = rows
