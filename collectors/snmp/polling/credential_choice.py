"""Which of several credentials a device is asked with, politely. Pure.

One credential a poll: nobody is tried all passwords at once. What worked is kept, over
a restart too. Silence changes it only now and then, for a device that worked and is
silent is dead rather than changed; a refusal changes it at once. Where all are refused
the device is left alone for a while: agents raise a trap at every wrong password, and
some lock the user out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from probes.wire.failure import Outcome

Subnets = Mapping[IPv4Network | IPv6Network, tuple[str, ...]]

DEFAULT = "default"
# Refusals before a rest: an agent that starts again may refuse once or twice.
_REFUSALS = 3
_REST_S, _LONGEST_REST_S = 300.0, 3600.0
# A silent device that worked is asked with another credential every so many polls.
_SILENT_POLLS = 10


def names_of(
    credentials: str, address: IPv4Address | IPv6Address, by_subnet: Subnets
) -> tuple[str, ...]:
    """The names to try, in order. `credentials` as the estate has it: one or more names
    with commas between; who says nothing of its own has those of its subnet, the most
    specific first, before `default`."""
    given = tuple(name.strip() for name in credentials.split(",") if name.strip())
    if given not in ((), (DEFAULT,)):
        return tuple(dict.fromkeys(given))
    fitting = sorted(
        (
            subnet
            for subnet in by_subnet
            if subnet.version == address.version and address in subnet
        ),
        key=lambda subnet: subnet.prefixlen,
        reverse=True,
    )
    names = [name for subnet in fitting for name in by_subnet[subnet]]
    return tuple(dict.fromkeys((*names, DEFAULT)))


class Choice:
    """The credential of one device's next poll, by name."""

    def __init__(self, names: Sequence[str], remembered: str = "") -> None:
        self._names = list(names)
        self._at = 0
        # The one that worked last, "" where none did.
        self.good = remembered if remembered in self._names else ""
        if self.good:
            self._at = self._names.index(self.good)
        self._silent = self._refused = 0
        self._rest_s = _REST_S
        self._until_s = float("-inf")

    @property
    def name(self) -> str:
        return self._names[self._at]

    def is_resting(self, now_s: float) -> bool:
        """True while the device is to be left alone, as it refuses all we have."""
        return now_s < self._until_s

    def took(self, outcome: Outcome, answered: bool, now_s: float) -> None:
        """What came of a poll with `name`."""
        if answered:
            self.good = self.name
            self._silent = self._refused = 0
            self._rest_s = _REST_S
        elif outcome is Outcome.AUTH_FAILED:
            self._refused += 1
            self._next()
            if self._refused >= max(_REFUSALS, len(self._names)):
                self._until_s = now_s + self._rest_s
                self._rest_s = min(self._rest_s * 2, _LONGEST_REST_S)
        elif outcome is Outcome.TIMEOUT:
            self._silent += 1
            if not self.good:
                # To versions 1 and 2c a wrong community is silence.
                self._next()
            elif self.name != self.good:
                self._at = self._names.index(self.good)
            elif self._silent % _SILENT_POLLS == 0:
                # Another one each time.
                turn = self._silent // _SILENT_POLLS
                self._at = (self._names.index(self.good) + turn) % len(self._names)

    def _next(self) -> None:
        self._at = (self._at + 1) % len(self._names)
