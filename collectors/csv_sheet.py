"""Reads spreadsheets saved as CSV, whatever their encoding, delimiter and headings."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

import msgspec

_QUOTED = re.compile(r'"[^"]*"')
# Excel's way to say the delimiter.
_DELIMITER = re.compile(r"\s*sep=([,;\t])\r?\n", re.IGNORECASE)
_HEAD_BYTES = 400
_IN_TABLE = re.compile(r"[^\[\]]+\[([^\[\]]+)\]")


class SheetRow(dict[str, str]):
    """One row by our column names, without empty cells; `line` is its line."""

    line = 0


class CsvSheet(msgspec.Struct, frozen=True):
    """`columns`: our names of the headings that are known."""

    headings: tuple[str, ...]
    columns: frozenset[str]
    rows: tuple[SheetRow, ...]


class NotCsv(ValueError):
    """The text says in which line and why."""


def read_sheet(
    raw: bytes,
    names: Mapping[str, str],
    order: Sequence[str] = (),
    given: Mapping[str, str] = {},
) -> CsvSheet:
    """Returns the rows of a sheet with commas, semicolons or tabs. `names`: our column
    name by a heading's letters and digits. `order`: the headings, if the sheet may have
    none. `given`: our column name → the heading that is meant, in any language. Raises
    `NotCsv`. Pure."""
    text = _decode(raw)
    if told := _DELIMITER.match(text):
        text, delimiter = text[told.end() :], told[1]
    else:
        # What is in quotes belongs to a cell: an address may have many commas.
        first = _QUOTED.sub("", text.lstrip().partition("\n")[0])
        delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    rows = []
    try:
        headings = [h.strip() for h in next(filter(any, reader), [])]
        columns = _columns(headings, names)
        for ours, heading in given.items():
            wanted = heading.strip().casefold()
            places = [at for at, h in enumerate(headings) if h.casefold() == wanted]
            if not places:
                raise NotCsv(f"1: expected a column {heading!r}")
            columns = [None if name == ours else name for name in columns]
            columns[places[0]] = ours
        body: Iterator[list[str]] = reader
        if order and not any(columns):
            body = chain([headings], reader)
            headings, columns = list(order), _columns(order, names)
        for cells in body:
            row = SheetRow()
            row.line = reader.line_num
            for name, cell in zip(columns, cells, strict=False):
                if name is not None and cell.strip() and name not in row:
                    row[name] = " ".join(cell.split())
            if row:
                rows.append(row)
    except csv.Error as error:
        raise NotCsv(f"{reader.line_num}: {error}") from None
    _check_closed(text, delimiter)
    known = frozenset(name for name in columns if name is not None)
    return CsvSheet(tuple(headings), known, tuple(rows))


def _check_closed(text: str, delimiter: str) -> None:
    """Raises `NotCsv` if the end of the text is in quotes: the rows behind the opening
    one would all be in one cell. Other carelessness with quotes is accepted."""
    strict = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for _ in strict:
            pass
    except csv.Error as error:
        if "end of data" in str(error):
            raise NotCsv(
                f"{strict.line_num}: a quotation mark is not closed, as in a file that "
                "was cut off"
            ) from None


def _columns(headings: Sequence[str], names: Mapping[str, str]) -> list[str | None]:
    return [column_of(heading, names) for heading in headings]


def column_of(heading: str, names: Mapping[str, str]) -> str | None:
    """Returns our column name of a heading; also of Table[Heading], as Power BI may
    write it."""
    in_table = _IN_TABLE.fullmatch(heading.strip())
    for text in (heading, in_table[1] if in_table else ""):
        if name := names.get(re.sub(r"[^a-z0-9]", "", text.lower())):
            return name
    return None


def _decode(raw: bytes) -> str:
    """UTF-8 or UTF-16 (with or without a BOM), or else Windows-1252."""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw.decode("utf-16", "replace")
    head = raw[:_HEAD_BYTES]
    if head.count(0) > len(head) // 4:
        order = "le" if head[1::2].count(0) > head[::2].count(0) else "be"
        return raw.decode(f"utf-16-{order}", "replace")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")
