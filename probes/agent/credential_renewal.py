"""Replaces the laptop's secret in time, in two steps, so that neither a lost answer nor
a kill leaves it without a valid one.

1. It asks for a new secret and saves it. The server accepts both.
2. It signs in with the new one to confirm it. Only then does the old one end.

If a secret is refused, those before it are tried: the server's registry may have been
put back from a backup.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
from msgspec.structs import replace

from probes.agent.enrol import StoredCredential, save_credential
from probes.agent.http_connection import HttpResponse
from probes.agent.publish_https import is_used_twice
from probes.agent.report_delivery import Later
from probes.agent.server_connection import ServerConnection
from probes.wire.clock import WallClock
from probes.wire.report import AgentCredential, CredentialWish

_DAY_MS = 86_400_000
# Of a year, if secrets are replaced each month.
_MOST_BEFORE = 12
_PATH = "/v1/credential"

_log = logging.getLogger(__name__)


def is_due(credential: StoredCredential, days: int, now_ms: int) -> bool:
    """Whether a secret is to be replaced that may get `days` old (0: any age). Each
    laptop has its own day in the last quarter of that time. Pure."""
    if not days:
        return False
    age_ms = now_ms - credential.made_ms
    phase = hashlib.sha256(credential.agent.encode()).digest()[0] / 256
    # A secret from the future: the clock was wrong then, or is now.
    return age_ms < -_DAY_MS or age_ms >= days * _DAY_MS * (0.75 + 0.25 * phase)


def renewed(credential: StoredCredential, secret: str) -> StoredCredential:
    """The credential with a new secret, and those of a year before it. Pure."""
    before = [s for s in (credential.previous, *credential.older) if s]
    return replace(
        credential,
        secret=secret,
        previous=credential.secret,
        older=tuple(before[: _MOST_BEFORE - 1]),
    )


def with_secrets_before(credential: StoredCredential) -> Iterator[StoredCredential]:
    """Yields the credential as it was before each replacement that is known, the latest
    one first. Pure."""
    secrets = [secret for secret in (credential.previous, *credential.older) if secret]
    while secrets:
        secret, *secrets = secrets
        yield replace(
            credential,
            secret=secret,
            previous=secrets[0] if secrets else "",
            older=tuple(secrets[1:]),
        )


class _Unknown(Later):
    """The server does not know this secret."""


class CredentialRenewal:
    """`use` is called with a secret that the server has confirmed. `machine`: the
    digest of this computer."""

    def __init__(
        self,
        folder: Path,
        credential: StoredCredential,
        machine: str,
        connection: ServerConnection,
        use: Callable[[AgentCredential], None],
        now_ms: WallClock,
    ) -> None:
        self._folder, self._credential, self._machine = folder, credential, machine
        self._connection, self._use, self._now_ms = connection, use, now_ms
        self._trouble = ""

    async def run(self, days: int) -> None:
        """Confirms a new secret, or asks for one if this one is old. What the server
        or the network does never raises; it is tried again at the next call. Raises
        `OSError` if the laptop's disk does not take the new secret."""
        try:
            if not self._credential.made_ms:
                # Enrolled by an older agent: its time begins now.
                self._save(replace(self._credential, made_ms=self._now_ms()))
            if self._credential.unconfirmed:
                await self._confirm()
            elif is_due(self._credential, days, self._now_ms()):
                await self._renew()
                await self._confirm()
        except Later as later:
            self._note(str(later))

    async def recover(self) -> bool:
        """Tries the secrets before this one, which the server refused. Returns whether
        the laptop has a valid secret again."""
        refused = self._credential
        for before in with_secrets_before(refused):
            self._connection.use_credential(before)
            try:
                await self._renew(of=before)
                await self._confirm()
            except Later as later:
                self._note(str(later))
                if isinstance(later, _Unknown) and self._credential is refused:
                    continue
            break
        if self._credential is refused:
            self._connection.use_credential(refused)
        return self._credential is not refused

    async def _renew(self, of: StoredCredential | None = None) -> None:
        credential = of or self._credential
        body = msgspec.json.encode(CredentialWish(self._machine))
        headers = {"Content-Type": "application/json"}
        response = await self._connection.request("POST", _PATH, body, headers)
        if response.status == 401 and not is_used_twice(response):
            raise _Unknown(_refusal(response))
        if response.status != 200:
            raise Later(_refusal(response))
        try:
            new = msgspec.json.decode(response.body, type=AgentCredential)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise Later("the answer is not that of a Towpath server") from None
        self._save(
            replace(
                renewed(credential, new.secret),
                machine=credential.machine or self._machine,
                made_ms=self._now_ms(),
                unconfirmed=True,
            )
        )
        # Saved: from now on only this one is used, and the server accepts it already.
        self._connection.use_credential(self._credential)

    async def _confirm(self) -> None:
        response = await self._connection.request("POST", f"{_PATH}/confirm")
        if response.status != 200:
            raise Later(_refusal(response))
        self._save(replace(self._credential, unconfirmed=False))
        self._use(self._credential)
        self._trouble = ""
        _log.info("credential_renewed")

    def _save(self, credential: StoredCredential) -> None:
        save_credential(self._folder, credential)
        self._credential = credential

    def _note(self, trouble: str) -> None:
        if trouble != self._trouble:
            _log.warning("credential_not_renewed error=%s", trouble)
        self._trouble = trouble


def _refusal(response: HttpResponse) -> str:
    why = f": {response.why}" if response.why else ""
    return f"the server answered with HTTP {response.status}{why}"
