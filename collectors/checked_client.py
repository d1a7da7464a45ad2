"""`checked_client`: an HTTP client for an address that the council has set.

Over https only the holder of the certificate answers, wherever the name leads. Over
http a forged answer of the DNS could lead a message, and the key in it, to a service of
this machine (DNS rebinding). So the name is looked up for each request, its addresses
are checked (`CheckedHosts`), and the connection goes to one of these.
"""

from __future__ import annotations

import ssl
from typing import Any

import httpx2

from collectors.checked_hosts import AddressRefused, CheckedHosts, is_proxied


def checked_client(url: str, tls: ssl.SSLContext, **options: Any) -> httpx2.AsyncClient:
    """Returns a client for requests to the server of `url`. Raises `InvalidURL`.

    A proxy looks up names itself, and decides itself what may be reached.
    """
    if httpx2.URL(url).scheme != "http" or is_proxied(url):
        return httpx2.AsyncClient(verify=tls, **options)
    return httpx2.AsyncClient(transport=_CheckedTransport(tls), **options)


class _CheckedTransport(httpx2.AsyncBaseTransport):
    """Connects to addresses that have been checked, and to no other. The name is only
    what is sent as `Host`."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._plain = httpx2.AsyncHTTPTransport(verify=tls)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        try:
            addresses = await CheckedHosts().addresses(str(request.url))
        except AddressRefused as refused:
            raise httpx2.ConnectError(f"{request.url.host} {refused}") from None
        failure: httpx2.TransportError = httpx2.ConnectError("its name has no address")
        extensions = _shared_connect_time(request.extensions, len(addresses))
        for address in addresses:
            try:
                return await self._plain.handle_async_request(
                    httpx2.Request(
                        request.method,
                        request.url.copy_with(host=str(address)),
                        headers=request.headers,
                        stream=request.stream,
                        extensions=extensions,
                    )
                )
            except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
                failure = error
        raise failure

    async def aclose(self) -> None:
        await self._plain.aclose()


def _shared_connect_time(extensions: Any, addresses: int) -> dict[str, Any]:
    """Each address has its share of the time to connect: one that does not answer must
    not use up the time of the next."""
    limits = dict(extensions.get("timeout", {}))
    if limits.get("connect"):
        limits["connect"] /= max(1, addresses)
    return {**extensions, "timeout": limits}
