"""Reads what one place holds of one laptop, for an export: a function for each kind of
file. The list of places is in `personal_data`."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from collectors.batch import Batch
from collectors.journal.frame import Damaged, Newer, unpack
from collectors.journal.quarantine import QuarantinedLine, matching_lines
from collectors.journal.segment import frame_at, list_segments

# A secret's hash says nothing about a person, and is nobody's to have.
_SECRETS = ("secret_hash", "broker_hash", "pending_hash", "pending_broker_hash")
Record = dict[str, object]


def read_lines(path: Path, agent: str, names: Callable[[bytes], bool]) -> list[Record]:
    """The rows of the laptop in the lines for which `names` is true."""
    records: list[Record] = []
    for line in matching_lines(path, names):
        try:
            quarantined = msgspec.json.decode(line, type=QuarantinedLine)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            # What could not be a batch: the line as it is.
            records.append({"line": line.decode("utf-8", "replace")})
            continue
        found: Record = {
            "kept_ms": quarantined.aside_ms,
            "reason": quarantined.reason,
        }
        records += [found | row for row in rows_of(quarantined.batch, agent)]
    return records


def read_segment(path: Path, agent: str) -> list[Record]:
    """The rows of the laptop in a segment of the journal."""
    marker = next(
        (s.marker for s in list_segments(path.parent) if s.path == path), None
    )
    if marker is None:
        return []
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        # Removed in this moment, because everybody has read it.
        return []
    records: list[Record] = []
    try:
        offset = 0
        while not isinstance(whole := frame_at(handle, offset, marker), str):
            frame, data = whole
            with contextlib.suppress(Damaged, Newer):
                for batch in unpack(frame, data):
                    records += rows_of(batch, agent)
            offset = frame.end
    finally:
        os.close(handle)
    return records


def rows_of(batch: Batch, agent: str) -> Iterator[Record]:
    """The laptop's rows of a batch. Pure."""
    if "agent" not in batch.schema.tags:
        return
    own = [at for at, name in enumerate(batch.tag("agent")) if name == agent]
    for sample in batch.rows(own).samples():
        yield {
            "measurement": sample.measurement,
            "time_ms": sample.time_ms,
            "received_ms": batch.received_ms,
            "tags": sample.tags,
            "fields": sample.fields,
        }


def read_request(path: Path, agent: str) -> list[Record]:
    """A request to erase the laptop."""
    try:
        request = msgspec.json.decode(path.read_bytes())
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return []
    named = isinstance(request, dict) and request.get("agent") == agent
    return [request] if named else []


def read_body(path: Path, agent: str) -> list[Record]:
    """A body that names the laptop. Others may be the laptop's too: nobody can tell."""
    with contextlib.suppress(FileNotFoundError):
        content = path.read_bytes()
        if agent.encode() in content:
            text = content.decode("utf-8", "replace")
            return [{"received_ms": path.name.partition("-")[0], "body": text}]
    return []


def read_registry(path: Path, agent: str) -> list[Record]:
    """The laptop's entry without its secrets, and what people did to it."""
    if path.suffix != ".sqlite":
        return []
    with contextlib.closing(
        sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=10)
    ) as file:
        file.row_factory = sqlite3.Row
        entries = file.execute("SELECT * FROM agent WHERE agent = ?", (agent,))
        records = [_without_secrets(row) | {"table": "agent"} for row in entries]
        for table, column in (("audit", "subject"), ("retired", "agent")):
            rows = file.execute(f"SELECT * FROM {table} WHERE {column} = ?", (agent,))
            records += [_without_secrets(row) | {"table": table} for row in rows]
    return records


def _without_secrets(row: sqlite3.Row) -> Record:
    names = row.keys()
    return {name: row[name] for name in names if name not in _SECRETS}


def read_broker(path: Path, agent: str) -> list[Record]:
    """Whether a file of the broker names the laptop."""
    with contextlib.suppress(FileNotFoundError, IsADirectoryError):
        if agent.encode() in path.read_bytes():
            return [{"file": path.name, "user": agent}]
    return []
