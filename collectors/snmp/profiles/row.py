"""One row of a profile's table: its index, and its cells by the columns' names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from collectors.snmp.session.octet_text import as_number, text
from collectors.snmp.session.session import Value
from collectors.snmp.tables.quantities import Encoding

_PLAIN = Encoding()


class ProfileRow:
    """`index`: the last arcs of the row's OIDs. A missing cell is None."""

    def __init__(
        self,
        index: str,
        cells: Mapping[str, Value | None],
        encoding: Encoding = _PLAIN,
    ) -> None:
        self.index, self._cells, self._encoding = index, cells, encoding

    def raw(self, name: str) -> Value | None:
        """Return a cell, or for `index0` … an arc of the index."""
        if name not in self._cells and name.startswith("index"):
            arcs, at = self.index.split("."), name.removeprefix("index")
            return int(arcs[int(at)]) if at and int(at) < len(arcs) else self.index
        return self._cells.get(name)

    def number(self, name: str) -> float | None:
        """Return a cell as a number, in the row's encoding."""
        return self.to_number(self._cells.get(name))

    def to_number(self, value: Value | None) -> float | None:
        """Return `value` as a number, in the row's encoding."""
        return self._encoding.decode(as_number(value))

    def text(self, name: str) -> str | None:
        """Return a cell as text, or None if it is missing or empty."""
        return text(self._cells.get(name)) or None

    def find_if_index(self, names: Iterable[str]) -> int | None:
        """Return the ifIndex from the first of these cells that has one, as a number or
        an instance of a column of ifTable; `index` means the last arc of the index."""
        for name in names:
            raw = self.index if name == "index" else self._cells.get(name)
            if isinstance(raw, str):
                raw = raw.rpartition(".")[2]
            if (number := as_number(raw)) is not None and number > 0:
                return int(number)
        return None

    def with_cells(self, cells: Mapping[str, Value]) -> ProfileRow:
        """Return this row with the values of `cells`."""
        return ProfileRow(self.index, {**self._cells, **cells}, self._encoding)

    def with_encoding(self, encoding: Encoding) -> ProfileRow:
        """Return this row with its numbers read in `encoding`."""
        return ProfileRow(self.index, self._cells, encoding)

    def arc(self, at: int) -> int:
        """Return an arc of the index. Raises `IndexError` if there is none."""
        return int(self.index.split(".")[at])


def matches_any(value: Value | None, wanted: Iterable[int | str] | str) -> bool:
    """Return True if `value` is one of `wanted`, or matches the pattern."""
    if value is None:
        return False
    value_text = text(value) or ""
    if isinstance(wanted, str):
        return re.search(wanted, value_text) is not None
    folded = value_text.casefold()
    return any(value == word or folded == str(word).casefold() for word in wanted)


def extract(pattern: str, text: str) -> str | None:
    """Return the first group that matched, or else the whole match; None if there is no
    match."""
    match = re.search(pattern, text)
    if match is None:
        return None
    return next((group for group in match.groups() if group is not None), match[0])
