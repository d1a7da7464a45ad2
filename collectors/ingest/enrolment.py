"""`EnrolmentService`: enrols laptops, and stays available while tokens are guessed.

An unknown token is refused from memory, without disk or slow hash, and after a few
tries from one network with status 429. A known token is never limited by what others in
its network try, so that an office behind one address is not punished.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from collectors.ingest.registry import Registry
from collectors.ingest.registry_records import DeviceTaken, EnrolmentRefused
from collectors.ip_networks import network_of
from collectors.token_buckets import TokenBuckets
from probes.wire.clock import MonotonicClock
from probes.wire.report import AgentCredential, Enrolment

# The registry writes one at a time; more threads would only wait for its lock.
_AT_ONCE = 2
_MOST_WAITING = 500
_WRONG_BURST, _WRONG_PER_S = 20, 0.2
# The same laptop again: its answer was lost, or this is a test.
_AGAIN_BURST, _AGAIN_PER_S = 5, 1 / 60
_Answer = TypeVar("_Answer")


class EnrolmentsBusy(Exception):
    """Try again after `retry_s`. `own`: the sender caused it (HTTP 429); otherwise too
    many enrol at once (503)."""

    def __init__(self, why: str, retry_s: float, *, own: bool) -> None:
        super().__init__(why)
        self.retry_s, self.own = retry_s, own


class WrongTokens:
    """Limits how many enrolments may be refused in one network."""

    def __init__(self, monotonic_s: MonotonicClock) -> None:
        self._allowance = TokenBuckets(_WRONG_PER_S, _WRONG_BURST)
        self._monotonic_s = monotonic_s

    def charge(self, address: str) -> None:
        """Raises `EnrolmentsBusy`."""
        network = network_of(address, 24, 56)
        wait_s = self._allowance.take(network, 1, self._monotonic_s())
        if wait_s > 0:
            why = "too many enrolments were refused in this network"
            raise EnrolmentsBusy(why, wait_s, own=True)


class EnrolmentService:
    """`wait_for_broker` returns when the MQTT broker knows every enrolled laptop."""

    def __init__(
        self,
        registry: Registry,
        wait_for_broker: Callable[[], Awaitable[object]] | None,
        monotonic_s: MonotonicClock,
    ) -> None:
        self._registry, self._monotonic_s = registry, monotonic_s
        self._wait_for_broker = wait_for_broker
        self._wrong = WrongTokens(monotonic_s)
        self._again = TokenBuckets(_AGAIN_PER_S, _AGAIN_BURST)
        self._refreshing = asyncio.Lock()
        self._writing = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0

    async def enrol(
        self, enrolment: Enrolment, address: str, now_ms: int
    ) -> AgentCredential:
        """Returns a new credential for the laptop at `address`.

        Raises `EnrolmentRefused`, `EnrolmentsBusy`, and what the registry's disk
        raises.
        """
        reason = await self._refusal_reason(enrolment, now_ms, address)
        if reason:
            self._wrong.charge(address)
            raise EnrolmentRefused(reason)
        # Before the limit of this id: many copies of one disk may have it.
        if self._registry.is_taken(enrolment):
            raise DeviceTaken
        return await self._write(
            enrolment.device,
            lambda: self._registry.identities.enrol(enrolment, now_ms, address),
        )

    async def move(
        self, original: str, secret: str, enrolment: Enrolment, now_ms: int
    ) -> AgentCredential:
        """Returns the credential of a copy of the laptop `original`, which signed in
        with `secret`. Raises as `enrol` does."""
        return await self._write(
            original,
            lambda: self._registry.identities.move(original, enrolment, now_ms),
        )

    async def renew(
        self, agent: str, secret: str, machine: str, now_ms: int
    ) -> AgentCredential:
        """Returns a credential with a new secret for the agent that signed in with
        `secret`. Raises as `enrol` does."""
        return await self._write(
            agent,
            lambda: self._registry.identities.renew(agent, secret, machine, now_ms),
            # It knows the secret that is valid until the new one is confirmed.
            wait=False,
        )

    async def confirm(self, agent: str, secret: str, now_ms: int) -> None:
        """Makes `secret` the agent's only one. Raises as `enrol` does."""
        await self._write(
            agent, lambda: self._registry.identities.confirm(agent, secret, now_ms)
        )

    async def _write(
        self, name: str, work: Callable[[], _Answer], *, wait: bool = True
    ) -> _Answer:
        """Does `work` in a thread, and may `wait` for the broker. `name` must not do
        this too often."""
        wait_s = self._again.take(name, 1, self._monotonic_s())
        if wait_s > 0:
            raise EnrolmentsBusy("this laptop has enrolled too often", wait_s, own=True)
        if self._waiting >= _MOST_WAITING:
            raise EnrolmentsBusy("too many laptops enrol at once", 5, own=False)
        self._waiting += 1
        try:
            async with self._writing:
                answer = await asyncio.to_thread(work)
        finally:
            self._waiting -= 1
        if wait and self._wait_for_broker is not None:
            await self._wait_for_broker()
        return answer

    async def _refusal_reason(
        self, enrolment: Enrolment, now_ms: int, address: str
    ) -> str:
        reason = self._registry.refusal_reason(enrolment, now_ms, address)
        if reason and self._registry.is_behind():
            # Another process may have made the token a moment ago.
            async with self._refreshing:
                if self._registry.is_behind():
                    await asyncio.to_thread(self._registry.refresh)
            reason = self._registry.refusal_reason(enrolment, now_ms, address)
        return reason
