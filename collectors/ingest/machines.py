"""The computers behind laptops, by the keyed hash of the number their maker gave them:
which laptop was set up again, and which ones share a number.

Functions for a transaction of the registry.
"""

from __future__ import annotations

import sqlite3

from collectors.ingest.registry_audit import note


def set_machine(
    connection: sqlite3.Connection, agent: str, machine: str, now_ms: int
) -> None:
    """Notes the computer of a laptop that has just enrolled; if it does not say which
    one that is, it is the one that is known. Another laptop of the same computer is
    replaced by it, unless such a number has turned out to be shared."""
    if machine:
        connection.execute(
            "UPDATE agent SET machine = ?, shares = 0 WHERE agent = ?", (machine, agent)
        )
    else:
        (machine,) = connection.execute(
            "SELECT machine FROM agent WHERE agent = ?", (agent,)
        ).fetchone()
    if not machine:
        return
    others = connection.execute(
        "SELECT shares FROM agent WHERE machine = ? AND agent <> ?", (machine, agent)
    ).fetchall()
    if any(shares for (shares,) in others):
        connection.execute("UPDATE agent SET shares = 1 WHERE agent = ?", (agent,))
        return
    connection.execute(
        "UPDATE agent SET replaced_ms = ? WHERE machine = ? AND agent <> ?"
        " AND replaced_ms = 0",
        (now_ms, machine, agent),
    )


def same_machine(connection: sqlite3.Connection, agent: str) -> set[str]:
    """The laptop, and those that have its computer's number."""
    others = connection.execute(
        "SELECT agent FROM agent WHERE machine <> '' AND machine ="
        " (SELECT machine FROM agent WHERE agent = ?)",
        (agent,),
    )
    return {agent, *(other for (other,) in others)}


def undo_replacement(connection: sqlite3.Connection, agent: str, now_ms: int) -> bool:
    """A replaced laptop has measured again: it was not replaced, and others have its
    computer's number too. False if it was not replaced."""
    row = connection.execute(
        "SELECT machine, shares FROM agent WHERE agent = ? AND replaced_ms > 0",
        (agent,),
    ).fetchone()
    if row is None:
        return False
    machine, shares = row
    connection.execute("UPDATE agent SET replaced_ms = 0 WHERE agent = ?", (agent,))
    connection.execute("UPDATE agent SET shares = 1 WHERE machine = ?", (machine,))
    if not shares:
        note(connection, now_ms, "", "number shared", agent)
    return True


def note_copy(connection: sqlite3.Connection, agent: str, now_ms: int) -> bool:
    """A secret that was replaced, by one in use, was used again. False if that was
    noted already."""
    found = connection.execute(
        "UPDATE agent SET copied_ms = ? WHERE agent = ? AND copied_ms = 0",
        (now_ms, agent),
    )
    if found.rowcount:
        note(connection, now_ms, "", "credential used twice", agent)
    return found.rowcount > 0


def machine_key(connection: sqlite3.Connection) -> str:
    """The id of the key that the hashes of computers' numbers were made with; empty if
    the file does not say so yet."""
    known = connection.execute("SELECT id FROM machine_key").fetchone()
    return "" if known is None else str(known[0])


def note_machine_key(connection: sqlite3.Connection, id: str) -> None:
    """Notes which key hashes are made with from now on."""
    connection.execute("DELETE FROM machine_key")
    connection.execute("INSERT INTO machine_key VALUES (?)", (id,))


def forget_machines(connection: sqlite3.Connection) -> bool:
    """Removes what is kept of computers' numbers. False if that is nothing."""
    found = connection.execute(
        "UPDATE agent SET machine = '', shares = 0 WHERE machine <> '' OR shares"
    )
    return found.rowcount > 0
