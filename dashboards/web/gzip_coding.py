"""Compresses answers with gzip, if the client prefers that (RFC 9110 section 12.5.3).

Only what holds no secret of a page may pass here: documents of the API and static
files. The length of a compressed page would give away its form token to a website that
makes the browser repeat its own guesses in it (the attack BREACH).
"""

from __future__ import annotations

import asyncio
import gzip
import re
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

# A smaller answer is not worth compressing; a larger one is sent as it is, so that few
# requests do not take the memory of many.
_LEAST_BYTES, _MOST_BYTES = 1_400, 16_000_000
_TEXT = ("text/", "application/json", "image/svg+xml")
_QUALITY = re.compile(r"q\s*=\s*(0(\.\d{0,3})?|1(\.0{0,3})?)", re.IGNORECASE)
_SUFFIX = '-gzip"'


def prefers_gzip(header: str) -> bool:
    """Whether `Accept-Encoding` has gzip, and not something else with a higher weight.
    A part that cannot be read counts as refused. Pure."""
    weights: dict[str, float] = {}
    for part in header.split(","):
        name, *parameters = (text.strip() for text in part.split(";"))
        quality = 1.0
        for parameter in parameters:
            read = _QUALITY.fullmatch(parameter)
            quality = float(read[1]) if read else 0.0
        weights[name.lower().removeprefix("x-")] = quality
    gzip_weight = weights.get("gzip", weights.get("*", 0.0))
    return gzip_weight > 0 and gzip_weight >= weights.get("identity", 0.0)


def coding_headers(
    length: int, kind: str, headers: Mapping[str, str], accept_encoding: str
) -> dict[str, str]:
    """The headers of an answer of that length and media type, which say whether it is
    to be compressed. Both forms say in `Vary` that there is another; the compressed
    one has a version (`ETag`) of its own. Pure."""
    changed = dict(headers)
    if not kind.startswith(_TEXT):
        return changed
    changed["Vary"] = ", ".join(filter(None, [changed.get("Vary"), "Accept-Encoding"]))
    if _LEAST_BYTES <= length <= _MOST_BYTES and prefers_gzip(accept_encoding):
        changed["Content-Encoding"] = "gzip"
        if "ETag" in changed:
            changed["ETag"] = changed["ETag"].removesuffix('"') + _SUFFIX
    return changed


async def coded_body(body: bytes, headers: Mapping[str, str]) -> bytes:
    """The body, compressed if the headers say so."""
    if headers.get("Content-Encoding") != "gzip":
        return body
    # Without a time, so that the same body always has the same bytes.
    return await asyncio.to_thread(gzip.compress, body, 1, mtime=0)


async def coded_response(
    request: Request, body: bytes, kind: str, headers: Mapping[str, str]
) -> Response:
    """The answer to a request, compressed if its sender prefers that."""
    accepted = ", ".join(request.headers.getlist("accept-encoding"))
    shown = coding_headers(len(body), kind, headers, accepted)
    return Response(await coded_body(body, shown), 200, shown, kind)


def version_of(etag: str) -> str:
    """The version of the document itself, of an `ETag` in either form. Pure."""
    return f'{etag.removesuffix(_SUFFIX)}"' if etag.endswith(_SUFFIX) else etag
