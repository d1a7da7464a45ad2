"""The payload types of RTP (RFC 3551) and what ITU-T G.113 says of codecs. Pure."""

from __future__ import annotations

from typing import NamedTuple

from probes.wire.mos import G711_PLC, G723_1, G729A, Codec


class PayloadFormat(NamedTuple):
    """A payload type's name and clock. `hz` 0: not known."""

    name: str
    hz: int
    is_video: bool = False


UNKNOWN = PayloadFormat("", 0)
# RFC 3551 section 6; the clock of G722 is 8,000 by an old mistake.
STATIC = {
    0: PayloadFormat("PCMU", 8000),
    3: PayloadFormat("GSM", 8000),
    4: PayloadFormat("G723", 8000),
    5: PayloadFormat("DVI4", 8000),
    6: PayloadFormat("DVI4", 16000),
    7: PayloadFormat("LPC", 8000),
    8: PayloadFormat("PCMA", 8000),
    9: PayloadFormat("G722", 8000),
    10: PayloadFormat("L16", 44100),
    11: PayloadFormat("L16", 44100),
    12: PayloadFormat("QCELP", 8000),
    13: PayloadFormat("CN", 8000),
    14: PayloadFormat("MPA", 90000),
    15: PayloadFormat("G728", 8000),
    16: PayloadFormat("DVI4", 11025),
    17: PayloadFormat("DVI4", 22050),
    18: PayloadFormat("G729", 8000),
    25: PayloadFormat("CelB", 90000, True),
    26: PayloadFormat("JPEG", 90000, True),
    28: PayloadFormat("nv", 90000, True),
    31: PayloadFormat("H261", 90000, True),
    32: PayloadFormat("MPV", 90000, True),
    33: PayloadFormat("MP2T", 90000, True),
    34: PayloadFormat("H263", 90000, True),
}
# The clocks that are in use; an estimate is the nearest of them.
CLOCKS_HZ = (8000, 16000, 24000, 32000, 44100, 48000, 90000)
# Sound that is not speech: it does not change a stream's codec.
_EVENTS = {"telephone-event", "cn", "tone"}
_PUBLISHED = {"PCMU": G711_PLC, "PCMA": G711_PLC, "G729": G729A, "G723": G723_1}
# Codecs without published narrowband values: G.711 with concealment stands in.
_STOOD_IN = {
    *("G722", "OPUS", "SILK", "SATIN", "SIREN", "G7221", "L16", "MPEG4-GENERIC"),
    *("AMR-WB", "EVS"),
}


def is_payload_type(number: int) -> bool:
    """Whether the number has a meaning: static or dynamic (96 to 127) in RFC 3551, or
    35 to 63, where dynamic ones go on (RFC 5761 section 4; browsers' RED has 63)."""
    return number >= 96 or 35 <= number < 64 or number in STATIC


def is_event(name: str) -> bool:
    """Whether a format is tones or comfort noise, not speech."""
    return name.lower() in _EVENTS


def equipment(name: str) -> tuple[Codec, bool] | None:
    """Ie and Bpl of a codec, and whether they are its own (or another's that stands
    in); None if an estimate would mean nothing, as for video."""
    own = _PUBLISHED.get(name.upper())
    if own is not None:
        return own, True
    if not name or name.upper() in _STOOD_IN:
        return G711_PLC, False
    return None
