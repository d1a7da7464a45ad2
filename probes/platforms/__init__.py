"""Linux, Windows and macOS behind one function for each fact.

The module of each system (`linux`, `windows`, `macos`) has a function of the same name.
Pure parsers next to them read the output of tools; they run and are tested on every
system, and `python -m probes.platforms` tries one on recorded output. Nothing here
needs privileges or ever prompts the person.
"""

from __future__ import annotations

import sys

from probes.platforms.proxies import run_script
from probes.platforms.system_facts import (
    Interface,
    ManagedSettings,
    ProxySetting,
    VpnConnection,
    WifiLink,
)
from probes.wire.failure import Outcome


def interfaces() -> list[Interface] | Outcome:
    """All interfaces except loopback; an `Outcome` if the system does not list them."""
    if sys.platform == "win32":
        from probes.platforms import windows as here
    elif sys.platform == "darwin":
        from probes.platforms import macos as here
    else:
        from probes.platforms import linux as here
    return here.interfaces()


def wifi(key: bytes) -> list[WifiLink] | Outcome:
    """The links of the Wi-Fi interfaces. Access points are hashed with `key`."""
    if sys.platform == "win32":
        from probes.platforms import windows as here
    elif sys.platform == "darwin":
        from probes.platforms import macos as here
    else:
        from probes.platforms import linux as here
    return here.wifi(key)


def vpn_connections() -> list[VpnConnection] | Outcome:
    """The VPNs that the system itself manages, if they may have no interface. On
    Windows they always have one, and only PowerShell lists them. Elsewhere this starts
    a command, which takes seconds, so call it rarely."""
    if sys.platform == "win32":
        return []
    if sys.platform == "darwin":
        from probes.platforms import macos as here
    else:
        from probes.platforms import linux as here
    return here.vpn_connections()


def managed_settings() -> list[ManagedSettings]:
    """The agent's settings that the system keeps, the weakest first."""
    if sys.platform == "win32":
        from probes.platforms import windows as here
    elif sys.platform == "darwin":
        from probes.platforms import macos as here
    else:
        from probes.platforms import linux as here
    return here.managed_settings()


def proxy() -> ProxySetting:
    """The system's proxy setting."""
    if sys.platform == "win32":
        from probes.platforms import windows as here
    elif sys.platform == "darwin":
        from probes.platforms import macos as here
    else:
        from probes.platforms import linux as here
    return here.proxy()


def proxy_for(url: str, setting: ProxySetting) -> ProxySetting:
    """`setting` with the proxies that its script names for `url`, if the system can run
    such scripts (Windows); otherwise the next setting, with a note."""
    if sys.platform == "win32":
        from probes.platforms import windows as here

        return here.proxy_for(url, setting)
    return run_script(setting, lambda _: "is not run on this system")


def proxy_towards(url: str) -> ProxySetting:
    """The system's decision for `url`: its setting, with what a script names.
    Blocks while the script is fetched."""
    return proxy_for(url, proxy())


def resolvers() -> tuple[str, ...]:
    """The addresses of the name servers in use; behind a local stub, its upstreams."""
    if sys.platform == "win32":
        from probes.platforms import windows as here
    elif sys.platform == "darwin":
        from probes.platforms import macos as here
    else:
        from probes.platforms import linux as here
    return here.resolvers()


def name_servers() -> tuple[str, ...]:
    """The addresses of the name servers that programs ask: a local stub, if there is
    one."""
    if sys.platform in {"win32", "darwin"}:
        return resolvers()
    from probes.platforms import linux

    return linux.name_servers()


def hardware_address(gateway: str, interface: str) -> str:
    """The hardware address of a neighbour, `aa:bb:…`; empty if not known."""
    if sys.platform == "win32":
        from probes.platforms import windows as here
    elif sys.platform == "darwin":
        from probes.platforms import macos as here
    else:
        from probes.platforms import linux as here
    return here.hardware_address(gateway, interface)


def slept_s() -> float | None:
    """Seconds that this machine has slept since it started; None if not known."""
    if sys.platform == "win32":
        from probes.platforms import windows as here
    elif sys.platform == "darwin":
        from probes.platforms import macos as here
    else:
        from probes.platforms import linux as here
    return here.slept_s()


def machine_numbers() -> tuple[str, ...]:
    """The serial number of this computer, then its UUID, as far as this user may read
    them. A maker may have left them open (`probes.wire.machine_number`)."""
    if sys.platform == "win32":
        from probes.platforms import windows as here
    elif sys.platform == "darwin":
        from probes.platforms import macos as here
    else:
        from probes.platforms import linux as here
    return here.machine_numbers()
