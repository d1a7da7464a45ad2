"""Whether to believe a v3 message: the user-based security model (RFC 3414, 3.2)."""

from __future__ import annotations

import hmac
from collections import OrderedDict
from collections.abc import Iterable

import msgspec

from collectors.snmp.session import usm_keys, v3_message
from collectors.snmp.session.ber import Malformed
from collectors.snmp.session.credentials import Credential
from collectors.snmp.session.v3_message import AUTH, PRIV, Secured
from collectors.snmp.traps.local_engine import Engine
from collectors.snmp.traps.trap_message import Pdu, decode_pdu

_USM_STATS = "1.3.6.1.6.3.15.1.1"
_STATISTICS = {
    "unsupported_level": f"{_USM_STATS}.1.0",
    "not_in_time": f"{_USM_STATS}.2.0",
    "unknown_user": f"{_USM_STATS}.3.0",
    "discovery": f"{_USM_STATS}.4.0",
    "wrong_digest": f"{_USM_STATS}.5.0",
    "not_decrypted": f"{_USM_STATS}.6.0",
}
_MOST_KEYS = 4096


class UsmRefused(Exception):
    """A message that is not believed. `reason` is of a closed list; `report` is what to
    send back, empty where the sender wants none."""

    def __init__(self, reason: str, report: bytes = b"") -> None:
        super().__init__(reason)
        self.reason, self.report = reason, report


class Opened(msgspec.Struct, frozen=True, gc=False):
    """A message that is believed. `credential` is the user's."""

    message: Secured
    credential: Credential
    context_engine_id: bytes
    context: bytes
    pdu: Pdu


class Usm:
    """Opens v3 messages with the estate's credentials, and makes the answers.

    Several credentials may have one user name: devices in different subnets do. Keys
    are kept by (credential, engine id), and only once they were right.
    """

    def __init__(self, credentials: Iterable[Credential], engine: Engine) -> None:
        self.engine = engine
        self._users: dict[bytes, list[Credential]] = {}
        for each in credentials:
            if each.version != "3":
                continue
            known = self._users.setdefault(each.user.encode(), [])
            if each not in known:
                known.append(each)
        self._keys: OrderedDict[tuple[Credential, bytes], usm_keys.Keys] = OrderedDict()
        self._reported: dict[str, int] = {}

    def open(self, message: Secured, address: str, now_s: float) -> Opened:
        """The notification inside. Raises `UsmRefused`, `NotATrap` or `Malformed`."""
        own = message.engine_id == self.engine.id
        if not own and (message.is_reportable or not message.engine_id):
            # Who wants an answer asks for our engine id first (RFC 3414, section 4).
            raise self._refuse("discovery", message, now_s)
        candidates = self._users.get(message.user)
        if candidates is None:
            raise self._refuse("unknown_user", message, now_s)
        if not message.flags & AUTH:
            open_ones = [each for each in candidates if each.auth == "none"]
            if not open_ones:
                raise self._refuse("unsupported_level", message, now_s)
            return self._inside(message, open_ones[0], message.data, now_s)
        credential, known = self._verify(message, candidates, now_s)
        if own:
            timely = self.engine.is_timely(message.boots, message.time, now_s)
        else:
            timely = self.engine.hear(
                address, message.engine_id, message.boots, message.time, now_s
            )
        if not timely:
            raise self._refuse("not_in_time", message, now_s, credential)
        # An inform that is sent again is not a replay: its sender missed the answer.
        if not own and self.engine.is_repeated(message.digest, now_s):
            raise UsmRefused("repeated")
        if not message.flags & PRIV:
            return self._inside(message, credential, message.data, now_s)
        if credential.priv == "none":
            raise self._refuse("unsupported_level", message, now_s)
        clear = usm_keys.decrypt(
            credential,
            known.priv,
            message.boots,
            message.time,
            message.salt,
            message.data[message.inside_at : message.inside_end],
        )
        return self._inside(message, credential, clear, now_s)

    def answer(self, opened: Opened, pdu: bytes, now_s: float) -> bytes:
        """`pdu` back to the sender of an inform, as safe as the inform was."""
        message = opened.message
        return v3_message.encode(
            message.msg_id,
            self.engine.id,
            self.engine.boots,
            self.engine.time(now_s),
            message.user,
            v3_message.encode_inside(opened.context_engine_id, opened.context, pdu),
            opened.credential,
            bool(message.flags & PRIV),
        )

    def _verify(
        self, message: Secured, candidates: list[Credential], now_s: float
    ) -> tuple[Credential, usm_keys.Keys]:
        able = [each for each in candidates if each.auth != "none"]
        if not able:
            raise self._refuse("unsupported_level", message, now_s)
        blanked = message.blanked
        for credential in able:
            if len(message.digest) != usm_keys.DIGESTS[credential.auth][1]:
                continue
            place = (credential, message.engine_id)
            known = self._keys.get(place)
            key = (
                usm_keys.auth_key(credential, message.engine_id)
                if known is None
                else known.auth
            )
            made = usm_keys.digest_of(credential, key, blanked)
            if not hmac.compare_digest(made, message.digest):
                continue
            if known is None:
                known = usm_keys.Keys(
                    key, usm_keys.priv_key(credential, message.engine_id)
                )
                while len(self._keys) >= _MOST_KEYS:
                    self._keys.popitem(last=False)
                self._keys[place] = known
            else:
                self._keys.move_to_end(place)
            return credential, known
        raise self._refuse("wrong_digest", message, now_s)

    def _inside(
        self, message: Secured, credential: Credential, clear: bytes, now_s: float
    ) -> Opened:
        sealed = bool(message.flags & PRIV)
        at, end = (0, len(clear)) if sealed else (message.inside_at, message.inside_end)
        try:
            context_engine_id, context, at, end = v3_message.read_scoped(clear, at, end)
            pdu = decode_pdu(clear, at, end)
        except Malformed as error:
            if sealed and clear[:1] != b"\x30":
                raise self._refuse("not_decrypted", message, now_s) from error
            raise
        return Opened(message, credential, context_engine_id, context, pdu)

    def _refuse(
        self,
        reason: str,
        message: Secured,
        now_s: float,
        credential: Credential | None = None,
    ) -> UsmRefused:
        """With a report for who wants one. notInTimeWindows is signed, or the sender
        must not believe it; all others cannot be."""
        count = self._reported[reason] = self._reported.get(reason, 0) + 1
        if not message.is_reportable:
            return UsmRefused(reason)
        request_id = 0
        if not message.flags & PRIV:
            request_id = v3_message.request_id_of(
                message.data, message.inside_at, message.inside_end
            )
        return UsmRefused(
            reason,
            v3_message.encode(
                message.msg_id,
                self.engine.id,
                self.engine.boots,
                self.engine.time(now_s),
                message.user,
                v3_message.encode_inside(
                    self.engine.id,
                    b"",
                    v3_message.report(_STATISTICS[reason], count, request_id),
                ),
                credential,
            ),
        )
