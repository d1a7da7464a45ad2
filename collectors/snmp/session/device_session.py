"""Reads one device: GETs of any size, and walks that always end.

Agents loop, go back, or return less than they have; the walks are guarded against all
of that. A walk requests many rows at a time, half as many if the agent cannot, and in
the end one by one (GETNEXT). A GET is split in the same way, and goes on without the
values that the agent refuses. `AgentLimits` keeps what the agent can do.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from collectors.snmp.session.agent_limits import AgentLimits
from collectors.snmp.session.answer_time import SLOW_S
from collectors.snmp.session.oids import under
from collectors.snmp.session.poll_budget import PollBudget
from collectors.snmp.session.read_progress import ReadProgress, WalkProgress
from collectors.snmp.session.session import (
    AnswerTooBig,
    Failed,
    GetRefused,
    RetryPolicy,
    Session,
    Value,
)
from collectors.snmp.session.walk_rows import OutOfOrder, add_rows
from probes.wire.failure import Outcome

# Enough for the largest tables read here; a limit, so that no agent fills the memory.
MAX_ROWS = 20_000
# How many values a GET may leave out, one request each, because the agent names them as
# the reason for an error. Some agents name the wrong ones.
_MAX_SUSPECTS = 3
# Some time passes between two looks at the clock.
_SOME_MORE = 1.05


class DeviceSession:
    """A session with one device, what its agent can do, and what this poll may cost.

    All methods raise `Failed`.
    """

    def __init__(
        self,
        session: Session,
        budget: PollBudget,
        limits: AgentLimits | None = None,
        progress: ReadProgress | None = None,
    ) -> None:
        self.session, self.budget = session, budget
        self.limits = limits or AgentLimits()
        self._progress = progress
        self._sent_before = session.counts.packets

    @property
    def is_v1(self) -> bool:
        """True if the agent refuses a whole GET for one missing instance."""
        return self.session.version == "1"

    @property
    def is_slow(self) -> bool:
        """True if the agent is sent few packets, as it takes long for each answer."""
        return self.session.answer_time.expected_s >= SLOW_S

    def with_budget(self, budget: PollBudget) -> DeviceSession:
        """The same session and limits, for work with a budget of its own."""
        return self._like(budget=budget)

    def with_share(self, ratio: float) -> DeviceSession:
        """The same session and limits, for that part of the time that is left: at least
        for one answer, so that a reading gets ahead in every poll."""
        answer_s = self.session.answer_time.expected_s * _SOME_MORE
        share_s = max(self.budget.left_s * ratio, answer_s)
        return self.with_budget(self.budget.at_most(share_s))

    def goes_on(self, failed: Failed) -> bool:
        """True if what failed only ran out of time, so that the next poll goes on."""
        return failed.outcome is Outcome.BUDGET_SPENT and not self.budget.full

    def with_limits(self, limits: AgentLimits) -> DeviceSession:
        """The same session and budget, with other limits."""
        return self._like(limits=limits)

    def with_progress(self, progress: ReadProgress) -> DeviceSession:
        """The same session, for a reading that may go on in a later poll."""
        budget = self.budget.at_most(allowance=progress.allowance)
        return self._like(budget=budget, _progress=progress)

    def _like(self, **changes: object) -> DeviceSession:
        other = copy.copy(self)
        vars(other).update(changes)
        return other

    @contextmanager
    def tries(self, at_most: int | None) -> Iterator[None]:
        """Sends each request at most `at_most` times within this context."""
        policy = self.session.retry_policy
        self.session.retry_policy = RetryPolicy(policy.timeouts_s[:at_most])
        try:
            yield
        finally:
            self.session.retry_policy = policy

    async def check_alive(self) -> None:
        """Returns if the agent answers one small GET."""
        self._begin()
        # An error is an answer too.
        with suppress(AnswerTooBig):
            await self.session.get([self.limits.anchor])

    async def accepts(self, oids: Sequence[str], tries: int) -> bool:
        """False if a GET of `oids` is refused, or not answered `tries` times."""
        progress = self._progress or ReadProgress()
        key = " ".join(oids)
        if key not in progress.accepted:
            self._begin()
            try:
                with self.tries(tries):
                    await self.session.get([self.limits.anchor, *oids])
                progress.accepted[key] = True
            except AnswerTooBig:
                progress.accepted[key] = False
            except Failed as failed:
                if failed.outcome is not Outcome.TIMEOUT:
                    raise
                progress.accepted[key] = False
                if len(oids) == 1:
                    progress.unanswered.append(oids[0])
        return progress.accepted[key]

    async def has(self, oid: str) -> bool:
        """True if the agent answers one request for `oid` with a value."""
        self._begin()
        try:
            with self.tries(1):
                return oid in await self.session.get([self.limits.anchor, oid])
        except AnswerTooBig:
            return False
        except Failed as failed:
            if failed.outcome is not Outcome.TIMEOUT:
                raise
            return False

    async def pass_over(self, base: str, failed: Failed) -> None:
        """Returns if only the table or column `base` is broken.

        Raises `failed` if its reason is not the table, and another `Failed` if the
        device is silent.
        """
        if failed.outcome is Outcome.TIMEOUT:
            await self.check_alive()
            if self._progress is not None:
                self._progress.unanswered.append(base)
        elif failed.outcome is not Outcome.BAD_ANSWER:
            raise failed
        if self._progress is not None:
            self._progress.broken[base] = Failed(Outcome.BAD_ANSWER, failed.detail)

    async def get_all(self, oids: Sequence[str]) -> dict[str, Value]:
        """The values of any number of OIDs, as many at a time as the agent can."""
        values, oids = self._known(oids)
        at = 0
        while at < len(oids):
            some = oids[at : at + max(1, self.limits.varbinds - 1)]
            values |= await self.get_some([self.limits.anchor, *some])
            at += len(some)
        return values

    async def get_some(self, oids: Sequence[str]) -> dict[str, Value]:
        """The values of `oids` in one GET, or in more if that is too much."""
        known, unknown = self._known(oids)
        if not unknown:
            return known
        anchors = [oid for oid in oids if oid == self.limits.anchor and oid in known]
        return known | await self._get_split([*anchors, *unknown])

    def _known(self, oids: Sequence[str]) -> tuple[dict[str, Value], Sequence[str]]:
        """The values that an earlier poll of this reading brought; the other OIDs."""
        if self._progress is None:
            return {}, oids
        known = self._progress.values
        values = {oid: known.get(oid) for oid in oids}
        return (
            {oid: value for oid, value in values.items() if value is not None},
            [oid for oid in oids if oid not in known],
        )

    async def _get_split(
        self,
        oids: Sequence[str],
        suspects: int = _MAX_SUSPECTS,
        tries: int | None = None,
    ) -> dict[str, Value]:
        """One GET without what the agent refuses; if it still fails, halves of it.

        `suspects`: how many more values it may leave out because the agent names them.
        """
        refused = self.limits.refused
        asked = [oid for oid in oids if oid not in refused]
        is_silent = False
        if not asked:
            self._record(oids, {})
            return {}
        self._begin()
        try:
            with self.tries(tries):
                answer = await self.session.get(asked)
        except GetRefused as failed:
            if failed.suspect and suspects and len(asked) > 1:
                return await self._get_without(failed.suspect, asked, suspects - 1)
            if len(asked) == 1:
                self.limits.refuse(asked[0])
        except AnswerTooBig:
            pass
        except Failed as failed:
            if failed.outcome is not Outcome.TIMEOUT or len(asked) == 1:
                raise
            # Some agents drop a request that is too large for them, or one with a value
            # that they hide. Is this one alive?
            with self.tries(1):
                await self.check_alive()
            tries, is_silent = self._tries_after_silence(tries), True
        else:
            self.budget.count(answer.values())
            if len(asked) >= self.limits.varbinds:
                self.limits.get_succeeded()
            self._record(oids, answer)
            return answer
        if len(asked) == 1:
            self._record(oids, {})
            return {}
        before, half = len(refused), len(asked) // 2
        try:
            answer = await self._get_half(asked[:half], tries)
            return answer | await self._get_half(asked[half:], tries)
        finally:
            if len(refused) == before:
                # The size was the reason, not one of the values.
                is_lossy = self.session.answer_time.is_lossy
                self.limits.get_failed(len(asked), is_silent, is_lossy)

    def _tries_after_silence(self, tries: int | None) -> int | None:
        """How often to send parts of what an agent that is alive did not answer: once,
        unless its packets are lost."""
        return tries if self.session.answer_time.is_lossy else 1

    async def _get_half(
        self, oids: Sequence[str], tries: int | None
    ) -> dict[str, Value]:
        """A half of a GET that failed, of an agent that is alive."""
        try:
            return await self._get_split(oids, tries=tries)
        except Failed as failed:
            if failed.outcome is not Outcome.TIMEOUT or len(oids) > 1:
                raise
            with self.tries(2):
                await self.check_alive()
            self.limits.refuse(oids[0])
            self._record(oids, {})
            return {}

    async def _get_without(
        self, suspect: str, oids: Sequence[str], suspects: int
    ) -> dict[str, Value]:
        """The values of `oids`, which the agent refuses because of `suspect`."""
        rest = [oid for oid in oids if oid != suspect]
        self._begin()
        try:
            answer = await self.session.get(rest)
        except GetRefused as failed:
            if failed.suspect and suspects and len(rest) > 1:
                answer = await self._get_without(failed.suspect, rest, suspects - 1)
            else:
                # It is not only this one, or not this one.
                return await self._get_split(oids, 0)
        except AnswerTooBig:
            return await self._get_split(oids, 0)
        self.limits.refuse(suspect)
        self._record(oids, answer)
        return answer

    def _record(self, oids: Sequence[str], answer: dict[str, Value]) -> None:
        """Keeps what was answered, and replaces an anchor that was not."""
        if self._progress is not None:
            self._progress.values |= {oid: answer.get(oid) for oid in oids}
        anchor = self.limits.anchor
        if answer and anchor in oids and anchor not in answer:
            self.limits.anchor = next(iter(answer))

    async def has_rows(self, base: str) -> bool:
        """True if there is anything below `base`; costs one GETNEXT."""
        return bool(await self.next_oid(base))

    async def next_oid(self, base: str, after: str = "") -> str:
        """The first OID below `base`, or the first one after `after`; empty if there is
        none. Costs one GETNEXT."""
        progress = self._progress or ReadProgress()
        key = (base, after)
        if key not in progress.following:
            self._begin()
            page = await self.session.pages(base, 1, after).read()
            progress.following[key] = next((o for o, _ in page if under(o, base)), "")
        return progress.following[key]

    def _begin(self) -> None:
        """Before each request. Raises `Failed` if its answer would come too late.

        The first request of a poll is always made: what is expected may be wrong.
        """
        is_first = self.session.counts.packets == self._sent_before
        self.budget.check(0.0 if is_first else self.session.answer_time.expected_s)
        now_s = asyncio.get_running_loop().time()
        self.session.ends_s = now_s + self.budget.left_s

    async def walk(self, base: str, ordered: bool = True) -> dict[str, Value]:
        """All rows below `base`, by whole OID, in the agent's order.

        The walk ends at the first row that lies outside, repeats or goes back. With
        `ordered` false, for tables whose rows come in any order, a row may go back but
        not repeat.
        """
        progress = self._progress or ReadProgress()
        if base in progress.broken:
            raise progress.broken[base]
        if base not in progress.walks:
            so_far = progress.start_walk(base)
            await self._walk_on(base, ordered, so_far)
            rows = {oid: v for oid, v in so_far.rows.items() if v is not None}
            progress.end_walk(base, rows)
        return progress.walks[base]

    async def _walk_on(self, base: str, ordered: bool, so_far: WalkProgress) -> None:
        """Walks after the last row of `so_far`, with smaller pages if it must."""
        tries = len(self.session.retry_policy.timeouts_s)
        while True:
            page_rows = self.limits.page_rows(base)
            before = len(so_far.rows)
            try:
                with self.tries(tries):
                    await self._walk_pages(base, page_rows, ordered, so_far)
            except OutOfOrder:
                # GETBULK is broken for some tables of some agents; GETNEXT is not.
                so_far.start_again()
                with self.tries(tries):
                    return await self._walk_pages(base, 1, ordered, so_far)
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
                if failed.outcome is Outcome.TIMEOUT:
                    # It may be the table: do not spend the device's time on it.
                    self.limits.page_failed(base, max(2, page_rows // 2))
                    tries = self._tries_after_silence(tries) or tries
                else:
                    self.limits.page_failed(base, page_rows)
            else:
                self.limits.walk_succeeded(page_rows, len(so_far.rows) - before)
                return None

    async def _walk_pages(
        self, base: str, repetitions: int, ordered: bool, so_far: WalkProgress
    ) -> None:
        rows = so_far.rows
        last_oid = ".".join(map(str, so_far.last))
        pages = self.session.pages(base, repetitions, last_oid)
        while True:
            self._begin()
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
            last = add_rows(page, base, so_far.last, rows, ordered, repetitions > 1)
            if not last or len(rows) >= MAX_ROWS:
                break
            so_far.last = last
