"""How many devices have their tables read at the same time.

Reading the tables of a device costs as much as twenty of its polls. Polls that are due
come first: if they start late, fewer devices have their tables read.

Slow devices have slots of their own, which they hold for long, and more of them, for
they are sent few packets. Of a machine that is too busy all devices look slow.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

_MOST = 8
# A poll that starts later than this shows that the machine is too busy.
_LATE_MS = 250.0
# So many polls that start too late leave half of the slots: as many as share a phase,
# and are late together.
_LATE_POLLS = 10
# How many polls in time allow one more.
_POLLS_A_SLOT = 100
# So many slow devices cost less than one that is not.
_SLOW_A_SLOT = 16


class ReadingSlots:
    """Ask `has_room` first; if there is none, the reading waits for the next poll."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = self._limit = float(most)
        # By whether the devices are slow.
        self._used = {False: 0, True: 0}

    def has_room(self, share: float = 1.0, is_slow: bool = False) -> bool:
        """True if less than that part of the slots is used."""
        slots = max(1.0, self._limit * share) * (_SLOW_A_SLOT if is_slow else 1)
        return self._used[is_slow] < slots

    @contextmanager
    def take(self, is_slow: bool = False) -> Iterator[None]:
        self._used[is_slow] += 1
        try:
            yield
        finally:
            self._used[is_slow] -= 1

    def record_start(self, late_ms: float) -> None:
        """A poll of any device has started, so much too late."""
        if late_ms > _LATE_MS:
            self._limit = max(1.0, self._limit * 0.5 ** (1 / _LATE_POLLS))
        else:
            self._limit = min(self._most, self._limit + 1 / _POLLS_A_SLOT)
