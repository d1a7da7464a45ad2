"""A row that an item of a profile was found on, and what of it changes."""

from __future__ import annotations

from typing import Any

import msgspec

from collectors.snmp.profiles.items import (
    MemoryRule,
    States,
    TransceiverRule,
    VlanRule,
)
from collectors.snmp.profiles.profile_model import Table
from collectors.snmp.profiles.row import ProfileRow, matches_any


class MatchedRow(msgspec.Struct, frozen=True):
    """One row that an item of a profile was found on.

    `live` are the instances whose values change, by column; `row` has all as walked.
    """

    profile: str
    section: str
    rule: Any
    states: States
    descr: str
    oid: str
    row: ProfileRow
    live: dict[str, str]
    every_s: float


def key_column(rule: Any) -> str:
    """The column whose rows an item is found on."""
    if isinstance(rule, MemoryRule):
        given = (rule.used, rule.used_pct, rule.free, rule.free_pct, rule.total)
        return next(each for each in given if each is not None)
    return str(rule.of)


def live_columns(rule: Any, table: Table) -> list[str]:
    """The columns whose values change from poll to poll."""
    if isinstance(rule, MemoryRule):
        given = (rule.used, rule.used_pct, rule.free, rule.free_pct, rule.total)
        return [*(each for each in given if each is not None), *rule.reclaimable]
    if isinstance(rule, VlanRule | TransceiverRule):
        return []
    return [rule.of]


def meets_conditions(rule: Any, row: ProfileRow, key: str) -> bool:
    value = row.raw(key)
    if value is None or matches_any(value, rule.skip):
        return False
    if any(
        not matches_any(row.raw(name), wanted) for name, wanted in rule.when.items()
    ):
        return False
    return not any(
        matches_any(row.raw(name), wanted) for name, wanted in rule.unless.items()
    )
