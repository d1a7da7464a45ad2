"""`PasswordSignIn`: checks the password of a local user, not too often and not too many
at once."""

from __future__ import annotations

import asyncio
import math
import time

from dashboards.web.sign_in.local_users import LocalUser, LocalUsers, folded
from dashboards.web.sign_in.sign_in_refusal import SignInRefused
from dashboards.web.sign_in.try_limits import TryLimits

# Each takes 64 MB and a twentieth of a second.
_AT_ONCE, _MOST_WAITING = 2, 20
_WRONG = "Enter the name and password of a user of Towpath"


class PasswordRefused(Exception):
    """The name and password were not accepted. The text is for the person, `detail`
    for the audit log, `wait_s` until it may be tried again."""

    def __init__(self, text: str, detail: str, status: int, wait_s: int = 0) -> None:
        super().__init__(text)
        self.detail, self.status, self.wait_s = detail, status, wait_s


class PasswordSignIn:
    def __init__(self, users: LocalUsers) -> None:
        self._users, self._limits = users, TryLimits()
        self._turns, self._waiting = asyncio.Semaphore(_AT_ONCE), 0

    async def check(self, name: str, password: str, address: str) -> LocalUser:
        """Raises `PasswordRefused` or `SignInRefused`, and `sqlite3.Error` or
        `OSError`."""
        self._check_limits(name, address)
        if self._waiting >= _MOST_WAITING:
            raise SignInRefused(
                "Many people sign in at the moment. Try again in a few seconds.",
                "too many sign-ins at once",
                503,
            )
        self._waiting += 1
        try:
            async with self._turns:
                # Others may have tried while this one waited.
                self._check_limits(name, address)
                user = await asyncio.to_thread(self._users.check, name, password)
        finally:
            self._waiting -= 1
        if user is None:
            self._limits.note_wrong(folded(name), address, time.monotonic())
            raise PasswordRefused(_WRONG, "wrong name or password", 403)
        return user

    def _check_limits(self, name: str, address: str) -> None:
        left_s = self._limits.wait_s(folded(name), address, time.monotonic())
        if left_s > 0:
            wait_s = math.ceil(left_s)
            raise PasswordRefused(
                f"There were too many wrong passwords. Try again in {wait_s} seconds",
                "too many wrong passwords",
                429,
                wait_s,
            )
