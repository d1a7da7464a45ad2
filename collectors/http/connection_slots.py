"""`ConnectionSlots`: which connections stay when there are too many.

Pure bookkeeping: it names the connection to close, and closes none. A connection is a
stranger's until somebody has signed in on it. Strangers have places of their own, so
they can never take those of agents; a new stranger takes the place of the oldest one
of the address that has most, so that one address, or a whole office behind one
address, cannot shut out others, and a silent connection never shuts out a live one.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

from collectors.http.refusal_reasons import HttpRefusal

C = TypeVar("C")


class ConnectionSlots(Generic[C]):
    """`total` places, of which strangers may have `strangers`, one address
    `strangers_per_address` of these, and one name `per_name` of the others."""

    def __init__(
        self, total: int, strangers: int, strangers_per_address: int, per_name: int
    ) -> None:
        self._strangers_limit = min(strangers, total)
        self._known_limit = total - self._strangers_limit
        self._per_address, self._per_name = strangers_per_address, per_name
        # Both in order of arrival, so that the first is the oldest.
        self._strangers: dict[str, OrderedDict[C, None]] = {}
        self._addresses: dict[C, str] = {}
        self._known: dict[C, str] = {}
        self._by_name: dict[str, OrderedDict[C, None]] = {}
        # The known between two requests, the longest idle first.
        self._idle: OrderedDict[C, None] = OrderedDict()

    @property
    def strangers(self) -> int:
        return len(self._addresses)

    @property
    def known(self) -> int:
        return len(self._known)

    def is_known(self, connection: C) -> bool:
        """Whether somebody has signed in on it."""
        return connection in self._known

    def admit(self, connection: C, address: str) -> tuple[C, HttpRefusal] | None:
        """Gives a new connection its place; the connection to close for it, if any."""
        same = self._strangers.get(address)
        closed = None
        if same is not None and len(same) >= self._per_address:
            closed = next(iter(same)), HttpRefusal.ADDRESS_FULL
        elif self.strangers >= self._strangers_limit:
            closed = self.oldest_stranger(), HttpRefusal.NO_PLACE
        if closed is not None:
            self.leave(closed[0])
        self._addresses[connection] = address
        self._strangers.setdefault(address, OrderedDict())[connection] = None
        return closed

    def oldest_stranger(self) -> C:
        """The oldest one of the address with most; `LookupError` if there is none."""
        if not self._strangers:
            raise LookupError("there is no stranger")
        most = max(self._strangers.values(), key=lambda same: len(same))
        return next(iter(most))

    def recognise(self, connection: C, name: str) -> list[tuple[C, HttpRefusal]] | None:
        """Somebody has signed in on a connection: gives it a place among the known.
        Returns the connections to close for it; None if all places are in use, in
        which case it stays a stranger's. A connection keeps its first name; one that
        was told to close gets no place.
        """
        if connection in self._known or connection not in self._addresses:
            return []
        closed: list[tuple[C, HttpRefusal]] = []
        same = self._by_name.get(name)
        if name and same is not None and len(same) >= self._per_name:
            oldest = next((each for each in same if each in self._idle), None)
            if oldest is None:
                return None
            closed.append((oldest, HttpRefusal.AGENT_FULL))
        elif len(self._known) >= self._known_limit:
            if not self._idle:
                return None
            closed.append((next(iter(self._idle)), HttpRefusal.NO_PLACE))
        for each, _ in closed:
            self.leave(each)
        self.leave(connection)
        self._known[connection] = name
        self._by_name.setdefault(name, OrderedDict())[connection] = None
        return closed

    def rest(self, connection: C) -> None:
        """It waits for its next request."""
        if connection in self._known:
            self._idle[connection] = None

    def wake(self, connection: C) -> None:
        """A request has begun on it."""
        self._idle.pop(connection, None)

    def leave(self, connection: C) -> None:
        """It is gone, or about to go; twice does no harm."""
        address = self._addresses.pop(connection, None)
        if address is not None:
            _drop(self._strangers, address, connection)
        name = self._known.pop(connection, None)
        if name is not None:
            _drop(self._by_name, name, connection)
            self._idle.pop(connection, None)


def _drop(groups: dict[str, OrderedDict[C, None]], key: str, connection: C) -> None:
    group = groups[key]
    del group[connection]
    if not group:
        del groups[key]
