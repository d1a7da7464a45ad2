"""Whether a group's share could be another one, whatever has been shown. Pure.

A group stays uncertain if there is another outcome of the same calls with which all
that is shown is as it was, and the group's share is not: one or two poor calls were
good, as many good ones of other laptops were poor. If no shown group has the one
without the other, nobody can tell which of the two it was. It need not be likely; the
calls themselves, and everything else that is shown, are the same in both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set

from collectors.experience.agent_results import AgentPlace
from collectors.experience.disclosure_control import Bits, GroupName
from collectors.experience.window_groups import group_names

_NOTHING = 1e-9
# Places that shown groups do not tell apart: the groups, and whether it is in the one
# that must stay uncertain.
_Alike = tuple[Bits, bool]


class Outcomes:
    """What one share counts, place by place, as (counted, of how many)."""

    def __init__(self, counts: Mapping[AgentPlace, tuple[float, float]]) -> None:
        self._bits: dict[GroupName, Bits] = {}
        self._counted: list[tuple[Bits, float]] = []
        self._others: list[tuple[Bits, float]] = []
        for place, (counted, total) in counts.items():
            bits = self._bits_of(group_names(place), is_new=True)
            if counted > _NOTHING:
                self._counted.append((bits, counted))
            if counted < total - _NOTHING:
                self._others.append((bits, total - counted))

    def is_uncertain(self, group: GroupName, shown: Set[GroupName]) -> bool:
        """Whether another outcome leaves all of `shown` as it is, but not `group`."""
        own, mask = self._bits_of((group,)), self._bits_of(shown)
        counted, others = (
            _alike(places, own, mask) for places in (self._counted, self._others)
        )
        if any((bits, not is_own) in others for bits, is_own in counted):
            return True
        return _two_differ(counted, others) or _two_differ(others, counted)

    def hidden_for(
        self,
        group: GroupName,
        names: Sequence[GroupName],
        known: Set[GroupName] = frozenset(),
    ) -> frozenset[GroupName] | None:
        """Returns which of `names` must be hidden so that `group` is uncertain, the
        first of them if possible; None if that is not enough. `known`: what is known
        in any case."""
        if self.is_uncertain(group, {*names, *known}):
            return frozenset()
        for count in range(1, len(names) + 1):
            if self.is_uncertain(group, {*names[count:], *known}):
                break
        else:
            return None
        hidden = set(names[:count])
        # Not all of them are in the way.
        for name in reversed(names[: count - 1]):
            if self.is_uncertain(group, {*names, *known} - hidden | {name}):
                hidden.discard(name)
        return frozenset(hidden)

    def _bits_of(self, names: Iterable[GroupName], is_new: bool = False) -> Bits:
        bits = 0
        for name in names:
            if is_new:
                bits |= self._bits.setdefault(name, 1 << len(self._bits))
            else:
                bits |= self._bits.get(name, 0)
        return bits


def _alike(
    places: Iterable[tuple[Bits, float]], own: Bits, mask: Bits
) -> dict[_Alike, float]:
    """Returns how much there is at places that are alike."""
    alike: dict[_Alike, float] = {}
    for bits, amount in places:
        key = bits & mask, bool(bits & own)
        alike[key] = alike.get(key, 0.0) + amount
    return alike


def _two_differ(
    counted: Mapping[_Alike, float], others: Mapping[_Alike, float]
) -> bool:
    """Whether two of `counted`, one of the group, can be two of `others` instead."""
    for first in (place for place in counted if place[1]):
        for second in counted:
            if first == second and not _has_two(counted[first]):
                continue
            common, either = first[0] & second[0], first[0] | second[0]
            own = first[1] + second[1]
            for third in others:
                if common & ~third[0] or third[0] & ~either:
                    continue
                bits = first[0] ^ second[0] ^ third[0]
                for fourth in ((bits, False), (bits, True)):
                    if third[1] + fourth[1] == own or fourth not in others:
                        continue
                    if third != fourth or _has_two(others[third]):
                        return True
    return False


def _has_two(amount: float) -> bool:
    """One poor call is not two; a loss, which is no whole number, can be divided."""
    return amount > 1 + _NOTHING or abs(amount - round(amount)) > _NOTHING
