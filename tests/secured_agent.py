"""A simulated switch with SNMPv3: one user, encrypted."""

from __future__ import annotations

import hmac
import time

from maker_agents import Beside

from collectors.snmp import credential
from collectors.snmp.session import usm_keys, v3_message
from towpath.demo import snmp_messages

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
    """Answers v3, besides v1 and v2c. `contexts` are those that requests named."""

    def __init__(self, *arguments: object, **named: object) -> None:
        self.contexts: set[bytes] = set()
        super().__init__(*arguments, **named)  # type: ignore[arg-type]

    def answer(self, data: bytes) -> list[bytes]:
        try:
            parts = v3_message.decode(data)
        except snmp_messages.Malformed:
            return super().answer(data)
        if parts.engine_id != _ENGINE_ID:
            return [self._report(parts, _UNKNOWN_ENGINE)]
        key = usm_keys.auth_key(USER, _ENGINE_ID)
        if not hmac.compare_digest(
            usm_keys.digest_of(USER, key, parts.blanked), parts.digest
        ):
            return [self._report(parts, _WRONG_DIGEST)]
        clear = data[parts.scoped_at : parts.scoped_end]
        if parts.flags & v3_message.PRIV:
            key = usm_keys.priv_key(USER, _ENGINE_ID)
            clear = usm_keys.decrypt(
                USER, key, parts.boots, parts.time, parts.salt, clear
            )
        _, context, at, end = v3_message.read_scoped(clear, 0, len(clear))
        self.contexts.add(context)
        head = snmp_messages.integer(snmp_messages.V2C) + snmp_messages.octets("public")
        plain = super().answer(
            snmp_messages.tlv(snmp_messages.SEQUENCE, head + clear[at:end])
        )
        return [self._seal(parts, answer) for answer in plain]

    def _seal(self, parts: v3_message.V3Message, plain: bytes) -> bytes:
        head = len(
            snmp_messages.integer(snmp_messages.V2C) + snmp_messages.octets("public")
        )
        at, end = snmp_messages.expect(plain, 0, len(plain), snmp_messages.SEQUENCE)
        inside = v3_message.encode_scoped(_ENGINE_ID, b"", plain[at + head : end])
        return v3_message.encode(
            parts.msg_id,
            _engine_time(),
            parts.user,
            inside,
            USER,
            True,
        )

    def _report(self, parts: v3_message.V3Message, statistic: str) -> bytes:
        inside = v3_message.encode_scoped(
            _ENGINE_ID, b"", v3_message.report(statistic, 1, 0)
        )
        return v3_message.encode(parts.msg_id, _engine_time(), b"", inside)


def _engine_time() -> v3_message.EngineTime:
    return v3_message.EngineTime(_ENGINE_ID, _BOOTS, int(time.monotonic()))
