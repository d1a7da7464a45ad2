"""`Registry`: who may report, and how laptops enrol. People change it by its `admin`.

Enrolled laptops are kept in memory, so checking a secret costs a dictionary look-up and
one SHA-256. The generation number in the file (`RegistryFile`) is read every second, so
a revocation reaches every process within seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Self

import msgspec
import structlog

from collectors.failure_log import FailureLog
from collectors.ingest import enrolment_tokens
from collectors.ingest.agent_versions import AgentVersions
from collectors.ingest.ingest_config import RegistryConfig
from collectors.ingest.machines import note_copy, undo_replacement
from collectors.ingest.pseudonym import KeyRefused, machine_hash, pseudonym, read_key
from collectors.ingest.registry_admin import RegistryAdmin
from collectors.ingest.registry_file import NotOpen, RegistryFile, next_generation
from collectors.ingest.registry_identities import RegistryIdentities
from collectors.ingest.registry_records import (
    AGENT_COLUMNS,
    EnrolledAgent,
    RegistryRefused,
    RegistryState,
    SignIn,
    Token,
    is_secret_of,
    secret_digest,
)
from collectors.support_codes import support_codes_file
from collectors.wake_times import sleep_with_others
from probes.wire.clock import wall_ms
from probes.wire.report import Enrolment

_HOUR_MS, _DAY_MS = 3_600_000, 86_400_000
_READ_S = 60.0

# What is noted in the file, with the agent and the time. True if it was news.
_Note = Callable[[sqlite3.Connection, str, int], bool]
# How it is logged. Only `towpath fleet list` names the laptop.
_NOTES: dict[_Note, str] = {
    note_copy: "credential_used_twice",
    undo_replacement: "machine_number_shared",
}

_log = structlog.get_logger()


class _AgentRecord(msgspec.Struct, frozen=True):
    secret_hash: bytes
    pending_hash: bytes | None
    token_hash: str
    agent: EnrolledAgent


class Registry:
    """`with Registry(config) as registry:` opens it; callers pass in the time.

    Methods that change something write to disk, as all of `admin` does: in an event
    loop, call them in a thread. `verify`, `enrolled` and `mark_seen` only use memory.
    """

    def __init__(self, config: RegistryConfig) -> None:
        self._config = config
        self._file = RegistryFile(config.path)
        self.admin = RegistryAdmin(
            self._file,
            config.key_file,
            support_codes_file(config.path),
            self.refresh,
        )
        self.identities = RegistryIdentities(self._file, config, self._refresh_some)
        self._agents: dict[str, _AgentRecord] = {}
        self._tokens: dict[str, Token] = {}
        self._key = b""
        self._generation = self._changed_ns = -1
        # The agents that our own changes were about, by the number of the change.
        self._own: dict[int, set[str]] = {}
        self._refreshing = threading.Lock()
        self._seen: dict[str, int] = {}
        # The event loop adds to it and threads empty it: a deque is safe for both.
        self._unsaved: deque[tuple[int, str]] = deque()
        # Digests of secrets that were replaced, and whose they were.
        self._retired: dict[bytes, str] = {}
        self._retired_state: object = None
        self._notes: dict[tuple[str, _Note], int] = {}
        self._versions = AgentVersions()

    def __enter__(self) -> Self:
        # Refused before the registry's file is made.
        self._key = read_key(self._config.key_file)
        try:
            self._file.open()
            self.refresh()
            self.admin.follow_key(wall_ms())
            if not self._config.machine_ids:
                self.admin.forget_machines()
        except (OSError, sqlite3.Error) as error:
            self._file.close()
            raise RegistryRefused(
                f"registry {self._config.path} cannot be opened: {error}; expected a "
                "file of Towpath's own that this user may write"
            ) from None
        except BaseException:
            self._file.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(sqlite3.Error):
            self.save_seen()
        self._file.close()

    @property
    def generation(self) -> int:
        """Changes whenever an agent is enrolled, revoked or forgotten."""
        return self._generation

    @property
    def problem(self) -> str:
        """Why no laptop can be verified; here always empty."""
        return ""

    def state(self) -> RegistryState:
        """What a DMZ node verifies laptops by, from memory."""
        sign_ins = [
            SignIn(
                agent,
                record.secret_hash,
                record.pending_hash,
                record.agent.home_site,
                record.agent.team,
                record.agent.ring,
            )
            for agent, record in self._agents.items()
        ]
        return RegistryState(sign_ins, self._tokens, self._retired)

    def verify(self, agent: str, secret: str) -> EnrolledAgent | None:
        """The agent if the secret is right and it is not revoked, else None."""
        record = self._agents.get(agent)
        right = is_secret_of(record, secret)
        return record.agent if record is not None and right else None

    def is_retired(self, agent: str, secret: str, now_ms: int) -> bool:
        """Whether this was the agent's secret before the one it uses now: then two
        laptops have its credential. The first time is noted."""
        record = self._agents.get(agent)
        if record is None or self._retired.get(secret_digest(secret)) != agent:
            return False
        if not record.agent.copied_ms:
            self._notes[agent, note_copy] = now_ms
        return True

    def enrolled(self, agent: str) -> EnrolledAgent | None:
        """The agent if it is enrolled and not revoked, else None."""
        record = self._agents.get(agent)
        return None if record is None else record.agent

    def mark_seen(self, agent: str, now_ms: int) -> None:
        """Records that the agent sent something in this hour.

        No finer than the hour: this is not a timesheet.
        """
        hour_ms = now_ms - now_ms % _HOUR_MS
        # Not later than before: a clock that was ahead may have been set right.
        if self._seen.get(agent) != hour_ms and agent in self._agents:
            self._seen[agent] = hour_ms
            self._unsaved.append((hour_ms, agent))

    def mark_measured(self, agent: str, time_ms: int, software: str = "") -> None:
        """Records that the agent measured at that time: if it was replaced before, it
        was not."""
        record = self._agents.get(agent)
        if record is None:
            return
        self._versions.mark(agent, "software", software)
        if 0 < record.agent.replaced_ms < time_ms:
            self._notes[agent, undo_replacement] = time_ms

    def mark_policy(self, agent: str, version: str) -> None:
        """Records which version of its policy the agent has fetched."""
        if agent in self._agents:
            self._versions.mark(agent, "policy", version)

    def refusal_reason(
        self, enrolment: Enrolment, now_ms: int, address: str = ""
    ) -> str:
        """Returns why `enrol` would refuse, from memory; empty if it may succeed.

        Uses neither disk nor lock, so that guessing tokens costs the server little.
        """
        token_hash = secret_digest(enrolment.token).hex()
        token = self._tokens.get(token_hash)
        record = None
        if token is not None:
            record = self._agents.get(pseudonym(self._key, enrolment.device.strip()))
        again = record is not None and record.token_hash == token_hash
        return enrolment_tokens.refusal_reason(
            token, now_ms, address, enrolment.ring, again=again
        )

    def is_taken(self, enrolment: Enrolment) -> bool:
        """Whether the laptop's id belongs to another computer, from memory."""
        record = self._agents.get(pseudonym(self._key, enrolment.device.strip()))
        if record is None or not record.agent.machine or not enrolment.machine:
            return False
        return record.agent.machine != machine_hash(self._key, enrolment.machine)

    def is_behind(self) -> bool:
        """True if the file has changed since it was read. Only looks at its time."""
        changed_ns = self._file.changed_at_ns()
        return changed_ns is not None and changed_ns != self._changed_ns

    def agents(self) -> list[EnrolledAgent]:
        """Every agent in the file, including revoked ones."""
        self.save_seen()
        rows = self._file.rows(f"SELECT {AGENT_COLUMNS} FROM agent ORDER BY agent")
        return [EnrolledAgent(*row) for row in rows]

    def broker_users(self) -> list[tuple[str, str]]:
        """(agent, mosquitto's hash of its secret) for every agent that may log in."""
        rows = self._file.rows(
            "SELECT agent, broker_hash FROM agent WHERE revoked = 0 ORDER BY agent"
        )
        return [(agent, broker_hash) for agent, broker_hash in rows]

    def refresh(self) -> bool:
        """Reads what other processes have changed. True if there was a change."""
        with self._refreshing:
            # Before reading: what is written meanwhile has not been read.
            changed_ns = self._file.changed_at_ns()
            if changed_ns is None:
                changed_ns = self._changed_ns
            with self._file.transaction("BEGIN") as connection:
                (generation,) = connection.execute(
                    "SELECT number FROM generation"
                ).fetchone()
                if generation == self._generation:
                    self._changed_ns = changed_ns
                    return False
                changes = range(self._generation + 1, generation + 1)
                if self._agents and self._own.keys() >= {*changes}:
                    # One laptop has enrolled: not all of them are read again.
                    self._read_some(
                        connection, set().union(*(self._own[n] for n in changes))
                    )
                else:
                    self._read_all(connection)
            self._own = {n: of for n, of in self._own.items() if n > generation}
            self._key = read_key(self._config.key_file)
            self._generation, self._changed_ns = generation, changed_ns
            return True

    def _refresh_some(self, change: int, agents: set[str]) -> None:
        """Reads `agents` again, which that change of our own was about."""
        self._own[change] = agents
        self.refresh()

    def _read_all(self, connection: sqlite3.Connection) -> None:
        self._agents = _records(connection)
        self._tokens = enrolment_tokens.read_tokens(connection)
        retired_state = connection.execute(
            "SELECT count(*), max(rowid) FROM retired"
        ).fetchone()
        # Of a year and a large council that is most of the file.
        if retired_state != self._retired_state:
            self._retired = dict(
                connection.execute("SELECT secret_hash, agent FROM retired")
            )
            self._retired_state = retired_state
        self._versions.load(record.agent for record in self._agents.values())

    def _read_some(self, connection: sqlite3.Connection, changed: set[str]) -> None:
        these = ", ".join("?" * len(changed))
        records = _records(connection, f" AND agent IN ({these})", *changed)
        agents = dict(self._agents)
        for agent in changed:
            agents.pop(agent, None)
        self._agents = agents | records
        self._tokens = enrolment_tokens.read_tokens(connection)
        retired = dict(
            connection.execute(
                f"SELECT secret_hash, agent FROM retired WHERE agent IN ({these})",
                [*changed],
            )
        )
        if retired:
            self._retired, self._retired_state = self._retired | retired, None
        self._versions.load_some(record.agent for record in records.values())

    def save_seen(self) -> None:
        """Writes what was seen of agents, if it is new."""
        unsaved = [self._unsaved.popleft() for _ in range(len(self._unsaved))]
        notes = dict(self._notes)
        if not (unsaved or notes or self._versions):
            return
        try:
            with self._file.transaction() as connection:
                # What is more than a day older is no late mark: a clock that was ahead
                # has been set right.
                connection.executemany(
                    "UPDATE agent SET last_seen_ms = CASE WHEN last_seen_ms > ?"
                    " THEN ? ELSE max(last_seen_ms, ?) END WHERE agent = ?",
                    [
                        (hour_ms + _DAY_MS, hour_ms, hour_ms, agent)
                        for hour_ms, agent in unsaved
                    ],
                )
                versions = self._versions.write(connection)
                news = [
                    (agent, write)
                    for (agent, write), time_ms in notes.items()
                    if write(connection, agent, time_ms)
                ]
                if news:
                    next_generation(connection)
        except BaseException:
            self._unsaved.extendleft(unsaved)
            raise
        self._versions.written(versions)
        self.refresh()
        for (agent, write), time_ms in notes.items():
            # By now the agents in memory have it.
            if self._notes.get((agent, write)) == time_ms:
                del self._notes[agent, write]
        for agent, write in news:
            record = self._agents.get(agent)
            site = "" if record is None else record.agent.home_site
            _log.warning(_NOTES[write], site=site)

    async def follow(self, every_s: float = 5.0) -> None:
        """Reads the file again whenever it changes, until cancelled."""
        path = str(self._config.path)
        # Meanwhile the agents that were read last may go on sending.
        failures = FailureLog("registry_not_read", "registry_read_again")
        read_s = 0.0
        is_settled = False
        while True:
            await sleep_with_others(every_s)
            now_s = time.monotonic()
            # Two changes in one tick of the system's clock leave the same time.
            is_due = not is_settled or now_s - read_s >= _READ_S
            unsaved = self._unsaved or self._notes or self._versions
            is_settled = not self.is_behind()
            if is_settled and not (is_due or unsaved):
                continue
            read_s = now_s
            try:
                await asyncio.to_thread(self._synchronise)
            except (sqlite3.Error, NotOpen, KeyRefused) as error:
                failures.failed(error, path=path)
            else:
                failures.recovered(path=path)

    def _synchronise(self) -> None:
        self.refresh()
        self.admin.follow_key(wall_ms())
        self.save_seen()


def _records(
    connection: sqlite3.Connection, which: str = "", *values: str
) -> dict[str, _AgentRecord]:
    """Those agents that are not revoked, or `which` of them."""
    rows = connection.execute(
        f"SELECT secret_hash, pending_hash, token, {AGENT_COLUMNS} FROM agent"
        f" WHERE revoked = 0{which}",
        values,
    )
    records = [
        _AgentRecord(secret, pending, token, EnrolledAgent(*fields))
        for secret, pending, token, *fields in rows
    ]
    return {record.agent.agent: record for record in records}
