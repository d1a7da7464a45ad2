"""`FairQueue`: who is next, in turns by address. Pure.

Agreeing TLS costs a hundred times what accepting a connection does, so it is done at a
pace, and those that wait for it take turns by address: a flood from one address, or an
office that comes back after a power cut, keeps nobody else waiting. Of one address the
newest comes first, as it is the most likely to be still there.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    def __init__(self) -> None:
        # The address whose turn is next comes first.
        self._waiting: OrderedDict[str, OrderedDict[T, None]] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def put(self, address: str, item: T) -> None:
        self._waiting.setdefault(address, OrderedDict())[item] = None

    def take(self) -> T:
        """The next one; `LookupError` if nobody waits."""
        if not self._waiting:
            raise LookupError("nobody waits")
        address, same = next(iter(self._waiting.items()))
        item, _ = same.popitem()
        if same:
            self._waiting.move_to_end(address)
        else:
            del self._waiting[address]
        return item

    def discard(self, address: str, item: T) -> None:
        """It waits no more; nothing if it does not."""
        same = self._waiting.get(address)
        if same is not None and item in same:
            del same[item]
            if not same:
                del self._waiting[address]
