"""Readings that ride in the last request of the ports.

What is read with every poll is often two or three values, such as the load of the
processors. A request of their own costs the device and the poller more than the values
cost in another one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from collectors.snmp.polling.request_plan import NO_RESERVE, Reserve, binding_octets
from collectors.snmp.session.session import Value

# A value may be longer when it is read again.
_GROWS_OCTETS = 8
# Those that need more have a request of their own.
_MOST_OCTETS = 300


class RidingValues:
    """What may ride in one poll. `values`: what came, None for what the agent has not.
    `took_s`: how long the request took; None if it failed or was not sent."""

    def __init__(self, known: Mapping[str, Value | None] | None = None) -> None:
        """`known`: the instances, and what they were when last read."""
        self.oids: tuple[str, ...] = ()
        self.values: dict[str, Value | None] = {}
        self.was_sent = False
        self.took_s: float | None = None
        self.reserve = NO_RESERVE
        known = known or {}
        octets = sum(binding_octets(o, v) + _GROWS_OCTETS for o, v in known.items())
        if octets <= _MOST_OCTETS:
            self.oids = tuple(known)
            self.reserve = Reserve(octets, len(known))

    def is_apart_from(self, oids: Collection[str]) -> bool:
        """True if none of them is requested anyway."""
        return not set(self.oids).intersection(oids)

    def fits(self, reserve: Reserve) -> bool:
        """True if they are still to be read, and fit into what is reserved."""
        return bool(
            self.oids
            and not self.was_sent
            and self.reserve.octets <= reserve.octets
            and self.reserve.varbinds <= reserve.varbinds
        )

    def keep(self, answer: dict[str, Value], took_s: float) -> None:
        """Takes their values out of the answer."""
        self.values = {oid: answer.pop(oid, None) for oid in self.oids}
        self.took_s = took_s
