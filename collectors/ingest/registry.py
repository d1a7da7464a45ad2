"""`Registry`: which laptops are enrolled, and the tokens that let them.

One SQLite file without WAL, one connection per process, short transactions: several
processes and the command line use it at the same time. Who is enrolled is held in
memory; a generation number, changed by every enrolment and revocation, is looked at
each second, so a revocation reaches every process within seconds and the check of
a secret costs a dictionary look-up and one SHA-256.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import secrets
import sqlite3
import threading
from collections import deque
from collections.abc import Iterator
from typing import Any, Self

import msgspec
import structlog

from collectors.ingest.ingest_config import RegistryConfig
from collectors.ingest.mosquitto_hash import mosquitto_hash
from collectors.ingest.pseudonym import pseudonym, read_key
from collectors.ingest.registry_records import (
    EnrolledAgent,
    EnrolmentRefused,
    RegistryRefused,
    Token,
)
from probes.wire.report import AgentCredential, Enrolment

_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS
_SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS token (
  hash TEXT PRIMARY KEY, site TEXT NOT NULL, uses INTEGER NOT NULL,
  used INTEGER NOT NULL DEFAULT 0, created_ms INTEGER NOT NULL,
  expires_ms INTEGER NOT NULL, withdrawn INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE IF NOT EXISTS agent (
  agent TEXT PRIMARY KEY, secret_hash BLOB NOT NULL, broker_hash TEXT NOT NULL,
  home_site TEXT NOT NULL, token TEXT NOT NULL, enrolled_ms INTEGER NOT NULL,
  last_seen_ms INTEGER NOT NULL DEFAULT 0, revoked INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE IF NOT EXISTS generation (number INTEGER NOT NULL) STRICT;
INSERT INTO generation SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM generation);
"""
_NOBODY = hashlib.sha256(b"").digest()

log = structlog.get_logger()


class NotOpen(RuntimeError):
    """The registry is asked outside its `with`."""


class _Known(msgspec.Struct, frozen=True):
    secret_hash: bytes
    agent: EnrolledAgent
    token_hash: str


class _Token(msgspec.Struct, frozen=True):
    uses: int
    used: int
    expires_ms: int
    withdrawn: int

    def why_refused(self, now_ms: int, again: bool) -> str:
        """Why it lets nobody in; empty if it does. `again`: the same laptop has used
        it before, which does not use it up."""
        if self.withdrawn:
            return "the enrolment token was withdrawn"
        if now_ms >= self.expires_ms:
            return "the enrolment token has expired"
        if self.used >= self.uses and not again:
            return f"the enrolment token had {self.uses} uses"
        return ""


_UNKNOWN_TOKEN = "the enrolment token is not known here"


class Registry:
    """`with Registry(config) as registry:` opens it; every time is passed in.

    Methods that change something write a transaction and may wait for a disk: call
    them from a thread where an event loop runs. `verify`, `enrolled` and `seen` only
    touch memory.
    """

    def __init__(self, config: RegistryConfig) -> None:
        self._config = config
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._known: dict[str, _Known] = {}
        self._tokens: dict[str, _Token] = {}
        self._key = b""
        self._generation = self._changed_ns = -1
        self._seen: dict[str, int] = {}
        # Filled by the event loop, emptied by threads: a deque is safe for both.
        self._unsaved: deque[tuple[int, str]] = deque()

    def __enter__(self) -> Self:
        self._key = read_key(self._config.key_file)
        path = self._config.path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Made here, as SQLite would let others read it.
            path.touch(mode=0o600)
            self._connection = sqlite3.connect(
                path, timeout=10, isolation_level=None, check_same_thread=False
            )
            # Whoever is forgotten is not to lie in unused pages of the file.
            self._connection.execute("PRAGMA secure_delete = ON")
            self._prepare()
            self.refresh()
        except (OSError, sqlite3.Error) as error:
            self._close()
            raise RegistryRefused(
                f"registry {path} cannot be opened: {error}; expected a file of "
                "Towpath's own that this user may write"
            ) from None
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(sqlite3.Error):
            self.save_seen()
        self._close()

    def _close(self) -> None:
        # A thread of `follow` may still be at work.
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @property
    def generation(self) -> int:
        """Changes whenever an agent is enrolled, revoked or forgotten."""
        return self._generation

    def verify(self, agent: str, secret: str) -> EnrolledAgent | None:
        """The agent where the secret is its own and it is not revoked, else None."""
        known = self._known.get(agent)
        expected = _NOBODY if known is None else known.secret_hash
        right = hmac.compare_digest(_digest(secret), expected)
        return known.agent if known is not None and right else None

    def enrolled(self, agent: str) -> EnrolledAgent | None:
        """The agent where it is enrolled and not revoked, else None."""
        known = self._known.get(agent)
        return None if known is None else known.agent

    def seen(self, agent: str, now_ms: int) -> None:
        """Notes that the agent was heard, to the hour: it is not a timesheet."""
        hour_ms = now_ms - now_ms % _HOUR_MS
        if self._seen.get(agent, 0) < hour_ms and agent in self._known:
            self._seen[agent] = hour_ms
            self._unsaved.append((hour_ms, agent))

    def make_token(self, site: str, uses: int, days: float, now_ms: int) -> str:
        """A new enrolment token; its text is nowhere but in the answer."""
        if uses < 1 or days <= 0:
            raise ValueError("an enrolment token needs at least one use and some days")
        token = f"tow-{secrets.token_urlsafe(24)}"
        with self._transaction() as connection:
            connection.execute(
                "INSERT INTO token (hash, site, uses, created_ms, expires_ms)"
                " VALUES (?, ?, ?, ?, ?)",
                (
                    _digest(token).hex(),
                    site,
                    uses,
                    now_ms,
                    now_ms + int(days * _DAY_MS),
                ),
            )
            _next_generation(connection)
        self.refresh()
        return token

    def tokens(self) -> list[Token]:
        """Every token, newest first."""
        rows = self._rows(
            "SELECT substr(hash, 1, 12), site, uses, used, created_ms, expires_ms,"
            " withdrawn FROM token ORDER BY created_ms DESC, hash"
        )
        return [Token(*row) for row in rows]

    def withdraw_token(self, id: str) -> bool:
        """Stops the token of that id. False if there is none."""
        with self._transaction() as connection:
            changed = connection.execute(
                "UPDATE token SET withdrawn = 1 WHERE substr(hash, 1, 12) = ?", (id,)
            )
            _next_generation(connection)
        self.refresh()
        return changed.rowcount > 0

    def enrol(self, enrolment: Enrolment, now_ms: int) -> AgentCredential:
        """Lets a laptop in and gives it a new secret; the old one is void at once.

        A second enrolment of a laptop with the same token (its answer was lost)
        does not use the token up. `EnrolmentRefused` says why not.
        """
        device = enrolment.device.strip()
        if not device:
            raise EnrolmentRefused("the device id is empty")
        agent = pseudonym(read_key(self._config.key_file), device)
        token_hash = _digest(enrolment.token).hex()
        secret = secrets.token_urlsafe(32)
        with self._transaction() as connection:
            token = connection.execute(
                "SELECT site, uses, used, expires_ms, withdrawn FROM token"
                " WHERE hash = ?",
                (token_hash,),
            ).fetchone()
            if token is None:
                raise EnrolmentRefused(_UNKNOWN_TOKEN)
            site, *limits = token
            before = connection.execute(
                "SELECT token, revoked FROM agent WHERE agent = ?", (agent,)
            ).fetchone()
            again = before is not None and before[0] == token_hash
            why = _Token(*limits).why_refused(now_ms, again)
            if why:
                raise EnrolmentRefused(why)
            if before is not None and before[1]:
                raise EnrolmentRefused("this laptop was revoked by its council")
            if not again:
                connection.execute(
                    "UPDATE token SET used = used + 1 WHERE hash = ?", (token_hash,)
                )
            connection.execute(
                "INSERT INTO agent (agent, secret_hash, broker_hash, home_site, token,"
                " enrolled_ms) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (agent) DO UPDATE"
                " SET secret_hash = excluded.secret_hash, broker_hash ="
                " excluded.broker_hash, home_site = excluded.home_site,"
                " token = excluded.token, enrolled_ms = excluded.enrolled_ms",
                (
                    agent,
                    _digest(secret),
                    mosquitto_hash(secret),
                    site,
                    token_hash,
                    now_ms,
                ),
            )
            _next_generation(connection)
        self.refresh()
        if before is not None:
            # `towpath agents list` shows which one: logs are kept longer, by others.
            log.warning("an agent enrolled again, its old secret is void", site=site)
        return AgentCredential(agent, secret, site)

    def why_refused(self, enrolment: Enrolment, now_ms: int) -> str:
        """Why `enrol` would refuse, as far as memory knows; empty if it may not.

        Touches neither disk nor lock: this is what whoever tries tokens costs.
        """
        token_hash = _digest(enrolment.token).hex()
        token = self._tokens.get(token_hash)
        if token is None:
            return _UNKNOWN_TOKEN
        known = self._known.get(pseudonym(self._key, enrolment.device.strip()))
        again = known is not None and known.token_hash == token_hash
        return token.why_refused(now_ms, again)

    def is_behind(self) -> bool:
        """Whether the file has changed since memory was read from it; no disk."""
        return self._changed_at_ns() != self._changed_ns

    def _changed_at_ns(self) -> int:
        try:
            return self._config.path.stat().st_mtime_ns
        except OSError:
            return self._changed_ns

    def revoke(self, agent: str) -> bool:
        """Shuts an agent out, for ever. False if there is no such agent."""
        return self._change("UPDATE agent SET revoked = 1 WHERE agent = ?", agent)

    def restore(self, agent: str) -> bool:
        """Takes a revocation back. False if there is no such agent."""
        return self._change("UPDATE agent SET revoked = 0 WHERE agent = ?", agent)

    def forget(self, agent: str) -> bool:
        """Removes every trace of an agent here. False if there is no such agent."""
        return self._change("DELETE FROM agent WHERE agent = ?", agent)

    def forget_unseen(self, before_ms: int) -> int:
        """Removes agents last seen before that time, such as those of a rotated key;
        how many. Revoked ones stay: they must stay shut out."""
        with self._transaction() as connection:
            gone = connection.execute(
                "DELETE FROM agent WHERE revoked = 0 AND max(last_seen_ms, enrolled_ms)"
                " < ?",
                (before_ms,),
            )
            _next_generation(connection)
        self.refresh()
        return gone.rowcount

    def agents(self) -> list[EnrolledAgent]:
        """Every agent there is, revoked ones too, as the file has them."""
        self.save_seen()
        rows = self._rows(
            "SELECT agent, home_site, enrolled_ms, last_seen_ms, revoked FROM agent"
            " ORDER BY agent"
        )
        return [EnrolledAgent(*row) for row in rows]

    def broker_users(self) -> list[tuple[str, str]]:
        """(agent, mosquitto's hash of its secret) of every agent that may log in."""
        rows = self._rows(
            "SELECT agent, broker_hash FROM agent WHERE revoked = 0 ORDER BY agent"
        )
        return [(agent, stored) for agent, stored in rows]

    def refresh(self) -> bool:
        """Reads what other processes changed; True if there was something."""
        # Before it is read: what is written meanwhile counts as not read.
        changed_ns = self._changed_at_ns()
        with self._transaction("BEGIN") as connection:
            (generation,) = connection.execute(
                "SELECT number FROM generation"
            ).fetchone()
            if generation == self._generation:
                self._changed_ns = changed_ns
                return False
            rows = connection.execute(
                "SELECT secret_hash, token, agent, home_site, enrolled_ms,"
                " last_seen_ms, revoked FROM agent WHERE revoked = 0"
            ).fetchall()
            tokens = connection.execute(
                "SELECT hash, uses, used, expires_ms, withdrawn FROM token"
            ).fetchall()
        self._known = {
            row[2]: _Known(row[0], EnrolledAgent(*row[2:]), row[1]) for row in rows
        }
        self._tokens = {row[0]: _Token(*row[1:]) for row in tokens}
        self._generation, self._changed_ns = generation, changed_ns
        return True

    def save_seen(self) -> None:
        """Writes the hours in which agents were heard, where they are new."""
        unsaved = [self._unsaved.popleft() for _ in range(len(self._unsaved))]
        if not unsaved:
            return
        try:
            with self._transaction() as connection:
                connection.executemany(
                    "UPDATE agent SET last_seen_ms = max(last_seen_ms, ?)"
                    " WHERE agent = ?",
                    unsaved,
                )
        except BaseException:
            self._unsaved.extendleft(unsaved)
            raise

    async def follow(self, every_s: float = 1.0) -> None:
        """Keeps memory and file alike until cancelled; a failure is said once."""
        failing = False
        while True:
            await asyncio.sleep(every_s)
            try:
                await asyncio.to_thread(self._look)
            except (sqlite3.Error, NotOpen) as error:
                if not failing:
                    log.error(
                        "registry cannot be read, the last known agents count",
                        path=str(self._config.path),
                        error=str(error),
                    )
                failing = True
            else:
                if failing:
                    log.info("registry can be read again", path=str(self._config.path))
                failing = False

    def _look(self) -> None:
        self.refresh()
        self.save_seen()

    def _prepare(self) -> None:
        with self._lock:
            connection = self._opened()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version > _SCHEMA_VERSION:
                raise RegistryRefused(
                    f"registry {self._config.path} is of a newer Towpath (format "
                    f"{version}, expected {_SCHEMA_VERSION})"
                )
            if version < _SCHEMA_VERSION:
                connection.executescript(
                    f"BEGIN IMMEDIATE; {_SCHEMA}"
                    f"PRAGMA user_version = {_SCHEMA_VERSION}; COMMIT;"
                )

    def _change(self, statement: str, agent: str) -> bool:
        with self._transaction() as connection:
            changed = connection.execute(statement, (agent,)).rowcount > 0
            if changed:
                _next_generation(connection)
        self.refresh()
        return changed

    def _rows(self, statement: str) -> list[Any]:
        with self._lock:
            return self._opened().execute(statement).fetchall()

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            raise NotOpen("the registry is not open (with Registry(config): …)")
        return self._connection

    @contextlib.contextmanager
    def _transaction(
        self, begin: str = "BEGIN IMMEDIATE"
    ) -> Iterator[sqlite3.Connection]:
        with self._lock:
            connection = self._opened()
            connection.execute(begin)
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                # SQLite has already rolled back where the disk was full.
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise


def _digest(secret: str) -> bytes:
    # Secrets are 256 random bits: a plain hash cannot be searched, and is cheap.
    return hashlib.sha256(secret.encode(errors="surrogatepass")).digest()


def _next_generation(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE generation SET number = number + 1")
