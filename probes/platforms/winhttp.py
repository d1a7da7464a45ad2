"""Runs a proxy script for an address with WinHTTP (winhttp.dll), which fetches and runs
it as the programs of Windows do."""

from __future__ import annotations

import ctypes
import sys

from probes.platforms.proxies import NO_PROXY, listed_ways, manual_proxy
from probes.platforms.system_facts import ProxySetting

_NO_PROXY = 1
_AUTO_DETECT, _CONFIG_URL = 0x1, 0x2
_DHCP, _DNS = 0x1, 0x2
_NAMED_PROXY = 3
_TIMEOUT_MS = 5_000


class _AutoProxyOptions(ctypes.Structure):
    """WINHTTP_AUTOPROXY_OPTIONS (winhttp.h)."""

    _fields_ = (
        ("flags", ctypes.c_uint32),
        ("detect", ctypes.c_uint32),
        ("script", ctypes.c_wchar_p),
        ("reserved", ctypes.c_void_p),
        ("more", ctypes.c_uint32),
        ("log_on", ctypes.c_int),
    )


class _ProxyInfo(ctypes.Structure):
    """WINHTTP_PROXY_INFO (winhttp.h)."""

    _fields_ = (
        ("access", ctypes.c_uint32),
        ("proxy", ctypes.c_void_p),
        ("bypass", ctypes.c_void_p),
    )


def to_setting(access: int, listed: str, bypass: str) -> ProxySetting:
    """WinHTTP's own setting, as `netsh winhttp set proxy` writes it. Pure."""
    return manual_proxy(listed, bypass) if access == _NAMED_PROXY else NO_PROXY


if sys.platform == "win32":
    from probes.platforms.system_library import system_library

    def ways_for(url: str, script: str) -> tuple[str, ...] | None:
        """What `script` names for `url` (`listed_ways`), nothing if it names no proxy.
        An empty `script` means WPAD. None if the script cannot be fetched or run."""
        try:
            api = system_library("winhttp.dll")
        except OSError:
            return None
        api.WinHttpOpen.restype = ctypes.c_void_p
        api.WinHttpCloseHandle.argtypes = [ctypes.c_void_p]
        api.WinHttpSetTimeouts.argtypes = [ctypes.c_void_p, *[ctypes.c_int] * 4]
        session = api.WinHttpOpen("towpath-agent", _NO_PROXY, None, None, 0)
        if not session:
            return None
        try:
            api.WinHttpSetTimeouts(session, *[_TIMEOUT_MS] * 4)
            options = _AutoProxyOptions(
                flags=_CONFIG_URL if script else _AUTO_DETECT,
                detect=0 if script else _DHCP | _DNS,
                script=script or None,
                # In a café a stranger's computer may answer for a script: nothing of
                # the person's account is sent to it.
                log_on=0,
            )
            info = _ProxyInfo()
            handle = ctypes.c_void_p(session)
            if not api.WinHttpGetProxyForUrl(
                handle, ctypes.c_wchar_p(url), ctypes.byref(options), ctypes.byref(info)
            ):
                return None
            listed, _ = _texts(info)
            return listed_ways(listed) if info.access == _NAMED_PROXY else ()
        finally:
            api.WinHttpCloseHandle(session)

    def machine_proxy() -> ProxySetting:
        """The proxy that an administrator has set for services."""
        info = _ProxyInfo()
        try:
            api = system_library("winhttp.dll")
            if not api.WinHttpGetDefaultProxyConfiguration(ctypes.byref(info)):
                return NO_PROXY
        except (OSError, AttributeError):
            return NO_PROXY
        return to_setting(info.access, *_texts(info))

    def _texts(info: _ProxyInfo) -> tuple[str, str]:
        """The proxies and the exceptions, whose memory is given back."""
        free = system_library("kernel32.dll").GlobalFree
        free.argtypes = [ctypes.c_void_p]
        texts = []
        for pointer in (info.proxy, info.bypass):
            texts.append(ctypes.wstring_at(pointer) if pointer else "")
            if pointer:
                free(pointer)
        return texts[0], texts[1]
