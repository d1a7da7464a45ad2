"""Which rows of drafted tables count beside what profiles of known devices read. Pure.

The author of a profile has chosen among the columns of a table, so a column that it
names is settled. What is left of a table that it reads may be another quantity, or the
same one again: in another unit, with more digits, or as it is set. What the device
shows decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeGuard

from collectors.snmp.profiles.items import SensorRule, WirelessRule
from collectors.snmp.profiles.label_severity import split_words
from collectors.snmp.profiles.matched_rows import MatchedRow, key_column
from collectors.snmp.profiles.measure import measure
from collectors.snmp.profiles.profile_loader import Profile
from collectors.snmp.profiles.profile_model import Table
from collectors.snmp.profiles.readings import Sensor
from collectors.snmp.session.session import Value

# Values of one quantity that were read together differ less, whatever their digits.
_SAME_RATIO = 1.06
_TROUBLE = ("critical", "warning")
_SCALAR = "0"
_CONDITIONS = ("when", "unless")
_ABSENT = {"absent", "empty", "missing", "none", "notavailable", "notfitted"}
_ABSENT |= {"notinstalled", "notpresent", "removed", "unequipped"}


class SettledColumns:
    """What profiles of known devices decide about: the columns that their items show,
    and the tables and groups of scalars in which they find something."""

    def __init__(
        self, profiles: Iterable[Profile], columns: Mapping[str, Mapping[str, Value]]
    ) -> None:
        self._named: set[str] = set()
        self._conditions: set[str] = set()
        self._read: set[str] = set()
        for profile in profiles:
            if profile.head.drafted or profile.is_general:
                continue
            for table in profile.body.tables.values():
                self._named |= {table.oid(name) for name in _settled(table)}
                self._conditions |= {table.oid(name) for name in _conditions(table)}
                for _, _, rule in table.items:
                    column = table.oid(key_column(rule))
                    if columns.get(column):
                        self._read.add(_entry(column))

    def include(self, table: Table, rule: Any) -> bool:
        """Return True if nothing of a drafted item counts. A table that is known may
        have other sensors and readings of radios, but no second processor and no second
        memory."""
        column = table.oid(key_column(rule))
        if isinstance(rule, WirelessRule):
            return column in self._named
        if not isinstance(rule, SensorRule):
            return column in self._named or _entry(column) in self._read
        return column in self._named and rule.class_ != "state"

    def select(self, rows: Iterable[MatchedRow]) -> Iterator[MatchedRow]:
        """Yield the rows of a drafted sensor. If a profile shows its column, these are
        only the states of parts that are not there, which profiles may pass over.

        A state that is only a condition counts if all rows are well or bad: a table of
        ports has many that are neither, as they are not in use.
        """
        found = list(rows)
        columns = {_column_of(row) for row in found}
        is_settled = bool(columns & self._named) or (
            bool(columns & self._conditions)
            and not all(_says_something(s) for s in map(measure, found) if _is_state(s))
        )
        for row in found:
            if not is_settled or _is_absent(row):
                yield row


class KnownRows:
    """What profiles of known devices show of each row."""

    def __init__(self) -> None:
        self._entries: set[str] = set()
        self._shown: dict[tuple[str, str], list[Sensor]] = {}

    def add(self, matched: MatchedRow) -> None:
        self._entries.add(_row_of(matched)[0])
        if matched.section == "sensors":
            sensor = measure(matched)
            if isinstance(sensor, Sensor):
                self._shown.setdefault(_row_of(matched), []).append(sensor)

    def select(self, rows: Iterable[MatchedRow]) -> list[MatchedRow]:
        """Return the rows of a drafted sensor, or none if they say nothing new.

        A column of a table that is known must show something: a number other than
        zero, or a state that is good or bad. It is the same quantity again if all its
        rows show what the profile shows, and a setting if it calls a row bad that the
        profile shows as good. Scalars of one group are different things, whatever they
        show.
        """
        found = list(rows)
        if not found or _row_of(found[0])[0] not in self._entries:
            return found
        measured = [
            (self._shown.get(_row_of(row), ()), sensor)
            for row in found
            if isinstance(sensor := measure(row), Sensor)
        ]
        if not any(_says_something(sensor) for _, sensor in measured):
            return []
        if found[0].row.index != _SCALAR and (
            any(_contradicts(sensor, known) for known, sensor in measured)
            or all(_repeats(sensor, known) for known, sensor in measured)
        ):
            return []
        return found


def _settled(table: Table) -> set[str]:
    """Return the columns of a table that its items show, or that a function of them may
    use.

    A column that only names a row, or is only a condition, is not shown yet: it may be
    a state.
    """
    own = {name for name, column in table.columns.items() if not column.is_elsewhere}
    rules = [rule for _, _, rule in table.items]
    if any(_has_function(rule) or getattr(rule, "port", ()) for rule in rules):
        return own
    if not all(isinstance(rule, SensorRule) for rule in rules):
        return own
    return own & {
        column
        for rule in rules
        for key, column in rule.named_columns()
        if key not in _CONDITIONS
    }


def _conditions(table: Table) -> set[str]:
    return {
        column
        for _, _, rule in table.items
        for key, column in rule.named_columns()
        if key in _CONDITIONS and column in table.columns
    }


def _is_state(reading: object) -> TypeGuard[Sensor]:
    return isinstance(reading, Sensor) and reading.class_ == "state"


def _has_function(rule: Any) -> bool:
    limits = getattr(rule, "limits", None)
    return bool(getattr(rule, "function", None) or getattr(limits, "function", None))


def _is_absent(row: MatchedRow) -> bool:
    sensor = measure(row)
    if not isinstance(sensor, Sensor):
        return False
    return "".join(split_words(sensor.state or "")) in _ABSENT


def _contradicts(sensor: Sensor, known: Iterable[Sensor]) -> bool:
    severities = {each.severity for each in known if each.class_ == "state"}
    return sensor.severity in _TROUBLE and severities == {"ok"}


def _repeats(sensor: Sensor, known: Iterable[Sensor]) -> bool:
    return any(_is_same(sensor, each) for each in known)


def _says_something(sensor: Sensor) -> bool:
    if sensor.class_ == "state":
        return sensor.severity != "unknown"
    return bool(sensor.value)


def _is_same(one: Sensor, other: Sensor) -> bool:
    if one.class_ != other.class_:
        return False
    if one.class_ == "state":
        return one.state == other.state
    if not one.value or not other.value:
        return one.value == other.value
    return 1 / _SAME_RATIO < one.value / other.value < _SAME_RATIO


def _entry(column: str) -> str:
    return column.rpartition(".")[0]


def _row_of(matched: MatchedRow) -> tuple[str, str]:
    """Return the entry of the table and the row's index."""
    return _entry(_column_of(matched)), matched.row.index


def _column_of(matched: MatchedRow) -> str:
    return matched.oid.removesuffix(f".{matched.row.index}")
