"""`RefusedEntries`: how many refused sign-ins the audit log keeps.

A program can be refused as often as it likes. Without a limit its refusals would fill
the disk and hide the other entries of the log.
"""

from __future__ import annotations

from collectors.ip_networks import network_of
from collectors.token_buckets import TokenBuckets

# Of one address, such as that of a town hall, and of all.
_ADDRESS_BURST, _ADDRESS_EVERY_S = 60, 30
_BURST, _EVERY_S = 600, 5


class RefusedEntries:
    """Pure, but for its state."""

    def __init__(self) -> None:
        self._addresses = TokenBuckets(1 / _ADDRESS_EVERY_S, _ADDRESS_BURST)
        self._all = TokenBuckets(1 / _EVERY_S, _BURST)
        self._left_out = 0

    def admit(self, address: str, now_s: float) -> str | None:
        """What the entry of a refusal ends with; None if it is left out."""
        if self._addresses.take(network_of(address), 1, now_s) or self._all.take(
            "all", 1, now_s
        ):
            self._left_out += 1
            return None
        left_out, self._left_out = self._left_out, 0
        return f" ({left_out} more before it were left out)" if left_out else ""
