"""`Pace`: how fast new connections are accepted, and from whom when there are too many.

Pure; time is passed in. Agreeing TLS costs a hundred times what accepting does, so new
connections are accepted at a pace, and others wait in the system's queue. Half of it is
kept for addresses that have not had their share: those that have are closed only while
that half is at stake, so without haste nobody is ever refused. A connection on which
somebody signs in is given back to its address.
"""

from __future__ import annotations

from collectors.allowance import Allowance

# A peer is kept waiting for a refusal, not longer: it holds one of its own places.
_LONGEST_PENALTY_S = 5.0
# A refused request costs about a tenth of what a connection does.
_REQUESTS = 10


class Pace:
    """`per_s` connections a second in all; an address has its share of `address_per_s`
    after a burst of `address_burst`, and ten times as many refused requests."""

    def __init__(
        self, per_s: float, address_per_s: float, address_burst: float
    ) -> None:
        self._all = Allowance(per_s, per_s)
        self._half = per_s / 2
        self._shares = Allowance(address_per_s, address_burst)
        self._refused = Allowance(_REQUESTS * address_per_s, address_burst)

    def wait_s(self, now_s: float) -> float:
        """Seconds until the next connection may be accepted; 0: now."""
        return max(0.0, 1 - self._all.left("", now_s)) / self._half / 2

    def admits(self, network: str, now_s: float) -> bool:
        """Whether a connection from there, just accepted, may go on."""
        over = self._shares.take(network, 1, now_s) > 0
        if over and self._all.left("", now_s) <= self._half:
            return False
        self._all.take("", 1, now_s)
        return True

    def signed_in(self, network: str) -> None:
        """Somebody has signed in on a connection from there."""
        self._shares.give_back(network, 1)

    def penalty_s(self, network: str, now_s: float) -> float:
        """A request from there was refused: how long its answer must wait."""
        return self._refused.owe(network, 1, now_s, _LONGEST_PENALTY_S)
