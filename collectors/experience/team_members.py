"""`TeamMembers`: which laptops are in which team, as the registry has it."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Mapping
from pathlib import Path

from collectors.failure_log import FailureLog


class TeamMembers:
    """Reads the registry's file when it has changed. Only pseudonyms are there."""

    def __init__(self, registry: Path) -> None:
        self._path = registry
        self._changed_ns: int | None = None
        self._teams: Mapping[str, str] = {}
        self._failures = FailureLog("teams_not_read", "teams_read", "warning")

    def teams(self) -> Mapping[str, str]:
        """Agent → its team, for those in one. Blocking. Without a registry on this
        machine there is none; if it cannot be read, those known stay."""
        try:
            changed_ns = self._path.stat().st_mtime_ns
        except OSError:
            return self._teams
        if changed_ns != self._changed_ns:
            try:
                self._teams = self._read()
                self._changed_ns = changed_ns
                self._failures.recovered(file=str(self._path))
            except sqlite3.Error as error:
                self._failures.failed(error, file=str(self._path))
        return self._teams

    def _read(self) -> dict[str, str]:
        address = f"{self._path.absolute().as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(address, uri=True, timeout=5)) as file:
            columns = [row[1] for row in file.execute("PRAGMA table_info(agent)")]
            if "team" not in columns:
                # No ingest role of this version has opened it yet.
                return {}
            rows = file.execute(
                "SELECT agent, team FROM agent WHERE team != '' AND revoked = 0"
            )
            return {str(agent): str(team) for agent, team in rows}
