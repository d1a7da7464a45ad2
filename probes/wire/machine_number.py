"""The number that a computer's maker gave it, and the only thing that travels of it.

An agent sends a digest, and the server keeps a keyed hash of that: enough to see that
two enrolments are the same computer, which was set up again, or that a disk was copied
to another computer. Both sides compute it in the same way, the server from the serial
number in a list of assets.
"""

from __future__ import annotations

import hashlib
import re

_SHORTEST, _LONGEST = 6, 64
# What makers leave in place of a number, without spaces and in capitals: such a number
# is on thousands of computers. The last ones are UUIDs.
_NOBODYS = frozenset(
    {
        "DEFAULTSTRING",
        "DEFAULT",
        "TOBEFILLEDBYO.E.M.",
        "TOBEFILLEDBYO.E.M",
        "TOBEFILLEDBYOEM",
        "TOBEFILLED",
        "O.E.M.",
        "SYSTEMSERIALNUMBER",
        "SYSTEMSERIAL",
        "SERIALNUMBER",
        "SERIALNO",
        "CHASSISSERIALNUMBER",
        "BASEBOARDSERIALNUMBER",
        "BOARDSERIALNUMBER",
        "NOTSPECIFIED",
        "NOTAPPLICABLE",
        "NOTAVAILABLE",
        "NOTSETTABLE",
        "NOTPRESENT",
        "NOTDEFINED",
        "UNDEFINED",
        "UNKNOWN",
        "UNSPECIFIED",
        "INVALID",
        "NONUMBER",
        "NOSERIAL",
        "STANDARD",
        "SERIAL",
        "NUMBER",
        "SAMPLE",
        "0123456789",
        "123456789",
        "1234567890",
        "12345678",
        "1234567",
        "123456",
        "012345678",
        "01234567",
        "0123456789ABCDEF",
        "123456789ABCDEF",
        "ABCDEFGH",
        "MB-1234567890",
        "NB-1234567890",
        "03000200-0400-0500-0006-000700080009",
        "00020003-0004-0005-0006-000700080009",
        "FEFEFEFE-FEFE-FEFE-FEFE-FEFEFEFEFEFE",
        "12345678-1234-5678-90AB-CDDEEFAABBCC",
        "12345678-1234-1234-1234-123456789ABC",
    }
)
_PRINTED = re.compile(r"[!-~]+")


def known_number(text: str) -> str:
    """`text` as numbers are compared: without spaces, in capitals. Empty if it is no
    computer's own number. Pure."""
    number = "".join(text.split()).upper()
    if not (_SHORTEST <= len(number) <= _LONGEST and _PRINTED.fullmatch(number)):
        return ""
    if number in _NOBODYS or len(set(number) - set("-.:_/")) < 2:
        return ""
    return number


def machine_digest(*numbers: str) -> str:
    """The digest of the first of `numbers` that is a computer's own; empty if none is.
    Pure."""
    for text in numbers:
        if number := known_number(text):
            return hashlib.sha256(b"towpath machine\0" + number.encode()).hexdigest()
    return ""
