"""Bounds: what one agent may cost, and which reports came before."""

from __future__ import annotations

from collectors.ingest.ingest_config import LimitsConfig
from collectors.ingest.rejection_reasons import Reason
from collectors.token_buckets import Allowance
from probes.wire.clock import MonotonicClock


class Busy(Exception):
    """Too much at once; `retry_s` says when to come back."""

    def __init__(self, reason: Reason, why: str, retry_s: float) -> None:
        super().__init__(why)
        self.reason, self.retry_s = reason, retry_s


class Charges:
    """What each agent costs: requests, bytes (as sent and as unpacked) and reports.
    Each method raises `Busy` if the agent has had its share."""

    def __init__(self, limits: LimitsConfig, monotonic_s: MonotonicClock) -> None:
        self._monotonic_s = monotonic_s
        self._requests = Allowance(limits.requests_per_s, limits.requests_burst)
        self._bytes = Allowance(limits.bytes_per_s, limits.bytes_burst)
        self._reports = Allowance(limits.reports_per_s, limits.reports_burst)

    def request(self, agent: str) -> None:
        self._take(self._requests, agent, 1)

    def bytes(self, agent: str, count: int) -> None:
        self._take(self._bytes, agent, count)

    def reports(self, agent: str, count: int) -> None:
        self._take(self._reports, agent, count)

    def _take(self, allowance: Allowance, agent: str, count: int) -> None:
        wait_s = allowance.take(agent, count, self._monotonic_s())
        if wait_s > 0:
            raise Busy(Reason.AGENT_RATE, "this agent sends too much", wait_s)


class Remembered:
    """The last ids made durable, between `limit` / 2 and `limit` of them."""

    def __init__(self, limit: int) -> None:
        self._half = max(1, limit // 2)
        self._newer: set[tuple[str, str]] = set()
        self._older: set[tuple[str, str]] = set()

    def __contains__(self, key: object) -> bool:
        return key in self._newer or key in self._older

    def __len__(self) -> int:
        return len(self._newer) + len(self._older)

    def add(self, agent: str, id: str) -> None:
        self._newer.add((agent, id))
        if len(self._newer) >= self._half:
            self._older, self._newer = self._newer, set()
