"""Rate limits for each agent, and the ids of recent reports."""

from __future__ import annotations

from collectors.ingest.ingest_config import LimitsConfig
from collectors.ingest.rejection_reasons import RejectionReason
from collectors.token_buckets import TokenBuckets
from probes.wire.clock import MonotonicClock


class Busy(Exception):
    """Too much at once. Try again after `retry_s`."""

    def __init__(self, reason: RejectionReason, why: str, retry_s: float) -> None:
        super().__init__(why)
        self.reason, self.retry_s = reason, retry_s


class RateLimits:
    """Limits each agent's requests, bytes (as sent and as unpacked) and reports.

    Each method raises `Busy` if the agent is over its limit.
    """

    def __init__(self, limits: LimitsConfig, monotonic_s: MonotonicClock) -> None:
        self._monotonic_s = monotonic_s
        self._requests = TokenBuckets(limits.requests_per_s, limits.requests_burst)
        self._bytes = TokenBuckets(limits.bytes_per_s, limits.bytes_burst)
        self._reports = TokenBuckets(limits.reports_per_s, limits.reports_burst)

    def charge_request(self, agent: str) -> None:
        self._charge(self._requests, agent, 1)

    def charge_bytes(self, agent: str, count: int) -> None:
        self._charge(self._bytes, agent, count)

    def charge_reports(self, agent: str, count: int) -> None:
        self._charge(self._reports, agent, count)

    def _charge(self, allowance: TokenBuckets, agent: str, count: int) -> None:
        wait_s = allowance.take(agent, count, self._monotonic_s())
        if wait_s > 0:
            raise Busy(RejectionReason.AGENT_RATE, "this agent sends too much", wait_s)


class RecentReportIds:
    """The last report ids made durable: between `limit` / 2 and `limit` of them."""

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
