"""Which pollers share the estate, what this one holds of it, and until when. Pure:
times are seconds on this machine's own clock, and nothing compares the clocks of two
machines.

Every poller publishes an `Entry` in one log that all read in the same order, and renews
it. A poller that renewed within its lease is live; the live pollers are a *view*. From
a view each computes which poller gets what (`bounded_assignment`). A device changes
hands in two steps, so that two pollers never have it at once:

1. A poller that sees a new view stops what is no longer its own, and only then
   publishes that it has *adopted* the view.
2. It begins what it gains once it has read the log up to its own adoption at least,
   and the last entry of every live poller is of the same view.

A poller that can renew no more stops by itself. Others count its lease from when they
received its last entry; it counts from when it sent it, and less: it is always the
first to know. A poller that lost its lease comes back in a new session, with nothing.
The poller that first sees that a lease has ended removes the entry, so that none that
starts takes it for a new one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from hashlib import blake2b

import msgspec

# Part of a lease that its holder does not use: clocks run at different speeds, and
# stopping takes a moment.
_MARGIN = 0.2
# How many times an entry is renewed in a lease.
RENEWALS = 5
# While pollers have different estates, as when an edited file is being distributed,
# each keeps what it has for so long.
_ESTATE_GRACE_S = 300.0


class Entry(msgspec.Struct, frozen=True):
    """What a poller publishes of itself.

    `estate` is a digest of the devices that it shares; `view` is the one it adopted.
    `lease_s`: how long after this entry it may still be polling.
    """

    session: str
    name: str
    estate: str
    lease_s: float
    near: tuple[str, ...] = ()
    view: str = ""
    # Counts its adoptions: an entry read in the log is the last one or an old one.
    adopted: int = 0


class View(msgspec.Struct, frozen=True):
    """The live pollers, in the order of their sessions."""

    entries: tuple[Entry, ...]

    @property
    def id(self) -> str:
        parts = [
            (entry.session, entry.name, entry.estate, entry.near)
            for entry in self.entries
        ]
        return blake2b(repr(parts).encode(), digest_size=8).hexdigest()

    @property
    def estate(self) -> str:
        """The estate that is shared: that of most pollers."""
        count = Counter(entry.estate for entry in self.entries)
        return max(count, key=lambda estate: (count[estate], estate), default="")

    @property
    def is_agreed(self) -> bool:
        """True if all have the same estate."""
        return len({entry.estate for entry in self.entries}) <= 1

    @property
    def sharing(self) -> tuple[Entry, ...]:
        """Those that get devices. Two with one name are told apart by session."""
        estate = self.estate
        entries = [entry for entry in self.entries if entry.estate == estate]
        count = Counter(entry.name for entry in entries)
        return tuple(
            entry
            if count[entry.name] == 1
            else msgspec.structs.replace(entry, name=f"{entry.name}/{entry.session}")
            for entry in entries
        )


class _Received(msgspec.Struct, frozen=True):
    entry: Entry
    until_s: float
    revision: int = 0


# The devices of one poller (by session) in a view.
Divide = Callable[[View, str], Collection[str]]


class PollerRoster:
    """One session of one poller.

    `divide` computes the part of a session in a view, from the estate of `set_estate`.
    Call `step` after each change and at `wake_s`; stop what is no longer in `held`;
    then publish `entry` if it changed.
    """

    def __init__(
        self,
        session: str,
        name: str,
        near: Collection[str],
        lease_s: float,
        divide: Divide,
    ) -> None:
        self._divide = divide
        self.entry = Entry(session, name, "", lease_s, tuple(sorted(near)))
        self.held: frozenset[str] = frozenset()
        # Counts how often `held` changed: the fencing token within this process.
        self.changes = 0
        self._received: dict[str, _Received] = {}
        # Entries whose lease has ended while they are still in the log.
        self._ended: dict[str, int] = {}
        # This poller's part of the adopted view, and whether it has begun that.
        self._part: frozenset[str] = frozenset()
        self._view = View(())
        self.is_settled = False
        self._is_current = False
        self._deadline_s = float("-inf")
        self._differs_since_s: float | None = None

    @property
    def session(self) -> str:
        return self.entry.session

    @property
    def pollers(self) -> int:
        """How many share the estate in the adopted view."""
        return len(self._view.entries)

    @property
    def sharing(self) -> Mapping[str, str]:
        """Session → name of those that have devices in the adopted view."""
        return {entry.session: entry.name for entry in self._view.sharing}

    @property
    def is_left_out(self) -> bool:
        """True if the others have another estate, so that this one has no devices."""
        return bool(self._view.entries) and self.session not in self.sharing

    def set_estate(self, digest: str) -> None:
        self.entry = msgspec.structs.replace(self.entry, estate=digest)

    def set_near(self, near: Collection[str]) -> None:
        self.entry = msgspec.structs.replace(self.entry, near=tuple(sorted(near)))

    def holds(self, device: str, now_s: float) -> bool:
        """True if this poller, and no other, may poll the device now."""
        return now_s < self._deadline_s and device in self.held

    def leads(self, now_s: float) -> bool:
        """True if this is the first of those that share: it says what all know."""
        first = min(self.sharing, default="")
        return now_s < self._deadline_s and first == self.session

    def leave(self) -> None:
        """Holds nothing any more."""
        self._hold(frozenset())
        self._deadline_s = float("-inf")

    def copy_log(self, before: PollerRoster) -> None:
        """Begins with what an earlier session of this poller has read."""
        self._received = dict(before._received)
        self._ended = dict(before._ended)
        self._is_current = before._is_current

    def has_expired(self, now_s: float) -> bool:
        """True if the lease was lost: this session is over."""
        return self._deadline_s != float("-inf") and now_s >= self._deadline_s

    @property
    def deadline_s(self) -> float:
        return self._deadline_s

    def record_renewal(self, sent_s: float, now_s: float) -> None:
        """An entry that was sent then is in the log. Too late, it renews nothing."""
        if not self.has_expired(now_s):
            until_s = sent_s + self.entry.lease_s * (1 - _MARGIN)
            self._deadline_s = max(self._deadline_s, until_s)

    def receive(
        self,
        session: str,
        entry: Entry | None,
        now_s: float,
        is_last: bool = True,
        revision: int = 0,
    ) -> None:
        """The next entry of the log; None if that poller has left. `is_last`: there was
        none after it. Of several entries of a poller the log may leave out old ones.

        `revision` is its place in the log. One that is read again, because the log is
        read from its start again, renews nothing.
        """
        self._is_current = is_last
        if entry is None:
            self._received.pop(session, None)
            self._ended.pop(session, None)
            return
        before = self._received.get(session)
        known = before.revision if before else self._ended.get(session, 0)
        if revision and revision == known:
            return
        self._ended.pop(session, None)
        until_s = now_s + entry.lease_s
        self._received[session] = _Received(entry, until_s, revision)

    @property
    def ended(self) -> Mapping[str, int]:
        """Session → revision of entries to remove from the log, unless a later one has
        come: their leases have ended."""
        return self._ended

    def record_removal(self, session: str) -> None:
        """An entry of `ended` was removed, or a later one had come."""
        self._ended.pop(session, None)

    @property
    def is_read(self) -> bool:
        """True if the log was read up to what this poller published last."""
        own = self._received.get(self.session)
        return own is not None and own.entry == self.entry

    def wake_s(self, now_s: float) -> float:
        """When the next poller may have gone, or the wait for an estate ends."""
        times = [received.until_s for received in self._received.values()]
        if self._differs_since_s is not None:
            times.append(self._differs_since_s + _ESTATE_GRACE_S)
        return min((time for time in times if time > now_s), default=float("inf"))

    def step(self, now_s: float) -> None:
        """Adopts the view of now, or begins what was adopted."""
        if self.has_expired(now_s):
            self._hold(frozenset())
            return
        for session, received in list(self._received.items()):
            if now_s >= received.until_s:
                del self._received[session]
                self._ended[session] = received.revision
        own = self._received.get(self.session)
        if not self._is_current or own is None or own.entry.estate != self.entry.estate:
            # First the others must know of this poller and its estate.
            return
        entries = tuple(
            received.entry for _, received in sorted(self._received.items())
        )
        view = View(entries)
        self._note_estates(view, now_s)
        if view.id != self.entry.view:
            if not self._waits_for_estates(view, now_s):
                self._adopt(view)
        elif (
            not self.is_settled
            and self.is_read
            and all(entry.view == view.id for entry in entries)
        ):
            self.is_settled = True
            self._hold(self._part)

    def _adopt(self, view: View) -> None:
        self._view = view
        self._part = frozenset(self._divide(view, self.session))
        self.entry = msgspec.structs.replace(
            self.entry, view=view.id, adopted=self.entry.adopted + 1
        )
        self.is_settled = False
        self._hold(self.held & self._part)

    def _note_estates(self, view: View, now_s: float) -> None:
        if view.is_agreed:
            self._differs_since_s = None
        elif self._differs_since_s is None:
            self._differs_since_s = now_s

    def _waits_for_estates(self, view: View, now_s: float) -> bool:
        """True if the difference of estates will probably pass, and no poller has left
        whose devices would not be polled meanwhile."""
        if self._differs_since_s is None:
            return False
        sessions = {entry.session for entry in view.entries}
        has_left = any(entry.session not in sessions for entry in self._view.entries)
        return not has_left and now_s < self._differs_since_s + _ESTATE_GRACE_S

    def _hold(self, devices: frozenset[str]) -> None:
        if devices != self.held:
            self.held = devices
            self.changes += 1
