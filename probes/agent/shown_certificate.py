"""What a server that is not trusted shows: who issued its certificate, what answers.

A council's proxy may open encrypted connections and answer with certificates of its own
authority. Its own error pages come with such a certificate too, often for the wrong
name, so that a server that is merely down looks like one that is not to be trusted.
Nothing is sent but a GET without any credential.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl

import msgspec

from probes.agent.http_connection import HttpConnection, NoAnswer, ProxyRefused

LOOK_S = 10.0
_MOST_BYTES = 1_000_000
_LONGEST = 80
# X.690: the tags of what a certificate is made of; X.520: commonName, organizationName.
_VERSION, _OID = 0xA0, 0x06
_COMMON_NAME, _ORGANISATION = b"\x55\x04\x03", b"\x55\x04\x0a"
# Texts of other kinds are those of UTF-8's first half.
_ENCODINGS = {0x1E: "utf-16-be", 0x14: "latin-1"}


class ShownCertificate(msgspec.Struct, frozen=True):
    """The names in a certificate that was not trusted, and what answered with it:
    `status` is None if nothing did, `via` is what a proxy calls itself."""

    issuer: str = ""
    subject: str = ""
    status: int | None = None
    via: str = ""


async def look(server: str, proxy: str) -> ShownCertificate | None:
    """Connects to `server`, through `proxy`, without trusting it. None if nothing
    could be seen."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    status, via = None, ""
    try:
        connection = HttpConnection(server, context, proxy)
    except ValueError:
        return None
    with (
        contextlib.closing(connection),
        contextlib.suppress(NoAnswer, ProxyRefused, OSError),
    ):
        async with asyncio.timeout(LOOK_S):
            answer = await connection.request("GET", "/", most_bytes=_MOST_BYTES)
            status, via = answer.status, answer.headers.get("via", "")
    if not connection.certificate:
        return None
    issuer, subject = names_in(connection.certificate)
    # A version of the protocol, and a name.
    words = via.partition(",")[0].split(maxsplit=1)
    return ShownCertificate(issuer, subject, status, _plain(words[-1]) if words else "")


def names_in(certificate: bytes) -> tuple[str, str]:
    """Returns the names of the issuer and the subject of a certificate (DER): the
    common name, or else the organisation; empty if there is none, or it is none.
    Pure."""
    try:
        (body,) = _children(certificate, 1)
        signed = _children(body[1], 1)[0][1]
        fields = _children(signed, 7)
        if fields[0][0] == _VERSION:
            fields = fields[1:]
        # serialNumber, signature, issuer, validity, subject.
        return _name(fields[2][1]), _name(fields[4][1])
    except (IndexError, ValueError):
        return "", ""


def _name(name: bytes) -> str:
    found: dict[bytes, str] = {}
    for _, attributes in _children(name, 30):
        for _, attribute in _children(attributes, 5):
            (kind, oid), (tag, text), *_ = _children(attribute, 2)
            if kind == _OID:
                encoding = _ENCODINGS.get(tag, "utf-8")
                found.setdefault(oid, text.decode(encoding, "replace"))
    return _plain(found.get(_COMMON_NAME) or found.get(_ORGANISATION, ""))


def _children(content: bytes, most: int) -> list[tuple[int, bytes]]:
    """The first elements in `content`, as tags and contents."""
    found: list[tuple[int, bytes]] = []
    at = 0
    while at < len(content) and len(found) < most:
        tag, size, at = content[at], content[at + 1], at + 2
        if size & 0x80:
            octets = size & 0x7F
            if not 1 <= octets <= 4:
                raise ValueError("no length")
            size = int.from_bytes(content[at : at + octets], "big")
            at += octets
        found.append((tag, content[at : at + size]))
        at += size
    return found


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)[:_LONGEST]
