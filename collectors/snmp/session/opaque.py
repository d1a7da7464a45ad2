"""Numbers that net-snmp wraps in an Opaque value. Pure.

SMI has no floating point. net-snmp, and many agents built on it, put a BER element of a
private type into the octets of an Opaque (RFC 2578 section 7.1.9): context class,
extended tag 0x9f, then the type of `asn1.h`. Some agents send that element without the
Opaque around it.
"""

from __future__ import annotations

import struct
from functools import lru_cache

_TAG = 0x9F
# Whether the number is signed, by its type in `asn1.h`: Counter64, and 64 bits.
_WHOLE = {0x76: False, 0x7A: True, 0x7B: False}
# The size of a float and of a double.
_REAL = {0x78: 4, 0x79: 8}
# The same types in the application class, as some agents send them.
_APPLICATION = {0x48: 0x78, 0x49: 0x79, 0x4A: 0x7A, 0x4B: 0x7B}
# The first octet of a value that should have been in an Opaque.
BARE = frozenset({_TAG, *_APPLICATION})
# Significant digits that distinguish two floats of four octets: six may, nine do.
_FLOAT_DIGITS = range(6, 10)
_LARGEST_FLOAT = float(struct.unpack(">f", b"\x7f\x7f\xff\xff")[0])


def unwrap(octets: bytes) -> int | float | bytes:
    """The number in an Opaque, NaN and the infinities included; its octets if there is
    no number."""
    number = unwrap_bare(octets) if octets[:1] == b"\x9f" else None
    return octets if number is None else number


def unwrap_bare(element: bytes) -> int | float | None:
    """The number in an element that begins with one of `BARE`; None if it has none."""
    head = 3 if element[:1] == b"\x9f" else 2
    if len(element) <= head or element[head - 1] != len(element) - head:
        return None
    kind = element[1] if head == 3 else _APPLICATION[element[0]]
    content = element[head:]
    if kind in _WHOLE and len(content) <= 9:
        return int.from_bytes(content, "big", signed=_WHOLE[kind])
    return as_real(content) if len(content) == _REAL.get(kind) else None


@lru_cache(maxsize=4096)
def as_real(octets: bytes) -> float:
    """Four or eight octets as an IEEE 754 number, most significant first.

    Four octets give the shortest decimal number that rounds to them: 25.3, not
    25.299999237060547.
    """
    if len(octets) == 8:
        return float(struct.unpack(">d", octets)[0])
    value = float(struct.unpack(">f", octets)[0])
    for digits in _FLOAT_DIGITS:
        short = float(f"{value:.{digits}g}")
        if abs(short) <= _LARGEST_FLOAT and struct.pack(">f", short) == octets:
            return short
    return value
