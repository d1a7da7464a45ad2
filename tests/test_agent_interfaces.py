"""The physical interface, its kind of connection, and the routes of the laptop."""

import msgspec
import pytest
from laptop_interfaces import CABLE, LAPTOP, tunnel

from probes.measure.active_interface import (
    Interface,
    connection_type,
    interfaces,
    local_address,
)
from probes.measure.tunnels import (
    physical_interface,
)
from probes.platforms.linux_tools import parse_ipv4_routes


def test_routes_are_read_as_the_kernel_prints_them() -> None:
    routes = parse_ipv4_routes(
        "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\n"
        "eth0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n"
        "tun0\t0000010A\t00000000\t0001\t0\t0\t50\t0000FFFF\t0\t0\t0\n"
        "eth0\tnonsense\n"
        "eth1\t00000000\t0101A8C0\t0002\t0\t0\t600\t00000000\t0\t0\t0\n"
    )
    assert [msgspec.structs.astuple(route) for route in routes] == [
        ("eth0", "0.0.0.0", 0, "192.168.1.1", 600),
        ("tun0", "10.1.0.0", 16, "", 50),
    ]


def test_this_machine_has_interfaces_and_one_carries_its_traffic() -> None:
    own_interfaces = interfaces()
    assert all(route.name != "lo" for route in own_interfaces)
    assert local_address("127.0.0.1") == "127.0.0.1"
    line = physical_interface(own_interfaces)
    assert line is None or line.up


@pytest.mark.parametrize(
    ("interface", "kind"),
    [
        (LAPTOP, "wifi"),
        (CABLE, "wired"),
        (Interface("wwan0", kind="wwan", physical=True), "mobile"),
        (Interface("enx0", driver="ipheth", physical=True), "mobile"),
        (Interface("enx0", driver="rndis_host", physical=True), "mobile"),
        # A docking station or a phone: both use this driver.
        (Interface("enx0", driver="cdc_ncm", physical=True), "unknown"),
        (Interface("veth0"), "unknown"),
        (None, "unknown"),
    ],
)
def test_the_kind_of_link_is_right_or_unknown(
    interface: Interface | None, kind: str
) -> None:
    assert connection_type(interface) == kind


def test_the_physical_link_is_found_under_the_tunnel() -> None:
    assert physical_interface([tunnel(), LAPTOP]) == LAPTOP
    assert physical_interface([LAPTOP, CABLE]) == CABLE
    assert physical_interface([tunnel()]) is None
    down = msgspec.structs.replace(CABLE, up=False)
    assert physical_interface([down, LAPTOP]) == LAPTOP
