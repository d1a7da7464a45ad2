"""Writes estate entries as TOML or CSV, to be added to an estate.

An entry is a mapping of keys and values; None and empty values are left out.
"""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from probes.wire.display import is_formula

Entry = Mapping[str, Any]

_MAX_ID_LENGTH = 63


def toml(
    section: str, entries: Iterable[Entry], notes: Mapping[str, Sequence[str]] = {}
) -> str:
    """Returns `[[section]]` tables; `notes` are comments by the entry's id."""
    tables = []
    for entry in entries:
        lines = [f"[[{section}]]"]
        for note in reversed(notes.get(str(entry.get("id")), ())):
            lines.insert(0, f"# {one_line(note)}")
        lines += [f"{key} = {_toml(value)}" for key, value in items_with_value(entry)]
        tables.append("\n".join(lines) + "\n")
    return "\n".join(tables)


def toml_tables(tables: Mapping[str, Entry]) -> str:
    """Returns `[name]` tables, as in a file of credentials."""
    return "\n".join(
        "\n".join(
            [
                f"[{_key(name)}]",
                *(f"{k} = {_toml(v)}" for k, v in items_with_value(table)),
            ]
        )
        + "\n"
        for name, table in tables.items()
    )


def comma_separated(entries: Sequence[Entry], columns: Sequence[str]) -> str:
    """Returns CSV as `load` reads it: a row of keys; `;` between values in a cell.

    A text that a spreadsheet would read as a formula gets a leading space.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    for entry in entries:
        writer.writerow([_cell(entry.get(column)) for column in columns])
    return out.getvalue()


def id_from_name(name: str) -> str:
    """Returns a name as an id: small letters, digits, dots, dashes, underscores.

    Of a fully qualified host name only the first part is used. The result may be empty.
    """
    plain = unicodedata.normalize("NFKD", name.strip().lower())
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    if not re.fullmatch(r"\d+(\.\d+){3}", plain) and re.fullmatch(
        r"[a-z0-9-]+(\.[a-z0-9-]+)+", plain
    ):
        plain = plain.partition(".")[0]
    plain = re.sub(r"[^a-z0-9._-]+", "-", plain).strip("-._")
    return plain[:_MAX_ID_LENGTH].strip("-._")


def unique_ids(
    wanted: Sequence[tuple[str, str]], taken: Iterable[str] = ()
) -> list[str]:
    """Returns a unique id for each (name, distinguishing text), none of `taken`.

    The same list gives the same ids in any order: every entry of a shared name gets its
    distinguishing text, the first one too.
    """
    used = set(taken)
    plain = [
        id_from_name(name) or id_from_name(distinct) or "device"
        for name, distinct in wanted
    ]
    ids = []
    for at, (short, (_, distinct)) in enumerate(zip(plain, wanted, strict=True)):
        chosen = short
        if plain.count(short) > 1 or short in used:
            tail = re.sub(r"[^a-z0-9]+", "-", distinct.lower()).strip("-")
            chosen = f"{short[: _MAX_ID_LENGTH - 1 - len(tail)]}-{tail}"
        number = 2
        while chosen in used:
            chosen = f"{plain[at][: _MAX_ID_LENGTH - 4]}-{number}"
            number += 1
        used.add(chosen)
        ids.append(chosen)
    return ids


def items_with_value(entry: Entry) -> Iterable[tuple[str, Any]]:
    """Yields the keys and values of an entry that are not empty."""
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
    # JSON's escapes are valid in TOML; DEL and lone surrogates are valid in neither.
    text = str(value).encode("utf-8", "replace").decode().replace("\x7f", " ")
    return json.dumps(text, ensure_ascii=False)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    joined = ";".join(map(str, value)) if isinstance(value, list | tuple) else value
    text = str(joined).encode("utf-8", "replace").decode()
    return f" {text}" if is_formula(text) else text


def one_line(text: str) -> str:
    """Returns `text` on one line, for a comment; TOML allows no control characters."""
    words = " ".join(text.encode("utf-8", "replace").decode().split())
    return "".join("\ufffd" if unicodedata.category(c) == "Cc" else c for c in words)
