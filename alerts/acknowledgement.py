"""Who handles an alert, and why: recorded once, in the alert engine's file.

Several processes write it: the command line and the page. The first one counts. If two
machines alert, it is shared between them instead (`share`), and the active one records
it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec

from alerts.action_link import LinkRefused, SignedLink
from alerts.alert import Acknowledgement, Alert
from alerts.alert_access import opened
from alerts.alert_file import has_tables
from alerts.alert_store import insert_silence
from alerts.outbox_entry import decode_alert
from alerts.silence import Silence
from collectors.sqlite_files import transaction

# Returns the acknowledgement of the episode that counts. Raises `OSError`.
Share = Callable[[str, Acknowledgement], Acknowledgement]


class AlreadyAcknowledged(LinkRefused):
    """An engineer handles it already: `alert` says which."""

    def __init__(self, alert: Alert) -> None:
        super().__init__(f"{alert.acknowledged_by} has acknowledged this already.", 409)
        self.alert = alert


class Acknowledged(NamedTuple):
    """The alert, with who acknowledged it. `is_new`: False if it was acknowledged
    before this call."""

    alert: Alert
    is_new: bool


def acknowledge(
    path: Path,
    key: str,
    who: str,
    why: str,
    now_ms: int,
    share: Share | None = None,
) -> Acknowledged:
    """Records who acknowledges the alert. Raises `LookupError` if no open alert has
    that key."""
    if share is not None:
        episode, wanted = open_episode(path, key), Acknowledgement(now_ms, who, why)
        return _shared(path, episode, wanted, share)
    with opened(path) as db, transaction(db):
        episode = _open_episode(db, key)
        return _acknowledge(db, episode, Acknowledgement(now_ms, who, why))


def open_episode(path: Path, key: str) -> str:
    """The episode of the open alert with that key. Raises `LookupError` if there is
    none."""
    if not has_tables(path):
        raise LookupError(key)
    with opened(path, read_only=True) as db:
        return _open_episode(db, key)


def _open_episode(db: sqlite3.Connection, key: str) -> str:
    row = db.execute(
        "SELECT episode FROM alert WHERE key = ? AND open = 1", (key,)
    ).fetchone()
    if row is None:
        raise LookupError(key)
    return str(row[0])


def linked_alert(path: Path, signed: SignedLink) -> Alert:
    """The alert that a link is about. Raises `LinkRefused` if it can do nothing."""
    if not has_tables(path):
        raise LinkRefused("This alert is not known here. Use the newest message.", 410)
    with opened(path, read_only=True) as db:
        return _usable(db, signed)


def acknowledge_by_link(
    path: Path,
    signed: SignedLink,
    who: str,
    why: str,
    now_ms: int,
    share: Share | None = None,
) -> Acknowledged:
    """Raises `LinkRefused` if the link was used, or there is nothing to acknowledge."""
    if share is not None:
        # An episode can be acknowledged once, so its links need no mark.
        linked_alert(path, signed)
        wanted = Acknowledgement(now_ms, who, why)
        return _shared(path, signed.link.episode, wanted, share)
    with opened(path) as db, transaction(db):
        _usable(db, signed)
        _use(db, signed)
        return _acknowledge(db, signed.link.episode, Acknowledgement(now_ms, who, why))


def silence_by_link(path: Path, signed: SignedLink, silence: Silence) -> Silence:
    """Raises `LinkRefused` if the link was used or the alert is over."""
    with opened(path) as db, transaction(db):
        _usable(db, signed)
        _use(db, signed)
        return msgspec.structs.replace(silence, id=insert_silence(db, silence))


def record_shared(path: Path, episode: str, counts: Acknowledgement) -> None:
    """Records what was shared, unless the alert is not known any more."""
    with opened(path) as db, transaction(db):
        db.execute(
            "INSERT INTO ack (episode, at_ms, who, why) SELECT episode, ?, ?, ? "
            "FROM alert WHERE episode = ? ON CONFLICT (episode) DO NOTHING",
            (counts.at_ms, counts.who, counts.why, episode),
        )


def _shared(
    path: Path, episode: str, wanted: Acknowledgement, share: Share
) -> Acknowledged:
    with opened(path, read_only=True) as db:
        alert, _ = _read(db, episode)
    assert alert is not None
    if alert.acknowledged_by:
        return Acknowledged(alert, False)
    counts = share(episode, wanted)
    return Acknowledged(alert.acknowledged(counts), counts == wanted)


def _acknowledge(
    db: sqlite3.Connection, episode: str, wanted: Acknowledgement
) -> Acknowledged:
    done = db.execute(
        "INSERT INTO ack (episode, at_ms, who, why) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (episode) DO NOTHING",
        (episode, wanted.at_ms, wanted.who, wanted.why),
    )
    alert, _ = _read(db, episode)
    assert alert is not None
    return Acknowledged(alert, done.rowcount > 0)


def _read(db: sqlite3.Connection, episode: str) -> tuple[Alert | None, bool]:
    """The alert with who handles it, and whether it is open."""
    row = db.execute(
        "SELECT a.body, a.open, k.at_ms, k.who, k.why FROM alert a "
        "LEFT JOIN ack k ON k.episode = a.episode WHERE a.episode = ?",
        (episode,),
    ).fetchone()
    if row is None:
        return None, False
    body, is_open, *ack = row
    alert = decode_alert(body)
    if ack[0] is not None:
        alert = alert.acknowledged(Acknowledgement(*ack))
    return alert, bool(is_open)


def _usable(db: sqlite3.Connection, signed: SignedLink) -> Alert:
    alert, is_open = _read(db, signed.link.episode)
    if alert is None or not is_open:
        raise LinkRefused("This alert is over: there is nothing left to do.", 410)
    if signed.link.action == "acknowledge" and alert.acknowledged_by:
        raise AlreadyAcknowledged(alert)
    used = db.execute("SELECT 1 FROM used_link WHERE nonce = ?", (signed.mark,))
    if used.fetchone() is not None:
        raise LinkRefused(
            "This link was used already. It works once; use the newest message.", 410
        )
    return alert


def _use(db: sqlite3.Connection, signed: SignedLink) -> None:
    # Kept until the link would have expired anyway.
    db.execute(
        "INSERT INTO used_link VALUES (?, ?)", (signed.mark, signed.link.until_ms)
    )
