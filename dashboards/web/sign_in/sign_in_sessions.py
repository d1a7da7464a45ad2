"""`SignInSessions`: who is signed in, kept on the server. The browser has a random
secret, and the file only its hash."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from pathlib import Path

import msgspec

from dashboards.web.sign_in.sign_in_file import opened_sign_in_file
from dashboards.web.visitors import Role, VisitorSource
from probes.wire.clock import WallClock

# A use is noted once a minute: pages would write the file at each request otherwise.
_NOTED_MS = 60_000
_COLUMNS = "id, name, roles, source, id_token, made_ms, used_ms, until_ms"


class SignInSession(msgspec.Struct, frozen=True):
    """Times in ms since 1970 UTC; `reference` names it in a list, without its
    secret."""

    reference: str
    id: str
    name: str
    roles: tuple[Role, ...]
    source: VisitorSource
    id_token: str
    made_ms: int
    used_ms: int
    until_ms: int


class SignInSessions:
    """The sessions in one file. Methods block. `idle_s`: a session that was not used
    for so long is over; `longest_s`: it is over even if it was."""

    def __init__(
        self, path: Path, idle_s: int, longest_s: int, now_ms: WallClock
    ) -> None:
        self.path, self._now_ms = path, now_ms
        self._idle_ms, self._longest_ms = 1000 * idle_s, 1000 * longest_s

    def begin(
        self,
        id: str,
        name: str,
        roles: Sequence[Role],
        source: VisitorSource,
        id_token: str = "",
        instead_of: str = "",
    ) -> str:
        """Returns the secret of a new session; the browser's old one is over."""
        secret, now_ms = secrets.token_urlsafe(32), self._now_ms()
        with opened_sign_in_file(self.path) as db:
            db.execute("DELETE FROM session WHERE hash = ?", (_hash(instead_of),))
            db.execute(
                "DELETE FROM session WHERE until_ms <= ? OR used_ms <= ?",
                (now_ms, now_ms - self._idle_ms),
            )
            db.execute(
                f"INSERT INTO session (hash, {_COLUMNS}) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    _hash(secret),
                    id,
                    name.encode(errors="replace").decode(),
                    ",".join(roles),
                    source,
                    id_token,
                    now_ms,
                    now_ms,
                    now_ms + self._longest_ms,
                ),
            )
        return secret

    def find(self, secret: str, is_use: bool = True) -> SignInSession | None:
        """The session of a secret; None if it is over. `is_use`: a person did
        something, not a page that renews itself."""
        if not self.path.exists():
            return None
        hash, now_ms = _hash(secret), self._now_ms()
        with opened_sign_in_file(self.path, writes=False) as db:
            row = db.execute(
                f"SELECT hash, {_COLUMNS} FROM session WHERE hash = ?", (hash,)
            ).fetchone()
            session = None if row is None else _session(row)
            if session is None or not self._is_on(session, now_ms):
                return None
            if is_use and now_ms - session.used_ms >= _NOTED_MS:
                db.execute(
                    "UPDATE session SET used_ms = ? WHERE hash = ?", (now_ms, hash)
                )
        return session

    def end(self, secret: str) -> None:
        with opened_sign_in_file(self.path) as db:
            db.execute("DELETE FROM session WHERE hash = ?", (_hash(secret),))

    def end_listed(self, reference: str) -> SignInSession | None:
        """Ends the session of a list, and returns it; None if it is over already."""
        for session in self.list():
            if session.reference == reference:
                with opened_sign_in_file(self.path) as db:
                    db.execute(
                        "DELETE FROM session WHERE hash = ?",
                        (bytes.fromhex(reference),),
                    )
                return session
        return None

    def end_of(self, id: str) -> int:
        """Ends all sessions of a person, and returns how many there were."""
        if not self.path.exists():
            return 0
        with opened_sign_in_file(self.path) as db:
            return db.execute("DELETE FROM session WHERE id = ?", (id,)).rowcount

    def others_of(self, session: SignInSession) -> Sequence[SignInSession]:
        """The other sessions of the same person, the newest first."""
        return [
            other
            for other in self.list()
            if other.id == session.id and other.reference != session.reference
        ]

    def list(self) -> list[SignInSession]:
        """Those that are not over, the newest first."""
        if not self.path.exists():
            return []
        now_ms = self._now_ms()
        with opened_sign_in_file(self.path, writes=False) as db:
            rows = db.execute(
                f"SELECT hash, {_COLUMNS} FROM session ORDER BY made_ms DESC"
            ).fetchall()
        return [s for s in map(_session, rows) if self._is_on(s, now_ms)]

    def _is_on(self, session: SignInSession, now_ms: int) -> bool:
        return now_ms < session.until_ms and now_ms - session.used_ms < self._idle_ms


def form_token(secret: str) -> str:
    """What a form carries so that no other website can send it: it is made of a secret
    in the browser's cookie, and does not give that away."""
    return hmac.new(secret.encode(), b"towpath form", hashlib.sha256).hexdigest()


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode(errors="surrogatepass")).digest()


def _session(row: Sequence[object]) -> SignInSession:
    hash, id, name, roles, source, id_token, made_ms, used_ms, until_ms = row
    assert isinstance(hash, bytes)
    return msgspec.convert(
        {
            "reference": hash.hex(),
            "id": id,
            "name": name,
            "roles": [role for role in str(roles).split(",") if role],
            "source": source,
            "id_token": id_token,
            "made_ms": made_ms,
            "used_ms": used_ms,
            "until_ms": until_ms,
        },
        SignInSession,
    )
