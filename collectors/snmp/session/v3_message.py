"""Decodes and encodes SNMPv3 messages of the user-based security model. Pure.

RFC 3412 and 3414. Whether a message is authentic is decided elsewhere: `envelope` for
answers, `traps.usm` for notifications.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from collectors.snmp.session import usm_keys
from collectors.snmp.session.ber import (
    OCTETS,
    SEQUENCE,
    Malformed,
    expect,
    integer,
    octets,
    oid,
    read,
    read_integer,
    read_octets,
    tlv,
)
from collectors.snmp.session.credentials import Credential

V3, REPORT = 3, 0xA8
AUTH, PRIV, REPORTABLE = 0x01, 0x02, 0x04
_USM = 3
_MAX_SIZE = 65_507
_MAX_ENGINE_OCTETS = 32
_COUNTER32 = 0x41


class EngineTime(NamedTuple):
    """An authoritative engine: its id, how often it has started, and its seconds since
    then (RFC 3414 section 2.2)."""

    engine_id: bytes
    boots: int
    time: int


class V3Message(msgspec.Struct, frozen=True, gc=False):
    """A v3 message as received: its parts in clear text.

    In `data` the digest begins at `digest_at`; the scoped PDU, which may be encrypted,
    is between `scoped_at` and `scoped_end`.
    """

    data: bytes
    msg_id: int
    flags: int
    engine_id: bytes
    boots: int
    time: int
    user: bytes
    digest: bytes
    digest_at: int
    salt: bytes
    scoped_at: int
    scoped_end: int

    @property
    def is_reportable(self) -> bool:
        return bool(self.flags & REPORTABLE)

    @property
    def blanked(self) -> bytes:
        """The message with zeros in place of its digest, to calculate the digest."""
        size, at = len(self.digest), self.digest_at
        return self.data[:at] + bytes(size) + self.data[at + size :]


def decode(data: bytes) -> V3Message:
    """The parts of a v3 message. Raises `Malformed` for anything else."""
    at, end = expect(data, 0, len(data), SEQUENCE)
    version, at = read_integer(data, at, end)
    if version != V3:
        raise Malformed(f"SNMP version {version}")
    head, after = expect(data, at, end, SEQUENCE)
    msg_id, head = read_integer(data, head, after)
    _, head = read_integer(data, head, after)
    flags, head = read_octets(data, head, after)
    model, _ = read_integer(data, head, after)
    if len(flags) != 1 or model != _USM:
        raise Malformed(f"security model {model}")
    if flags[0] & PRIV and not flags[0] & AUTH:
        raise Malformed("encrypted but not authenticated")
    start, scoped = expect(data, after, end, OCTETS)
    at, stop = expect(data, start, scoped, SEQUENCE)
    engine_id, at = read_octets(data, at, stop)
    boots, at = read_integer(data, at, stop)
    time, at = read_integer(data, at, stop)
    user, at = read_octets(data, at, stop)
    digest_at, after_digest = expect(data, at, stop, OCTETS)
    salt, _ = read_octets(data, after_digest, stop)
    if len(engine_id) > _MAX_ENGINE_OCTETS or len(user) > _MAX_ENGINE_OCTETS:
        raise Malformed("an engine id or a user name of more than 32 octets")
    if boots < 0 or time < 0:
        raise Malformed("an engine's time below zero")
    if flags[0] & PRIV:
        scoped, end = expect(data, scoped, end, OCTETS)
    return V3Message(
        data,
        msg_id,
        flags[0],
        engine_id,
        boots,
        time,
        user,
        data[digest_at:after_digest],
        digest_at,
        salt,
        scoped,
        end,
    )


def read_scoped(data: bytes, at: int, end: int) -> tuple[bytes, bytes, int, int]:
    """(context engine id, context, start of the PDU, end of the PDU) of a scoped PDU in
    clear text. What follows it (DES padding) is ignored."""
    at, end = expect(data, at, end, SEQUENCE)
    context_engine_id, at = read_octets(data, at, end)
    context, at = read_octets(data, at, end)
    return context_engine_id, context, at, end


def scoped_request_id(data: bytes, at: int, end: int) -> int:
    """The request-id in a scoped PDU in clear text; 0 if there is none."""
    try:
        _, _, at, end = read_scoped(data, at, end)
        _, at, end = read(data, at, end)
        return read_integer(data, at, end)[0]
    except Malformed:
        return 0


def encode_scoped(context_engine_id: bytes, context: bytes, pdu: bytes) -> bytes:
    return tlv(SEQUENCE, octets(context_engine_id) + octets(context) + pdu)


def report(statistic: str, count: int, request_id: int) -> bytes:
    """A report with one of usmStats, the reason for a refusal (RFC 3414, 5)."""
    bind = tlv(SEQUENCE, oid(statistic) + integer(count % 2**32, _COUNTER32))
    return tlv(
        REPORT,
        integer(request_id) + integer(0) + integer(0) + tlv(SEQUENCE, bind),
    )


def encode(
    msg_id: int,
    engine: EngineTime,
    user: bytes,
    scoped: bytes,
    credential: Credential | None = None,
    encrypted: bool = False,
    reportable: bool = False,
) -> bytes:
    """A message. A request is `reportable`: if it fails, a report comes back.

    `engine` is the authoritative one. The message is signed if there is a `credential`;
    `encrypted` needs one with a privacy password.
    """
    flags, digest, salt = REPORTABLE if reportable else 0, b"", b""
    if credential is not None and credential.auth != "none":
        flags |= AUTH
        digest = bytes(usm_keys.DIGESTS[credential.auth][1])
        if encrypted:
            flags |= PRIV
            key = usm_keys.priv_key(credential, engine.engine_id)
            salt, sealed = usm_keys.encrypt(
                credential, key, engine.boots, engine.time, scoped
            )
            scoped = octets(sealed)
    before = (
        octets(engine.engine_id)
        + integer(engine.boots)
        + integer(engine.time)
        + octets(user)
    )
    parameters = tlv(SEQUENCE, before + octets(digest) + octets(salt))
    head = tlv(
        SEQUENCE,
        integer(msg_id) + integer(_MAX_SIZE) + octets(bytes((flags,))) + integer(_USM),
    )
    message = tlv(SEQUENCE, integer(V3) + head + octets(parameters) + scoped)
    if not digest or credential is None:
        return message
    at = decode(message).digest_at
    key = usm_keys.auth_key(credential, engine.engine_id)
    digest = usm_keys.digest_of(credential, key, message)
    return message[:at] + digest + message[at + len(digest) :]
