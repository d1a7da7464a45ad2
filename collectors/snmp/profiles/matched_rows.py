"""A row that an item of a profile matches, and which of its values change."""

from __future__ import annotations

from typing import Any

import msgspec

from collectors.snmp.profiles.items import (
    EntityRule,
    MemoryRule,
    States,
    TransceiverRule,
    VlanRule,
)
from collectors.snmp.profiles.profile_model import Table
from collectors.snmp.profiles.row import ProfileRow, matches_any


class MatchedRow(msgspec.Struct, frozen=True):
    """One row that an item of a profile matches.

    `live`: instances whose values change, by column. `row`: all cells as walked.
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
    """Return the column whose rows an item matches."""
    if isinstance(rule, MemoryRule):
        columns = (rule.used, rule.used_pct, rule.free, rule.free_pct, rule.total)
        return next(column for column in columns if column is not None)
    return str(rule.of)


def live_columns(rule: Any, table: Table) -> list[str]:
    """Return the columns whose values change from poll to poll."""
    if isinstance(rule, MemoryRule):
        columns = (rule.used, rule.used_pct, rule.free, rule.free_pct, rule.total)
        given = (column for column in columns if column is not None)
        return [*given, *rule.reclaimable]
    if isinstance(rule, VlanRule | TransceiverRule | EntityRule):
        return []
    return [rule.of]


def meets_conditions(rule: Any, row: ProfileRow, key: str) -> bool:
    """Return True if the row meets the rule's `skip`, `when` and `unless`."""
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
