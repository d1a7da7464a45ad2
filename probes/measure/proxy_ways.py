"""Which of the proxies that a setting names is used: the first that can be connected
to, as in a browser, or the direct way if the setting names that too."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import Awaitable, Callable
from urllib.parse import SplitResult, unquote, urlsplit

import msgspec

from probes.measure.tcp_connection import connect_first, look_up
from probes.platforms.system_facts import ProxySetting

CONNECT_S = 3.0
_PORTS = {"https": 443}


def host_and_port(url: str) -> str:
    """`host:port` of a proxy, without the user name and password that its address may
    hold. Pure."""
    return url.rpartition("://")[2].rpartition("@")[2]


def basic_login(name: str, password: str) -> str:
    """The value of a header that signs in (RFC 7617). Pure."""
    return f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"


def proxy_login(proxy: SplitResult) -> str:
    """The same for the name and password in a proxy's address; empty if there are none.
    Pure."""
    if not proxy.username:
        return ""
    return basic_login(unquote(proxy.username), unquote(proxy.password or ""))


def is_usable(url: str) -> bool:
    """True for an HTTP proxy; the agent does not speak SOCKS. Pure."""
    return url.startswith(("http://", "https://"))


def proxy_port(parts: SplitResult) -> int:
    """The port of a proxy's address. Raises `ValueError` for what is none. Pure."""
    return parts.port or _PORTS.get(parts.scheme, 80)


async def can_connect(url: str) -> bool:
    """Returns whether the proxy accepts a connection."""
    try:
        parts = urlsplit(url)
        async with asyncio.timeout(CONNECT_S):
            addresses = await look_up(parts.hostname or "", proxy_port(parts))
            _, writer = await connect_first(addresses)
    except (OSError, ValueError):
        return False
    with contextlib.suppress(RuntimeError):
        writer.transport.abort()
    return True


class TriedProxies:
    """Which proxies accept a connection: each is tried once, as a silent one takes
    `CONNECT_S`."""

    def __init__(self) -> None:
        self._connects: dict[str, bool] = {}

    async def can_connect(self, url: str) -> bool:
        if url not in self._connects:
            self._connects[url] = await can_connect(url)
        return self._connects[url]


async def choose_way(
    setting: ProxySetting, connects: Callable[[str], Awaitable[bool]] = can_connect
) -> ProxySetting:
    """Returns `setting` with the one way that is used as its `url`, and what was passed
    over in its `note`. A setting that names one way only is returned as it is."""
    if not setting.others:
        return setting
    passed_over, chosen = [], None
    for url in setting.ways:
        usable = not url or is_usable(url)
        if usable and (not url or await connects(url)):
            chosen = url
            break
        why = "does not answer" if usable else "is a SOCKS proxy"
        passed_over.append(f"{host_and_port(url)} {why}")
    if chosen is None:
        # The first, for the error that it gives.
        chosen = next((url for url in setting.ways if is_usable(url)), setting.url)
    note = ", ".join(passed_over)
    if note and not chosen:
        note = f"names only what cannot be used: {note}"
    note = "; ".join(text for text in (setting.note, note) if text)
    return msgspec.structs.replace(setting, url=chosen, others=(), note=note)
