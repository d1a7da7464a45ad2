"""Reads the registry's file without changing it, for roles other than ingest."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from collectors.ingest.registry_records import AGENT_COLUMNS, EnrolledAgent


class RegistryUnreadable(Exception):
    """The file cannot be read; the text is one sentence."""


def read_agents(path: Path) -> list[EnrolledAgent]:
    """Every enrolled laptop, also the revoked; none if there is no file. Blocking.
    Raises `RegistryUnreadable`."""
    if not path.exists():
        return []
    address = f"{path.absolute().as_uri()}?mode=ro"
    try:
        with contextlib.closing(sqlite3.connect(address, uri=True, timeout=5)) as file:
            columns = {row[1] for row in file.execute("PRAGMA table_info(agent)")}
            if not columns:
                return []
            if not columns.issuperset(AGENT_COLUMNS.split(", ")):
                raise RegistryUnreadable(
                    "no ingest role of this version has opened the registry yet"
                )
            rows = file.execute(f"SELECT {AGENT_COLUMNS} FROM agent ORDER BY agent")
            return [EnrolledAgent(*row) for row in rows]
    except (sqlite3.Error, OSError) as error:
        raise RegistryUnreadable(
            f"the registry {path} cannot be read: {error}"
        ) from None
