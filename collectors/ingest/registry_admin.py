"""`RegistryAdmin`: what people do to the registry: tokens, and who may report.

What was done, when and by whom is in the audit (`registry_audit`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from collectors.ingest import enrolment_tokens
from collectors.ingest.enrolment_tokens import TokenWish
from collectors.ingest.machines import (
    forget_machines,
    machine_key,
    note_machine_key,
)
from collectors.ingest.pseudonym import key_id, read_key, rotate_key, serial_hash
from collectors.ingest.registry_audit import (
    ERASED,
    RegistryDeed,
    forget_agents,
    note,
    read_audit,
)
from collectors.ingest.registry_file import RegistryFile, next_generation
from collectors.ingest.registry_records import (
    AGENT_COLUMNS,
    EnrolledAgent,
    Token,
    secret_digest,
)
from collectors.support_codes import end_support
from probes.wire.counted_text import counted


class RegistryAdmin:
    """Changes `file`; `changed` is called after each change. Callers pass in the time
    and who they are. All of it writes to disk."""

    def __init__(
        self,
        file: RegistryFile,
        key_file: Path,
        support_file: Path,
        changed: Callable[[], object],
    ) -> None:
        self._file, self._key_file, self._changed = file, key_file, changed
        self._support_file = support_file

    def make_token(
        self, site: str, uses: int, days: float, now_ms: int, team: str = ""
    ) -> str:
        """Makes an enrolment token of no ring, for every network."""
        return self.add_token(TokenWish(site, uses, days, team), now_ms, "")

    def add_token(self, wish: TokenWish, now_ms: int, who: str) -> str:
        """Makes an enrolment token and returns its text, which is not stored. Raises
        `ValueError` with one sentence."""
        wish.check()
        text = enrolment_tokens.new_text()
        hash_hex = secret_digest(text).hex()
        with self._file.transaction() as connection:
            enrolment_tokens.add_token(connection, wish, hash_hex, now_ms)
            note(connection, now_ms, who, "token made", hash_hex[:12])
            next_generation(connection)
        self._changed()
        return text

    def token(self, text: str) -> Token | None:
        """The enrolment token with that text."""
        with self._file.transaction("BEGIN") as connection:
            hash_hex = secret_digest(text).hex()
            return enrolment_tokens.read_token(connection, hash_hex)

    def tokens(self) -> list[Token]:
        """Every token, newest first."""
        with self._file.transaction("BEGIN") as connection:
            return list(enrolment_tokens.read_tokens(connection).values())

    def audit(self) -> list[RegistryDeed]:
        """Who made, withdrew, revoked, restored and erased what, newest first."""
        with self._file.transaction("BEGIN") as connection:
            return read_audit(connection)

    def withdraw_token(self, id: str, now_ms: int, who: str) -> bool:
        """Withdraws the token with that id. False if there is none."""
        return self._change(
            "UPDATE token SET withdrawn = 1 WHERE substr(hash, 1, 12) = ?",
            (id, now_ms, who, "token withdrawn"),
        )

    def revoke(self, agent: str, now_ms: int, who: str) -> bool:
        """Revokes an agent until it is restored, and ends its support code. False if
        there is no such agent."""
        done = self._change(
            "UPDATE agent SET revoked = 1 WHERE agent = ?",
            (agent, now_ms, who, "laptop revoked"),
        )
        # A revoked laptop can no longer show its person who looked at it.
        end_support(self._support_file, agent)
        return done

    def restore(self, agent: str, now_ms: int, who: str) -> bool:
        """Lets a revoked agent in again. False if there is no such agent."""
        return self._change(
            "UPDATE agent SET revoked = 0 WHERE agent = ?",
            (agent, now_ms, who, "laptop restored"),
        )

    def set_team(self, agent: str, team: str, now_ms: int, who: str) -> bool:
        """Moves an agent to a team, or out of any. False if there is no such agent."""
        return self._change(
            "UPDATE agent SET team = ? WHERE agent = ?",
            (agent, now_ms, who, "team changed"),
            team,
        )

    def set_ring(self, agent: str, ring: str, now_ms: int, who: str) -> bool:
        """Moves an agent to a ring, or out of any. False if there is no such agent.
        Raises `ValueError` with one sentence."""
        enrolment_tokens.check_ring(ring)
        return self._change(
            "UPDATE agent SET ring = ? WHERE agent = ?",
            (agent, now_ms, who, "ring changed"),
            ring,
        )

    def look_up(self, serial: str, now_ms: int, who: str) -> list[EnrolledAgent]:
        """The laptops on the computer with that serial number, newest first. Each
        look-up is in the audit, found or not."""
        machine = serial_hash(read_key(self._key_file), serial)
        with self._file.transaction() as connection:
            rows = connection.execute(
                f"SELECT {AGENT_COLUMNS} FROM agent WHERE machine = ?"
                " AND machine <> '' ORDER BY enrolled_ms DESC, agent",
                (machine,),
            ).fetchall()
            for row in rows or [("no laptop",)]:
                note(connection, now_ms, who, "serial looked up", row[0])
        return [EnrolledAgent(*row) for row in rows]

    def note_export(self, agent: str, now_ms: int, who: str) -> None:
        """Notes an export of what is held about a laptop."""
        with self._file.transaction() as connection:
            note(connection, now_ms, who, "laptop exported", agent)

    def note_comparison(self, listed: int, now_ms: int, who: str) -> None:
        """Notes the comparison with a list of that many devices."""
        with self._file.transaction() as connection:
            note(connection, now_ms, who, "list compared", counted(listed, "device"))

    def note_order(self, what: str, order: str, now_ms: int, who: str) -> None:
        """Notes what was done with a signed order, or with the key that signs them."""
        with self._file.transaction() as connection:
            note(connection, now_ms, who, what, order)

    def replace_key(self, now_ms: int, who: str) -> tuple[str, str]:
        """Replaces the pseudonym key, which cannot be undone. Returns (old id, new id).

        Hashes of computers' numbers are of no use without the old key, so they go. They
        come again when laptops replace their secrets.
        """
        # Nobody makes a hash with the old key meanwhile: that needs this file's lock.
        with self._file.transaction() as connection:
            forget_machines(connection)
            ids = rotate_key(self._key_file)
            note_machine_key(connection, ids[1])
            note(connection, now_ms, who, "key replaced", f"{ids[0]} to {ids[1]}")
            next_generation(connection)
        self._changed()
        return ids

    def follow_key(self, now_ms: int) -> None:
        """Finishes a replacement of the key that was cut off after the file was
        written. The same if the file was put back, or lost and made anew."""
        with self._file.transaction("BEGIN") as connection:
            known = machine_key(connection)
        if known == key_id(read_key(self._key_file)):
            return
        with self._file.transaction() as connection:
            # Another process may have replaced it meanwhile.
            known, id = machine_key(connection), key_id(read_key(self._key_file))
            if known not in ("", id):
                forget_machines(connection)
                note(connection, now_ms, "", "key replaced", f"{known} to {id}")
                next_generation(connection)
            note_machine_key(connection, id)
        self._changed()

    def forget_machines(self) -> None:
        """Removes hashes of computers' numbers: the council does not want any now."""
        with self._file.transaction() as connection:
            if forget_machines(connection):
                next_generation(connection)
        self._changed()

    def forget(self, agent: str, now_ms: int, who: str) -> bool:
        """Deletes an agent from the registry, and its name from what was done to it.
        False if there is no such agent."""
        with self._file.transaction() as connection:
            found = connection.execute("DELETE FROM agent WHERE agent = ?", (agent,))
            if found.rowcount:
                forget_agents(connection, [agent])
                note(connection, now_ms, who, "laptop erased", ERASED)
                next_generation(connection)
        self._changed()
        return found.rowcount > 0

    def forget_unseen(self, before_ms: int) -> int:
        """Deletes agents last seen before that time, such as those of a rotated key,
        and their names from what was done to them.

        Returns how many. Revoked ones are kept, so that they stay shut out.
        """
        with self._file.transaction() as connection:
            rows = connection.execute(
                "DELETE FROM agent WHERE revoked = 0 AND max(last_seen_ms, enrolled_ms)"
                " < ? RETURNING agent",
                (before_ms,),
            ).fetchall()
            forget_agents(connection, [agent for (agent,) in rows])
            connection.execute("DELETE FROM retired WHERE time_ms < ?", (before_ms,))
            if rows:
                next_generation(connection)
        self._changed()
        return len(rows)

    def forget_deeds(self, before_ms: int) -> int:
        """Deletes what was done before that time. Returns how many entries."""
        with self._file.transaction() as connection:
            return connection.execute(
                "DELETE FROM audit WHERE time_ms < ?", (before_ms,)
            ).rowcount

    def _change(
        self, statement: str, done: tuple[str, int, str, str], *values: str
    ) -> bool:
        """Runs `statement` with these values for a subject, the last of its parameters,
        and notes when, by whom and what was done."""
        subject, now_ms, who, what = done
        with self._file.transaction() as connection:
            found = connection.execute(statement, (*values, subject)).rowcount > 0
            if found:
                note(connection, now_ms, who, what, subject)
                next_generation(connection)
        self._changed()
        return found
