"""Writes the database of an MSI: tables as streams of columns, and a pool of strings.

Columns are described as in IDT files: `s72` a string of at most 72 characters, `i2` and
`i4` whole numbers, `v0` a stream; a capital letter may be empty, `l` and `L` are texts
that may be translated.
"""

from __future__ import annotations

import datetime
import struct
import uuid
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from compound_file import write_compound_file

Value = str | int | bytes | None
_CODE_PAGE = 1252
_MSI_CLASS = uuid.UUID("000C1084-0000-0000-C000-000000000046").bytes_le
_SUMMARY_FORMAT = uuid.UUID("F29F85E0-4FF9-1068-AB91-08002B27B3D9").bytes_le
_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._"
_SHORT = 2
# Bits of a column's type, besides its size.
_VALID, _LOCAL, _NOT_LONG, _STRING, _EMPTY, _KEY = (
    0x100,
    0x200,
    0x400,
    0x800,
    0x1000,
    0x2000,
)


class Table(NamedTuple):
    """`columns`: name and kind; the first `keys` of them are the primary key."""

    columns: Sequence[tuple[str, str]]
    keys: int
    rows: Sequence[Sequence[Value]]


class Summary(NamedTuple):
    """What is shown of the file, and how the installer treats it."""

    title: str
    subject: str
    author: str
    comments: str
    template: str
    package_code: str
    made: datetime.datetime
    # The oldest Windows Installer that can read it, times 100.
    schema: int
    compressed: bool


def write_msi(
    tables: Mapping[str, Table], summary: Summary, streams: Mapping[str, bytes]
) -> bytes:
    """`streams`: the cabinets by name. Pure."""
    pool = _StringPool()
    content: dict[str, bytes] = {}
    listed: list[Sequence[Value]] = []
    columns: list[Sequence[Value]] = []
    for name in sorted(tables):
        table = tables[name]
        listed.append((name,))
        for number, (column, kind) in enumerate(table.columns, 1):
            bits = _type_bits(kind, number <= table.keys)
            columns.append((name, number, column, bits))
        for row in table.rows:
            for (_, kind), value in zip(table.columns, row, strict=True):
                if kind.lower() == "v0" and isinstance(value, bytes):
                    key = ".".join(str(part) for part in row[: table.keys])
                    content[_stream_name(f"{name}.{key}", False)] = value
    # The system tables' own columns are known to every reader.
    schema = {
        "_Tables": Table([("Name", "s64")], 1, listed),
        "_Columns": Table(
            [("Table", "s64"), ("Number", "i2"), ("Name", "s64"), ("Type", "i2")],
            2,
            columns,
        ),
    }
    for name, table in {**schema, **tables}.items():
        content[_stream_name(name, True)] = _table_stream(name, table, pool)
    content[_stream_name("_StringPool", True)], data = pool.streams()
    content[_stream_name("_StringData", True)] = data
    for name, stream in streams.items():
        content[_stream_name(name, False)] = stream
    content["\5SummaryInformation"] = _summary_stream(summary)
    return write_compound_file(content, _MSI_CLASS)


class _StringPool:
    """Strings by number, from 1, with how often each is used."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._uses: list[int] = []

    def number(self, text: str) -> int:
        if not text:
            return 0
        number = self._numbers.setdefault(text, len(self._numbers) + 1)
        if number > len(self._uses):
            self._uses.append(0)
        self._uses[number - 1] += 1
        return number

    def streams(self) -> tuple[bytes, bytes]:
        if len(self._uses) > 0xFFFF:
            raise ValueError("too many strings for references of two octets")
        pool, data = [struct.pack("<HH", _CODE_PAGE, 0)], []
        for text, uses in zip(self._numbers, self._uses, strict=True):
            encoded = text.encode(f"cp{_CODE_PAGE}")
            if len(encoded) > 0xFFFF or uses > 0xFFFF:
                raise ValueError(f"a string is too long or too frequent: {text[:40]}")
            pool.append(struct.pack("<HH", len(encoded), uses))
            data.append(encoded)
        return b"".join(pool), b"".join(data)


def _table_stream(name: str, table: Table, pool: _StringPool) -> bytes:
    """The rows by primary key, one column after the other."""
    rows = [
        [
            _stored(f"{name}.{column}", kind, value, pool)
            for (column, kind), value in zip(table.columns, row, strict=True)
        ]
        for row in table.rows
    ]
    rows.sort(key=lambda row: row[: table.keys])
    keys = [tuple(row[: table.keys]) for row in rows]
    if len(set(keys)) < len(keys):
        raise ValueError(f"two rows of {name} have the same key")
    parts = []
    for at, (_, kind) in enumerate(table.columns):
        form = "I" if kind.lower() == "i4" else "H"
        parts.append(struct.pack(f"<{len(rows)}{form}", *(row[at] for row in rows)))
    return b"".join(parts)


def _stored(where: str, kind: str, value: Value, pool: _StringPool) -> int:
    letter, size = kind[0], int(kind[1:])
    if value is None or value == "":
        if letter.islower():
            raise ValueError(f"{where} is empty")
        return 0
    if letter in "iI":
        assert isinstance(value, int), where
        most = 0x7FFF if size == _SHORT else 0x7FFFFFFF
        if not -most <= value <= most:
            raise ValueError(f"{where} does not hold {value}")
        return value + (0x8000 if size == _SHORT else 0x80000000)
    if letter in "vV":
        return 1
    assert isinstance(value, str), where
    if size and len(value) > size:
        raise ValueError(f"{where} does not hold {value!r}")
    return pool.number(value)


def _type_bits(kind: str, key: bool) -> int:
    letter, size = kind[0].lower(), int(kind[1:])
    bits = _VALID | size
    if letter in "sl":
        bits |= _STRING | _NOT_LONG
    elif letter == "v":
        bits |= _STRING
    elif size == _SHORT:
        bits |= _NOT_LONG
    if letter == "l":
        bits |= _LOCAL
    if kind[0].isupper():
        bits |= _EMPTY
    return bits | (_KEY if key else 0)


def _stream_name(name: str, is_table: bool) -> str:
    """Two letters of a name make one character of the container's."""
    encoded = ["\u4840"] if is_table else []
    at = 0
    while at < len(name):
        first = _LETTERS.find(name[at])
        second = _LETTERS.find(name[at + 1]) if at + 1 < len(name) else -1
        if first < 0:
            encoded.append(name[at])
        elif second < 0:
            encoded.append(chr(0x4800 + first))
        else:
            encoded.append(chr(0x3800 + first + (second << 6)))
            at += 1
        at += 1
    return "".join(encoded)


def _summary_stream(summary: Summary) -> bytes:
    short, number, text, time = 2, 3, 30, 64
    epoch = datetime.datetime(1601, 1, 1, tzinfo=datetime.UTC)
    made = (summary.made - epoch) // datetime.timedelta(microseconds=1) * 10
    properties: list[tuple[int, int, int | str]] = [
        (1, short, _CODE_PAGE),
        (2, text, summary.title),
        (3, text, summary.subject),
        (4, text, summary.author),
        (5, text, "Installer"),
        (6, text, summary.comments),
        (7, text, summary.template),
        (9, text, summary.package_code),
        (12, time, made),
        (13, time, made),
        (14, number, summary.schema),
        (15, number, 2 if summary.compressed else 0),
        (18, text, "Towpath"),
        # Changing it is not recommended.
        (19, number, 2),
    ]
    offset = 8 + 8 * len(properties)
    index, values = b"", b""
    for name, kind, value in properties:
        index += struct.pack("<II", name, offset + len(values))
        if isinstance(value, str):
            encoded = value.encode(f"cp{_CODE_PAGE}") + b"\0"
            packed = struct.pack("<II", kind, len(encoded)) + encoded
        else:
            form = {short: "<Ihxx", number: "<Ii", time: "<IQ"}[kind]
            packed = struct.pack(form, kind, value)
        values += packed.ljust(-(-len(packed) // 4) * 4, b"\0")
    section = struct.pack("<II", offset + len(values), len(properties))
    head = struct.pack("<HHI16sI", 0xFFFE, 0, 0x00020006, b"", 1)
    return head + _SUMMARY_FORMAT + struct.pack("<I", 48) + section + index + values
