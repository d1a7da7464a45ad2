"""Puts PDUs into messages for one agent, and takes them out of its answers.

With a community (v1, v2c), or with a user (v3, RFC 3412 and 3414).
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Sequence
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
_REFUSALS = {
    f"{_USM_STATS}.1.0": "the user is not allowed to use that security level",
    f"{_USM_STATS}.3.0": "the user is not known",
    f"{_USM_STATS}.5.0": "the authentication password is wrong",
    f"{_USM_STATS}.6.0": "the privacy password is wrong",
    # snmpUnknownContexts (RFC 3412 section 5).
    "1.3.6.1.6.3.12.1.5.0": "the agent does not know the context",
}
_NO_ENGINE = v3_message.EngineTime(b"", 0, 0)
Enclosed = tuple[bytes, int, int]


class OtherAnswer(Exception):
    """An answer to another request, or one that is not authentic: keep waiting."""


class V3Refused(Exception):
    """The agent refuses the credential; the text says why."""


class Resync(Exception):
    """The agent has another engine or clock than assumed: send again."""


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

    def open(self, message: bytes, number: int) -> Enclosed:
        """(octets, begin, end) of the PDU in an answer to `number`.

        Raises `Malformed`, `OtherAnswer`, `V3Refused` or `Resync`.
        """

    def forget(self) -> None:
        """Makes the next request discover the agent's engine again."""


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

    def open(self, message: bytes, number: int) -> Enclosed:
        at, end = expect(message, 0, len(message), SEQUENCE)
        _, at = read_integer(message, at, end)
        _, at = expect(message, at, end, OCTETS)
        return message, at, end

    def forget(self) -> None:
        pass


class UserEnvelope:
    """Version 3. The agent's engine is authoritative: its id, boots and time come from
    its reports and answers."""

    def __init__(self, credential: Credential) -> None:
        self._credential = credential
        self._user = credential.user.encode()
        self._encrypted = credential.priv != "none"
        self._engine_id = b""
        self._boots = 0
        # The agent's clock minus ours.
        self._ahead_s = 0.0

    @property
    def needs_discovery(self) -> bool:
        return not self._engine_id

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

    def open(self, message: bytes, number: int) -> Enclosed:
        parts = v3_message.decode(message)
        if parts.msg_id != number:
            raise OtherAnswer
        if not self._engine_id:
            # The answer to `discovery`, which cannot be signed.
            self._set_engine(parts)
            raise Resync
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
            self._raise_for_report(decode(data, at, end).binds, parts, signed)
        if not signed or (self._encrypted and not parts.flags & PRIV):
            raise OtherAnswer
        if parts.engine_id != self._engine_id:
            raise OtherAnswer
        self._update_clock(parts)
        return data, at, end

    def forget(self) -> None:
        self._engine_id = b""

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
            raise Resync
        if statistic == _NOT_IN_TIME:
            if not signed:
                raise OtherAnswer
            self._set_engine(parts)
            raise Resync
        raise V3Refused(
            _REFUSALS.get(statistic, f"the agent reports {statistic or 'nothing'}")
        )

    def _set_engine(self, parts: v3_message.V3Message) -> None:
        if not parts.engine_id:
            raise Malformed("an answer to discovery without an engine id")
        self._engine_id = parts.engine_id
        self._boots = parts.boots
        self._ahead_s = parts.time - time.monotonic()

    def _update_clock(self, parts: v3_message.V3Message) -> None:
        """Follows the engine's clock (RFC 3414 section 3.2 7b)."""
        ahead_s = parts.time - time.monotonic()
        if (parts.boots, ahead_s) > (self._boots, self._ahead_s):
            self._boots, self._ahead_s = parts.boots, ahead_s
