"""`CheckedHosts`: the addresses of a host that Towpath may connect to.

A name that was checked may have another address a moment later (DNS rebinding). So each
host is looked up once for one download, all of its addresses are checked, and the
connection goes to one of these.
"""

from __future__ import annotations

import asyncio
import socket
from ipaddress import IPv4Address, IPv6Address, ip_network
from urllib.request import getproxies, proxy_bypass

import httpx2

from collectors.ip_networks import parse_address

Address = IPv4Address | IPv6Address
# Of translators to IPv4 (RFC 6052), whose last 32 bits are the address.
_NAT64 = ip_network("64:ff9b::/96")


class AddressRefused(Exception):
    """Nothing is asked there. Its text is a sentence without its subject, the host."""


class CheckedHosts:
    """The hosts of one download, each looked up once."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[Address, ...]] = {}

    async def addresses(self, url: str, named_by: str = "") -> tuple[Address, ...]:
        """Returns the addresses of the host of `url`; none if it is not found here, as
        behind a proxy. `named_by`: the address whose server chose `url`, if it is not
        the council's own choice. Raises `AddressRefused`."""
        host = httpx2.URL(url).host
        found = await self._look_up(host)
        inside = [address for address in found if not _is_internet(address)]
        if not inside:
            return found
        # What is asked there would come from this machine, which may be trusted there.
        if named_by and await self._is_of_internet(named_by):
            raise AddressRefused(
                "sends from the internet to an internal address, which is refused"
            )
        if len(inside) < len(found):
            raise AddressRefused(
                "has an internal address beside one of the internet, which is refused"
            )
        chosen_by_council = not named_by and _is_written_out(host)
        for address in inside:
            if not _is_of_this_machine(address) or chosen_by_council:
                continue
            if named_by and await self._is_local(named_by):
                continue
            raise AddressRefused(
                f"leads to {address}, which is this machine or only known to it; if "
                "that is meant, write the address or localhost instead of a name"
            )
        return found

    async def _is_of_internet(self, url: str) -> bool:
        found = await self._look_up(httpx2.URL(url).host)
        return all(map(_is_internet, found))

    async def _is_local(self, url: str) -> bool:
        found = await self._look_up(httpx2.URL(url).host)
        return any(map(_is_of_this_machine, found))

    async def _look_up(self, host: str) -> tuple[Address, ...]:
        if host not in self._found:
            look_up = asyncio.get_running_loop().getaddrinfo
            try:
                answer = await look_up(host, None, type=socket.SOCK_STREAM)
            except (OSError, UnicodeError):
                answer = []
            found = (parse_address(str(address[0])) for *_, address in answer)
            self._found[host] = tuple(dict.fromkeys(one for one in found if one))
        return self._found[host]


def is_proxied(url: str) -> bool:
    """Whether a proxy connects for us, by the environment: it looks up the name."""
    parsed, proxies = httpx2.URL(url), getproxies()
    if not (proxies.get(parsed.scheme) or proxies.get("all")):
        return False
    return not proxy_bypass(parsed.host)


def _is_written_out(host: str) -> bool:
    return host == "localhost" or parse_address(host) is not None


def _is_internet(address: Address) -> bool:
    return _real(address).is_global


def _is_of_this_machine(address: Address) -> bool:
    """Loopback, link-local (such as a cloud's metadata), and of no single host."""
    real = _real(address)
    return (
        real.is_loopback
        or real.is_link_local
        or real.is_unspecified
        or real.is_multicast
    )


def _real(address: Address) -> Address:
    """Returns the IPv4 address that an IPv6 one stands for, if it does."""
    if isinstance(address, IPv6Address):
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
        return address.sixtofour or address
    return address
