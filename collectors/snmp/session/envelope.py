"""Puts PDUs into messages for one agent, and takes them out of its answers.

With a community (v1, v2c), or with a user (v3, RFC 3412 and 3414).
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Collection, Sequence
from typing import NoReturn, Protocol

from collectors.snmp.session import usm_keys, v3_message
from collectors.snmp.session.ber import (
    OCTETS,
    SEQUENCE,
    Malformed,
    expect,
    integer,
    octets,
    read_integer,
    tlv,
)
from collectors.snmp.session.credentials import Credential
from collectors.snmp.session.pdu import GET, REPORT, VarBind, decode, encode
from collectors.snmp.session.v3_message import AUTH, PRIV

_VERSIONS = {"1": 0, "2c": 1}
# usmStats (RFC 3414 section 5): the reason for a report.
_USM_STATS = "1.3.6.1.6.3.15.1.1"
_NOT_IN_TIME, _UNKNOWN_ENGINE = f"{_USM_STATS}.2.0", f"{_USM_STATS}.4.0"
_REASONS = {
    f"{_USM_STATS}.1.0": "level",
    f"{_USM_STATS}.3.0": "user",
    f"{_USM_STATS}.5.0": "digest",
    f"{_USM_STATS}.6.0": "decryption",
    # snmpUnknownContexts (RFC 3412 section 5).
    "1.3.6.1.6.3.12.1.5.0": "context",
}
_REFUSALS = {
    "level": "the device does not let user {user!r} use security level {level}: create "
    "the user there with auth {auth} and priv {priv}, or give the credential what the "
    "device's user has",
    "user": "the device has no user {user!r}: create it there, or correct `user` of "
    "the credential",
    "digest": "the authentication password of user {user!r} is wrong, or the device "
    "does not use {auth}: correct `auth_password` or `auth`",
    "decryption": "the privacy password of user {user!r} is wrong, or the device does "
    "not use {priv}: correct `priv_password` or `priv`",
    "context": "the device has no context {context!r}: correct `context`, or leave it "
    "out",
    "access": "the device lets user {user!r} read nothing at security level {level}: "
    "give the user a view there, or the credential the level that the device requires",
    "community": "the device lets this community read nothing: give it a view there",
}
_NO_STABLE_ENGINE = (
    "the device does not accept the engine id that it reports itself: look for another "
    "device with the same address, and restart the agent"
)
# RFC 3414 section 2.2.3: an engine with the highest number of starts accepts nothing.
_NEVER_IN_TIME = (
    "the device does not accept the engine time that it reports itself: set its clock "
    "and give it a new engine id, which sets engineBoots back"
)
_NO_ENGINE = v3_message.EngineTime(b"", 0, 0)
Enclosed = tuple[bytes, int, int]


class OtherAnswer(Exception):
    """An answer to another request, or one that is not authentic: keep waiting."""


class V3Refused(Exception):
    """The agent refuses the credential; the text says why."""


class Resync(Exception):
    """The agent has another engine or clock than assumed: send again. The text is for
    an agent that never accepts what it reported; `number` is that of the request."""

    def __init__(self, reason: str, number: int) -> None:
        super().__init__(reason)
        self.number = number


def refusal_sentence(credential: Credential, reason: str) -> str:
    """What is wrong with `credential`, and what to do. `reason` is a key of
    `_REFUSALS`."""
    level = "noAuthNoPriv"
    if credential.auth != "none":
        level = "authNoPriv" if credential.priv == "none" else "authPriv"
    return _REFUSALS[reason].format(
        user=credential.user,
        auth=credential.auth,
        priv=credential.priv,
        level=level,
        context=credential.context,
    )


def _is_report(parts: v3_message.V3Message) -> bool:
    """True for a report in clear text."""
    data = parts.data
    _, _, at, _ = v3_message.read_scoped(data, parts.scoped_at, parts.scoped_end)
    return data[at : at + 1] == bytes((REPORT,))


class Envelope(Protocol):
    """Puts requests into messages.

    If `needs_discovery`, send `discovery` and open its answer before anything else.
    """

    @property
    def needs_discovery(self) -> bool: ...

    @property
    def engine_id(self) -> bytes:
        """The agent's engine id; empty if it is not known."""

    def discovery(self, number: int) -> bytes: ...

    def seal(self, pdu: bytes, number: int) -> bytes:
        """The message with `pdu`, whose request-id is `number`."""

    def open(
        self, message: bytes, numbers: Collection[int], current: Collection[int]
    ) -> Enclosed:
        """(octets, begin, end) of the PDU in an answer to one of `numbers`, or a report
        on one of `current`.

        Raises `Malformed`, `OtherAnswer`, `V3Refused` or `Resync`.
        """

    def discover_again(self) -> None:
        """Makes the next request discover the agent's engine again. Late answers of
        the engine known so far are still accepted."""


def envelope_for(credential: Credential) -> Envelope:
    if credential.version == "3":
        return UserEnvelope(credential)
    return CommunityEnvelope(credential)


class CommunityEnvelope:
    """Versions 1 and 2c."""

    needs_discovery = False
    engine_id = b""

    def __init__(self, credential: Credential) -> None:
        self._head = integer(_VERSIONS[credential.version]) + octets(
            credential.community
        )

    def discovery(self, number: int) -> bytes:
        raise NotImplementedError("versions 1 and 2c have no engines")

    def seal(self, pdu: bytes, number: int) -> bytes:
        return tlv(SEQUENCE, self._head + pdu)

    def open(
        self, message: bytes, numbers: Collection[int], current: Collection[int]
    ) -> Enclosed:
        at, end = expect(message, 0, len(message), SEQUENCE)
        _, at = read_integer(message, at, end)
        _, at = expect(message, at, end, OCTETS)
        return message, at, end

    def discover_again(self) -> None:
        pass


class UserEnvelope:
    """Version 3. The agent's engine is authoritative: its id, boots and time come from
    its reports and answers."""

    def __init__(self, credential: Credential) -> None:
        self._credential = credential
        self._user = credential.user.encode()
        self._encrypted = credential.priv != "none"
        self._engine_id = b""
        self._discovering = True
        self._boots = 0
        # The agent's clock minus ours.
        self._ahead_s = 0.0

    @property
    def needs_discovery(self) -> bool:
        return self._discovering

    @property
    def engine_id(self) -> bytes:
        return self._engine_id

    def discovery(self, number: int) -> bytes:
        scoped = v3_message.encode_scoped(b"", b"", encode(GET, number, ()))
        return v3_message.encode(number, _NO_ENGINE, b"", scoped, reportable=True)

    def seal(self, pdu: bytes, number: int) -> bytes:
        return v3_message.encode(
            number,
            v3_message.EngineTime(
                self._engine_id,
                self._boots,
                max(0, int(time.monotonic() + self._ahead_s)),
            ),
            self._user,
            v3_message.encode_scoped(
                self._engine_id, self._credential.context.encode(), pdu
            ),
            self._credential,
            self._encrypted,
            reportable=True,
        )

    def open(
        self, message: bytes, numbers: Collection[int], current: Collection[int]
    ) -> Enclosed:
        parts = v3_message.decode(message)
        if parts.msg_id not in numbers:
            raise OtherAnswer
        is_current = parts.msg_id in current
        if self._discovering and is_current and self._is_discovered(parts):
            # The answer to `discovery`, which cannot be signed.
            self._set_engine(parts)
            raise Resync(_NO_STABLE_ENGINE, parts.msg_id)
        signed = self._is_signed(parts)
        data, at, end = message, parts.scoped_at, parts.scoped_end
        if parts.flags & PRIV:
            if not self._encrypted:
                raise OtherAnswer
            key = usm_keys.priv_key(self._credential, parts.engine_id)
            data = usm_keys.decrypt(
                self._credential,
                key,
                parts.boots,
                parts.time,
                parts.salt,
                message[at:end],
            )
            at, end = 0, len(data)
        _, _, at, end = v3_message.read_scoped(data, at, end)
        if data[at : at + 1] == bytes((REPORT,)):
            if not is_current:
                raise OtherAnswer
            self._raise_for_report(decode(data, at, end).binds, parts, signed)
        if not signed or (self._encrypted and not parts.flags & PRIV):
            raise OtherAnswer
        if parts.engine_id != self._engine_id:
            raise OtherAnswer
        self._discovering = False
        self._update_clock(parts)
        return data, at, end

    def discover_again(self) -> None:
        self._discovering = True

    def _is_discovered(self, parts: v3_message.V3Message) -> bool:
        """False for an answer of the engine known so far to an earlier message."""
        if not self._engine_id or parts.engine_id != self._engine_id:
            return True
        return not parts.flags & (AUTH | PRIV) and _is_report(parts)

    def _is_signed(self, parts: v3_message.V3Message) -> bool:
        """False without a digest; True for users that have none.

        Raises `OtherAnswer` if the digest is wrong.
        """
        if self._credential.auth == "none":
            return True
        if not parts.flags & AUTH:
            return False
        if len(parts.digest) != usm_keys.DIGESTS[self._credential.auth][1]:
            raise OtherAnswer
        key = usm_keys.auth_key(self._credential, parts.engine_id)
        digest = usm_keys.digest_of(self._credential, key, parts.blanked)
        if not hmac.compare_digest(digest, parts.digest):
            raise OtherAnswer
        return True

    def _raise_for_report(
        self, binds: Sequence[VarBind], parts: v3_message.V3Message, signed: bool
    ) -> NoReturn:
        """Raises the error that a report means. Only our agent knows our number."""
        statistic = binds[0].oid if binds else ""
        if statistic == _UNKNOWN_ENGINE:
            self._set_engine(parts)
            raise Resync(_NO_STABLE_ENGINE, parts.msg_id)
        if statistic == _NOT_IN_TIME:
            if not signed:
                raise OtherAnswer
            self._set_engine(parts)
            raise Resync(_NEVER_IN_TIME, parts.msg_id)
        reason = _REASONS.get(statistic)
        if reason is None:
            raise V3Refused(
                f"the device refuses the message: {statistic or 'no reason'}"
            )
        raise V3Refused(refusal_sentence(self._credential, reason))

    def _set_engine(self, parts: v3_message.V3Message) -> None:
        if not parts.engine_id:
            raise Malformed("an answer to discovery without an engine id")
        self._discovering = False
        self._engine_id = parts.engine_id
        self._boots = parts.boots
        self._ahead_s = parts.time - time.monotonic()

    def _update_clock(self, parts: v3_message.V3Message) -> None:
        """Follows the engine's clock (RFC 3414 section 3.2 7b)."""
        ahead_s = parts.time - time.monotonic()
        if (parts.boots, ahead_s) > (self._boots, self._ahead_s):
            self._boots, self._ahead_s = parts.boots, ahead_s
