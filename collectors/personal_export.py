"""Writes everything that is held about one laptop to one file: a zip of JSON lines, one
file for each place of `personal_data`, and a README."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from collectors.personal_data import (
    PLACES,
    UNREAD_ROWS,
    PersonalDataPlace,
    Root,
    read_agent,
)
from collectors.personal_readers import Record
from collectors.store.export import every_row
from collectors.store.query import Store, Where
from probes.wire.catalogue import Catalogue
from probes.wire.counted_text import counted

_KEPT_MS = 31 * 86_400_000
_AHEAD_MS = 2 * 86_400_000
_ROWS = "rows.jsonl"


async def stored_rows(
    store: Store, catalogue: Catalogue, agent: str, now_ms: int
) -> list[Record]:
    """The laptop's rows in the store. Raises `Away` or `QueryFailed`."""
    where = (Where("agent", (agent,)),)
    records: list[Record] = []
    for declared in catalogue:
        if not declared.personal:
            continue
        slices = every_row(
            store, declared, now_ms - _KEPT_MS, now_ms + _AHEAD_MS, where=where
        )
        async for _, rows in slices:
            records += [
                {
                    "measurement": declared.name,
                    "time_ms": row.time_ms,
                    "tags": {name: tag for name, tag in row.tags.items() if tag},
                    "fields": {
                        name.removesuffix("_last"): value
                        for name, value in row.values.items()
                        if value is not None
                    },
                }
                for row in rows
            ]
    return records


class LaptopExport(msgspec.Struct, frozen=True):
    """What is held about one laptop: its rows in the store, and what each place has."""

    agent: str
    rows: Sequence[Record]
    parts: Sequence[tuple[PersonalDataPlace, Sequence[Record]]]

    @property
    def count(self) -> int:
        return len(self.rows) + sum(len(records) for _, records in self.parts)


def gather_export(
    folders: Mapping[Root, Path],
    agent: str,
    rows: Sequence[Record],
    waiting: Sequence[Record] = (),
) -> LaptopExport:
    """Reads all places. `waiting`: what a journal that is not in files holds. Raises
    `OSError` or `sqlite3.Error`."""
    parts = [
        (place, [*records, *waiting] if place is UNREAD_ROWS else records)
        for place, records in read_agent(folders, agent)
    ]
    return LaptopExport(agent, rows, tuple(parts))


def write_export(out: Path, export: LaptopExport, now_ms: int) -> None:
    """Writes the zip, which only its owner may read. Raises `OSError`."""
    part = out.with_name(f".{out.name}.part")
    try:
        # Made first, because others could read a new file.
        part.unlink(missing_ok=True)
        part.touch(mode=0o600)
        with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("README.txt", _readme(export, now_ms))
            archive.writestr(_ROWS, _lines(export.rows))
            for place, records in export.parts:
                if records:
                    archive.writestr(_name(place), _lines(records))
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)


def _name(place: PersonalDataPlace) -> str:
    """Such as `journal-dead-jsonl.jsonl`. Pure."""
    words = re.findall(r"[a-z]+", place.glob)
    return f"{'-'.join([place.root, *words])}.jsonl"


def _lines(records: Iterable[Record]) -> bytes:
    return b"".join(msgspec.json.encode(record) + b"\n" for record in records)


def _readme(export: LaptopExport, now_ms: int) -> str:
    when = datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
    counts = {place: len(records) for place, records in export.parts}
    lines = [
        f"What Towpath held about the laptop {export.agent} on {when}.",
        "",
        "Each file has one JSON object a line. Times are milliseconds since 1970 UTC.",
        "docs/catalogue.md explains every measurement and field.",
        "",
    ]
    for place in PLACES:
        if place.read is not None:
            count = counts[place]
            found = (
                f"{_name(place)}: {counted(count, 'record')}" if count else "nothing"
            )
        elif place.glob.startswith("personal"):
            found = f"{_ROWS}: {counted(len(export.rows), 'record')}"
        else:
            found = f"the same as in {_ROWS}"
        lines += [
            f"- {place.holds} ({place.root}/{place.glob})",
            f"  {found}",
            f"  kept {place.kept}",
        ]
    lines += [
        "",
        "Not here: figures of groups (sites, teams, providers). Each stands for ten "
        "laptops or more, and says nothing about one of them.",
        "Not here: report bodies that could not be read and do not name a laptop; "
        "backups; and what is only on the laptop (towpath-agent sent shows it).",
        "Hashes of secrets were left out.",
    ]
    return "\n".join(lines) + "\n"
