"""Chooses which of several credentials is used for a device. Pure.

Each poll uses one credential, so that no device receives all passwords at once. The
credential that worked is kept, also over a restart. A refusal changes it at once.
Silence rarely does: a device that worked and is silent is probably down. After enough
refusals the device is left alone for a while, because agents raise a trap at every
wrong password, and some lock the user out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from probes.wire.failure import Outcome

Subnets = Mapping[IPv4Network | IPv6Network, tuple[str, ...]]

DEFAULT = "default"
# Refusals before a rest: an agent that has just started may refuse once or twice.
_REFUSALS = 3
_REST_S, _LONGEST_REST_S = 300.0, 3600.0
# A silent device that worked before is tried with another credential every so many
# polls.
_SILENT_POLLS = 10


def credential_names(
    credentials: str, address: IPv4Address | IPv6Address, by_subnet: Subnets
) -> tuple[str, ...]:
    """The names to try, in order.

    `credentials` is the estate's field: one or more names, separated by commas. A
    device that names none has those of its subnets, the most specific first, then
    `default`.
    """
    given = tuple(name.strip() for name in credentials.split(",") if name.strip())
    if given not in ((), (DEFAULT,)):
        return tuple(dict.fromkeys(given))
    subnets = sorted(
        (subnet for subnet in by_subnet if address in subnet),
        key=lambda subnet: subnet.prefixlen,
        reverse=True,
    )
    names = [name for subnet in subnets for name in by_subnet[subnet]]
    return tuple(dict.fromkeys((*names, DEFAULT)))


class CredentialChoice:
    """The name of the credential for the next poll of one device.

    `remembered` is the one that worked before a restart of ours, "" if none did.
    """

    def __init__(self, names: Sequence[str], remembered: str = "") -> None:
        self._names = list(names)
        self._index = 0
        # The one that worked last, "" if none did.
        self.last_good = remembered if remembered in self._names else ""
        if self.last_good:
            self._index = self._names.index(self.last_good)
        self._silent = self._refused = 0
        self._rest_s = _REST_S
        self._rest_until_s = float("-inf")

    @property
    def name(self) -> str:
        return self._names[self._index]

    def is_resting(self, now_s: float) -> bool:
        """True while the device is left alone, because it refuses all credentials."""
        return now_s < self._rest_until_s

    def record(self, outcome: Outcome, answered: bool, now_s: float) -> None:
        """Records how a poll with `name` ended."""
        if answered:
            self.last_good = self.name
            self._silent = self._refused = 0
            self._rest_s = _REST_S
        elif outcome is Outcome.AUTH_FAILED:
            self._refused += 1
            self._next()
            if self._refused >= max(_REFUSALS, len(self._names)):
                self._rest_until_s = now_s + self._rest_s
                self._rest_s = min(self._rest_s * 2, _LONGEST_REST_S)
        elif outcome is Outcome.TIMEOUT:
            self._silent += 1
            if not self.last_good:
                # In versions 1 and 2c a wrong community gets no answer.
                self._next()
            elif self.name != self.last_good:
                self._index = self._names.index(self.last_good)
            elif self._silent % _SILENT_POLLS == 0:
                # Another one each time.
                steps = self._silent // _SILENT_POLLS
                index = self._names.index(self.last_good) + steps
                self._index = index % len(self._names)

    def _next(self) -> None:
        self._index = (self._index + 1) % len(self._names)
