"""Which version of the agent each laptop runs, as its reports say."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping

# A laptop may send any text; a version has nothing else in it.
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._+/-]{0,63}")
OTHER = "other"


class SoftwareVersions:
    """Notes a version only when it changes. `mark` uses memory only; the event loop
    calls it, and a thread writes."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}
        self._unsaved: dict[str, str] = {}

    def __bool__(self) -> bool:
        """True if there is something to write."""
        return bool(self._unsaved)

    def load(self, versions: Mapping[str, str]) -> None:
        """Takes over what the file has; what is not written yet stays."""
        self._known = {**versions, **self._unsaved}

    def mark(self, agent: str, software: str) -> None:
        text = software if _VERSION.fullmatch(software) else OTHER
        if software and self._known.get(agent) != text:
            self._known[agent] = self._unsaved[agent] = text

    def write(self, connection: sqlite3.Connection) -> dict[str, str]:
        """Writes what is new, in the transaction of `connection`, and returns it."""
        unsaved = dict(self._unsaved)
        connection.executemany(
            "UPDATE agent SET software = ? WHERE agent = ?",
            [(software, agent) for agent, software in unsaved.items()],
        )
        return unsaved

    def written(self, versions: Mapping[str, str]) -> None:
        """Forgets what was committed, unless it has changed since."""
        for agent, software in versions.items():
            if self._unsaved.get(agent) == software:
                del self._unsaved[agent]
