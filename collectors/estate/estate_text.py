"""Estate entries as text that can be put behind an estate: TOML, or CSV.

An entry is a mapping of what is known; None and empty values are left out.
"""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Entry = Mapping[str, Any]

_MOST_LETTERS = 63


def toml(
    section: str, entries: Iterable[Entry], notes: Mapping[str, Sequence[str]] = {}
) -> str:
    """`[[section]]` tables; `notes` are comments by the entry's id."""
    tables = []
    for entry in entries:
        lines = [f"[[{section}]]"]
        for note in reversed(notes.get(str(entry.get("id")), ())):
            lines.insert(0, f"# {one_line(note)}")
        lines += [f"{key} = {_toml(value)}" for key, value in given(entry)]
        tables.append("\n".join(lines) + "\n")
    return "\n".join(tables)


def toml_tables(tables: Mapping[str, Entry]) -> str:
    """`[name]` tables, as a file of credentials has them."""
    return "\n".join(
        "\n".join([f"[{_key(name)}]", *(f"{k} = {_toml(v)}" for k, v in given(table))])
        + "\n"
        for name, table in tables.items()
    )


def comma_separated(entries: Sequence[Entry], columns: Sequence[str]) -> str:
    """CSV as `load` reads it: a row of keys, several values in a cell by `;`.

    A text that a spreadsheet would take for a formula gets a blank before it.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    for entry in entries:
        writer.writerow([_cell(entry.get(column)) for column in columns])
    return out.getvalue()


def id_of(name: str) -> str:
    """A name as an id: small letters, digits, dot, dash, underscore. Of a full host
    name the first part; the empty text where nothing is left."""
    plain = unicodedata.normalize("NFKD", name.strip().lower())
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    if not re.fullmatch(r"\d+(\.\d+){3}", plain) and re.fullmatch(
        r"[a-z0-9-]+(\.[a-z0-9-]+)+", plain
    ):
        plain = plain.partition(".")[0]
    plain = re.sub(r"[^a-z0-9._-]+", "-", plain).strip("-._")
    return plain[:_MOST_LETTERS].strip("-._")


def unique_ids(
    wanted: Sequence[tuple[str, str]], taken: Iterable[str] = ()
) -> list[str]:
    """An id for each (name, what tells it from its namesakes), none twice or taken.

    The same list gives the same ids in any order: all namesakes are told apart, not
    all but the first.
    """
    used = set(taken)
    plain = [id_of(name) or id_of(apart) or "device" for name, apart in wanted]
    found = []
    for at, (short, (_, apart)) in enumerate(zip(plain, wanted, strict=True)):
        chosen = short
        if plain.count(short) > 1 or short in used:
            tail = re.sub(r"[^a-z0-9]+", "-", apart.lower()).strip("-")
            chosen = f"{short[: _MOST_LETTERS - 1 - len(tail)]}-{tail}"
        number = 2
        while chosen in used:
            chosen = f"{plain[at][: _MOST_LETTERS - 4]}-{number}"
            number += 1
        used.add(chosen)
        found.append(chosen)
    return found


def given(entry: Entry) -> Iterable[tuple[str, Any]]:
    """The keys of an entry that say something, as they are written."""
    for key, value in entry.items():
        if value is not None and value not in ("", (), []):
            yield key, value


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _toml(name)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    # JSON's escapes are TOML's; DEL and half a surrogate pair are not in either.
    said = str(value).encode("utf-8", "replace").decode().replace("\x7f", " ")
    return json.dumps(said, ensure_ascii=False)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return ";".join(map(str, value))
    said = str(value).encode("utf-8", "replace").decode()
    return f" {said}" if said[:1] in ("=", "+", "@") else said


def one_line(text: str) -> str:
    """Text as it may stand in a comment of a file."""
    return " ".join(text.encode("utf-8", "replace").decode().split())
