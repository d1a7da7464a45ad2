"""Which numbers are codes for "not measured" to a device, by what it shows. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from collectors.snmp.profiles.items import SensorRule
from collectors.snmp.profiles.matched_rows import MatchedRow, key_column
from collectors.snmp.profiles.profile_loader import Profile
from collectors.snmp.session.octet_text import as_number
from collectors.snmp.session.session import Value
from collectors.snmp.tables.quantities import SENSORS

_NOT_MEASURED = -1
# No number of these is negative, nor a power factor one step below zero.
_NEVER_NEGATIVE = {"power_factor"} | {
    name for name, q in SENSORS.items() if q.least == 0 and name != "count"
}


def find_codes(
    profiles: Iterable[Profile], columns: Mapping[str, Mapping[str, Value]]
) -> tuple[int, ...]:
    """Return -1 if the maker's tables have it where no number is negative: then it is a
    code also for temperatures, currents and others that may be negative.

    Standard MIBs say themselves what is not there.
    """
    raws = (
        raw
        for profile in profiles
        if not profile.is_general
        for table in profile.body.tables.values()
        for _, _, rule in table.items
        if isinstance(rule, SensorRule) and rule.class_ in _NEVER_NEGATIVE
        for raw in columns.get(table.oid(key_column(rule)), {}).values()
    )
    is_code = any(as_number(raw) == _NOT_MEASURED for raw in raws)
    return (_NOT_MEASURED,) if is_code else ()


def skip_codes(rows: list[MatchedRow], codes: tuple[int, ...]) -> list[MatchedRow]:
    """Return the rows of one sensor rule without those that have a code, with a rule
    that passes over codes from now on."""
    rule = rows[0].rule if rows else None
    if not codes or not isinstance(rule, SensorRule) or rule.class_ == "state":
        return rows
    # One copy for all rows: a device keeps them for as long as it is polled.
    skipping = rule.model_copy(update={"skip": (*rule.skip, *codes)})
    key = key_column(rule)
    return [
        msgspec.structs.replace(matched, rule=skipping)
        for matched in rows
        if as_number(matched.row.raw(key)) not in codes
    ]
