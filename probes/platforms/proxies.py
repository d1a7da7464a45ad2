"""Proxy settings as each system keeps them, and whether one applies to a host. Pure."""

from __future__ import annotations

import fnmatch
import ipaddress
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from probes.platforms.system_facts import ProxySetting
from probes.platforms.tool_output import integer

# DefaultConnectionSettings of Internet Settings: the flags are in its ninth octet.
_FLAGS_AT = 8
_MANUAL, _PAC, _DISCOVER = 0x2, 0x4, 0x8


def proxy_from_environment(variables: Mapping[str, str]) -> ProxySetting:
    """`https_proxy`, else `all_proxy`, with `no_proxy`; capitals count too. Pure."""
    exceptions = _split(variables.get("no_proxy") or variables.get("NO_PROXY") or "")
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        url = _url(variables.get(name, ""))
        if url:
            return ProxySetting("environment", url, exceptions)
    return ProxySetting("none")


def proxy_from_registry(values: Mapping[str, object]) -> ProxySetting:
    """Windows' Internet Settings: `ProxyEnable`, `ProxyServer`, `ProxyOverride` and
    `AutoConfigURL`, with the flags of `DefaultConnectionSettings`. Pure."""
    octets = values.get("DefaultConnectionSettings")
    flags = (
        octets[_FLAGS_AT]
        if isinstance(octets, bytes) and len(octets) > _FLAGS_AT
        else 0
    )
    server, script = values.get("ProxyServer"), values.get("AutoConfigURL")
    exceptions = values.get("ProxyOverride")
    bypass = _split(exceptions) if isinstance(exceptions, str) else ()
    if isinstance(script, str) and script.strip():
        return ProxySetting("pac", "", bypass, script.strip()[:2_000])
    if flags & _DISCOVER:
        return ProxySetting("wpad", exceptions=bypass)
    manual = bool(integer(values.get("ProxyEnable"))) or bool(flags & _MANUAL)
    if manual and isinstance(server, str):
        url = _url(_for_https(server))
        if url:
            return ProxySetting("manual", url, bypass)
    return ProxySetting("none")


def applies(setting: ProxySetting, host: str) -> bool:
    """Whether `host` is reached through the proxy. False for PAC and WPAD until their
    script named one. Pure."""
    if not setting.url:
        return False
    host = host.lower().strip("[]").rstrip(".")
    address = _address(host)
    if host == "localhost" or (address is not None and address.is_loopback):
        return False
    return not any(_excepts(each, host, address) for each in setting.exceptions)


def _excepts(
    pattern: str,
    host: str,
    address: ipaddress.IPv4Address | ipaddress.IPv6Address | None,
) -> bool:
    pattern = pattern.strip().lower()
    if pattern == "<local>":
        return "." not in host and address is None
    if pattern == "*":
        return True
    if address is not None and "/" in pattern:
        before, _, length = pattern.partition("/")
        if re.fullmatch(r"\d{1,3}(\.\d{1,3}){0,2}", before):
            # macOS shortens networks: 169.254/16.
            before += ".0" * (3 - before.count("."))
        try:
            return address in ipaddress.ip_network(f"{before}/{length}", strict=False)
        except ValueError:
            return False
    if "*" in pattern:
        return fnmatch.fnmatchcase(host, pattern)
    bare = pattern.lstrip(".").split(":")[0] if pattern.count(":") <= 1 else pattern
    # curl and Go: a domain stands for everything below it.
    return bool(bare) and (host == bare or host.endswith(f".{bare}"))


def _for_https(server: str) -> str:
    """`host:port`, or `http=host:port;https=host:port`: the one for HTTPS."""
    if "=" not in server:
        return server
    by_scheme = dict(
        each.strip().split("=", 1) for each in server.split(";") if "=" in each
    )
    if "https" in by_scheme:
        return by_scheme["https"]
    # With a list of schemes, what is not in it goes direct; SOCKS is for all.
    socks = by_scheme.get("socks", "")
    return f"socks5://{socks}" if socks else ""


def _url(text: str) -> str:
    """`http://host:port`; empty where it is no proxy. Name and password stay in it:
    they are used, and never reported."""
    text = text.strip()[:500]
    if not text:
        return ""
    if "://" not in text:
        text = f"http://{text}"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return ""
    if not parts.hostname or parts.scheme not in {"http", "https", "socks5", "socks5h"}:
        return ""
    standard = {"https": 443, "http": 8080}.get(parts.scheme, 1080)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    login, at, _ = parts.netloc.rpartition("@")
    return f"{parts.scheme}://{login}{at}{host}:{port or standard}"


def _split(text: str) -> tuple[str, ...]:
    return tuple(each for each in re.split(r"[;,\s]+", text[:20_000]) if each)[:200]


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
