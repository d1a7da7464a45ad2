"""Windows: IP Helper, Native Wifi and the registry with ctypes and winreg; netsh only
if wlanapi.dll cannot be used.

Not run on real Windows yet: docs/platforms.md says what the tests run under Wine.
"""

from __future__ import annotations

import sys

from probes.platforms import iphlpapi, smbios, winhttp, wlanapi
from probes.platforms.commands import run
from probes.platforms.netsh import parse_netsh_wlan
from probes.platforms.proxies import (
    NOT_ENDED,
    or_else,
    proxy_from_environment,
    proxy_from_registry,
    run_script,
)
from probes.platforms.routing_table import default_route_addresses
from probes.platforms.script_runs import ScriptRuns
from probes.platforms.system_facts import (
    Interface,
    ManagedSettings,
    ProxySetting,
    WifiLink,
)
from probes.wire.failure import Outcome

_CONSENT = (
    r"Software\Microsoft\Windows\CurrentVersion\CapabilityAccessManager"
    r"\ConsentStore\location"
)
_INTERNET = r"Software\Microsoft\Windows\CurrentVersion\Internet Settings"
_INTERNET_POLICY = (
    r"Software\Policies\Microsoft\Windows\CurrentVersion\Internet Settings"
)

if sys.platform == "win32":
    import ctypes
    import os
    import winreg

    from probes.platforms.system_library import system_library
    from probes.platforms.system_settings import read_registry

    _scripts = ScriptRuns()

    def interfaces() -> list[Interface] | Outcome:
        """From GetAdaptersAddresses, GetIfEntry2 and GetIpForwardTable2."""
        try:
            adapters = iphlpapi.adapters()
        except OSError:
            return Outcome.NOT_SUPPORTED
        return iphlpapi.to_interfaces(
            adapters, iphlpapi.routes(), default_route_addresses()
        )

    def wifi(key: bytes) -> list[WifiLink] | Outcome:
        """Returns `not_permitted`, without calling the API, if the person has not
        allowed location."""
        consent = {
            "machine": _text(winreg.HKEY_LOCAL_MACHINE, _CONSENT, "Value"),
            "user": _text(winreg.HKEY_CURRENT_USER, _CONSENT, "Value"),
            "desktop": _text(
                winreg.HKEY_CURRENT_USER, _CONSENT + r"\NonPackaged", "Value"
            ),
        }
        if not wlanapi.has_consent(sys.getwindowsversion().build, consent):
            return Outcome.NOT_PERMITTED
        links = wlanapi.wifi(key)
        if links is not Outcome.NOT_SUPPORTED:
            return links
        output = run("netsh", "wlan", "show", "interfaces")
        return output if isinstance(output, Outcome) else parse_netsh_wlan(output, key)

    def managed_settings() -> list[ManagedSettings]:
        return read_registry()

    def proxy() -> ProxySetting:
        """From Internet Settings, those of the machine if a policy requires that; else
        from the environment, else WinHTTP's own (`netsh winhttp set proxy`)."""
        per_machine = (
            _value(winreg.HKEY_LOCAL_MACHINE, _INTERNET_POLICY, "ProxySettingsPerUser")
            == 0
        )
        root = winreg.HKEY_LOCAL_MACHINE if per_machine else winreg.HKEY_CURRENT_USER
        names = ("ProxyEnable", "ProxyServer", "ProxyOverride", "AutoConfigURL")
        values = {name: _value(root, _INTERNET, name) for name in names}
        name = "DefaultConnectionSettings"
        values[name] = _value(root, _INTERNET + r"\Connections", name)
        setting = or_else(
            proxy_from_registry(values), proxy_from_environment(os.environ)
        )
        # A service has no settings of a person, only those of the machine.
        return or_else(setting, winhttp.machine_proxy())

    def proxy_for(url: str, setting: ProxySetting) -> ProxySetting:
        """`setting` with the proxies that its script names for `url`."""

        def ways(script: str) -> tuple[str, ...] | str:
            try:
                named = _scripts.run(script, lambda: winhttp.ways_for(url, script))
            except TimeoutError:
                return NOT_ENDED
            except OSError:
                # What a script answers may break the system's own code.
                named = None
            return "cannot be fetched or run" if named is None else named

        return run_script(setting, ways)

    def resolvers() -> tuple[str, ...]:
        """The resolvers of the adapters that are connected."""
        listed = interfaces()
        return () if isinstance(listed, Outcome) else iphlpapi.resolvers_of(listed)

    def hardware_address(gateway: str, interface: str) -> str:
        """From SendARP, which has no IPv6."""
        return iphlpapi.hardware_address(gateway)

    def slept_s() -> float | None:
        """GetTickCount64 goes on during sleep, the unbiased interrupt time does not."""
        kernel = system_library("kernel32.dll")
        kernel.GetTickCount64.restype = ctypes.c_uint64
        unbiased = ctypes.c_uint64()
        if not kernel.QueryUnbiasedInterruptTime(ctypes.byref(unbiased)):
            return None
        asleep_s = float(kernel.GetTickCount64()) / 1e3 - unbiased.value / 1e7
        return max(asleep_s, 0.0)

    def machine_numbers() -> tuple[str, ...]:
        """From GetSystemFirmwareTable."""
        table = smbios.raw_table()
        if isinstance(table, Outcome):
            return ()
        numbers = smbios.system_numbers(table)
        return () if isinstance(numbers, Outcome) else numbers

    def _value(root: int, path: str, name: str) -> object:
        try:
            with winreg.OpenKey(root, path) as opened:
                return winreg.QueryValueEx(opened, name)[0]
        except OSError:
            return None

    def _text(root: int, path: str, name: str) -> str:
        value = _value(root, path, name)
        return value if isinstance(value, str) else ""
