"""Authenticates v3 messages: the user-based security model (RFC 3414, 3.2)."""

from __future__ import annotations

import hmac
from collections import OrderedDict
from collections.abc import Iterable

import msgspec

from collectors.snmp.session import usm_keys, v3_message
from collectors.snmp.session.ber import Malformed
from collectors.snmp.session.credentials import Credential
from collectors.snmp.session.v3_message import AUTH, PRIV, EngineTime, V3Message
from collectors.snmp.traps.local_engine import LocalEngine
from collectors.snmp.traps.trap_message import TrapPdu, decode_pdu

_USM_STATS = "1.3.6.1.6.3.15.1.1"
_STATISTICS = {
    "unsupported_level": f"{_USM_STATS}.1.0",
    "not_in_time": f"{_USM_STATS}.2.0",
    "unknown_user": f"{_USM_STATS}.3.0",
    "discovery": f"{_USM_STATS}.4.0",
    "wrong_digest": f"{_USM_STATS}.5.0",
    "not_decrypted": f"{_USM_STATS}.6.0",
}
_MAX_KEYS = 4096


class TrapRefused(Exception):
    """A message that is refused. `reason` is from a closed list; `report` is the report
    to send back, or empty."""

    def __init__(self, reason: str, report: bytes = b"") -> None:
        super().__init__(reason)
        self.reason, self.report = reason, report


class UsmMessage(msgspec.Struct, frozen=True, gc=False):
    """An authentic v3 message. `credential` is the user's."""

    message: V3Message
    credential: Credential
    context_engine_id: bytes
    context: bytes
    pdu: TrapPdu


class Usm:
    """Authenticates and decrypts v3 messages, and encodes the responses.

    Several credentials may have the same user name, for devices in different subnets.
    Keys are cached by (credential, engine id) once they have verified a message.
    """

    def __init__(self, credentials: Iterable[Credential], engine: LocalEngine) -> None:
        self.engine = engine
        self._users: dict[bytes, list[Credential]] = {}
        for credential in credentials:
            if credential.version != "3":
                continue
            same_user = self._users.setdefault(credential.user.encode(), [])
            if credential not in same_user:
                same_user.append(credential)
        self._keys: OrderedDict[tuple[Credential, bytes], usm_keys.Keys] = OrderedDict()
        self._reported: dict[str, int] = {}

    def authenticate(
        self, message: V3Message, address: str, now_s: float
    ) -> UsmMessage:
        """Return the message if it is authentic.

        Raises `TrapRefused`, `NotATrap` or `Malformed`.
        """
        own = message.engine_id == self.engine.id
        if not own and (message.is_reportable or not message.engine_id):
            # A sender of informs first asks for our engine id (RFC 3414, section 4).
            raise self._refusal("discovery", message, now_s)
        candidates = self._users.get(message.user)
        if candidates is None:
            raise self._refusal("unknown_user", message, now_s)
        if not message.flags & AUTH:
            unsigned = [
                credential for credential in candidates if credential.auth == "none"
            ]
            if not unsigned:
                raise self._refusal("unsupported_level", message, now_s)
            return self._read_scoped_pdu(message, unsigned[0], message.data, now_s)
        credential, keys = self._verify(message, candidates, now_s)
        if own:
            timely = self.engine.is_timely(message.boots, message.time, now_s)
        else:
            timely = self.engine.update_clock(
                address, message.engine_id, message.boots, message.time, now_s
            )
        if not timely:
            raise self._refusal("not_in_time", message, now_s, credential)
        # A repeated inform is not a replay: its sender missed the response.
        if not own and self.engine.is_replayed(message.digest, now_s):
            raise TrapRefused("repeated")
        if not message.flags & PRIV:
            return self._read_scoped_pdu(message, credential, message.data, now_s)
        if credential.priv == "none":
            raise self._refusal("unsupported_level", message, now_s)
        clear = usm_keys.decrypt(
            credential,
            keys.priv,
            message.boots,
            message.time,
            message.salt,
            message.data[message.scoped_at : message.scoped_end],
        )
        return self._read_scoped_pdu(message, credential, clear, now_s)

    def encode_response(self, received: UsmMessage, pdu: bytes, now_s: float) -> bytes:
        """Encode `pdu` for the sender of an inform, at the inform's security level."""
        message = received.message
        return v3_message.encode(
            message.msg_id,
            self._engine_time(now_s),
            message.user,
            v3_message.encode_scoped(received.context_engine_id, received.context, pdu),
            received.credential,
            bool(message.flags & PRIV),
        )

    def _engine_time(self, now_s: float) -> EngineTime:
        return EngineTime(self.engine.id, self.engine.boots, self.engine.time(now_s))

    def _verify(
        self, message: V3Message, candidates: list[Credential], now_s: float
    ) -> tuple[Credential, usm_keys.Keys]:
        signing = [credential for credential in candidates if credential.auth != "none"]
        if not signing:
            raise self._refusal("unsupported_level", message, now_s)
        blanked = message.blanked
        for credential in signing:
            if len(message.digest) != usm_keys.DIGESTS[credential.auth][1]:
                continue
            cache_key = (credential, message.engine_id)
            keys = self._keys.get(cache_key)
            key = (
                usm_keys.auth_key(credential, message.engine_id)
                if keys is None
                else keys.auth
            )
            digest = usm_keys.digest_of(credential, key, blanked)
            if not hmac.compare_digest(digest, message.digest):
                continue
            if keys is None:
                keys = usm_keys.Keys(
                    key, usm_keys.priv_key(credential, message.engine_id)
                )
                while len(self._keys) >= _MAX_KEYS:
                    self._keys.popitem(last=False)
                self._keys[cache_key] = keys
            else:
                self._keys.move_to_end(cache_key)
            return credential, keys
        raise self._refusal("wrong_digest", message, now_s)

    def _read_scoped_pdu(
        self, message: V3Message, credential: Credential, clear: bytes, now_s: float
    ) -> UsmMessage:
        encrypted = bool(message.flags & PRIV)
        at, end = (
            (0, len(clear)) if encrypted else (message.scoped_at, message.scoped_end)
        )
        try:
            context_engine_id, context, at, end = v3_message.read_scoped(clear, at, end)
            pdu = decode_pdu(clear, at, end)
        except Malformed as error:
            if encrypted and clear[:1] != b"\x30":
                raise self._refusal("not_decrypted", message, now_s) from error
            raise
        return UsmMessage(message, credential, context_engine_id, context, pdu)

    def _refusal(
        self,
        reason: str,
        message: V3Message,
        now_s: float,
        credential: Credential | None = None,
    ) -> TrapRefused:
        """Return the refusal, with a report if the sender wants one. Only a report of
        notInTimeWindows can be signed, and must be for the sender to accept it."""
        count = self._reported[reason] = self._reported.get(reason, 0) + 1
        if not message.is_reportable:
            return TrapRefused(reason)
        request_id = 0
        if not message.flags & PRIV:
            request_id = v3_message.scoped_request_id(
                message.data, message.scoped_at, message.scoped_end
            )
        return TrapRefused(
            reason,
            v3_message.encode(
                message.msg_id,
                self._engine_time(now_s),
                message.user,
                v3_message.encode_scoped(
                    self.engine.id,
                    b"",
                    v3_message.report(_STATISTICS[reason], count, request_id),
                ),
                credential,
            ),
        )
