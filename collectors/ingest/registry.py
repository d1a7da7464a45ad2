"""`Registry`: who may report, and how laptops enrol. People change it by its `admin`.

Enrolled laptops are kept in memory, so checking a secret costs a dictionary look-up and
one SHA-256. The generation number in the file (`RegistryFile`) is read every second, so
a revocation reaches every process within seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import secrets
import sqlite3
import time
from collections import deque
from typing import Self

import msgspec
import structlog

from collectors.failure_log import FailureLog
from collectors.ingest import enrolment_tokens
from collectors.ingest.ingest_config import RegistryConfig
from collectors.ingest.mosquitto_hash import mosquitto_hash
from collectors.ingest.pseudonym import pseudonym, read_key
from collectors.ingest.registry_admin import RegistryAdmin
from collectors.ingest.registry_file import NotOpen, RegistryFile, next_generation
from collectors.ingest.registry_records import (
    EnrolledAgent,
    EnrolmentRefused,
    RegistryRefused,
    Token,
    secret_digest,
)
from probes.wire.report import AgentCredential, Enrolment

_HOUR_MS = 3_600_000
_READ_S = 10.0
_NOBODY = hashlib.sha256(b"").digest()

_log = structlog.get_logger()


class _AgentRecord(msgspec.Struct, frozen=True):
    secret_hash: bytes
    agent: EnrolledAgent
    token_hash: str


class Registry:
    """`with Registry(config) as registry:` opens it; callers pass in the time.

    Methods that change something write to disk, as all of `admin` does: in an event
    loop, call them in a thread. `verify`, `enrolled` and `mark_seen` only use memory.
    """

    def __init__(self, config: RegistryConfig) -> None:
        self._config = config
        self._file = RegistryFile(config.path)
        self.admin = RegistryAdmin(self._file, self.refresh)
        self._agents: dict[str, _AgentRecord] = {}
        self._tokens: dict[str, Token] = {}
        self._key = b""
        self._generation = self._changed_ns = -1
        self._seen: dict[str, int] = {}
        # The event loop adds to it and threads empty it: a deque is safe for both.
        self._unsaved: deque[tuple[int, str]] = deque()

    def __enter__(self) -> Self:
        self._key = read_key(self._config.key_file)
        try:
            self._file.open()
            self.refresh()
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

    def verify(self, agent: str, secret: str) -> EnrolledAgent | None:
        """The agent if the secret is right and it is not revoked, else None."""
        record = self._agents.get(agent)
        expected = _NOBODY if record is None else record.secret_hash
        right = hmac.compare_digest(secret_digest(secret), expected)
        return record.agent if record is not None and right else None

    def enrolled(self, agent: str) -> EnrolledAgent | None:
        """The agent if it is enrolled and not revoked, else None."""
        record = self._agents.get(agent)
        return None if record is None else record.agent

    def mark_seen(self, agent: str, now_ms: int) -> None:
        """Records that the agent sent something in this hour.

        No finer than the hour: this is not a timesheet.
        """
        hour_ms = now_ms - now_ms % _HOUR_MS
        if self._seen.get(agent, 0) < hour_ms and agent in self._agents:
            self._seen[agent] = hour_ms
            self._unsaved.append((hour_ms, agent))

    def enrol(
        self, enrolment: Enrolment, now_ms: int, address: str = ""
    ) -> AgentCredential:
        """Enrols a laptop at `address` and returns its new secret; an old secret is
        void at once.

        If the same laptop enrols again with the same token, because the answer was
        lost, this does not count as another use. Raises `EnrolmentRefused`.
        """
        device = enrolment.device.strip()
        if not device:
            raise EnrolmentRefused("the device id is empty")
        agent = pseudonym(read_key(self._config.key_file), device)
        token_hash = secret_digest(enrolment.token).hex()
        secret = secrets.token_urlsafe(32)
        with self._file.transaction() as connection:
            token = enrolment_tokens.read_token(connection, token_hash)
            before = connection.execute(
                "SELECT token, revoked FROM agent WHERE agent = ?", (agent,)
            ).fetchone()
            again = before is not None and before[0] == token_hash
            reason = enrolment_tokens.refusal_reason(
                token, now_ms, address, again=again
            )
            if token is None or reason:
                raise EnrolmentRefused(reason)
            if before is not None and before[1]:
                raise EnrolmentRefused("this laptop was revoked by its council")
            if not again:
                connection.execute(
                    "UPDATE token SET used = used + 1 WHERE hash = ?", (token_hash,)
                )
            connection.execute(
                "INSERT INTO agent (agent, secret_hash, broker_hash, home_site, token,"
                " enrolled_ms, team, ring) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (agent) DO UPDATE SET secret_hash ="
                " excluded.secret_hash, broker_hash = excluded.broker_hash,"
                " home_site = excluded.home_site, token = excluded.token,"
                " enrolled_ms = excluded.enrolled_ms, team = excluded.team,"
                " ring = excluded.ring",
                (
                    agent,
                    secret_digest(secret),
                    mosquitto_hash(secret),
                    token.site,
                    token_hash,
                    now_ms,
                    token.team,
                    token.ring,
                ),
            )
            next_generation(connection)
        self.refresh()
        if before is not None:
            # Only `towpath fleet list` names it: others keep logs, and for longer.
            _log.warning("agent_enrolled_again", site=token.site)
        return AgentCredential(agent, secret, token.site)

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
        return enrolment_tokens.refusal_reason(token, now_ms, address, again=again)

    def is_behind(self) -> bool:
        """True if the file has changed since it was read. Only looks at its time."""
        changed_ns = self._file.changed_at_ns()
        return changed_ns is not None and changed_ns != self._changed_ns

    def agents(self) -> list[EnrolledAgent]:
        """Every agent in the file, including revoked ones."""
        self.save_seen()
        rows = self._file.rows(
            "SELECT agent, home_site, enrolled_ms, last_seen_ms, revoked, team,"
            " ring FROM agent ORDER BY agent"
        )
        return [EnrolledAgent(*row) for row in rows]

    def broker_users(self) -> list[tuple[str, str]]:
        """(agent, mosquitto's hash of its secret) for every agent that may log in."""
        rows = self._file.rows(
            "SELECT agent, broker_hash FROM agent WHERE revoked = 0 ORDER BY agent"
        )
        return [(agent, broker_hash) for agent, broker_hash in rows]

    def refresh(self) -> bool:
        """Reads what other processes have changed. True if there was a change."""
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
            rows = connection.execute(
                "SELECT secret_hash, token, agent, home_site, enrolled_ms,"
                " last_seen_ms, revoked, team, ring FROM agent WHERE revoked = 0"
            ).fetchall()
            tokens = enrolment_tokens.read_tokens(connection)
        self._agents = {
            row[2]: _AgentRecord(row[0], EnrolledAgent(*row[2:]), row[1])
            for row in rows
        }
        self._tokens = tokens
        self._generation, self._changed_ns = generation, changed_ns
        return True

    def save_seen(self) -> None:
        """Writes the hours in which agents were seen, if they are new."""
        unsaved = [self._unsaved.popleft() for _ in range(len(self._unsaved))]
        if not unsaved:
            return
        try:
            with self._file.transaction() as connection:
                connection.executemany(
                    "UPDATE agent SET last_seen_ms = max(last_seen_ms, ?)"
                    " WHERE agent = ?",
                    unsaved,
                )
        except BaseException:
            self._unsaved.extendleft(unsaved)
            raise

    async def follow(self, every_s: float = 2.0) -> None:
        """Reads the file again whenever it changes, until cancelled."""
        path = str(self._config.path)
        # Meanwhile the agents that were read last may go on sending.
        failures = FailureLog("registry_not_read", "registry_read_again")
        read_s = 0.0
        while True:
            await asyncio.sleep(every_s)
            now_s = time.monotonic()
            # Two changes in one tick of the system's clock leave the same time.
            is_due = now_s - read_s >= _READ_S
            if not (is_due or self._unsaved or self.is_behind()):
                continue
            read_s = now_s
            try:
                await asyncio.to_thread(self._synchronise)
            except (sqlite3.Error, NotOpen) as error:
                failures.failed(error, path=path)
            else:
                failures.recovered(path=path)

    def _synchronise(self) -> None:
        self.refresh()
        self.save_seen()
