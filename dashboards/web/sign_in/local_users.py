"""`LocalUsers`: people who sign in with a name and password of Towpath's own, for
councils without a provider and for the day when it is down.

Passwords are hashed with Argon2id (RFC 9106). A name that nobody has takes as long as a
wrong password.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import msgspec
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from dashboards.web.sign_in.sign_in_file import opened_sign_in_file
from dashboards.web.visitors import Role
from probes.wire.clock import WallClock
from probes.wire.display import displayable

SHORTEST_PASSWORD, LONGEST_PASSWORD = 12, 256
LONGEST_NAME = 80
_COLUMNS = "name, shown, roles, made_ms, changed_ms"


class UserProblem(Exception):
    """The user cannot be added or changed. The text is a sentence."""


class LocalUser(msgspec.Struct, frozen=True):
    """A user without the hash of the password. `name` is what is compared, `shown`
    how it was written."""

    name: str
    shown: str
    roles: tuple[Role, ...]
    made_ms: int
    changed_ms: int

    @property
    def id(self) -> str:
        """Another user of the same name, added later, is another person."""
        return f"local:{self.name}:{self.made_ms}"


class LocalUsers:
    """The users in one file. Methods block; they raise `sqlite3.Error` or `OSError`."""

    def __init__(self, path: Path, now_ms: WallClock) -> None:
        self.path, self._now_ms = path, now_ms

    def add(self, shown: str, roles: Sequence[Role], password: str) -> LocalUser:
        """Raises `UserProblem`."""
        shown = " ".join(shown.split())
        name = folded(shown)
        if not 0 < len(shown) <= LONGEST_NAME or displayable(shown) != shown:
            raise UserProblem(
                f"{shown!r} is no name: expected 1 to {LONGEST_NAME} visible characters"
            )
        check_roles(roles)
        check_password(password, name)
        now_ms = self._now_ms()
        with opened_sign_in_file(self.path) as db:
            done = db.execute(
                "INSERT INTO user (name, shown, roles, hash, made_ms, changed_ms) "
                "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO NOTHING",
                (
                    name,
                    shown,
                    ",".join(roles),
                    _hasher().hash(_normal(password)),
                    now_ms,
                    now_ms,
                ),
            )
        if not done.rowcount:
            raise UserProblem(f"there is a user called {shown!r} already")
        return LocalUser(name, shown, tuple(roles), now_ms, now_ms)

    def set_password(self, shown: str, password: str) -> None:
        """Raises `LookupError` or `UserProblem`."""
        check_password(password, folded(shown))
        self._update(shown, "hash", _hasher().hash(_normal(password)))

    def set_roles(self, shown: str, roles: Sequence[Role]) -> None:
        """Raises `LookupError` or `UserProblem`."""
        check_roles(roles)
        self._update(shown, "roles", ",".join(roles))

    def remove(self, shown: str) -> None:
        """Raises `LookupError`."""
        with opened_sign_in_file(self.path) as db:
            done = db.execute("DELETE FROM user WHERE name = ?", (folded(shown),))
        if not done.rowcount:
            raise LookupError(shown)

    def find(self, shown: str) -> LocalUser | None:
        if not self.path.exists():
            return None
        with opened_sign_in_file(self.path, writes=False) as db:
            row = db.execute(
                f"SELECT {_COLUMNS} FROM user WHERE name = ?", (folded(shown),)
            ).fetchone()
        return None if row is None else _user(row)

    def of_id(self, id: str) -> LocalUser | None:
        """The user of a session, unless that user was removed."""
        _, _, rest = id.partition(":")
        user = self.find(rest.rpartition(":")[0])
        return user if user is not None and user.id == id else None

    def list(self) -> list[LocalUser]:
        if not self.path.exists():
            return []
        with opened_sign_in_file(self.path, writes=False) as db:
            rows = db.execute(f"SELECT {_COLUMNS} FROM user ORDER BY name").fetchall()
        return [_user(row) for row in rows]

    def check(self, shown: str, password: str) -> LocalUser | None:
        """The user with that name and password. It takes as long if there is none."""
        row = None
        if self.path.exists():
            with opened_sign_in_file(self.path, writes=False) as db:
                row = db.execute(
                    f"SELECT hash, {_COLUMNS} FROM user WHERE name = ?",
                    (folded(shown),),
                ).fetchone()
        kept = nobodys_hash() if row is None else row[0]
        try:
            is_right = len(password) <= LONGEST_PASSWORD and _hasher().verify(
                kept, _normal(password)
            )
        except (VerificationError, InvalidHashError):
            return None
        if row is None or not is_right:
            return None
        user = _user(row[1:])
        if _hasher().check_needs_rehash(kept):
            self._rehash(user.name, kept, password)
        return user

    def _rehash(self, name: str, kept: str, password: str) -> None:
        """Hashes with today's parameters, unless the password was changed meanwhile."""
        with opened_sign_in_file(self.path) as db:
            db.execute(
                "UPDATE user SET hash = ? WHERE name = ? AND hash = ?",
                (_hasher().hash(_normal(password)), name, kept),
            )

    def _update(self, shown: str, column: str, value: str) -> None:
        with opened_sign_in_file(self.path) as db:
            done = db.execute(
                f"UPDATE user SET {column} = ?, changed_ms = ? WHERE name = ?",
                (value, self._now_ms(), folded(shown)),
            )
        if not done.rowcount:
            raise LookupError(shown)


def folded(shown: str) -> str:
    """The name as it is compared: neither case nor the way of writing it matters."""
    return unicodedata.normalize("NFKC", " ".join(shown.split())).casefold()


def check_password(password: str, name: str) -> None:
    """Raises `UserProblem`. Length is what counts, not kinds of characters (NCSC)."""
    if len(password) < SHORTEST_PASSWORD:
        raise UserProblem(
            f"the password must have {SHORTEST_PASSWORD} characters or more: three "
            "random words are good"
        )
    if len(password) > LONGEST_PASSWORD:
        raise UserProblem(
            f"the password must have {LONGEST_PASSWORD} characters or fewer"
        )
    if name and name in password.casefold():
        raise UserProblem("the password must not contain the name")
    if len(set(password)) < 4:
        raise UserProblem("the password must have four different characters or more")


def check_roles(roles: Sequence[Role]) -> None:
    if not roles or Role.PUBLIC in roles:
        named = ", ".join(role for role in Role if role is not Role.PUBLIC)
        raise UserProblem(f"expected one or more of the roles {named}")


@cache
def nobodys_hash() -> str:
    """What a password is compared with if nobody has the name."""
    return _hasher().hash("the password of nobody")


@cache
def _hasher() -> PasswordHasher:
    return PasswordHasher()


def _normal(password: str) -> str:
    """The same letters from every keyboard (RFC 8265)."""
    return unicodedata.normalize("NFC", password)


def _user(row: Sequence[object]) -> LocalUser:
    name, shown, roles, made_ms, changed_ms = row
    return msgspec.convert(
        {
            "name": name,
            "shown": shown,
            "roles": [role for role in str(roles).split(",") if role],
            "made_ms": made_ms,
            "changed_ms": changed_ms,
        },
        LocalUser,
    )
