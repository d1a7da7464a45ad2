"""Fetches one small text from elsewhere: few redirects, none from the internet to an
internal address, never more than so many bytes, and errors that name the host but not
the address, which may hold a secret."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urljoin

import httpx2

from collectors.ip_networks import parse_address
from probes.wire.clock import wall_ms
from probes.wire.retry_after import retry_after_s

_REDIRECTS = 3


class DownloadFailed(Exception):
    """Nothing was received. The text is a sentence that names the host. `after_s`: when
    the server wants to be asked again."""

    def __init__(self, why: str, after_s: float | None = None) -> None:
        super().__init__(why)
        self.after_s = after_s


class Download(NamedTuple):
    """`body` is None if it has not changed. `url` is the address after redirects."""

    url: str
    body: bytes | None
    headers: Mapping[str, str] = {}


class DownloadLimits(NamedTuple):
    """`noun`: what is fetched, in errors. `remedy`: what helps if it is too large."""

    noun: str
    most_bytes: int
    timeout_s: float
    ca_file: str | Path | None = None
    remedy: str = ""


async def download(
    url: str, headers: Mapping[str, str], limits: DownloadLimits, named_by: str = ""
) -> Download:
    """Returns what is at `url`. `named_by`: the address whose server chose `url`, if it
    is not the council's own choice. Raises `DownloadFailed`."""
    where, timeout_s = host_of(url, limits.noun), limits.timeout_s
    ca_file = str(limits.ca_file) if limits.ca_file else None
    try:
        async with asyncio.timeout(3 * timeout_s):
            tls = await asyncio.to_thread(ssl.create_default_context, cafile=ca_file)
            async with httpx2.AsyncClient(verify=tls, timeout=timeout_s) as client:
                return await _follow(client, url, headers, limits, named_by)
    except TimeoutError:
        raise DownloadFailed(f"{where}: no answer in time") from None
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        reason = str(error) or type(error).__name__
        raise DownloadFailed(f"{where}: {reason}") from None


async def _follow(
    client: httpx2.AsyncClient,
    url: str,
    headers: Mapping[str, str],
    limits: DownloadLimits,
    named_by: str,
) -> Download:
    # Unpacked, a small answer could fill the memory.
    sent = {"User-Agent": "Towpath", "Accept-Encoding": "identity", **headers}
    for _ in range(_REDIRECTS + 1):
        await _check(url, named_by, limits.noun)
        async with client.stream("GET", url, headers=sent) as answer:
            if not answer.has_redirect_location:
                return await _read(answer, limits)
            try:
                target = urljoin(url, answer.headers["Location"])
            except ValueError:
                raise DownloadFailed(
                    f"{host_of(url, limits.noun)}: sends to a damaged address"
                ) from None
        if not keeps_tls(url, target):
            raise DownloadFailed(
                f"{host_of(url, limits.noun)}: sends to an address without https, "
                "which is refused"
            )
        named_by, url = url, target
    raise DownloadFailed(
        f"{host_of(url, limits.noun)}: more than {_REDIRECTS} redirects"
    )


async def _check(url: str, named_by: str, noun: str) -> None:
    """Raises `DownloadFailed` if nothing may be asked at `url`."""
    port = httpx2.URL(url).port
    if port is not None and not 0 < port < 65_536:
        raise DownloadFailed(f"{host_of(url, noun)}: there is no such port")
    if named_by and await leads_inside(named_by, url):
        raise DownloadFailed(
            f"{host_of(named_by, noun)}: sends from the internet to an internal "
            "address, which is refused"
        )


async def leads_inside(url: str, target: str) -> bool:
    """Whether a server of the internet names an internal address: what is asked there
    would come from this machine, which may be trusted there."""
    source, host = httpx2.URL(url).host, httpx2.URL(target).host
    return host != source and await _is_inside(host) and not await _is_inside(source)


async def _is_inside(host: str) -> bool:
    """Whether an address of `host` is not one of the internet. One that is not found
    here, as behind a proxy, counts as of the internet."""
    look_up = asyncio.get_running_loop().getaddrinfo
    try:
        found = await look_up(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    addresses = (parse_address(str(address[0])) for *_, address in found)
    return any(address and not address.is_global for address in addresses)


def keeps_tls(url: str, target: str) -> bool:
    """Whether `target` is of the web, and as safe as the address that named it."""
    return target.startswith("https://" if url.startswith("https") else "http")


async def _read(answer: httpx2.Response, limits: DownloadLimits) -> Download:
    url = str(answer.url)
    where = host_of(url, limits.noun)
    if answer.status_code == 304:
        return Download(url, None, answer.headers)
    if answer.status_code != 200:
        wait_s = retry_after_s(answer.headers.get("Retry-After"), wall_ms() / 1000)
        raise DownloadFailed(f"{where}: answered {answer.status_code}", wait_s)
    if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise DownloadFailed(
            f"{where}: sends it compressed, although that was not asked for"
        )
    body = bytearray()
    async for chunk in answer.aiter_raw():
        body += chunk
        if len(body) > limits.most_bytes:
            raise DownloadFailed(
                f"{where}: the {limits.noun} is larger than "
                f"{limits.most_bytes // 1_000_000} MB, which is refused{limits.remedy}"
            )
    return Download(url, bytes(body), answer.headers)


def host_of(url: str, noun: str) -> str:
    """Scheme and host of `url`, for errors."""
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL:
        return f"the {noun}'s address"
    port = f":{parsed.port}" if parsed.port else ""
    return f"{parsed.scheme}://{parsed.host}{port}"
