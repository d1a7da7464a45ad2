"""Linux, Windows and macOS behind one function per question.

Each system's module (`linux`, `windows`, `macos`) has a function of the same name; the
tools' outputs are read by pure parsers beside them, which run, and are tested, on every
system: `python -m probes.platforms` tries one on a recorded output. None of it needs
rights, and none of it ever asks the person for any.
"""

from __future__ import annotations

import sys

from probes.platforms.system_facts import (
    Interface,
    ProxySetting,
    VpnConnection,
    WifiLink,
)
from probes.wire.failure import Outcome


def interfaces() -> list[Interface] | Outcome:
    """All interfaces but loopback; an `Outcome` where the system does not tell."""
    if sys.platform == "win32":
        from probes.platforms import windows as here
    elif sys.platform == "darwin":
        from probes.platforms import macos as here
    else:
        from probes.platforms import linux as here
    return here.interfaces()


def wifi(key: bytes) -> list[WifiLink] | Outcome:
    """The Wi-Fi interfaces' links; access points hashed under `key`."""
    if sys.platform == "win32":
        from probes.platforms import windows as here
    elif sys.platform == "darwin":
        from probes.platforms import macos as here
    else:
        from probes.platforms import linux as here
    return here.wifi(key)


def vpn_connections() -> list[VpnConnection] | Outcome:
    """The VPNs the system itself manages, if they may lack an interface of their own.
    On Windows they never do, and only PowerShell would tell. Elsewhere a command is
    started: seconds, not often."""
    if sys.platform == "win32":
        return []
    if sys.platform == "darwin":
        from probes.platforms import macos as here
    else:
        from probes.platforms import linux as here
    return here.vpn_connections()


def proxy() -> ProxySetting:
    """How the system says that the web is reached."""
    if sys.platform == "win32":
        from probes.platforms import windows as here
    elif sys.platform == "darwin":
        from probes.platforms import macos as here
    else:
        from probes.platforms import linux as here
    return here.proxy()


def proxy_for(url: str, setting: ProxySetting) -> ProxySetting:
    """`setting` with what its script says of `url`, where the system runs scripts for
    others (Windows); else `setting` as it is."""
    if sys.platform == "win32":
        from probes.platforms import windows as here

        return here.proxy_for(url, setting)
    return setting


def resolvers() -> tuple[str, ...]:
    """The addresses of the name servers in use, a local stub's upstream ones."""
    if sys.platform == "win32":
        from probes.platforms import windows as here
    elif sys.platform == "darwin":
        from probes.platforms import macos as here
    else:
        from probes.platforms import linux as here
    return here.resolvers()


def hardware_address(gateway: str, interface: str) -> str:
    """The hardware address of a neighbour, `aa:bb:…`; empty where it is not known."""
    if sys.platform == "win32":
        from probes.platforms import windows as here
    elif sys.platform == "darwin":
        from probes.platforms import macos as here
    else:
        from probes.platforms import linux as here
    return here.hardware_address(gateway, interface)


def slept_s() -> float | None:
    """Seconds this machine slept since it started; None where it cannot be told."""
    if sys.platform == "win32":
        from probes.platforms import windows as here
    elif sys.platform == "darwin":
        from probes.platforms import macos as here
    else:
        from probes.platforms import linux as here
    return here.slept_s()
