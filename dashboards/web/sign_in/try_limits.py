"""`TryLimits`: how often passwords or codes are tried, by name and by address.

After half a minute a person may try again: nobody can lock another person out for good.
"""

from __future__ import annotations

from collectors.ip_networks import network_of
from collectors.token_buckets import TokenBuckets

# Ten wrong passwords at once, then one each 30 s: 2,890 a day, of more than 10^15.
_NAME_BURST, _NAME_EVERY_S = 10, 30
# A town hall may be one address, and its whole morning shift mistypes.
_ADDRESS_BURST, _ADDRESS_EVERY_S = 60, 3


class TryLimits:
    """Only wrong ones count. Pure, but for its state."""

    def __init__(self) -> None:
        self._names = TokenBuckets(1 / _NAME_EVERY_S, _NAME_BURST)
        self._addresses = TokenBuckets(1 / _ADDRESS_EVERY_S, _ADDRESS_BURST)

    def wait_s(self, name: str, address: str, now_s: float) -> float:
        """Seconds until this name may be tried from this address; 0 if now."""
        return max(
            _missing(self._names.left(name, now_s)) * _NAME_EVERY_S,
            _missing(self._addresses.left(network_of(address), now_s))
            * _ADDRESS_EVERY_S,
        )

    def note_wrong(self, name: str, address: str, now_s: float) -> None:
        self._names.owe(name, 1, now_s, 86_400)
        self._addresses.owe(network_of(address), 1, now_s, 86_400)


def _missing(left: float) -> float:
    return max(0.0, 1.0 - left)
