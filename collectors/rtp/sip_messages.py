"""Reads of SIP (RFC 3261) and SDP (RFC 8866) what RTP needs: which call, and at which
addresses and ports which formats are awaited. Numbers and names are never kept. Pure.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from ipaddress import ip_address
from typing import NamedTuple

from collectors.rtp.rtp_codecs import STATIC, UNKNOWN, PayloadFormat

_START = re.compile(rb"(?:SIP/2\.0 (\d{3}) |([A-Z]{3,12}) sips?:\S+ SIP/2\.0\r?$)")
_BRANCH = re.compile(r";\s*branch\s*=\s*([^\s;,]{1,256})", re.I)
_TAG = re.compile(r";\s*tag\s*=", re.I)
_BOUNDARY = re.compile(r';\s*boundary\s*=\s*"?([^\s";]{1,70})', re.I)
_HELD = re.compile(rb"^c=IN IP4 0\.0\.0\.0\s*$", re.M)
_FOLD = re.compile(rb"\n[ \t]+")
# Digests of callers can be compared while the process lives, and never looked up.
_CALLER_KEY = secrets.token_bytes(16)
_MOST_MEDIA, _MOST_LINES, _MOST_CANDIDATES, _MOST_PARTS = 16, 400, 16, 16
_DIRECTIONS = {"sendrecv", "sendonly", "recvonly", "inactive"}


class SdpMedia(NamedTuple):
    """Where a party awaits a medium, and in which formats by payload type."""

    address: bytes
    port: int
    kind: str
    is_secure: bool
    formats: dict[int, PayloadFormat]
    direction: str
    # Where it may be sent to as well: ICE, RFC 8839.
    candidates: tuple[tuple[bytes, int], ...] = ()


class SipMessage(NamedTuple):
    """`method` of a request, or else `status` of a reply. `about`: the method of the
    request that is replied to, or of this one. `branch` of the hop that it is on.
    `in_dialog`: of a call that is established. `is_held`: the sender awaits nothing for
    now, said in the old way (RFC 2543), by the address 0.0.0.0. `caller`: a digest."""

    call_id: str
    method: str
    status: int
    media: tuple[SdpMedia, ...]
    about: str = ""
    branch: str = ""
    in_dialog: bool = False
    is_held: bool = False
    caller: bytes = b""


def call_digest(text: str) -> bytes:
    """What is held of a Call-ID or branch, which may name a host or a person."""
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def _caller_digest(value: str) -> bytes:
    """Of the address in a From header, without its parameters."""
    address = value.rpartition("<")[2].partition(">")[0].partition(";")[0].lower()
    digest = hashlib.blake2b(address.encode(), digest_size=16, key=_CALLER_KEY)
    return digest.digest()


def begins_sip(data: bytes) -> bool:
    """Whether data has the first line of a SIP message."""
    return _START.match(data.partition(b"\n")[0]) is not None


def read_sip(payload: bytes) -> SipMessage | None:
    """A SIP message, or None."""
    first, _, rest = payload.partition(b"\n")
    start = _START.match(first)
    if start is None:
        return None
    head, _, body = rest.replace(b"\r\n", b"\n").partition(b"\n\n")
    # A line that begins with a space goes on with the one before.
    head = _FOLD.sub(b" ", head)
    call_id = kind = about = branch = ""
    in_dialog, caller = False, b""
    for line in head.decode("utf-8", "replace").split("\n")[:_MOST_LINES]:
        name, _, value = line.partition(":")
        name, value = name.strip().lower(), value.strip()
        if name in ("call-id", "i"):
            call_id = value[:256]
        elif name in ("content-type", "c"):
            kind = value
        elif name == "cseq":
            about = value.rpartition(" ")[2]
        elif name in ("via", "v") and not branch:
            # The first is that of the newest hop.
            found = _BRANCH.search(value.partition(",")[0])
            branch = found[1] if found else ""
        elif name in ("from", "f"):
            caller = _caller_digest(value)
        elif name in ("to", "t"):
            # A name in quotes or an address in brackets may have anything.
            in_dialog = _TAG.search(value.rpartition(">")[2]) is not None
    media: tuple[SdpMedia, ...] = ()
    is_held = False
    if b"m=" in body:
        session = _session_description(kind, body)
        media = read_sdp(session.decode("utf-8", "replace"))
        is_held = not media and _HELD.search(session) is not None
    method = (start[2] or b"").decode("ascii")
    return SipMessage(
        *(call_id, method, int(start[1] or 0), media),
        *(about, branch, in_dialog, is_held),
        caller=caller,
    )


def _session_description(kind: str, body: bytes) -> bytes:
    """The SDP of a body: the whole, or a part of several (RFC 5621). ISUP and locations
    of callers may be in others."""
    if "application/sdp" in kind.lower():
        return body
    boundary = _BOUNDARY.search(kind)
    if boundary is None:
        return b""
    for part in body.split(b"--" + boundary[1].encode())[:_MOST_PARTS]:
        head, _, content = part.lstrip(b"\n").partition(b"\n\n")
        if b"application/sdp" in head.lower():
            return content
    return b""


def format_of(kind: int, awaited: SdpMedia | None) -> PayloadFormat:
    """What a payload type means: by the SDP of the party that awaits it, if that is
    known and names it, or else by the static types."""
    announced = awaited.formats.get(kind) if awaited is not None else None
    return announced or STATIC.get(kind, UNKNOWN)


def join_bundled(media: tuple[SdpMedia, ...]) -> list[SdpMedia]:
    """Media that share an address and port (RFC 9143) as one, with all formats."""
    places: dict[tuple[bytes, int], SdpMedia] = {}
    for medium in media:
        place = medium.address, medium.port
        first = places.setdefault(place, medium)
        if first is not medium:
            formats = first.formats | medium.formats
            places[place] = first._replace(formats=formats)
    return list(places.values())


def read_sdp(text: str) -> tuple[SdpMedia, ...]:
    """The media of a session description that are RTP and have an address."""
    session_address, session_direction = b"", "sendrecv"
    media: list[SdpMedia] = []
    current: SdpMedia | None = None
    for raw in text.split("\n")[:_MOST_LINES]:
        line = raw.strip()
        key, _, value = line.partition("=")
        if key == "m":
            if current is not None:
                media.append(current)
            current = _medium(value, session_address, session_direction)
        elif key == "c":
            address = _address(value)
            if current is None:
                session_address = address
            else:
                current = current._replace(address=address)
        elif key == "a" and value in _DIRECTIONS:
            if current is None:
                session_direction = value
            else:
                current = current._replace(direction=value)
        elif key == "a" and value.startswith("candidate:") and current is not None:
            candidates = (*current.candidates, *_candidate(value))
            current = current._replace(candidates=candidates[:_MOST_CANDIDATES])
        elif key == "a" and value.startswith("rtpmap:") and current is not None:
            _map_format(value.removeprefix("rtpmap:"), current)
    if current is not None:
        media.append(current)
    return tuple(m for m in media if m.address and m.port and m.formats)[:_MOST_MEDIA]


def _medium(value: str, address: bytes, direction: str) -> SdpMedia:
    """Reads `audio 49170 RTP/AVP 0 8 97`."""
    kind, port, profile, *numbers = [*value.split(), "", "", ""][:67]
    number = port.partition("/")[0]
    formats = {}
    if "RTP/" in profile.upper():
        for text in numbers:
            if text.isascii() and text.isdigit() and int(text) < 128:
                formats[int(text)] = STATIC.get(int(text), UNKNOWN)
    known = number.isascii() and number.isdigit() and int(number) < 65536
    return SdpMedia(
        *(address, int(number) if known else 0, kind),
        "SAVP" in profile.upper(),
        formats,
        direction,
    )


def _map_format(value: str, medium: SdpMedia) -> None:
    """Reads `97 opus/48000/2`."""
    number, _, name_and_clock = value.partition(" ")
    name, _, clock = name_and_clock.strip().partition("/")
    hz = clock.partition("/")[0]
    if not (number.isascii() and number.isdigit() and int(number) in medium.formats):
        return
    if not (hz.isascii() and hz.isdigit() and 1000 <= int(hz) <= 192_000):
        return
    is_video = medium.kind == "video"
    medium.formats[int(number)] = PayloadFormat(name[:32], int(hz), is_video)


def _candidate(value: str) -> list[tuple[bytes, int]]:
    """Reads `candidate:1 1 UDP 99 192.0.2.1 8998 typ host`: component 1 is RTP."""
    words = value.split()
    if len(words) < 8 or words[1] != "1" or words[2].upper() != "UDP":
        return []
    address, port = _address(f"IN IP {words[4]}"), words[5]
    is_port = port.isascii() and port.isdigit() and 0 < int(port) < 65536
    return [(address, int(port))] if address and is_port else []


def _address(value: str) -> bytes:
    """Reads `IN IP4 192.0.2.1`; empty for a name, or the address of a call on hold."""
    words = value.split()
    try:
        address = ip_address(words[2].partition("/")[0])
    except (IndexError, ValueError):
        return b""
    return b"" if address.is_unspecified else address.packed
