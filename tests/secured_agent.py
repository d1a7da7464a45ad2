"""An agent that speaks SNMPv3 for a simulated switch: one user, encrypted."""

from __future__ import annotations

import hmac
import time

from maker_agents import Beside

from collectors.snmp import credential, keys, secured
from towpath.demo import ber

USER = credential(
    "test",
    {
        "user": "watcher",
        "auth": "sha256",
        "auth_password": "authpassword",
        "priv": "aes128",
        "priv_password": "privpassword",
    },
)
_ENGINE_ID = bytes.fromhex("80007ed9057465737461676e74")
_BOOTS = 3
_UNKNOWN_ENGINE = "1.3.6.1.6.3.15.1.1.4.0"
_WRONG_DIGEST = "1.3.6.1.6.3.15.1.1.5.0"


class SecuredSwitch(Beside):
    """Answers v3, and v1 and v2c as it did. `contexts` are those that were named."""

    def __init__(self, *arguments: object, **named: object) -> None:
        self.contexts: set[bytes] = set()
        super().__init__(*arguments, **named)  # type: ignore[arg-type]

    def answer(self, data: bytes) -> list[bytes]:
        try:
            parts = secured.decode(data)
        except ber.Malformed:
            return super().answer(data)
        if parts.engine_id != _ENGINE_ID:
            return [self._report(parts, _UNKNOWN_ENGINE)]
        key = keys.auth_key(USER, _ENGINE_ID)
        if not hmac.compare_digest(
            keys.digest_of(USER, key, parts.blanked), parts.digest
        ):
            return [self._report(parts, _WRONG_DIGEST)]
        clear = data[parts.inside_at : parts.inside_end]
        if parts.flags & secured.PRIV:
            key = keys.priv_key(USER, _ENGINE_ID)
            clear = keys.decrypt(USER, key, parts.boots, parts.time, parts.salt, clear)
        _, context, at, end = secured.read_scoped(clear, 0, len(clear))
        self.contexts.add(context)
        head = ber.integer(ber.V2C) + ber.octets("public")
        plain = super().answer(ber.tlv(ber.SEQUENCE, head + clear[at:end]))
        return [self._seal(parts, each) for each in plain]

    def _seal(self, parts: secured.Secured, plain: bytes) -> bytes:
        head = len(ber.integer(ber.V2C) + ber.octets("public"))
        at, end = ber.expect(plain, 0, len(plain), ber.SEQUENCE)
        inside = secured.encode_inside(_ENGINE_ID, b"", plain[at + head : end])
        return secured.encode(
            parts.msg_id,
            _ENGINE_ID,
            _BOOTS,
            int(time.monotonic()),
            parts.user,
            inside,
            USER,
            True,
        )

    def _report(self, parts: secured.Secured, statistic: str) -> bytes:
        inside = secured.encode_inside(_ENGINE_ID, b"", secured.report(statistic, 1, 0))
        return secured.encode(
            parts.msg_id, _ENGINE_ID, _BOOTS, int(time.monotonic()), b"", inside
        )
