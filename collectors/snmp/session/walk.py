"""Walks that end: guarded against agents that loop, go back, or say too little.

A walk asks for many rows at a time; where the agent cannot, for half as many, at last
one by one (GETNEXT). What an agent stands is learnt in `AgentLimits` and kept for it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import cast

import msgspec

from collectors.snmp.session.oids import SYS_UP_TIME, parts, under
from collectors.snmp.session.session import (
    MAX_REPETITIONS,
    Failed,
    RetryPolicy,
    Row,
    Session,
    TooMuch,
    Value,
)
from probes.wire.failure import Outcome

# Enough for the largest tables read here; a cap, so that no agent fills the memory.
MAX_ROWS = 20_000
# What one device may say in one poll, names and values: chassis of some thousand ports
# say 5 MB; in memory it is four times that.
MAX_OCTETS = 16_000_000
# Varbinds of one GET: 40 stay under 1,400 bytes on every agent; more is learnt.
FIRST_VARBINDS = 40
MAX_VARBINDS = 80
# Of `AgentLimits`: at a dozen GETs a minute half an hour, and a day.
_FIRST_WAIT, _LONGEST_WAIT = 200, 16_000


class AgentLimits(msgspec.Struct):
    """What one agent can stand, learnt; worth remembering over a restart.

    A set-back may have been the network's fault: after long enough without one, a
    little more is tried again, and each set-back makes that longer.
    """

    repetitions: int = MAX_REPETITIONS
    # Rows a page that it has answered, and columns with longer values, for fewer.
    proved: int = 0
    narrow: dict[str, int] = {}
    varbinds: int = FIRST_VARBINDS
    # Good answers since varbinds was last changed; a set-back makes growing slower.
    good: int = 0
    ceiling: int = MAX_VARBINDS
    # The largest full GET that was answered.
    answered: int = 0
    # Good answers before more than `ceiling` is tried again; good walks before more
    # repetitions are.
    wait: int = _FIRST_WAIT
    walks: int = 0
    # An instance it has: asked for with others, so that an empty answer is a refusal.
    anchor: str = SYS_UP_TIME

    def less(self, tried: int) -> None:
        """A GET of `tried` was too much: half of it, and not as many for long."""
        if self.answered >= tried:
            # It stands less than it did.
            self.answered = 0
        most = (self.answered + tried) // 2 if self.answered else tried - 1
        self.ceiling = max(1, min(self.ceiling, most))
        self.varbinds = max(1, min(self.varbinds, tried // 2))
        self._set_back()

    def well(self) -> None:
        """A full GET was answered: try a few more after some of them."""
        self.good += 1
        self.answered = max(self.answered, self.varbinds)
        if self.varbinds < self.ceiling:
            if self.good >= 3:
                self.varbinds = min(self.ceiling, self.varbinds + 10)
                self.good = 0
        elif self.ceiling < MAX_VARBINDS and self.good >= self.wait:
            self.ceiling = min(MAX_VARBINDS, self.ceiling + 10)
            self.good = 0

    def rows(self, base: str) -> int:
        """How many rows to ask for at a time."""
        return min(self.repetitions, self.narrow.get(base, self.repetitions))

    def fewer(self, base: str, tried: int) -> None:
        """Pages of `tried` rows were too much: for this column alone, where others
        came so, and otherwise for all."""
        if tried <= self.proved:
            self.narrow[base] = max(1, tried // 2)
        else:
            self.repetitions = max(1, tried // 2)
        self._set_back()

    def walked(self, tried: int, rows: int) -> None:
        """A walk by `tried` rows a page went well."""
        if rows >= tried:
            self.proved = max(self.proved, tried)
        self.walks += 1
        if self.walks >= self.wait and (
            self.narrow or self.repetitions < MAX_REPETITIONS
        ):
            self.repetitions = min(MAX_REPETITIONS, self.repetitions * 2)
            self.narrow.clear()
            self.walks = 0

    def _set_back(self) -> None:
        self.good = self.walks = 0
        self.wait = min(self.wait * 2, _LONGEST_WAIT)


class _Disorder(Exception):
    """Rows of a walk repeat or go back."""


class Budget:
    """The time one device may take for one poll, on a monotonic clock, and how much it
    may say in that."""

    def __init__(self, seconds: float, octets: int = MAX_OCTETS) -> None:
        self._ends = time.monotonic() + seconds
        self._octets = octets

    @property
    def full(self) -> bool:
        """True where the device said more than it may."""
        return self._octets < 0

    def again(self, seconds: float) -> Budget:
        """Time anew, for what is kept of what the device has said."""
        return Budget(seconds, self._octets)

    def take(self, values: Iterable[Value], names: Iterable[str] = ()) -> None:
        """Counts an answer; `names` where we did not know them. Raises `Failed` where
        that was too much."""
        octets = sum(map(len, names))
        for value in values:
            if type(value) is bytes or type(value) is str:
                octets += len(value)
        self._octets -= octets
        if self.full:
            self.check()

    def check(self) -> None:
        if self.full:
            raise Failed(Outcome.BUDGET_SPENT, "the device says too much for a poll")
        if time.monotonic() > self._ends:
            raise Failed(Outcome.BUDGET_SPENT, "the device's time for a poll is spent")


async def walk(
    session: Session,
    base: str,
    stamina: AgentLimits,
    budget: Budget,
    ordered: bool = True,
) -> dict[str, Value]:
    """All rows below `base`, by whole OID, in the agent's order.

    Ends at the first row that lies outside, repeats or goes back; where the table is
    known to come in any order (`ordered` false) a row may go back, but not come twice.
    Raises `Failed`.
    """
    patience = session.patience
    try:
        while True:
            tried = stamina.rows(base)
            try:
                rows = await _walk(session, base, tried, budget, ordered)
            except _Disorder:
                # GETBULK is broken for some tables of some agents; GETNEXT is not.
                return await _walk(session, base, 1, budget, ordered)
            except TooMuch:
                if tried == 1:
                    raise
                stamina.fewer(base, tried)
            except Failed as failed:
                # Some agents fall silent at large GETBULKs, or cut their answers off.
                if tried == 1 or failed.outcome not in (
                    Outcome.TIMEOUT,
                    Outcome.BAD_ANSWER,
                ):
                    raise
                budget.check()
                if failed.outcome is Outcome.TIMEOUT:
                    # It may be the table: do not spend the device's time on it.
                    stamina.fewer(base, max(2, tried // 2))
                    session.patience = RetryPolicy(patience.timeouts_s[:1])
                else:
                    stamina.fewer(base, tried)
            else:
                stamina.walked(tried, len(rows))
                return rows
    finally:
        session.patience = patience


async def _walk(
    session: Session, base: str, repetitions: int, budget: Budget, ordered: bool
) -> dict[str, Value]:
    rows: dict[str, Value | None] = {}
    pages = session.pages(base, repetitions)
    last: tuple[int, ...] = ()
    while True:
        try:
            page = await pages.read()
        except TooMuch:
            # One row alone that cannot be received is of the column behind: names,
            # numbers and states are never so long, sets of ports are.
            if repetitions > 1 or not rows:
                raise
            break
        if not page:
            break
        budget.take(
            [value for _, value in page if value is not None], [oid for oid, _ in page]
        )
        budget.check()
        last = _take(page, base, last, rows, ordered, repetitions > 1)
        if not last or len(rows) >= MAX_ROWS:
            break
    for oid in [oid for oid, value in rows.items() if value is None]:
        del rows[oid]
    return cast(dict[str, Value], rows)


def _take(
    page: list[Row],
    base: str,
    last: tuple[int, ...],
    rows: dict[str, Value | None],
    ordered: bool,
    strict: bool,
) -> tuple[int, ...]:
    """Adds the good rows of `page`; the last OID taken, or () where the walk ends.

    `strict`: a row that repeats or goes back is `_Disorder`, not the end.
    """
    for oid, value in page:
        here = parts(oid)
        comes_back = here <= last if ordered else oid in rows
        if strict and comes_back and under(oid, base):
            raise _Disorder
        if comes_back or not under(oid, base):
            return ()
        rows[oid] = value
        last = here
    return last


async def has_rows(session: Session, base: str) -> bool:
    """Whether there is anything below `base`, by one GETNEXT. Raises `Failed`."""
    page = await session.pages(base, 1).read()
    return any(under(oid, base) for oid, _ in page)


async def get_all(
    session: Session, oids: Sequence[str], stamina: AgentLimits, budget: Budget
) -> dict[str, Value]:
    """The values of any number of OIDs, as many at a time as the agent stands."""
    found: dict[str, Value] = {}
    at = 0
    while at < len(oids):
        some = oids[at : at + max(1, stamina.varbinds - 1)]
        found |= await get_some(session, [stamina.anchor, *some], stamina, budget)
        at += len(some)
    return found


async def get_some(
    session: Session, oids: Sequence[str], stamina: AgentLimits, budget: Budget
) -> dict[str, Value]:
    """The values of `oids` in one GET, or in halves where that is too much."""
    budget.check()
    try:
        answer = await session.get(oids)
    except TooMuch:
        pass
    except Failed as failed:
        if failed.outcome is not Outcome.TIMEOUT or len(oids) == 1:
            raise
        # Some agents drop what is too much for them. Alive or not is one small GET.
        budget.check()
        patience = session.patience
        session.patience = RetryPolicy(patience.timeouts_s[:1])
        try:
            await session.get([stamina.anchor])
        finally:
            session.patience = patience
    else:
        budget.take(answer.values())
        if len(oids) >= stamina.varbinds:
            stamina.well()
        return answer
    if len(oids) == 1:
        return {}
    stamina.less(len(oids))
    half = len(oids) // 2
    first = await get_some(session, oids[:half], stamina, budget)
    return first | await get_some(session, oids[half:], stamina, budget)
