"""Reads one device: GETs of any size, and walks that always end.

Agents loop, go back, or return less than they have; the walks are guarded against all
of that. A walk requests many rows at a time, half as many if the agent cannot, and in
the end one by one (GETNEXT). A GET is split in the same way. `AgentLimits` keeps what
the agent can do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import cast

from collectors.snmp.session.agent_limits import AgentLimits
from collectors.snmp.session.oids import parts, under
from collectors.snmp.session.poll_budget import PollBudget
from collectors.snmp.session.session import (
    AnswerTooBig,
    Failed,
    RetryPolicy,
    Session,
    Value,
    WalkRow,
)
from probes.wire.failure import Outcome

# Enough for the largest tables read here; a limit, so that no agent fills the memory.
MAX_ROWS = 20_000


class _OutOfOrder(Exception):
    """Rows of a walk repeat or go back."""


class DeviceSession:
    """A session with one device, what its agent can do, and what this poll may cost.

    All methods raise `Failed`.
    """

    def __init__(
        self, session: Session, budget: PollBudget, limits: AgentLimits | None = None
    ) -> None:
        self.session, self.budget = session, budget
        self.limits = limits or AgentLimits()

    @property
    def is_v1(self) -> bool:
        """True if the agent refuses a whole GET for one missing instance."""
        return self.session.version == "1"

    def with_budget(self, budget: PollBudget) -> DeviceSession:
        """The same session and limits, for work with a budget of its own."""
        return DeviceSession(self.session, budget, self.limits)

    @contextmanager
    def tries(self, at_most: int) -> Iterator[None]:
        """Sends each request at most `at_most` times within this context."""
        policy = self.session.retry_policy
        self.session.retry_policy = RetryPolicy(policy.timeouts_s[:at_most])
        try:
            yield
        finally:
            self.session.retry_policy = policy

    async def check_alive(self) -> None:
        """Returns if the agent answers one small GET."""
        await self.session.get([self.limits.anchor])

    async def get_all(self, oids: Sequence[str]) -> dict[str, Value]:
        """The values of any number of OIDs, as many at a time as the agent can."""
        values: dict[str, Value] = {}
        at = 0
        while at < len(oids):
            some = oids[at : at + max(1, self.limits.varbinds - 1)]
            values |= await self.get_some([self.limits.anchor, *some])
            at += len(some)
        return values

    async def get_some(self, oids: Sequence[str]) -> dict[str, Value]:
        """The values of `oids` in one GET, or in halves if that is too much."""
        self.budget.check()
        try:
            answer = await self.session.get(oids)
        except AnswerTooBig:
            pass
        except Failed as failed:
            if failed.outcome is not Outcome.TIMEOUT or len(oids) == 1:
                raise
            # Some agents drop a request that is too large for them. Is this one alive?
            self.budget.check()
            with self.tries(1):
                await self.check_alive()
        else:
            self.budget.count(answer.values())
            if len(oids) >= self.limits.varbinds:
                self.limits.get_succeeded()
            return answer
        if len(oids) == 1:
            return {}
        self.limits.get_failed(len(oids))
        half = len(oids) // 2
        return await self.get_some(oids[:half]) | await self.get_some(oids[half:])

    async def has_rows(self, base: str) -> bool:
        """True if there is anything below `base`; costs one GETNEXT."""
        page = await self.session.pages(base, 1).read()
        return any(under(oid, base) for oid, _ in page)

    async def walk(self, base: str, ordered: bool = True) -> dict[str, Value]:
        """All rows below `base`, by whole OID, in the agent's order.

        The walk ends at the first row that lies outside, repeats or goes back. With
        `ordered` false, for tables whose rows come in any order, a row may go back but
        not repeat.
        """
        tries = len(self.session.retry_policy.timeouts_s)
        while True:
            page_rows = self.limits.page_rows(base)
            try:
                with self.tries(tries):
                    rows = await self._walk(base, page_rows, ordered)
            except _OutOfOrder:
                # GETBULK is broken for some tables of some agents; GETNEXT is not.
                with self.tries(tries):
                    return await self._walk(base, 1, ordered)
            except AnswerTooBig:
                if page_rows == 1:
                    raise
                self.limits.page_failed(base, page_rows)
            except Failed as failed:
                # Some agents do not answer large GETBULKs, or cut their answers off.
                if page_rows == 1 or failed.outcome not in (
                    Outcome.TIMEOUT,
                    Outcome.BAD_ANSWER,
                ):
                    raise
                self.budget.check()
                if failed.outcome is Outcome.TIMEOUT:
                    # It may be the table: do not spend the device's time on it.
                    self.limits.page_failed(base, max(2, page_rows // 2))
                    tries = 1
                else:
                    self.limits.page_failed(base, page_rows)
            else:
                self.limits.walk_succeeded(page_rows, len(rows))
                return rows

    async def _walk(
        self, base: str, repetitions: int, ordered: bool
    ) -> dict[str, Value]:
        rows: dict[str, Value | None] = {}
        pages = self.session.pages(base, repetitions)
        last: tuple[int, ...] = ()
        while True:
            try:
                page = await pages.read()
            except AnswerTooBig:
                # A single row too large to be received belongs to the next column:
                # names, numbers and states are never so long, sets of ports are.
                if repetitions > 1 or not rows:
                    raise
                break
            if not page:
                break
            self.budget.count(
                [value for _, value in page if value is not None],
                [oid for oid, _ in page],
            )
            self.budget.check()
            last = _add(page, base, last, rows, ordered, repetitions > 1)
            if not last or len(rows) >= MAX_ROWS:
                break
        for oid in [oid for oid, value in rows.items() if value is None]:
            del rows[oid]
        return cast("dict[str, Value]", rows)


def _add(
    page: list[WalkRow],
    base: str,
    last: tuple[int, ...],
    rows: dict[str, Value | None],
    ordered: bool,
    strict: bool,
) -> tuple[int, ...]:
    """Adds the good rows of `page`; returns the last OID added, or () if the walk ends.

    If `strict`, a row that repeats or goes back raises `_OutOfOrder`.
    """
    for oid, value in page:
        arcs = parts(oid)
        comes_back = arcs <= last if ordered else oid in rows
        if strict and comes_back and under(oid, base):
            raise _OutOfOrder
        if comes_back or not under(oid, base):
            return ()
        rows[oid] = value
        last = arcs
    return last
