"""Decides whether a profile is for a device, and how specific it is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Protocol

from collectors.snmp.profiles.profile_model import Head, Match
from collectors.snmp.session.oids import under

# 1.3.6.1.4.1.N
_MAKER_ARCS = 7
# More than 1.3.6.1.4.1.8072.3 (Net-SNMP on any system), less than 8072.3.2.10, which
# profiles of certain devices have together with a condition.
_MORE_THAN_AGENT = 9
# Arcs of the matching OID, number of other conditions, 0 for a family of a vendor's
# tables and 1 for a profile of certain devices.
Rank = tuple[int, int, int]
# After all profiles that are for this maker's devices.
_OF_ANOTHER_MAKER: Rank = (1, 0, 0)


class MatchEvidence(Protocol):
    """What is known about a device, and what can be asked of it."""

    @property
    def object_id(self) -> str:
        """sysObjectID, or empty."""

    @property
    def descr(self) -> str:
        """sysDescr, or empty."""

    async def read_text(self, oid: str) -> str | None:
        """Return the text of an instance, or None if there is none."""

    async def holds(self, oid: str) -> bool:
        """Return True if sysObjectID says nothing about the maker, and the device has
        something below `oid`."""

    async def enterprises(self) -> Sequence[int]:
        """Return the enterprise numbers under which the device has something."""


async def rank_head(head: Head, evidence: MatchEvidence) -> Rank | None:
    """Return how specific the head is for this device; None if it does not match."""
    if head.scope == "any":
        return (0, 0, 0)
    if head.scope == "inherited":
        return None
    certain = head.root is None
    if head.drafted and await _has_tree(head, evidence):
        return _OF_ANOTHER_MAKER
    ranked = [(await _rank(match, evidence), match) for match in head.match]
    fitting = [((*rank, certain), match) for rank, match in ranked if rank is not None]
    for rank, match in sorted(fitting, key=lambda pair: pair[0], reverse=True):
        if await _find_obstacle(match, evidence) is None:
            return rank
    return None


async def explain_head(head: Head, evidence: MatchEvidence) -> list[str]:
    """Return the reasons why the head does not match although an OID or a description
    of it fits; nothing if none fits."""
    reasons: dict[str, None] = {}
    for match in head.match:
        fits = _longest(match, evidence.object_id) or (
            match.descr and not match.object_id and _has_descr(match, evidence)
        )
        if fits and (obstacle := await _find_obstacle(match, evidence)):
            reasons[obstacle] = None
    return list(reasons)


async def _rank(match: Match, evidence: MatchEvidence) -> tuple[int, int] | None:
    """Return (arcs of the matching OID, number of other conditions), or None if the
    OID does not fit.

    If sysObjectID says nothing, a maker's whole tree fits if it is not empty.
    """
    length = _longest(match, evidence.object_id)
    if match.object_id and not length:
        makers = [oid for oid in match.object_id if oid.count(".") == _MAKER_ARCS - 1]
        if not await _holds_any(makers, evidence):
            return None
        # What the device holds says more than the number of a built-in agent.
        length = _MORE_THAN_AGENT
    if match.holds:
        length = max(_MORE_THAN_AGENT, *(oid.count(".") + 1 for oid in match.holds))
    return (length, bool(match.descr) + bool(match.answers))


async def _find_obstacle(match: Match, evidence: MatchEvidence) -> str | None:
    """Return the first condition, other than the OID, that does not hold."""
    if match.descr and not _has_descr(match, evidence):
        return f"sysDescr has none of {', '.join(map(repr, match.descr))}"
    for pattern in match.not_descr:
        if re.search(pattern, evidence.descr):
            return f"sysDescr has {pattern!r}"
    if match.answers is not None:
        oid, find = match.answers.oid, match.answers.find or ""
        answer = await evidence.read_text(oid)
        if answer is None:
            return f"no answer for {oid}"
        if not re.search(find, answer):
            return f"{oid} is {answer!r}, without {find!r}"
    if match.holds and not await _holds_any(match.holds, evidence):
        return f"nothing below {' or '.join(match.holds)}"
    return None


async def _has_tree(head: Head, evidence: MatchEvidence) -> bool:
    """Return True if the device has something in this maker's tree, although its
    sysObjectID is another maker's: of the maker of its chips or of its agent."""
    makers = [
        oid
        for match in head.match
        for oid in match.object_id
        if oid.count(".") == _MAKER_ARCS - 1
    ]
    if not makers or any(_longest(match, evidence.object_id) for match in head.match):
        return False
    numbers = {int(oid.rpartition(".")[2]) for oid in makers}
    return not numbers.isdisjoint(await evidence.enterprises())


async def _holds_any(wanted: Iterable[str], evidence: MatchEvidence) -> bool:
    for oid in wanted:
        if await evidence.holds(oid):
            return True
    return False


def _has_descr(match: Match, evidence: MatchEvidence) -> bool:
    return any(re.search(pattern, evidence.descr) for pattern in match.descr)


def _longest(match: Match, object_id: str) -> int:
    """Return the arcs of the longest `object_id` that contains the device's."""
    return max(
        (
            oid.count(".") + 1
            for oid in match.object_id
            if object_id == oid or under(object_id, oid)
        ),
        default=0,
    )
