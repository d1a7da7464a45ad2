"""The state of the VPN is right or unknown."""

import pytest
from laptop_interfaces import LAPTOP, tunnel

from probes.measure import vpn
from probes.measure.active_interface import (
    Interface,
)
from probes.measure.tunnels import (
    find_tunnels,
    routes_hidden,
    vpn_product,
    vpn_state,
)
from probes.platforms.system_facts import VpnConnection
from probes.wire.failure import Outcome
from probes.wire.policy import Policy


@pytest.mark.parametrize(
    ("interface", "product", "state"),
    [
        (tunnel(), "OpenVPN", "up"),
        (tunnel("cscotun0"), "Cisco AnyConnect / Secure Client", "up"),
        (tunnel("gpd0"), "GlobalProtect", "up"),
        (tunnel("wg-council", kind="wireguard"), "WireGuard", "up"),
        (tunnel("tailscale0"), "Tailscale", "up"),
        (tunnel("corp", kind="wireguard"), "WireGuard", "up"),
        (tunnel("vpn1"), "tunnel", "up"),
        (tunnel("ppp0", kind="ppp"), "PPP", "up"),
        (tunnel(up=False), "OpenVPN", "down"),
        (tunnel(addresses=("fe80::1",)), "OpenVPN", "down"),
        (tunnel(routed=False), "OpenVPN", "down"),
        (tunnel("zcctun0", routed=False), "Zscaler", "unknown"),
    ],
)
def test_a_tunnel_is_up_only_with_an_address_and_a_route(
    interface: Interface, product: str, state: str
) -> None:
    (tunnel,) = find_tunnels([LAPTOP, interface])
    assert (tunnel.product, tunnel.state) == (product, state)
    assert vpn_state([tunnel]) == state


@pytest.mark.parametrize(
    "interface",
    [
        LAPTOP,
        Interface("docker0", kind="bridge", up=True, addresses=("172.17.0.1",)),
        Interface("vnet0", kind="port", up=True),
        Interface("tap0", kind="port", up=True),
        Interface("wwan0", kind="wwan", physical=True, up=True),
        Interface("tunnelvision", up=True),
        Interface("x", description="Microsoft Wi-Fi Direct Virtual Adapter #2"),
        Interface("x", description="Hyper-V Virtual Ethernet Adapter"),
        Interface("x", description="WAN Miniport (IP)"),
        Interface("x", description="VMware Virtual Ethernet Adapter for VMnet8"),
        Interface("x", description="Intel(R) Wi-Fi 6 AX200 160MHz"),
    ],
)
def test_an_interface_that_is_no_vpn_is_not_reported_as_one(
    interface: Interface,
) -> None:
    assert vpn_product(interface) is None
    assert vpn_state(find_tunnels([interface])) == "absent"


@pytest.mark.parametrize(
    ("description", "product"),
    [
        (
            "Cisco AnyConnect Virtual Miniport Adapter for Windows x64",
            "Cisco AnyConnect / Secure Client",
        ),
        (
            "Cisco AnyConnect Secure Mobility Client Virtual Miniport Adapter"
            " for Windows x64",
            "Cisco AnyConnect / Secure Client",
        ),
        ("PANGP Virtual Ethernet Adapter Secure #2", "GlobalProtect"),
        ("Fortinet SSL VPN Virtual Ethernet Adapter", "FortiClient"),
        ("Fortinet Virtual Ethernet Adapter (NDIS 6.30)", "FortiClient"),
        ("TAP-Windows Adapter V9", "OpenVPN"),
        ("OpenVPN Data Channel Offload", "OpenVPN"),
        ("Wintun Userspace Tunnel", "OpenVPN"),
        ("WireGuard Tunnel #3", "WireGuard"),
        ("Zscaler Network Adapter 1.0.2.0", "Zscaler"),
        ("SonicWall NetExtender Adapter", "SonicWall"),
    ],
)
def test_windows_vpn_adapters_are_recognised_by_their_descriptions(
    description: str, product: str
) -> None:
    client = vpn_product(Interface("Ethernet 5", description=description))
    assert client is not None
    assert client.name == product


async def test_absent_down_and_not_measurable_are_three_outcomes() -> None:
    async def outcome(
        *interfaces: Interface, instead: Outcome | None = None
    ) -> Outcome:
        probe = vpn.Vpn(lambda: instead or list(interfaces), list)
        result = await probe.measure(Policy(), frugal=True, now_ms=lambda: 1)
        return result.outcome

    assert await outcome(LAPTOP) is Outcome.NOT_PRESENT
    assert await outcome(LAPTOP, tunnel(up=False)) is Outcome.NOT_CONNECTED
    assert await outcome(LAPTOP, tunnel()) is Outcome.OK
    refused = await outcome(instead=Outcome.NOT_SUPPORTED)
    assert refused is Outcome.NOT_SUPPORTED
    quiet = await outcome(tunnel("zcctun0", up=False))
    assert quiet is Outcome.NOT_SUPPORTED


def test_a_managed_vpn_without_an_interface_is_up_and_hides_its_routes() -> None:
    (managed,) = find_tunnels([LAPTOP], [VpnConnection("vpn", "up")])
    assert (managed.product, managed.interface, managed.state) == ("tunnel", "", "up")
    assert routes_hidden([managed])
    (idle,) = find_tunnels([LAPTOP], [VpnConnection("com.cisco.anyconnect", "down")])
    assert (idle.product, idle.state) == ("Cisco AnyConnect / Secure Client", "down")
    # NetworkManager's OpenVPN has its interface: it is not counted twice.
    (openvpn,) = find_tunnels([LAPTOP, tunnel()], [VpnConnection("vpn", "up")])
    assert (openvpn.interface, routes_hidden([openvpn])) == ("tun0", False)
    assert routes_hidden(find_tunnels([LAPTOP, tunnel("zcctun0", routed=False)]))
