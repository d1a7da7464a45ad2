"""The interface of a session with one SNMP agent, whichever library implements it.

Values are `int` (all counters, gauges, ticks and integers), `float` (in an Opaque),
`bytes` (octet strings) and `str` (OIDs and IPv4 addresses). What an agent does not have
is absent from the answer, never None. The wire type is not kept: the OID determines the
width of a counter.

Every failure is a `Failed` with one of the outcomes. It never leaves `collectors.snmp`:
a poll turns it into a row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from collectors.snmp.session.answer_time import AnswerTime
from collectors.snmp.session.credentials import Credential
from probes.wire.failure import Outcome

Value = int | bytes | str | float
# Of a walk: None if the agent has no value there, or the value cannot be read.
WalkRow = tuple[str, Value | None]

# 25 rows of one column fit into an Ethernet frame.
MAX_REPETITIONS = 25
# A device that sends nothing but unreadable values must not fill the memory.
_MAX_UNREADABLE = 1_000


BUDGET_SPENT = "the device's time for a poll is used up"


class Failed(Exception):
    """An agent did not return what was requested; `outcome` is the reason."""

    def __init__(self, outcome: Outcome, detail: str) -> None:
        super().__init__(detail)
        self.outcome, self.detail = outcome, detail


class AnswerTooBig(Failed):
    """The answer was too large to send (tooBig) or to receive: request less."""

    def __init__(self, detail: str) -> None:
        super().__init__(Outcome.BAD_ANSWER, detail)


class GetRefused(AnswerTooBig):
    """The answer to a GET was an error, perhaps because of one OID: `suspect` if the
    agent names it, else empty."""

    def __init__(self, detail: str, suspect: str = "") -> None:
        super().__init__(detail)
        self.suspect = suspect


class RetryPolicy(msgspec.Struct, frozen=True):
    """How long to wait for an answer to each try of a request.

    The waits grow, so that a slow agent is not flooded with copies of a request that it
    is still working on.
    """

    timeouts_s: tuple[float, ...] = (1.0, 2.0, 3.0)

    @staticmethod
    def with_backoff(timeout_s: float, tries: int) -> RetryPolicy:
        """Waits `timeout_s` after the first request, twice that after the second…"""
        return RetryPolicy(tuple(timeout_s * (1 + n) for n in range(tries)))

    def as_one_try(self, at_most_s: float) -> RetryPolicy:
        """Waits as long as for all tries, up to `at_most_s`, after one request."""
        wait_s = min(sum(self.timeouts_s), at_most_s)
        return RetryPolicy((max(self.timeouts_s[0], wait_s),))


class RequestCounts(msgspec.Struct):
    """Requests that one session has sent; `packets` includes the retries."""

    packets: int = 0
    retries: int = 0


class UnreadableValues:
    """Values of a device that could not be read: the reason by OID."""

    def __init__(self) -> None:
        self.by_oid: dict[str, str] = {}

    def record(self, oid: str, fault: str) -> None:
        """Records the reason; "" if the value could be read, which ends a fault."""
        if not fault:
            self.by_oid.pop(oid, None)
        elif len(self.by_oid) < _MAX_UNREADABLE:
            self.by_oid[oid] = fault

    def clear(self) -> None:
        self.by_oid.clear()


class BulkPages(Protocol):
    """A walk below one OID, page after page."""

    async def read(self) -> list[WalkRow]:
        """The next rows, as the agent sent them; an empty list at the end."""


class Session(Protocol):
    """A session with one agent, for one request at a time. Raises only `Failed`."""

    counts: RequestCounts
    retry_policy: RetryPolicy
    # Waits are as long as the agent needs, if that is longer than the time-outs.
    answer_time: AnswerTime
    # No request waits longer than this, on the clock of the event loop.
    ends_s: float
    unreadable: UnreadableValues
    # Called when a request is about to be sent again.
    on_retry: Callable[[], None] | None

    @property
    def version(self) -> str:
        """`1`, `2c` or `3`."""

    @property
    def credential(self) -> Credential: ...

    async def get(self, oids: Sequence[str]) -> dict[str, Value]:
        """The values of `oids`, without those that the agent does not have."""

    def pages(self, base: str, repetitions: int, after: str = "") -> BulkPages:
        """A walk by GETBULK, or by GETNEXT if `repetitions` is 1."""

    def get_engine_id(self) -> bytes:
        """The agent's engine id (version 3); empty if it is not known."""

    def close(self) -> None: ...
