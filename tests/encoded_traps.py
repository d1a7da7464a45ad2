"""Encoded traps of every version, and a `TrapSenders` that accepts them."""

from __future__ import annotations

from trap_harness import ESTATE

from collectors.snmp import credential
from collectors.snmp.session import ber, v3_message
from collectors.snmp.traps import TrapsConfig, trap_message
from collectors.snmp.traps import trap_message as wire
from collectors.snmp.traps.local_engine import LocalEngine
from collectors.snmp.traps.trap_message import TRAP_V1
from collectors.snmp.traps.trap_senders import TrapSenders

USER = credential(
    "u",
    {"user": "towpath", "auth_password": "maplesyrup", "priv_password": "maplesyrup"},
)
PLAIN = credential("p", {"community": "public"})


def trap(oid: str, *binds: tuple[str, bytes], community: bytes = b"public") -> bytes:
    """Return an encoded v2c trap."""
    variables = b"".join(
        ber.tlv(ber.SEQUENCE, ber.oid(name) + value)
        for name, value in (
            (wire.SYS_UP_TIME, ber.integer(100, ber.TICKS)),
            (wire.SNMP_TRAP_OID, ber.oid(oid)),
            *binds,
        )
    )
    pdu = ber.tlv(
        wire.TRAP_V2,
        ber.integer(1) + ber.integer(0) * 2 + ber.tlv(ber.SEQUENCE, variables),
    )
    return wire.encode_message(wire.V2C, community, pdu)


def link_down(port: int) -> bytes:
    index = ("1.3.6.1.2.1.2.2.1.1." + str(port), ber.integer(port))
    return trap("1.3.6.1.6.3.1.1.5.3", index)


def make_senders() -> TrapSenders:
    engine = LocalEngine(None, "8000000001020304", 0.0, 0.0)
    return TrapSenders(TrapsConfig(port=0), lambda: ESTATE, [USER, PLAIN], engine)


def v1_trap(generic: int, specific: int) -> bytes:
    pdu = ber.tlv(
        TRAP_V1,
        ber.oid("1.3.6.1.4.1.318")
        + ber.tlv(ber.IP_ADDRESS, bytes((10, 1, 2, 3)))
        + ber.integer(generic)
        + ber.integer(specific)
        + ber.integer(100, ber.TICKS)
        + ber.tlv(ber.SEQUENCE, b""),
    )
    return trap_message.encode_message(trap_message.V1, b"public", pdu)


def v3_trap() -> bytes:
    return encode_v3(b"\x80\0\0\0\x05far", 3, 99)


def encode_v3(engine_id: bytes, boots: int, time: int) -> bytes:
    inner = trap("1.3.6.1.6.3.1.1.5.3")
    start, end = ber.expect(inner, 0, len(inner), ber.SEQUENCE)
    _, at = ber.read_integer(inner, start, end)
    _, at = ber.read_octets(inner, at, end)
    inside = v3_message.encode_scoped(engine_id, b"", inner[at:end])
    engine = v3_message.EngineTime(engine_id, boots, time)
    return v3_message.encode(7, engine, b"towpath", inside, USER, True)
