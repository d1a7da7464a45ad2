"""`FairQueue`: takes turns by address. Pure.

A TLS handshake costs a hundred times as much as accepting a connection, so handshakes
are paced, and waiting connections take turns by address. A flood from one address, or
an office that comes back after a power cut, does not delay the others. Within one
address the newest is first, because its peer most likely still waits.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    def __init__(self) -> None:
        # The address whose turn is next is first.
        self._waiting: OrderedDict[str, OrderedDict[T, None]] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def put(self, address: str, item: T) -> None:
        self._waiting.setdefault(address, OrderedDict())[item] = None

    def pop(self) -> T:
        """Removes and returns the next item. Raises `LookupError` if there is none."""
        if not self._waiting:
            raise LookupError("the queue is empty")
        address, same = next(iter(self._waiting.items()))
        item, _ = same.popitem()
        if same:
            self._waiting.move_to_end(address)
        else:
            del self._waiting[address]
        return item

    def discard(self, address: str, item: T) -> None:
        """Removes `item` if it is in the queue."""
        same = self._waiting.get(address)
        if same is not None and item in same:
            del same[item]
            if not same:
                del self._waiting[address]
