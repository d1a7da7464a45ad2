"""What a conversation with one SNMP agent looks like, whichever library holds it.

Values are `int` (all counters, gauges, ticks and integers), `bytes` (octet strings)
and `str` (OIDs and IPv4 addresses). What an agent does not have is absent from the
answer, never None. The wire type is not kept: widths are known from the OID.

Everything that can go wrong is a `Failed` with an outcome of the closed list; it never
leaves this room: a poll turns it into a value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from probes.wire.failure import Outcome

Value = int | bytes | str | float
# Of a walk: None if the agent has no value in that place, or none that can be read.
WalkRow = tuple[str, Value | None]

# 25 rows of one column fit into a frame.
MAX_REPETITIONS = 25
# A device that answers nothing but what cannot be read must not fill the memory.
_MOST_FAULTS = 1_000


class Failed(Exception):
    """An agent did not give what was asked; `outcome` says why."""

    def __init__(self, outcome: Outcome, detail: str) -> None:
        super().__init__(detail)
        self.outcome, self.detail = outcome, detail


class AnswerTooBig(Failed):
    """The answer did not fit (tooBig, or longer than can be received): ask for less."""

    def __init__(self, detail: str) -> None:
        super().__init__(Outcome.BAD_ANSWER, detail)


class RetryPolicy(msgspec.Struct, frozen=True):
    """How long to wait for an answer: `timeouts_s` one after another, each of them
    after sending the request again. Back-off keeps a slow agent from being drowned
    in copies of what it is still working on."""

    timeouts_s: tuple[float, ...] = (1.0, 2.0, 3.0)

    @staticmethod
    def with_backoff(timeout_s: float, tries: int) -> RetryPolicy:
        """Waits `timeout_s` after the first request, twice that after the second…"""
        return RetryPolicy(tuple(timeout_s * (1 + n) for n in range(tries)))


class RequestCounts(msgspec.Struct):
    """What one session has sent; `packets` includes the retries."""

    packets: int = 0
    retries: int = 0


class UnreadableValues:
    """Values that a device sent and that cannot be read: by OID, why."""

    def __init__(self) -> None:
        self.by_oid: dict[str, str] = {}

    def keep(self, oid: str, fault: str) -> None:
        """`fault` is "" for a value that was read: then an earlier fault is over."""
        if not fault:
            self.by_oid.pop(oid, None)
        elif len(self.by_oid) < _MOST_FAULTS:
            self.by_oid[oid] = fault

    def clear(self) -> None:
        self.by_oid.clear()


class BulkPages(Protocol):
    """A walk below one OID, page by page."""

    async def read(self) -> list[WalkRow]:
        """The next rows, as the agent gave them; an empty list at the end."""


class Session(Protocol):
    """One conversation; one request at a time. Raises `Failed` and nothing else."""

    counts: RequestCounts
    retry_policy: RetryPolicy
    unreadable: UnreadableValues
    # Called when a request is about to be sent again.
    on_retry: Callable[[], None] | None

    @property
    def version(self) -> str:
        """`1`, `2c` or `3`."""

    async def get(self, oids: Sequence[str]) -> dict[str, Value]:
        """The values of `oids`; what the agent does not have is left out."""

    def pages(self, base: str, repetitions: int) -> BulkPages:
        """A walk by GETBULK, or by GETNEXT where `repetitions` is 1."""

    def get_engine_id(self) -> bytes:
        """The agent's engine (version 3); empty where it is not known."""

    def close(self) -> None: ...
