"""The policy that is in force: kept on disk, and fetched again from the server."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec

from probes.agent.report_delivery import (
    RETRY_AFTER_MOST_S,
    CredentialRefused,
    Later,
)
from probes.agent.stop_orders import StopOrders
from probes.wire.clock import MonotonicClock, steady_s
from probes.wire.policy import Policy, decode
from probes.wire.state_file import StateFile

_log = logging.getLogger(__name__)

POLICY = "policy.json"
# Sooner than the regular time, and not together with all other laptops.
RETRY_S = (60.0, 300.0)
REFUSED_RETRY_S = (2700.0, 4500.0)
# After so long without a word about the policy the agent asks for it, so that a stop
# order acts within 15 minutes.
ASK_S = (600.0, 840.0)
# So many laptops do not fetch a new policy in the same second.
SOON_S = 30.0
# Several servers may differ for a while, such as during an update.
SAME_VERSION_S = 600.0


class PolicySource(Protocol):
    async def policy(self, site: str = "") -> Policy | None:
        """Returns the policy if it changed. Raises `Later` or `CredentialRefused`."""
        ...


class Refreshed(NamedTuple):
    """`new_plan`: the policy changed what runs when. `retry_s`: the policy was not
    fetched; try again after that. `refused`: because the credential was refused."""

    new_plan: bool = False
    retry_s: float | None = None
    refused: bool = False


class PolicyRefresh:
    """`current` is the policy in force, the last one that the server gave. `stops` are
    the orders that were obeyed."""

    def __init__(
        self,
        folder: Path,
        source: PolicySource | None,
        stops: StopOrders,
        monotonic_s: MonotonicClock = steady_s,
    ) -> None:
        self._file, self._source = _policy_file(folder), source
        self._monotonic_s = monotonic_s
        self.current = self._file.read(decode, Policy())
        self.stops = stops
        self.fetched_ms: int | None = None
        self.trouble = ""
        self._ask_s = monotonic_s() + random.uniform(*ASK_S)
        self._announced, self._announced_s = "", -SAME_VERSION_S

    def hear(self, version: str) -> float | None:
        """Takes note of the version that the server has. Returns in how many seconds
        to fetch the policy, None if the current one is that."""
        if not version:
            return None
        now_s = self._monotonic_s()
        self._ask_s = now_s + random.uniform(*ASK_S)
        if version == self.current.version:
            return None
        if version == self._announced and now_s - self._announced_s < SAME_VERSION_S:
            return None
        self._announced, self._announced_s = version, now_s
        return random.uniform(0, SOON_S)

    @property
    def should_ask(self) -> bool:
        """Whether it is time to ask, as nothing was heard of the policy for long."""
        return self._source is not None and self._monotonic_s() >= self._ask_s

    async def fetch(
        self,
        site: str,
        now_ms: Callable[[], int],
        stop_ms: Callable[[], int] | None = None,
    ) -> Refreshed:
        """Fetches the policy for a laptop at `site`. Server errors never raise.
        `stop_ms`: the time by which stop orders end, if not `now_ms`."""
        if self._source is None:
            return Refreshed()
        self._ask_s = self._monotonic_s() + random.uniform(*ASK_S)
        try:
            policy = await self._source.policy(site)
        except (Later, CredentialRefused) as error:
            if str(error) != self.trouble:
                _log.warning("policy_fetch_failed error=%s", error)
            self.trouble = str(error)
            refused = isinstance(error, CredentialRefused)
            retry_s = random.uniform(*(REFUSED_RETRY_S if refused else RETRY_S))
            if isinstance(error, Later) and error.after_s is not None:
                asked_s = min(error.after_s, RETRY_AFTER_MOST_S)
                retry_s = max(retry_s, asked_s * random.uniform(1, 1.25))
            self._ask_s = max(self._ask_s, self._monotonic_s() + retry_s)
            return Refreshed(retry_s=retry_s)
        self.trouble = ""
        self.fetched_ms = now_ms()
        if policy is None:
            return Refreshed()
        self.stops.take(policy, (stop_ms or now_ms)())
        if policy == self.current:
            return Refreshed()
        # Incidents and tokens come and go. Neither changes any plans.
        new_plan = policy.plan() != self.current.plan()
        self.current = policy
        self._file.write(msgspec.json.encode(policy))
        return Refreshed(new_plan)


def read_policy(folder: Path) -> Policy:
    """Returns the last policy that the server gave; an empty one if there is none."""
    return _policy_file(folder).read(decode, Policy())


def _policy_file(folder: Path) -> StateFile:
    loss = (
        "until the server gives the policy again, the usual times hold, and no targets"
    )
    return StateFile(folder / POLICY, loss)
