"""`Enrolling`: lets laptops in, and is not kept from it by whoever tries tokens.

A token that is not known is refused from memory: no disk, no slow hash, and after a few
such tries from one network with 429. A known token is never limited by what others in
its network try, so that an office behind one address is not punished.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from collectors.ingest.registry import Registry
from collectors.ingest.registry_records import EnrolmentRefused
from collectors.network_prefix import network_of
from collectors.token_buckets import Allowance
from probes.wire.clock import MonotonicClock
from probes.wire.report import AgentCredential, Enrolment

# The registry writes one after the other; more threads would only wait for its lock.
_AT_ONCE = 2
_MOST_WAITING = 500
_WRONG_BURST, _WRONG_PER_S = 20, 0.2
# The same laptop again: its answer was lost, or somebody tries something out.
_AGAIN_BURST, _AGAIN_PER_S = 5, 1 / 60


class TooMany(Exception):
    """Not now; `retry_s` is when to come again, `own` whether it is the sender's own
    doing (HTTP 429) or too many at once (503)."""

    def __init__(self, why: str, retry_s: float, *, own: bool) -> None:
        super().__init__(why)
        self.retry_s, self.own = retry_s, own


class Enrolling:
    """`wait_for_broker` returns when the MQTT broker knows everyone enrolled so far."""

    def __init__(
        self,
        registry: Registry,
        wait_for_broker: Callable[[], Awaitable[object]] | None,
        monotonic_s: MonotonicClock,
    ) -> None:
        self._registry, self._monotonic_s = registry, monotonic_s
        self._wait_for_broker = wait_for_broker
        self._wrong = Allowance(_WRONG_PER_S, _WRONG_BURST)
        self._again = Allowance(_AGAIN_PER_S, _AGAIN_BURST)
        self._looking = asyncio.Lock()
        self._writing = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0

    async def enrol(
        self, enrolment: Enrolment, address: str, now_ms: int
    ) -> AgentCredential:
        """A new credential for the laptop that asks from `address`.

        Raises `EnrolmentRefused`, `TooMany`, and what the registry's disk raises.
        """
        why = await self._why_not(enrolment, now_ms)
        if why:
            wait_s = self._wrong.take(
                network_of(address, 24, 56), 1, self._monotonic_s()
            )
            if wait_s > 0:
                raise TooMany(
                    "too many enrolments were refused in this network",
                    wait_s,
                    own=True,
                )
            raise EnrolmentRefused(why)
        wait_s = self._again.take(enrolment.device, 1, self._monotonic_s())
        if wait_s > 0:
            raise TooMany("this laptop has enrolled too often", wait_s, own=True)
        if self._waiting >= _MOST_WAITING:
            raise TooMany("too many laptops enrol at once", 5, own=False)
        self._waiting += 1
        try:
            async with self._writing:
                credential = await asyncio.to_thread(
                    self._registry.enrol, enrolment, now_ms
                )
        finally:
            self._waiting -= 1
        if self._wait_for_broker is not None:
            await self._wait_for_broker()
        return credential

    async def _why_not(self, enrolment: Enrolment, now_ms: int) -> str:
        why = self._registry.refusal_reason(enrolment, now_ms)
        if why and self._registry.is_behind():
            # The token may have been made a moment ago by another process.
            async with self._looking:
                if self._registry.is_behind():
                    await asyncio.to_thread(self._registry.refresh)
            why = self._registry.refusal_reason(enrolment, now_ms)
        return why
