"""`DmzRegistry`: a DMZ node's copy of what the inside publishes, in memory.

It reads the bucket again whenever that has something new, and never writes to it. While
the inside is away it goes on with what it has, and says how old that is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec
import structlog
from nats import errors
from nats.js import errors as jetstream_errors

from collectors.dmz.dmz_messages import LaptopMark, bucket_name, marks_subject
from collectors.dmz.published_registry import ORDERS, PublishedView
from collectors.failure_log import FailureLog
from collectors.ingest.ingest_config import PolicyConfig
from collectors.ingest.registry_records import EnrolledAgent
from collectors.ingest.stop_order_file import write_lines
from collectors.nats.nats_connection import NatsConnection
from collectors.nats.nats_errors import NATS_FAILURES
from probes.wire.clock import MonotonicClock, WallClock, steady_s
from probes.wire.sample import Sample, Value

_LOOK_S = 1.0
_MARKS_S = 30.0
_ANSWER_S = 5.0
_OLD_S = 120.0
_MARKS_AT_ONCE = 1_000
_HOUR_MS = 3_600_000
_DAY_S = 86_400

_log = structlog.get_logger()


class DmzRegistry:
    """`KnownLaptops` of a DMZ node. `orders`: the file of stop orders that laptops
    are given. `max_days`: after so long without the inside no laptop is let in.
    `remove_leftovers` removes what the node keeps aside of laptops that are not
    enrolled, of which it gets the test."""

    def __init__(
        self,
        connection: NatsConnection,
        orders: Path,
        max_days: float,
        now_ms: WallClock,
        now_s: MonotonicClock = steady_s,
        remove_leftovers: Callable[[Callable[[str], bool]], object] = (
            lambda is_enrolled: None
        ),
    ) -> None:
        self._remove_leftovers = remove_leftovers
        self._connection, self._orders_file = connection, orders
        self._now_ms, self._now_s = now_ms, now_s
        self._max_s = max_days * _DAY_S
        prefix = connection.config.prefix
        self._stream = f"KV_{bucket_name(prefix)}"
        self._subject = f"$KV.{bucket_name(prefix)}."
        self._marks_subject = marks_subject(prefix)
        self.view = PublishedView()
        self.revision = 0
        self._made: object = None
        self._head_s: float | None = None
        self._marked_s = now_s()
        # By laptop: what is not sent yet, and what was sent last.
        self._marks: dict[str, LaptopMark] = {}
        self._sent: dict[str, LaptopMark] = {}
        # The laptops when leftovers were last removed; None: not since the start.
        self._tidied: frozenset[str] | None = None
        self._failures = FailureLog("registry_not_read", "registry_read_again")
        self._untidy = FailureLog("leftovers_not_removed", "leftovers_removed")
        self._age = FailureLog("inside_is_away", "inside_is_back", level="warning")

    @property
    def problem(self) -> str:
        if problem := self.view.problem:
            return problem
        if self.age_s > self._max_s:
            return (
                f"the list of laptops is {self.age_s / _DAY_S:.1f} days old: expected "
                "the inside to renew it"
            )
        return ""

    @property
    def policy(self) -> PolicyConfig:
        """What laptops are to measure. Before it has come, no laptop is let in."""
        return self.view.policy or PolicyConfig()

    def sample(self, process: str, now_ms: int) -> Sample:
        """One row of `self_dmz_node`."""
        fields: dict[str, Value] = {
            "ready": int(not self.problem),
            "laptops": len(self.view.agents),
            "waiting": len(self._marks),
        }
        if self._head_s is not None:
            fields["list_age_s"] = self.age_s
        return Sample("self_dmz_node", {"process": process}, fields, now_ms)

    @property
    def age_s(self) -> float:
        """How long ago the inside was last there; 0 if it never was."""
        return 0.0 if self._head_s is None else self._now_s() - self._head_s

    def verify(self, agent: str, secret: str) -> EnrolledAgent | None:
        return self.view.verify(agent, secret)

    def is_retired(self, agent: str, secret: str, now_ms: int) -> bool:
        if not self.view.is_retired(agent, secret):
            return False
        self._mark(agent, retired_secret=secret)
        return True

    def mark_seen(self, agent: str, now_ms: int) -> None:
        self._mark(agent, seen_ms=now_ms - now_ms % _HOUR_MS)

    def mark_measured(self, agent: str, time_ms: int, software: str = "") -> None:
        hour_ms = time_ms - time_ms % _HOUR_MS
        self._mark(agent, measured_ms=hour_ms, software=software)

    def mark_policy(self, agent: str, version: str) -> None:
        self._mark(agent, policy=version)

    def _mark(self, agent: str, **marked: int | str) -> None:
        known = self._sent.get(agent) or LaptopMark(agent)
        before = self._marks.get(agent, known)
        after = msgspec.structs.replace(before, **marked)
        # Times are of the hour, so that each report does not make a mark.
        if after != known:
            self._marks[agent] = after

    async def follow(self) -> None:
        """Follows the inside until cancelled."""
        while True:
            try:
                await self.look()
                await self._send_marks()
            except NATS_FAILURES as error:
                self._failures.failed(self._connection.sentence(error))
            except ValueError as error:
                # The other parts are as they were.
                self._failures.failed(error)
            else:
                self._failures.recovered()
            await self._tidy()
            self._judge_age()
            await asyncio.sleep(_LOOK_S)

    async def wait_for(self, revision: int, wait_s: float = _ANSWER_S) -> None:
        """Returns when the copy has what the bucket had at that revision. Raises
        `TimeoutError`."""
        async with asyncio.timeout(wait_s):
            while self.revision < revision:
                await self.look()

    async def look(self) -> None:
        """Reads what is new. Raises what the client raises, and `ValueError`."""
        jetstream = self._connection.jetstream
        if not self._connection.is_connected:
            raise errors.ConnectionClosedError
        try:
            info = await jetstream.stream_info(self._stream)
        except jetstream_errors.NotFoundError:
            return
        if info.created != self._made:
            # Another bucket: its numbers begin again. What is known stays until then.
            self._made, self.revision = info.created, 0
        while self.revision < info.state.last_seq:
            try:
                message = await jetstream.get_msg(
                    self._stream,
                    seq=self.revision + 1,
                    subject=f"{self._subject}>",
                    next=True,
                )
            except jetstream_errors.NotFoundError:
                self.revision = info.state.last_seq
                return
            key = str(message.subject).removeprefix(self._subject)
            body = message.data or b""
            self.revision = max(self.revision, int(message.seq or 0))
            await self._take(key, body)

    async def _take(self, key: str, body: bytes) -> None:
        head = self.view.head
        self.view.take(key, body)
        if self.view.head is not head:
            # At the start it may be old already; clocks of two machines differ a bit.
            first = self.view.head if head is None else None
            old_ms = 0 if first is None else max(self._now_ms() - first.at_ms, 0)
            self._head_s = self._now_s() - old_ms / 1000
        if key == ORDERS:
            lines = self.view.orders
            await asyncio.to_thread(write_lines, self._orders_file, lines)

    async def _tidy(self) -> None:
        """Removes what was kept aside of laptops that have gone; also at the start, as
        some may have gone while the node was down."""
        known = self.view.agents
        if known is self._tidied or self.problem:
            return
        if self._tidied is None or self._tidied - known:
            try:
                await asyncio.to_thread(self._remove_leftovers, known.__contains__)
            except OSError as error:
                self._untidy.failed(error)
                return
            self._untidy.recovered()
        self._tidied = known

    async def _send_marks(self) -> None:
        if not self._marks or self._now_s() - self._marked_s < _MARKS_S:
            return
        self._marked_s = self._now_s()
        waiting = list(self._marks.values())
        for begin in range(0, len(waiting), _MARKS_AT_ONCE):
            some = waiting[begin : begin + _MARKS_AT_ONCE]
            body = msgspec.msgpack.encode(some)
            try:
                await self._connection.client.request(
                    self._marks_subject, body, timeout=_ANSWER_S
                )
            except (errors.NoRespondersError, errors.TimeoutError):
                # The inside is away: they are kept for it.
                return
            for mark in some:
                self._sent[mark.agent] = mark
                if self._marks.get(mark.agent) is mark:
                    del self._marks[mark.agent]
        # What is erased inside does not stay here.
        known = self.view.agents
        self._sent = {name: m for name, m in self._sent.items() if name in known}

    def _judge_age(self) -> None:
        age_s = self.age_s
        if age_s < _OLD_S:
            self._age.recovered()
            return
        self._age.failed(
            f"the list of laptops is {age_s:.0f} s old: laptops that are revoked since "
            "are still let in, and none can enrol"
        )
