"""One row of a profile's table: its index, and its cells by the columns' names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from collectors.snmp.session.octet_text import as_number, text
from collectors.snmp.session.session import Value
from collectors.snmp.tables.quantities import Encoding

_PLAIN = Encoding()


class ProfileRow:
    """`index` as the last arcs of its OIDs; a cell that is not there is None."""

    def __init__(
        self,
        index: str,
        cells: Mapping[str, Value | None],
        encoding: Encoding = _PLAIN,
    ) -> None:
        self.index, self._cells, self._encoding = index, cells, encoding

    def raw(self, name: str) -> Value | None:
        """A cell; of `index0` …, the arc of the index."""
        if name not in self._cells and name.startswith("index"):
            arcs, at = self.index.split("."), name.removeprefix("index")
            return int(arcs[int(at)]) if at and int(at) < len(arcs) else self.index
        return self._cells.get(name)

    def number(self, name: str) -> float | None:
        """A cell as a number, in the row's encoding."""
        return self.to_number(self._cells.get(name))

    def to_number(self, value: Value | None) -> float | None:
        """`value` as a number, in the row's encoding."""
        return self._encoding.decode(as_number(value))

    def text(self, name: str) -> str | None:
        """None where it is empty, too."""
        return text(self._cells.get(name)) or None

    def find_if_index(self, names: Iterable[str]) -> int | None:
        """The ifIndex that the first of these cells tells, as a number or as the
        instance of a column of ifTable; of `index`, the last arc of the index."""
        for name in names:
            raw = self.index if name == "index" else self._cells.get(name)
            if isinstance(raw, str):
                raw = raw.rpartition(".")[2]
            if (found := as_number(raw)) is not None and found > 0:
                return int(found)
        return None

    def with_cells(self, cells: Mapping[str, Value]) -> ProfileRow:
        """This row with other values in `cells`."""
        return ProfileRow(self.index, {**self._cells, **cells}, self._encoding)

    def with_encoding(self, encoding: Encoding) -> ProfileRow:
        """This row with its numbers read in that way."""
        return ProfileRow(self.index, self._cells, encoding)

    def arc(self, at: int) -> int:
        """The arc at that place of the index. Raises IndexError."""
        return int(self.index.split(".")[at])


def matches_any(value: Value | None, wanted: Iterable[int | str] | str) -> bool:
    """True where `value` is one of `wanted`, or fits the pattern."""
    if value is None:
        return False
    said = text(value) or ""
    if isinstance(wanted, str):
        return re.search(wanted, said) is not None
    return any(
        value == each or said.casefold() == str(each).casefold() for each in wanted
    )


def extract(pattern: str, said: str) -> str | None:
    """The first group that took part, or all that fits; None where nothing does."""
    found = re.search(pattern, said)
    if found is None:
        return None
    return next((g for g in found.groups() if g is not None), found[0])
