"""`ConnectionSlots`: which connections stay when there are too many.

Pure bookkeeping: it returns the connections to close and closes none itself. A
connection is a stranger until somebody signs in on it. Strangers have slots of their
own, so they never take those of agents. If the strangers' slots are full, a new one
replaces the oldest stranger of the address that has most. So neither one address nor
an office behind one address can shut out others, and no silent connection can shut out
a live one.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

from collectors.http.refusal_reasons import HttpRefusal

C = TypeVar("C")


class ConnectionSlots(Generic[C]):
    """Has `total` slots, `strangers` of them for strangers.

    One address may have `strangers_per_address` strangers, and one name `per_name`
    connections that are signed in.
    """

    def __init__(
        self, total: int, strangers: int, strangers_per_address: int, per_name: int
    ) -> None:
        self._stranger_limit = min(strangers, total)
        self._signed_in_limit = total - self._stranger_limit
        self._per_address, self._per_name = strangers_per_address, per_name
        # In order of arrival, so that the first is the oldest.
        self._strangers: dict[str, OrderedDict[C, None]] = {}
        self._addresses: dict[C, str] = {}
        self._signed_in: dict[C, str] = {}
        self._by_name: dict[str, OrderedDict[C, None]] = {}
        # Signed-in connections between two requests, the longest idle first.
        self._idle: OrderedDict[C, None] = OrderedDict()

    @property
    def strangers(self) -> int:
        return len(self._addresses)

    @property
    def signed_in(self) -> int:
        return len(self._signed_in)

    def is_signed_in(self, connection: C) -> bool:
        """Returns whether a laptop has signed in on the connection."""
        return connection in self._signed_in

    def admit(self, connection: C, address: str) -> tuple[C, HttpRefusal] | None:
        """Gives a new connection a slot. Returns the connection to close for it, if
        any."""
        same = self._strangers.get(address)
        closed = None
        if same is not None and len(same) >= self._per_address:
            closed = next(iter(same)), HttpRefusal.ADDRESS_FULL
        elif self.strangers >= self._stranger_limit:
            closed = self.oldest_stranger(), HttpRefusal.NO_PLACE
        if closed is not None:
            self.remove(closed[0])
        self._addresses[connection] = address
        self._strangers.setdefault(address, OrderedDict())[connection] = None
        return closed

    def oldest_stranger(self) -> C:
        """Returns the oldest stranger of the address that has most.

        Raises `LookupError` if there are no strangers.
        """
        if not self._strangers:
            raise LookupError("there is no stranger")
        most = max(self._strangers.values(), key=lambda same: len(same))
        return next(iter(most))

    def sign_in(self, connection: C, name: str) -> list[tuple[C, HttpRefusal]] | None:
        """Moves a connection to a slot for those that are signed in.

        Returns the connections to close for it. Returns None if every slot is busy;
        the connection then stays a stranger. A connection keeps its first name, and one
        that is already being closed gets no slot.
        """
        if connection in self._signed_in or connection not in self._addresses:
            return []
        closed: list[tuple[C, HttpRefusal]] = []
        same = self._by_name.get(name)
        if name and same is not None and len(same) >= self._per_name:
            oldest = next((other for other in same if other in self._idle), None)
            if oldest is None:
                return None
            closed.append((oldest, HttpRefusal.AGENT_FULL))
        elif len(self._signed_in) >= self._signed_in_limit:
            if not self._idle:
                return None
            closed.append((next(iter(self._idle)), HttpRefusal.NO_PLACE))
        for other, _ in closed:
            self.remove(other)
        self.remove(connection)
        self._signed_in[connection] = name
        self._by_name.setdefault(name, OrderedDict())[connection] = None
        return closed

    def mark_idle(self, connection: C) -> None:
        """The connection waits for its next request."""
        if connection in self._signed_in:
            self._idle[connection] = None

    def mark_busy(self, connection: C) -> None:
        """A request has started on the connection."""
        self._idle.pop(connection, None)

    def remove(self, connection: C) -> None:
        """Frees the slot of a connection that is closed or closing. May be repeated."""
        address = self._addresses.pop(connection, None)
        if address is not None:
            _drop(self._strangers, address, connection)
        name = self._signed_in.pop(connection, None)
        if name is not None:
            _drop(self._by_name, name, connection)
            self._idle.pop(connection, None)


def _drop(groups: dict[str, OrderedDict[C, None]], key: str, connection: C) -> None:
    group = groups[key]
    del group[connection]
    if not group:
        del groups[key]
