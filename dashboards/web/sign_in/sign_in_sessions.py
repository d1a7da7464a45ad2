"""`SignInSessions`: who is signed in, kept on the server. The browser has a random
secret, and the file only its hash."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from pathlib import Path

import msgspec

from dashboards.web.sign_in.sealed_token import sealed
from dashboards.web.sign_in.sign_in_file import opened_sign_in_file
from dashboards.web.visitors import Role, VisitorSource
from probes.wire.clock import WallClock

# A use is noted once a minute: pages would write the file at each request otherwise.
_NOTED_MS = 60_000
# Longer than a logout of the provider may be old.
_LOGOUT_KEPT_MS = 3_600_000
_COLUMNS = "id, name, roles, source, id_token, made_ms, used_ms, until_ms"
_SELECT = f"""
SELECT session.hash, {_COLUMNS}, refresh_token, coalesce(confirmed_ms, made_ms)
FROM session LEFT JOIN confirmation USING (hash)
"""


class ProviderGrant(msgspec.Struct, frozen=True):
    """What the provider gave with a sign-in: its names of the person and of its own
    session (empty if it has none), its ID token, and a refresh token, if it gives
    any."""

    subject: str
    provider_session: str
    id_token: str
    refresh_token: str = ""


class SignInSession(msgspec.Struct, frozen=True):
    """Times in ms since 1970 UTC; `reference` names it in a list, without its
    secret; `refresh_token`: sealed with the secret, empty if there is none;
    `confirmed_ms`: when the provider last said who it is."""

    reference: str
    id: str
    name: str
    roles: tuple[Role, ...]
    source: VisitorSource
    id_token: str
    made_ms: int
    used_ms: int
    until_ms: int
    refresh_token: bytes
    confirmed_ms: int


class SignInSessions:
    """The sessions in one file. Methods block. `idle_s`: a session that was not used
    for so long is over; `longest_s`: it is over even if it was;
    `unconfirmed_s`: one of the provider is over if it was not confirmed for so long."""

    def __init__(
        self,
        path: Path,
        idle_s: int,
        longest_s: int,
        now_ms: WallClock,
        unconfirmed_s: int | None = None,
    ) -> None:
        self.path, self._now_ms = path, now_ms
        self._idle_ms, self._longest_ms = 1000 * idle_s, 1000 * longest_s
        self._unconfirmed_ms = 1000 * (unconfirmed_s or longest_s)

    def begin(
        self,
        id: str,
        name: str,
        roles: Sequence[Role],
        source: VisitorSource,
        grant: ProviderGrant | None = None,
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
                    _storable(name),
                    ",".join(roles),
                    source,
                    grant.id_token if grant else "",
                    now_ms,
                    now_ms,
                    now_ms + self._longest_ms,
                ),
            )
            if grant is not None:
                db.execute(
                    "INSERT INTO confirmation (hash, subject, provider_session, "
                    "refresh_token, confirmed_ms) VALUES (?, ?, ?, ?, ?)",
                    (
                        _hash(secret),
                        grant.subject,
                        grant.provider_session,
                        sealed(grant.refresh_token, secret),
                        now_ms,
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
            row = db.execute(f"{_SELECT} WHERE session.hash = ?", (hash,)).fetchone()
            session = None if row is None else _session(row)
            if session is None or not self._is_on(session, now_ms):
                return None
            if is_use and now_ms - session.used_ms >= _NOTED_MS:
                db.execute(
                    "UPDATE session SET used_ms = ? WHERE hash = ?", (now_ms, hash)
                )
        return session

    def confirm(
        self, secret: str, name: str, roles: Sequence[Role], refresh_token: str
    ) -> bool:
        """Notes what the provider says of a person now. False if the session ended
        meanwhile."""
        hash = _hash(secret)
        with opened_sign_in_file(self.path) as db:
            db.execute(
                "UPDATE confirmation SET refresh_token = ?, confirmed_ms = ? "
                "WHERE hash = ?",
                (sealed(refresh_token, secret), self._now_ms(), hash),
            )
            done = db.execute(
                "UPDATE session SET name = ?, roles = ? WHERE hash = ?",
                (_storable(name), ",".join(roles), hash),
            )
        return bool(done.rowcount)

    def keep_token(self, secret: str, refresh_token: str) -> None:
        """Keeps another refresh token, without a confirmation."""
        with opened_sign_in_file(self.path) as db:
            db.execute(
                "UPDATE confirmation SET refresh_token = ? WHERE hash = ?",
                (sealed(refresh_token, secret), _hash(secret)),
            )

    def end_provided(
        self, subject: str, provider_session: str, logout_id: str
    ) -> Sequence[SignInSession] | None:
        """Ends a session of the provider, or all of a person there, and returns them;
        None if that logout was carried out before. A session that the provider did
        not name when it began ends with any of that person's."""
        now_ms, id = self._now_ms(), _hash(logout_id)
        with opened_sign_in_file(self.path) as db:
            old_ms = now_ms - _LOGOUT_KEPT_MS
            db.execute("DELETE FROM logout WHERE at_ms < ?", (old_ms,))
            if not db.execute(
                "INSERT INTO logout VALUES (?, ?) ON CONFLICT DO NOTHING", (id, now_ms)
            ).rowcount:
                return None
            which, values = "subject = ?", [subject]
            if provider_session:
                which = f"(provider_session = '' AND {which}) OR provider_session = ?"
                values.append(provider_session)
            rows = db.execute(
                f"{_SELECT} WHERE source = ? AND ({which})",
                (VisitorSource.PROVIDER, *values),
            ).fetchall()
            db.executemany("DELETE FROM session WHERE hash = ?", [r[:1] for r in rows])
        return [s for s in map(_session, rows) if self._is_on(s, now_ms)]

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
            rows = db.execute(f"{_SELECT} ORDER BY made_ms DESC").fetchall()
        return [s for s in map(_session, rows) if self._is_on(s, now_ms)]

    def _is_on(self, session: SignInSession, now_ms: int) -> bool:
        is_sure = (
            session.source is not VisitorSource.PROVIDER
            or now_ms - session.confirmed_ms < self._unconfirmed_ms
        )
        is_used = now_ms - session.used_ms < self._idle_ms
        return is_sure and is_used and now_ms < session.until_ms


def form_token(secret: str) -> str:
    """What a form carries so that no other website can send it: it is made of a secret
    in the browser's cookie, and does not give that away."""
    return hmac.new(secret.encode(), b"towpath form", hashlib.sha256).hexdigest()


def _storable(name: str) -> str:
    return name.encode(errors="replace").decode()


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode(errors="surrogatepass")).digest()


def _session(row: Sequence[object]) -> SignInSession:
    hash, id, name, roles, source, id_token, made_ms, used_ms, until_ms, *more = row
    refresh_token, confirmed_ms = more
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
            "refresh_token": refresh_token or b"",
            "confirmed_ms": confirmed_ms,
        },
        SignInSession,
    )
