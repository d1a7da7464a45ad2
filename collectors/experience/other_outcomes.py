"""Whether a group's share could be another one, whatever has been shown. Pure.

A group stays uncertain if there is another outcome of the same calls with which all
that is shown is as it was, and the group's share is not: one or two poor calls were
good, as many good ones of other laptops were poor. If no shown group has the one
without the other, nobody can tell which of the two it was. It need not be likely; the
calls themselves, and everything else that is shown, are the same in both.

Each small group must be uncertain. If there is no other outcome, the smallest groups
that are in its way are hidden. So no method finds out the share of a small group,
linear programming included. The one exception: that a group that may be shown had no
poor call, or only poor ones, is a figure of enough laptops, and holds for its parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set

from collectors.experience.agent_results import AgentResult
from collectors.experience.disclosure_control import Bits, GroupName
from collectors.experience.group_figures import ExperienceFigures
from collectors.experience.window_groups import (
    GroupCells,
    by_place_of,
    group_names,
)

_NOTHING = 1e-9
# Places that shown groups do not tell apart: the groups, and whether it is in the one
# that must stay uncertain.
_Alike = tuple[Bits, bool]


# What one share counts in an atom: its groups, what is counted, and of how many.
AtomCount = tuple[Sequence[GroupName], float, float]


def uncertain_beside(
    names: frozenset[GroupName],
    figures: ExperienceFigures,
    measured: Sequence[AgentResult],
    cells: GroupCells,
) -> frozenset[GroupName]:
    """Returns which of `names` may be shown so that each small group of `cells` is
    uncertain. `measured`: the rows that count for `figures`."""
    if not cells.small or not names:
        return names
    counts: dict[str, list[AtomCount]] = {}
    for place, own in by_place_of(measured).items():
        for share, (counted, total) in figures.shares_of(own).items():
            counts.setdefault(share, []).append((group_names(place), counted, total))
    return with_uncertain(
        cells.smallest_first(names), sorted(cells.small), counts.values()
    )


def with_uncertain(
    names: Sequence[GroupName],
    small: Sequence[GroupName],
    shares: Iterable[Iterable[AtomCount]],
) -> frozenset[GroupName]:
    """Returns which of `names` may be shown so that the groups `small` are uncertain;
    the first of them are hidden if others cannot be."""
    outcomes = [Outcomes(counts) for counts in shares]
    left, before = list(names), -1
    while len(left) != before:
        before = len(left)
        for one in outcomes:
            for group in small:
                hidden = one.hidden_for(group, left) or ()
                left = [name for name in left if name not in hidden]
    return frozenset(left)


class Outcomes:
    """What one share counts, atom by atom."""

    def __init__(self, counts: Iterable[AtomCount]) -> None:
        self._bits: dict[GroupName, Bits] = {}
        self._counted: list[tuple[Bits, float]] = []
        self._others: list[tuple[Bits, float]] = []
        for groups, counted, total in counts:
            bits = self._bits_of(groups, is_new=True)
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

    def is_of_larger(self, group: GroupName, shown: Set[GroupName]) -> bool:
        """Whether all of `group` is in groups of `shown` that all have the same: no
        poor calls, or only poor ones."""
        own, mask = self._bits_of((group,)), self._bits_of(shown)
        for some, rest in (
            (self._counted, self._others),
            (self._others, self._counted),
        ):
            without = mask
            for bits, _ in some:
                without &= ~bits
            if not any(bits & own for bits, _ in some):
                return all(bits & without for bits, _ in rest if bits & own)
        return False

    def hidden_for(
        self, group: GroupName, names: Sequence[GroupName]
    ) -> frozenset[GroupName] | None:
        """Returns which of `names` must be hidden so that `group` is uncertain, the
        first of them if possible; None if that is not enough."""

        def is_safe(shown: Set[GroupName]) -> bool:
            return self.is_of_larger(group, shown) or self.is_uncertain(group, shown)

        for count in range(len(names) + 1):
            if is_safe({*names[count:]}):
                break
        else:
            return None
        hidden = set(names[:count])
        # Not all of them are in the way.
        for name in reversed(names[: max(0, count - 1)]):
            if is_safe({*names} - hidden | {name}):
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
