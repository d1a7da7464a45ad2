"""Fetches one small text from elsewhere: few redirects, none from the internet to an
internal address, never more than so many bytes, and errors that name the host but not
the address, which may hold a secret."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urljoin

import httpx2

from collectors.checked_hosts import Address, AddressRefused, CheckedHosts, is_proxied
from collectors.limited_body import read_limited
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
    url: str,
    headers: Mapping[str, str],
    limits: DownloadLimits,
    named_by: str = "",
    hosts: CheckedHosts | None = None,
) -> Download:
    """Returns what is at `url`. `named_by`: the address whose server chose `url`, if it
    is not the council's own choice; `hosts`: those that led to it. Raises
    `DownloadFailed`."""
    where, timeout_s = host_of(url, limits.noun), limits.timeout_s
    ca_file = str(limits.ca_file) if limits.ca_file else None
    try:
        async with asyncio.timeout(3 * timeout_s):
            tls = await asyncio.to_thread(ssl.create_default_context, cafile=ca_file)
            connections = _Connections(tls, timeout_s)
            return await _follow(
                connections, url, headers, limits, named_by, hosts or CheckedHosts()
            )
    except TimeoutError:
        raise DownloadFailed(f"{where}: no answer in time") from None
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        reason = str(error) or type(error).__name__
        raise DownloadFailed(f"{where}: {reason}") from None


async def _follow(
    connections: _Connections,
    url: str,
    headers: Mapping[str, str],
    limits: DownloadLimits,
    named_by: str,
    hosts: CheckedHosts,
) -> Download:
    # Unpacked, a small answer could fill the memory.
    sent = {"User-Agent": "Towpath", "Accept-Encoding": "identity", **headers}
    for _ in range(_REDIRECTS + 1):
        addresses = await _check(url, named_by, limits.noun, hosts)
        async with connections.request(url, addresses, sent) as answer:
            if not answer.has_redirect_location:
                return await _read(answer, url, limits)
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


class _Connections:
    """Sends requests to addresses that have been checked, and to no other."""

    def __init__(self, tls: ssl.SSLContext, timeout_s: float) -> None:
        self._tls, self._timeout_s = tls, timeout_s

    @contextlib.asynccontextmanager
    async def request(
        self, url: str, addresses: tuple[Address, ...], headers: Mapping[str, str]
    ) -> AsyncIterator[httpx2.Response]:
        through_proxy = is_proxied(url)
        async with httpx2.AsyncClient(
            verify=self._tls, timeout=self._timeout_s, trust_env=through_proxy
        ) as client:
            parsed = httpx2.URL(url)
            if through_proxy:
                answer = await client.send(
                    client.build_request("GET", parsed, headers=headers), stream=True
                )
            else:
                answer = await _send(client, parsed, addresses, headers)
            try:
                yield answer
            finally:
                await answer.aclose()


async def _send(
    client: httpx2.AsyncClient,
    url: httpx2.URL,
    addresses: tuple[Address, ...],
    headers: Mapping[str, str],
) -> httpx2.Response:
    """Returns the answer of the first address that can be reached. The name is only
    what is sent as `Host` and what the certificate has to be for."""
    failure: httpx2.TransportError = httpx2.ConnectError("its name has no address")
    for address in addresses:
        named = {**headers, "Host": url.netloc.decode("ascii")}
        request = client.build_request(
            "GET",
            url.copy_with(host=str(address)),
            headers=named,
            extensions={"sni_hostname": url.host},
        )
        try:
            return await client.send(request, stream=True)
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            failure = error
    raise failure


async def _check(
    url: str, named_by: str, noun: str, hosts: CheckedHosts
) -> tuple[Address, ...]:
    """Returns the addresses that may be asked for `url`. Raises `DownloadFailed` if
    there are none that may."""
    port = httpx2.URL(url).port
    if port is not None and not 0 < port < 65_536:
        raise DownloadFailed(f"{host_of(url, noun)}: there is no such port")
    try:
        return await hosts.addresses(url, named_by)
    except AddressRefused as refused:
        raise DownloadFailed(f"{host_of(named_by or url, noun)}: {refused}") from None


def keeps_tls(url: str, target: str) -> bool:
    """Whether `target` is of the web, and as safe as the address that named it."""
    return target.startswith("https://" if url.startswith("https") else "http")


async def _read(answer: httpx2.Response, url: str, limits: DownloadLimits) -> Download:
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
    body = await read_limited(answer.aiter_raw(), limits.most_bytes)
    if body is None:
        raise DownloadFailed(
            f"{where}: the {limits.noun} is larger than "
            f"{limits.most_bytes // 1_000_000} MB, which is refused{limits.remedy}"
        )
    return Download(url, body, answer.headers)


def host_of(url: str, noun: str) -> str:
    """Scheme and host of `url`, for errors."""
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL:
        return f"the {noun}'s address"
    port = f":{parsed.port}" if parsed.port else ""
    return f"{parsed.scheme}://{parsed.host}{port}"
