"""Which version of the agent each laptop runs, as its reports say, and which version of
its policy it has fetched."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable
from typing import Literal, get_args

from collectors.ingest.registry_records import EnrolledAgent

# A laptop may send any text; a version has nothing else in it.
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._+/-]{0,63}")
OTHER = "other"
# The columns of the registry.
Versioned = Literal["software", "policy"]
_Versions = dict[tuple[str, Versioned], str]


class AgentVersions:
    """Notes a version only when it changes. `mark` uses memory only; the event loop
    calls it, and a thread writes."""

    def __init__(self) -> None:
        self._known: _Versions = {}
        self._unsaved: _Versions = {}

    def __bool__(self) -> bool:
        """True if there is something to write."""
        return bool(self._unsaved)

    def load(self, agents: Iterable[EnrolledAgent]) -> None:
        """Takes over what the file has; what is not written yet stays."""
        self._known = _versions_of(agents) | self._unsaved

    def load_some(self, agents: Iterable[EnrolledAgent]) -> None:
        """As `load`, of these agents only."""
        self._known |= _versions_of(agents) | self._unsaved

    def mark(self, agent: str, what: Versioned, version: str) -> None:
        text = version if _VERSION.fullmatch(version) else OTHER
        if version and self._known.get((agent, what)) != text:
            self._known[agent, what] = self._unsaved[agent, what] = text

    def write(self, connection: sqlite3.Connection) -> _Versions:
        """Writes what is new, in the transaction of `connection`, and returns it."""
        unsaved = dict(self._unsaved)
        for column in get_args(Versioned):
            connection.executemany(
                f"UPDATE agent SET {column} = ? WHERE agent = ?",
                [
                    (version, agent)
                    for (agent, what), version in unsaved.items()
                    if what == column
                ],
            )
        return unsaved

    def written(self, versions: _Versions) -> None:
        """Forgets what was committed, unless it has changed since."""
        for key, version in versions.items():
            if self._unsaved.get(key) == version:
                del self._unsaved[key]


def _versions_of(agents: Iterable[EnrolledAgent]) -> _Versions:
    versions: _Versions = {}
    for agent in agents:
        versions[agent.agent, "software"] = agent.software
        versions[agent.agent, "policy"] = agent.policy
    return versions
