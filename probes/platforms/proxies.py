"""Reads each system's proxy settings, and decides if one applies to a host. Pure."""

from __future__ import annotations

import fnmatch
import ipaddress
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from probes.platforms.system_facts import ProxySetting
from probes.platforms.tool_output import integer

# DefaultConnectionSettings of Internet Settings has its flags in the ninth octet.
_FLAGS_AT = 8
_MANUAL, _PAC, _DISCOVER = 0x2, 0x4, 0x8


NO_PROXY = ProxySetting("none")
# The longest that a proxy script may take; then the direct way is tried.
SCRIPT_S = 20.0
NOT_ENDED = f"does not end within {SCRIPT_S:g} s"


def proxy_from_environment(variables: Mapping[str, str]) -> ProxySetting:
    """From `https_proxy`, else `all_proxy`, with `no_proxy`; also in capitals. Pure."""
    exceptions = split_list(
        variables.get("no_proxy") or variables.get("NO_PROXY") or ""
    )
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        url = _url(variables.get(name, ""))
        if url:
            return ProxySetting("environment", url, exceptions)
    return NO_PROXY


def proxy_from_registry(values: Mapping[str, object]) -> ProxySetting:
    """From the Internet Settings of Windows: `ProxyEnable`, `ProxyServer`,
    `ProxyOverride` and `AutoConfigURL`, and the flags in `DefaultConnectionSettings`.
    Pure."""
    octets = values.get("DefaultConnectionSettings")
    flags = (
        octets[_FLAGS_AT]
        if isinstance(octets, bytes) and len(octets) > _FLAGS_AT
        else 0
    )
    server, script = values.get("ProxyServer"), values.get("AutoConfigURL")
    exceptions = values.get("ProxyOverride")
    bypass = split_list(exceptions) if isinstance(exceptions, str) else ()
    if isinstance(script, str) and script.strip():
        return ProxySetting("pac", "", bypass, script.strip()[:2_000])
    if flags & _DISCOVER:
        return ProxySetting("wpad", exceptions=bypass)
    manual = bool(integer(values.get("ProxyEnable"))) or bool(flags & _MANUAL)
    if manual and isinstance(server, str):
        url = _url(_for_https(server))
        if url:
            return ProxySetting("manual", url, bypass)
    return NO_PROXY


def applies(setting: ProxySetting, host: str) -> bool:
    """True if `host` is reached through the proxy. False for PAC and WPAD until their
    script has named one. Pure."""
    if not setting.url:
        return False
    host = host.lower().strip("[]").rstrip(".")
    address = _address(host)
    if host == "localhost" or (address is not None and address.is_loopback):
        return False
    return not any(
        _matches(exception, host, address) for exception in setting.exceptions
    )


def _matches(
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
            # macOS abbreviates networks: 169.254/16.
            before += ".0" * (3 - before.count("."))
        try:
            return address in ipaddress.ip_network(f"{before}/{length}", strict=False)
        except ValueError:
            return False
    if "*" in pattern:
        return fnmatch.fnmatchcase(host, pattern)
    bare = pattern.lstrip(".").split(":")[0] if pattern.count(":") <= 1 else pattern
    # As in curl and Go, a domain includes everything below it.
    return bool(bare) and (host == bare or host.endswith(f".{bare}"))


def _for_https(server: str) -> str:
    """The HTTPS entry of `http=host:port;https=host:port`, or a plain `host:port`."""
    if "=" not in server:
        return server
    by_scheme = dict(
        entry.strip().split("=", 1) for entry in server.split(";") if "=" in entry
    )
    if "https" in by_scheme:
        return by_scheme["https"]
    # Schemes that are not listed connect directly; SOCKS applies to all.
    socks = by_scheme.get("socks", "")
    return f"socks5://{socks}" if socks else ""


def _url(text: str) -> str:
    """`http://host:port`; empty if it is not a proxy. It keeps a user name and
    password: they are used but never reported."""
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


def split_list(text: str) -> tuple[str, ...]:
    """The parts of a list, separated by `;`, `,` or spaces. Pure."""
    return tuple(part for part in re.split(r"[;,\s]+", text[:20_000]) if part)[:200]


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
