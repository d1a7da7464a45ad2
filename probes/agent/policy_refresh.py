"""The policy that is in force: kept on disk, and fetched again from the server."""

from __future__ import annotations

import contextlib
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
from probes.wire.atomic_file import replace_file
from probes.wire.policy import Policy, decode

_log = logging.getLogger(__name__)

POLICY = "policy.json"
# Sooner than the regular time, and not together with all other laptops.
RETRY_S = (60.0, 300.0)
REFUSED_RETRY_S = (2700.0, 4500.0)


class PolicySource(Protocol):
    async def policy(self, site: str = "") -> Policy | None:
        """Returns the policy if it changed. Raises `Later` or `CredentialRefused`."""
        ...


class Refreshed(NamedTuple):
    """`new_plan`: the policy changed what runs when. `retry_s`: the policy was not
    fetched; try again after that."""

    new_plan: bool = False
    retry_s: float | None = None


class PolicyRefresh:
    """`current` is the policy in force, the last one that the server gave."""

    def __init__(self, folder: Path, source: PolicySource | None) -> None:
        self._folder, self._source = folder, source
        self.current = read_policy(folder)
        self.fetched_ms: int | None = None
        self.trouble = ""

    async def fetch(self, site: str, now_ms: Callable[[], int]) -> Refreshed:
        """Fetches the policy for a laptop at `site`. Server errors never raise."""
        if self._source is None:
            return Refreshed()
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
            return Refreshed(retry_s=retry_s)
        self.trouble = ""
        self.fetched_ms = now_ms()
        if policy is None or policy == self.current:
            return Refreshed()
        # Incidents and tokens come and go. Neither changes any plans.
        new_plan = policy.plan() != self.current.plan()
        self.current = policy
        with contextlib.suppress(OSError):
            replace_file(
                self._folder / POLICY, msgspec.json.encode(policy), durable=True
            )
        return Refreshed(new_plan)


def read_policy(folder: Path) -> Policy:
    """Returns the last policy that the server gave; an empty one if there is none."""
    try:
        return decode((folder / POLICY).read_bytes())
    except (OSError, msgspec.DecodeError):
        return Policy()
