"""`RegistryIdentities`: the names and secrets that laptops get.

A laptop enrols with a token, replaces its secret in two steps, and asks for an identity
of its own if its disk was copied from another laptop. Whatever answer is lost, the
laptop still has a secret that is valid (docs/decisions/028-identity-of-laptops.md).
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable

import structlog

from collectors.ingest import enrolment_tokens
from collectors.ingest.ingest_config import RegistryConfig
from collectors.ingest.machines import same_machine, set_machine
from collectors.ingest.mosquitto_hash import mosquitto_hash
from collectors.ingest.pseudonym import machine_hash, pseudonym, read_key
from collectors.ingest.registry_audit import note
from collectors.ingest.registry_file import RegistryFile, next_generation
from collectors.ingest.registry_records import (
    DeviceTaken,
    EnrolmentRefused,
    secret_digest,
)
from probes.wire.report import AgentCredential, Enrolment

# Of one credential: more is a master disk, which should have had none.
MAX_MOVES = 20
_REVOKED = "this laptop was revoked by its council"

_log = structlog.get_logger()


class RegistryIdentities:
    """Changes `file`; `changed` is called after each change, with its number and the
    agents that it changed. Callers pass in the time. All of it writes to disk."""

    def __init__(
        self,
        file: RegistryFile,
        config: RegistryConfig,
        changed: Callable[[int, set[str]], object],
    ) -> None:
        self._file, self._config, self._changed = file, config, changed

    def enrol(
        self, enrolment: Enrolment, now_ms: int, address: str = ""
    ) -> AgentCredential:
        """Enrols a laptop at `address` and returns its new secret; an old secret is
        void at once.

        If the same laptop enrols again with the same token, because the answer was
        lost, this does not count as another use. Raises `EnrolmentRefused`; it is
        `DeviceTaken` if the id belongs to another computer.
        """
        agent = self._pseudonym(enrolment)
        token_hash = secret_digest(enrolment.token).hex()
        with self._file.transaction() as connection:
            token = enrolment_tokens.read_token(connection, token_hash)
            before = connection.execute(
                "SELECT token, revoked, machine FROM agent WHERE agent = ?", (agent,)
            ).fetchone()
            again = before is not None and before[0] == token_hash
            reason = enrolment_tokens.refusal_reason(
                token, now_ms, address, enrolment.ring, again=again
            )
            if token is None or reason:
                raise EnrolmentRefused(reason)
            if before is not None and before[1]:
                raise EnrolmentRefused(_REVOKED)
            machine = self._machine(enrolment.machine)
            if before is not None and machine and before[2] not in ("", machine):
                raise DeviceTaken
            if not again:
                connection.execute(
                    "UPDATE token SET used = used + 1 WHERE hash = ?", (token_hash,)
                )
            ring = token.ring or enrolment.ring
            place = (token.site, token_hash, token.team, ring)
            secret = _put(connection, agent, place, now_ms)
            set_machine(connection, agent, machine, now_ms)
            change = next_generation(connection), same_machine(connection, agent)
        self._changed(*change)
        if before is not None:
            # Only `towpath fleet list` names it: others keep logs, and for longer.
            _log.warning("agent_enrolled_again", site=token.site)
        return AgentCredential(agent, secret, token.site)

    def move(self, original: str, enrolment: Enrolment, now_ms: int) -> AgentCredential:
        """Gives a copy of the laptop `original`, on other hardware, an identity of its
        own, at the same site, in the same ring and team. Raises `EnrolmentRefused`."""
        agent = self._pseudonym(enrolment)
        with self._file.transaction() as connection:
            machine = self._machine(enrolment.machine)
            if agent == original or not enrolment.machine:
                raise EnrolmentRefused(
                    "only a copy on other hardware gets an identity without a token"
                )
            row = connection.execute(
                "SELECT home_site, token, team, ring, moves, machine FROM agent"
                " WHERE agent = ? AND revoked = 0",
                (original,),
            ).fetchone()
            if row is None:
                raise EnrolmentRefused(_REVOKED)
            *place, moves, known = row
            before = connection.execute(
                "SELECT machine, revoked FROM agent WHERE agent = ?", (agent,)
            ).fetchone()
            if before is not None and (before[1] or before[0] != machine):
                raise EnrolmentRefused(_REVOKED if before[1] else "that name is taken")
            if machine and known == machine:
                raise EnrolmentRefused("the council knows this laptop by that number")
            if before is None:
                if moves >= MAX_MOVES:
                    raise EnrolmentRefused(
                        f"{MAX_MOVES} copies of this laptop have enrolled: enrol this "
                        "one with a token (towpath-agent enrol --new)"
                    )
                connection.execute(
                    "UPDATE agent SET moves = moves + 1 WHERE agent = ?", (original,)
                )
                note(connection, now_ms, "", "copy enrolled", agent)
            secret = _put(connection, agent, tuple(place), now_ms)
            set_machine(connection, agent, machine, now_ms)
            change = (
                next_generation(connection),
                same_machine(connection, agent) | {original},
            )
        self._changed(*change)
        _log.warning("agent_copy_enrolled", site=place[0])
        return AgentCredential(agent, secret, place[0])

    def renew(
        self, agent: str, secret: str, digest: str, now_ms: int
    ) -> AgentCredential:
        """Returns a new secret for the agent that signed in with `secret`, which stays
        valid until the new one is confirmed. A newer one takes the place of one that
        never was. Raises `EnrolmentRefused`."""
        new = secrets.token_urlsafe(32)
        with self._file.transaction() as connection:
            _confirm(connection, agent, secret, now_ms)
            home_site, known = connection.execute(
                "UPDATE agent SET pending_hash = ?, pending_broker_hash = ?"
                " WHERE agent = ? RETURNING home_site, machine",
                (secret_digest(new), mosquitto_hash(new), agent),
            ).fetchone()
            # Of a laptop from before such numbers, or after the key was replaced.
            if not known:
                set_machine(connection, agent, self._machine(digest), now_ms)
            change = next_generation(connection), same_machine(connection, agent)
        self._changed(*change)
        return AgentCredential(agent, new, home_site)

    def confirm(self, agent: str, secret: str, now_ms: int) -> None:
        """Makes a renewed secret the agent's only one. Again changes nothing. Raises
        `EnrolmentRefused` if the secret is not valid."""
        with self._file.transaction() as connection:
            _confirm(connection, agent, secret, now_ms)
            change = next_generation(connection), {agent}
        self._changed(*change)

    def _pseudonym(self, enrolment: Enrolment) -> str:
        device = enrolment.device.strip()
        if not device:
            raise EnrolmentRefused("the device id is empty")
        return pseudonym(read_key(self._config.key_file), device)

    def _machine(self, digest: str) -> str:
        """The keyed hash of a computer's number. In a transaction: the key is replaced
        in one too."""
        if not self._config.machine_ids:
            return ""
        return machine_hash(read_key(self._config.key_file), digest)


def _put(
    connection: sqlite3.Connection,
    agent: str,
    place: tuple[str, ...],
    now_ms: int,
) -> str:
    """Adds an agent of that site, token, team and ring, or gives it a new secret, which
    is returned."""
    secret = secrets.token_urlsafe(32)
    home_site, token_hash, team, ring = place
    connection.execute(
        "INSERT INTO agent (agent, secret_hash, broker_hash, home_site, token,"
        " enrolled_ms, team, ring) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (agent) DO UPDATE SET secret_hash ="
        " excluded.secret_hash, broker_hash = excluded.broker_hash,"
        " home_site = excluded.home_site, token = excluded.token,"
        " enrolled_ms = excluded.enrolled_ms, team = excluded.team,"
        " ring = excluded.ring, pending_hash = NULL, pending_broker_hash = '',"
        " replaced_ms = 0, copied_ms = 0",
        (
            agent,
            secret_digest(secret),
            mosquitto_hash(secret),
            home_site,
            token_hash,
            now_ms,
            team,
            ring,
        ),
    )
    return secret


def _confirm(
    connection: sqlite3.Connection, agent: str, secret: str, now_ms: int
) -> None:
    """Makes `secret` the agent's only one, if it is not."""
    digest = secret_digest(secret)
    row = connection.execute(
        "SELECT secret_hash, pending_hash FROM agent WHERE agent = ? AND revoked = 0",
        (agent,),
    ).fetchone()
    if row is None or digest not in row:
        raise EnrolmentRefused("this secret is not valid any more")
    before, pending = row
    if digest != pending:
        return
    connection.execute(
        "UPDATE agent SET secret_hash = pending_hash, broker_hash ="
        " pending_broker_hash, pending_hash = NULL, pending_broker_hash = ''"
        " WHERE agent = ?",
        (agent,),
    )
    connection.execute(
        "INSERT OR REPLACE INTO retired (secret_hash, agent, time_ms) VALUES (?, ?, ?)",
        (before, agent, now_ms),
    )
