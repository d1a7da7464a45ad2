"""Reads each system's proxy settings, and decides if one applies to a host. Pure."""

from __future__ import annotations

import fnmatch
import ipaddress
import re
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from msgspec.structs import replace

from probes.platforms.system_facts import ProxySetting
from probes.platforms.tool_output import integer

# DefaultConnectionSettings of Internet Settings has its flags in the ninth octet.
_FLAGS_AT = 8
_MANUAL, _PAC, _DISCOVER = 0x2, 0x4, 0x8


NO_PROXY = ProxySetting("none")
# The longest that a proxy script may take; then the direct way is tried.
SCRIPT_S = 20.0
NOT_ENDED = f"does not end within {SCRIPT_S:g} s"
_SCRIPTED = {"pac", "wpad"}
# A setting or a script may name anything, of any length.
_MOST_LISTED, _MOST_WAYS = 4_000, 8
_PROXY = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[\w.-]{1,253})(:(?P<port>[0-9]{1,5}))?")
# What a script calls each kind; a SOCKS proxy is named, but cannot be used.
_SCHEMES = {
    "PROXY": "http",
    "HTTP": "http",
    "HTTPS": "https",
    "SOCKS": "socks5",
    "SOCKS4": "socks5",
    "SOCKS5": "socks5",
}


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
    `ProxyOverride` and `AutoConfigURL`, and the flags in `DefaultConnectionSettings`:
    the first that there is, with the others in case its script cannot be run. Pure."""
    octets = values.get("DefaultConnectionSettings")
    flags = (
        octets[_FLAGS_AT]
        if isinstance(octets, bytes) and len(octets) > _FLAGS_AT
        else 0
    )
    server, script = values.get("ProxyServer"), values.get("AutoConfigURL")
    listed = values.get("ProxyOverride")
    exceptions = listed if isinstance(listed, str) else ""
    setting = NO_PROXY
    manual = bool(integer(values.get("ProxyEnable"))) or bool(flags & _MANUAL)
    if manual and isinstance(server, str):
        setting = manual_proxy(server, exceptions)
    # Windows looks for a script unless that is switched off, so mostly there is none.
    bypass = split_list(exceptions)
    if flags & _DISCOVER:
        setting = or_else(ProxySetting("wpad", exceptions=bypass), setting)
    if isinstance(script, str) and script.strip():
        found = ProxySetting("pac", "", bypass, script.strip()[:2_000])
        setting = or_else(found, setting)
    return setting


def manual_proxy(listed: str, exceptions: str) -> ProxySetting:
    """The setting that names the proxies and the exceptions in these lists. Pure."""
    ways = listed_ways(listed)
    if not any(ways):
        return NO_PROXY
    first, *others = ways
    return ProxySetting("manual", first, split_list(exceptions), others=tuple(others))


def listed_ways(listed: str) -> tuple[str, ...]:
    """What a list of Windows names, in its order, as `http://host:port`, an empty text
    for the direct way. It may be a setting's (`a:8080;b:8080`, `http=a:80 https=b:81`)
    or a script's (`PROXY a:8080; SOCKS b:1080; DIRECT`). What is neither is left out.
    Pure."""
    ways: list[str] = []
    scheme, secure = "http", "https=" in listed.lower()
    for entry in re.split(r"[;\s]+", listed[:_MOST_LISTED]):
        keyword = entry.upper()
        if keyword == "DIRECT":
            ways.append("")
        elif keyword in _SCHEMES:
            scheme = _SCHEMES[keyword]
            continue
        elif entry:
            kind, _, address = entry.rpartition("=")
            if address.startswith("http://"):
                address = address.removeprefix("http://").removesuffix("/")
            if _is_proxy(address):
                if kind.lower() == "socks":
                    ways.append(f"socks5://{address}")
                elif kind.lower() == ("https" if secure else ""):
                    ways.append(f"{scheme}://{address}")
        scheme = "http"
    return tuple(dict.fromkeys(ways))[:_MOST_WAYS]


def _is_proxy(address: str) -> bool:
    match = _PROXY.fullmatch(address)
    return match is not None and 0 < int(match["port"] or 80) < 65_536


def or_else(setting: ProxySetting, other: ProxySetting) -> ProxySetting:
    """`setting`, with `other` in case there is none or its script cannot be run, as in
    a browser. Pure."""
    if setting.kind == "none":
        return other
    if setting.kind not in _SCRIPTED or other.kind == "none":
        return setting
    return replace(setting, besides=or_else(setting.besides or NO_PROXY, other))


def run_script(
    setting: ProxySetting, run: Callable[[str], tuple[str, ...] | str]
) -> ProxySetting:
    """`setting` with the proxies that its script names. If it cannot be run, the next
    setting (`besides`), or else the direct way. `run` returns what the script at an
    address names (`listed_ways`), or why it cannot be run."""
    while setting.kind in _SCRIPTED:
        ways = run(setting.script)
        if not isinstance(ways, str):
            # It decides about every host; the list of exceptions is not asked.
            first, *others = ways or ("",)
            return replace(
                setting, url=first, others=tuple(others), exceptions=(), besides=None
            )
        if setting.besides is None:
            return replace(setting, note=ways)
        # Nobody has set the script that Windows looks for by itself.
        note = f"the proxy script {setting.script} {ways}" if setting.script else ""
        notes = [text for text in (setting.note, note) if text]
        setting = replace(setting.besides, note="; ".join(notes))
    return setting


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
    standard = {"https": 443, "http": 80}.get(parts.scheme, 1080)
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
