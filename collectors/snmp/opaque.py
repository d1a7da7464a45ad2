"""Numbers that net-snmp wraps into an Opaque value. Pure.

SMI has no floating point. net-snmp and many agents built on it put a BER element of a
private type into the octets of an Opaque (RFC 2578 section 7.1.9): context class,
extended tag 0x9f, then the type of `asn1.h`. No text begins with the octet 0x9f.
"""

from __future__ import annotations

import struct
from functools import lru_cache

from collectors.snmp.session import Value

_TAG = b"\x9f"
# Counter64, signed and unsigned 64 bits: whether negative numbers are meant.
_WHOLE = {b"\x76": False, b"\x7a": True, b"\x7b": False}
# Float and double, by their octets.
_REAL = {b"\x78": 4, b"\x79": 8}
# Significant digits that tell two numbers of four octets apart: six may, nine do.
_FLOAT_DIGITS = range(6, 10)
_LARGEST_FLOAT = float(struct.unpack(">f", b"\x7f\x7f\xff\xff")[0])


def unwrap(value: Value | None) -> Value | None:
    """The number in the octets of an Opaque, NaN and the infinities included; any other
    value as it is."""
    if type(value) is not bytes or value[:1] != _TAG:
        return value
    kind, size, content = value[1:2], value[2:3], value[3:]
    if size != bytes((len(content) & 0x7F,)) or not content:
        return value
    if kind in _WHOLE and len(content) <= 9:
        return int.from_bytes(content, "big", signed=_WHOLE[kind])
    return real(content) if len(content) == _REAL.get(kind) else value


@lru_cache(maxsize=4096)
def real(octets: bytes) -> float:
    """Four or eight octets as an IEEE 754 number, most significant first. Of four, the
    shortest decimal number that is the same there: 25.3, not 25.299999237060547."""
    if len(octets) == 8:
        return float(struct.unpack(">d", octets)[0])
    value = float(struct.unpack(">f", octets)[0])
    for digits in _FLOAT_DIGITS:
        short = float(f"{value:.{digits}g}")
        if abs(short) <= _LARGEST_FLOAT and struct.pack(">f", short) == octets:
            return short
    return value
