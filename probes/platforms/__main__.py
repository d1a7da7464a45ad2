"""`python -m probes.platforms TOOL < output`: runs a parser on recorded output.

Prints the facts as JSON, or the outcome if there are none. Without TOOL it lists the
tools. It measures and sends nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

import msgspec

from probes.platforms import iw, linux_tools, macos_tools, netsh, powershell
from probes.platforms import system_profiler as profiler
from probes.wire.failure import Outcome

_KEY = b"the same for every run, so that outputs can be compared"
TOOLS: dict[str, tuple[str, Callable[[bytes], object]]] = {
    "netsh": (
        "netsh wlan show interfaces, in any language",
        lambda output: netsh.parse_netsh_wlan(output, _KEY),
    ),
    "get-vpnconnection": (
        "Get-VpnConnection, as a list or through ConvertTo-Json",
        powershell.parse_get_vpnconnection,
    ),
    "iw-link": (
        "iw dev WLAN link, or station dump",
        lambda output: iw.parse_iw_link(output, _KEY),
    ),
    "iw-dev": ("iw dev", iw.parse_iw_dev),
    "proc-wireless": ("/proc/net/wireless", iw.parse_proc_wireless),
    "ip-addr": ("ip -json -details address", linux_tools.parse_ip_addr),
    "nmcli": (
        "nmcli -t -f TYPE,STATE connection show --active",
        linux_tools.parse_nmcli,
    ),
    "system-profiler": (
        "system_profiler SPAirPortDataType, -json, -xml or as text",
        lambda output: profiler.parse_system_profiler(output, _KEY),
    ),
    "scutil-nc": ("scutil --nc list", macos_tools.parse_scutil_nc_list),
    "scutil-proxy": ("scutil --proxy", macos_tools.parse_scutil_proxy),
    "scutil-dns": ("scutil --dns", macos_tools.parse_scutil_dns),
    "ifconfig": ("ifconfig -v, or -a, of macOS", macos_tools.parse_ifconfig),
    "netstat": ("netstat -rn of macOS", macos_tools.parse_netstat_routes),
    "ioreg": ("ioreg -rd1 -c IOPlatformExpertDevice", macos_tools.parse_ioreg),
    "hardware-ports": (
        "networksetup -listallhardwareports",
        macos_tools.parse_hardware_ports,
    ),
}


def main(arguments: Sequence[str]) -> int:
    """Returns 0 for facts, 1 for an outcome, 2 for an unknown tool."""
    if len(arguments) != 1 or arguments[0] not in TOOLS:
        lines = [f"  {name:18}  {what}" for name, (what, _) in TOOLS.items()]
        print("python -m probes.platforms TOOL < output", *lines, sep="\n")
        return 2
    facts = TOOLS[arguments[0]][1](sys.stdin.buffer.read(4_000_000))
    if isinstance(facts, Outcome):
        print(facts.value)
        return 1
    print(msgspec.json.format(msgspec.json.encode(facts), indent=2).decode())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
