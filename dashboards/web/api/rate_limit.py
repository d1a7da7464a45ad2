"""`RequestRates`: how many requests a token, a person or an address may send.

The headers are those of draft-ietf-httpapi-ratelimit-headers-10: `RateLimit-Policy` has
the quota, `RateLimit` what is left of it.
"""

from __future__ import annotations

import math

from collectors.token_buckets import TokenBuckets
from dashboards.web.api.api_problem import ApiProblem

_WINDOW_S = 60


class RequestRates:
    """`a_minute` requests for each key, at most as many at once."""

    def __init__(self, policy: str, a_minute: int) -> None:
        self._policy, self._quota = policy, a_minute
        self._buckets = TokenBuckets(a_minute / _WINDOW_S, a_minute)

    def take(self, key: str, now_s: float) -> dict[str, str]:
        """Counts a request and returns the headers of its answer. Raises `ApiProblem`
        (429) if there were too many."""
        wait_s = self._buckets.take(key, 1, now_s)
        headers = self._headers(key, now_s)
        if wait_s:
            raise ApiProblem(
                429,
                f"too many requests: at most {self._quota} a minute",
                {**headers, "Retry-After": str(math.ceil(wait_s))},
            )
        return headers

    def check(self, key: str, now_s: float) -> None:
        """Raises `ApiProblem` (429) if `take` would, and counts nothing."""
        if self._buckets.left(key, now_s) < 1:
            self.take(key, now_s)

    def _headers(self, key: str, now_s: float) -> dict[str, str]:
        left = max(0.0, self._buckets.left(key, now_s))
        full_in_s = math.ceil((self._quota - left) * _WINDOW_S / self._quota)
        return {
            "RateLimit-Policy": f'"{self._policy}";q={self._quota};w={_WINDOW_S}',
            "RateLimit": f'"{self._policy}";r={int(left)};t={full_in_s}',
        }
