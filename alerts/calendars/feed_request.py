"""Fetches a calendar politely: only if it has changed, and never more than 10 MB."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urljoin

import httpx2

from probes.wire.clock import wall_ms
from probes.wire.retry_after import retry_after_s

MOST_BYTES = 10_000_000
_REDIRECTS = 3


class CalendarUnreachable(Exception):
    """No calendar was received. The text is a sentence that names the host, never the
    whole address: it may hold a secret. `after_s`: when the server wants to be asked
    again."""

    def __init__(self, why: str, after_s: float | None = None) -> None:
        super().__init__(why)
        self.after_s = after_s


class Validators(NamedTuple):
    """What the server names the version that is known by (RFC 9110)."""

    etag: str = ""
    modified: str = ""


class FeedAnswer(NamedTuple):
    """`text` is None if it has not changed since."""

    text: bytes | None
    validators: Validators


async def request_calendar(
    url: str, known: Validators, ca_file: str | Path | None, timeout_s: float
) -> FeedAnswer:
    """Returns the calendar at `url`. Raises `CalendarUnreachable`."""
    # Calendar programs write https as webcal.
    if url.startswith(("webcal://", "webcals://")):
        url = "https://" + url.partition("://")[2]
    where = _host(url)
    try:
        async with asyncio.timeout(3 * timeout_s):
            tls = await asyncio.to_thread(
                ssl.create_default_context, cafile=str(ca_file) if ca_file else None
            )
            async with httpx2.AsyncClient(verify=tls, timeout=timeout_s) as client:
                return await _follow(client, url, known)
    except TimeoutError:
        raise CalendarUnreachable(f"{where}: no answer in time") from None
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        reason = str(error) or type(error).__name__
        raise CalendarUnreachable(f"{where}: {reason}") from None


async def _follow(
    client: httpx2.AsyncClient, url: str, known: Validators
) -> FeedAnswer:
    for _ in range(_REDIRECTS + 1):
        # Unpacked, a small answer could fill the memory.
        headers = {"User-Agent": "Towpath", "Accept-Encoding": "identity"}
        headers["Accept"] = "text/calendar, */*;q=0.1"
        if known.etag:
            headers["If-None-Match"] = known.etag
        if known.modified:
            headers["If-Modified-Since"] = known.modified
        async with client.stream("GET", url, headers=headers) as answer:
            if not answer.has_redirect_location:
                return await _body(answer, known)
            target = urljoin(url, answer.headers["Location"])
        if not target.startswith("https://" if url.startswith("https") else "http"):
            raise CalendarUnreachable(
                f"{_host(url)}: sends to an address without https, which is refused"
            )
        url = target
    raise CalendarUnreachable(f"{_host(url)}: more than {_REDIRECTS} redirects")


async def _body(answer: httpx2.Response, known: Validators) -> FeedAnswer:
    where = _host(str(answer.url))
    if answer.status_code == 304:
        return FeedAnswer(None, known)
    if answer.status_code != 200:
        wait_s = retry_after_s(answer.headers.get("Retry-After"), wall_ms() / 1000)
        raise CalendarUnreachable(f"{where}: answered {answer.status_code}", wait_s)
    if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise CalendarUnreachable(
            f"{where}: sends it compressed, although that was not asked for"
        )
    body = bytearray()
    async for chunk in answer.aiter_raw():
        body += chunk
        if len(body) > MOST_BYTES:
            raise CalendarUnreachable(
                f"{where}: the calendar is larger than {MOST_BYTES // 1_000_000} MB, "
                "which is refused: publish one with fewer events"
            )
    return FeedAnswer(
        bytes(body),
        Validators(
            answer.headers.get("ETag", "")[:500],
            answer.headers.get("Last-Modified", "")[:100],
        ),
    )


def _host(url: str) -> str:
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL:
        return "the calendar's address"
    port = f":{parsed.port}" if parsed.port else ""
    return f"{parsed.scheme}://{parsed.host}{port}"
