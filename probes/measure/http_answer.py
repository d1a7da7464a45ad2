"""Parses the header section of an HTTP/1 response, as far as a probe needs it. Pure."""

from __future__ import annotations

import contextlib
from urllib.parse import urlsplit

from probes.wire.failure import Outcome

MAX_BYTES = 65_536


def field(head: bytes, name: bytes) -> bytes:
    """The value of a header field; empty if it is missing."""
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return value.strip()
    return b""


def body_bytes(head: bytes, status: int) -> int:
    """The octets of body to wait for (RFC 9112 section 6.3), at most `MAX_BYTES`."""
    if status in {204, 304} or status < 200:
        return 0
    length = field(head, b"content-length")
    if length.isdigit() and not field(head, b"transfer-encoding"):
        return min(int(length[:12]), MAX_BYTES)
    return MAX_BYTES


def ends(head: bytes, body: bytes) -> bool:
    """True if `body` ends with the last chunk of a chunked body."""
    chunked = b"chunked" in field(head, b"transfer-encoding").lower()
    return chunked and body.endswith(b"0\r\n\r\n")


def status_of(head: bytes) -> int | None:
    """The status of an HTTP/1 response (RFC 9112 section 4); None if it is not one."""
    words = head.split(b"\r\n", 1)[0].split(b" ", 2)
    if len(words) >= 2 and words[0].startswith(b"HTTP/1.") and len(words[1]) == 3:
        with contextlib.suppress(ValueError):
            return int(words[1])
    return None


def judge(status: int, head: bytes, host: str) -> Outcome:
    if status == 511:
        return Outcome.CAPTIVE_PORTAL
    if status == 407:
        return Outcome.AUTH_FAILED
    if status >= 500 or status < 100:
        return Outcome.BAD_ANSWER
    if 300 <= status < 400 and _redirects_like_a_portal(head, host):
        return Outcome.CAPTIVE_PORTAL
    return Outcome.OK


def _redirects_like_a_portal(head: bytes, host: str) -> bool:
    """True if it redirects to another host without TLS, or to an IP address. The
    sign-in pages of hotels and trains do that, services do not."""
    location = field(head, b"location").decode("latin-1")
    try:
        to = urlsplit(location)
        other = to.hostname or host
    except ValueError:
        return False
    bare = other.replace(".", "").isdigit()
    return other != host and (to.scheme == "http" or bare)


def leads_elsewhere(status: int, head: bytes, host: str) -> bool:
    """True if a plain HTTP response redirects to another organisation, or asks to sign
    in (RFC 6585). If HTTPS has failed too, that shows a sign-in page. Pure."""
    if status == 511:
        return True
    if not 300 <= status < 400:
        return False
    try:
        to = urlsplit(field(head, b"location").decode("latin-1")).hostname
    except ValueError:
        return False
    return bool(to) and _organisation(to or "") != _organisation(host)


def _organisation(host: str) -> list[str]:
    """The last two labels, which all names of an organisation share."""
    host = host.lower().rstrip(".")
    bare = host.replace(".", "").isdigit() or ":" in host
    return [host] if bare else host.split(".")[-2:]
