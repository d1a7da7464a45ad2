"""The place, the kind of link and the state of the VPN: right, or unknown."""

import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from collectors.ingest.certificate import make_certificates
from probes.agent.beacon import (
    BeaconAnswer,
    PlaceEvidence,
    beacon_evidence,
    query_beacon,
)
from probes.agent.office_networks import OfficeMatch, match_office
from probes.agent.place import KnownPlaces, Locator, decide_place
from probes.measure import vpn
from probes.measure.active_interface import (
    Interface,
    connection_type,
    interfaces,
    local_address,
)
from probes.measure.tunnels import (
    find_tunnels,
    physical_interface,
    routes_hidden,
    vpn_product,
    vpn_state,
)
from probes.platforms.linux_tools import parse_arp, parse_ipv4_routes
from probes.platforms.system_facts import VpnConnection
from probes.wire.failure import Outcome
from probes.wire.policy import Office, Policy

LAPTOP = Interface(
    "wlp2s0", kind="wlan", driver="iwlwifi", physical=True, up=True, routed=True,
    addresses=("192.168.1.20", "fe80::1"), default_metric=600, gateway="192.168.1.1",
)  # fmt: skip
CABLE = Interface(
    "enp3s0", driver="r8152", physical=True, up=True, routed=True,
    addresses=("10.1.7.3",), default_metric=100, gateway="10.1.7.1",
)  # fmt: skip
ARP = """IP address       HW type     Flags       HW address            Mask     Device
192.168.1.1      0x1         0x2         02:00:5e:00:53:01     *        wlp2s0
10.1.7.1         0x1         0x2         02:00:5E:00:53:02     *        enp3s0
10.1.7.9         0x1         0x0         00:00:00:00:00:00     *        enp3s0
"""


def tunnel(name: str = "tun0", **facts: object) -> Interface:
    usual: dict[str, object] = {
        "kind": "tun",
        "up": True,
        "addresses": ("10.99.0.2",),
        "routed": True,
        "default_metric": 50,
    }
    return Interface(name, **{**usual, **facts})  # type: ignore[arg-type]


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
def test_what_is_no_vpn_is_not_taken_for_one(interface: Interface) -> None:
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
def test_windows_adapters_are_known_by_their_descriptions(
    description: str, product: str
) -> None:
    client = vpn_product(Interface("Ethernet 5", description=description))
    assert client is not None
    assert client.name == product


async def test_absent_down_and_not_measurable_are_three_outcomes() -> None:
    async def outcome(*among: Interface, instead: Outcome | None = None) -> Outcome:
        probe = vpn.Vpn(lambda: instead or list(among), list)
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
    (one,) = find_tunnels([LAPTOP, tunnel()], [VpnConnection("vpn", "up")])
    assert (one.interface, routes_hidden([one])) == ("tun0", False)
    assert routes_hidden(find_tunnels([LAPTOP, tunnel("zcctun0", routed=False)]))


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
    among = interfaces()
    assert all(route.name != "lo" for route in among)
    assert local_address("127.0.0.1") == "127.0.0.1"
    line = physical_interface(among)
    assert line is None or line.up


@pytest.mark.parametrize(
    ("interface", "kind"),
    [
        (LAPTOP, "wifi"),
        (CABLE, "wired"),
        (Interface("wwan0", kind="wwan", physical=True), "mobile"),
        (Interface("enx0", driver="ipheth", physical=True), "mobile"),
        (Interface("enx0", driver="rndis_host", physical=True), "mobile"),
        # A docking station or a phone: it cannot be told.
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


NOWHERE = OfficeMatch()
PROVED = OfficeMatch("depot", True, "its network")


@pytest.mark.parametrize(
    ("seen", "remembered", "stands", "place", "site"),
    [
        (PlaceEvidence("inside", "hall"), "", NOWHERE, "office", "hall"),
        # The beacon is surer than what was once said, and than the network.
        (PlaceEvidence("inside", "hall"), "home", PROVED, "office", "hall"),
        (PlaceEvidence("silent"), "home", NOWHERE, "home", ""),
        (PlaceEvidence("silent"), "elsewhere", NOWHERE, "elsewhere", ""),
        (PlaceEvidence("tunnel"), "home", PROVED, "home", ""),
        # The line of a known office is dead: still that office.
        (PlaceEvidence("silent"), "office:hall", NOWHERE, "office", "hall"),
        (PlaceEvidence("silent"), "", PROVED, "office", "depot"),
        (PlaceEvidence("not_configured"), "", PROVED, "office", "depot"),
        (PlaceEvidence("silent"), "", OfficeMatch("", False, "doubt"), "unknown", ""),
        (PlaceEvidence("silent"), "", NOWHERE, "unknown", ""),
        (PlaceEvidence("tunnel"), "", NOWHERE, "unknown", ""),
        (PlaceEvidence("hidden"), "", NOWHERE, "unknown", ""),
        (PlaceEvidence("not_secure"), "", NOWHERE, "unknown", ""),
        (PlaceEvidence("not_supported"), "", NOWHERE, "unknown", ""),
        (PlaceEvidence("not_configured"), "", NOWHERE, "unknown", ""),
        (PlaceEvidence("no_network"), "home", PROVED, "unknown", ""),
        (PlaceEvidence("silent"), "office:", NOWHERE, "unknown", ""),
        (PlaceEvidence("silent"), "nonsense", NOWHERE, "unknown", ""),
    ],
)
def test_office_and_home_are_reported_only_if_that_is_certain(
    seen: PlaceEvidence, remembered: str, stands: OfficeMatch, place: str, site: str
) -> None:
    verdict = decide_place(seen, remembered, stands)
    assert verdict[:2] == (place, site)
    assert verdict[2]


OFFICES = (
    Office("hall", ("10.20.0.0/16", "2a02:1234::/48", "8.8.4.0/24")),
    Office("depot", ("192.168.1.0/24", "10.20.8.0/24", "nonsense")),
)


@pytest.mark.parametrize(
    ("networks", "resolvers", "site", "proved"),
    [
        # Unique in the world.
        (("8.8.4.7/25",), (), "hall", True),
        (("2a02:1234:0:5::7/64",), (), "hall", True),
        # Private, with the council's name servers outside it.
        (("10.20.3.7/24",), ("10.20.1.10", "10.20.1.11"), "hall", True),
        # The narrowest network is the office's own.
        (("10.20.8.7/24",), ("10.20.1.10",), "depot", True),
        # A hotel numbered alike: it names itself, or a public server.
        (("10.20.3.7/24",), ("10.20.3.1",), "", False),
        (("10.20.3.7/24",), ("10.20.1.10", "8.8.8.8"), "", False),
        (("10.20.3.7/24",), (), "", False),
        # Numbered like homes: never.
        (("192.168.1.7/24",), ("10.20.1.10",), "", False),
        # Wider than the office's network: another one.
        (("10.20.3.7/8",), ("10.200.1.10",), "", False),
        (("fe80::1/64", "nonsense"), (), "", False),
        (("172.31.5.5/24",), ("10.20.1.10",), "", False),
    ],
)
def test_a_network_proves_an_office_only_if_nobody_else_can_have_it(
    networks: tuple[str, ...], resolvers: tuple[str, ...], site: str, proved: bool
) -> None:
    line = msgspec.structs.replace(CABLE, networks=networks)
    office = match_office(line, OFFICES, resolvers)
    assert (office.site, office.proved) == (site, proved)
    assert match_office(None, OFFICES, resolvers) == OfficeMatch()
    assert match_office(line, (), resolvers) == OfficeMatch()


@pytest.mark.parametrize(
    ("answer", "among", "how"),
    [
        (BeaconAnswer("hall", "10.1.7.3"), [CABLE], "inside"),
        (BeaconAnswer("hall", "10.1.7.3"), [CABLE, tunnel()], "inside"),
        (BeaconAnswer("hall", "10.99.0.2"), [CABLE, tunnel()], "tunnel"),
        # An address that no interface has (IPsec by policy, on the loopback).
        (BeaconAnswer("hall", "10.5.5.5"), [CABLE], "tunnel"),
        # One that a tunnel has too.
        (
            BeaconAnswer("hall", "10.1.7.3"),
            [CABLE, tunnel(addresses=("10.1.7.3",))],
            "tunnel",
        ),
        # A filter driver takes what leaves the physical interface.
        (
            BeaconAnswer("hall", "10.1.7.3"),
            [CABLE, tunnel("zcctun0", up=False)],
            "hidden",
        ),
        (
            BeaconAnswer("hall", "10.1.7.3", "10.1.7.3"),
            [CABLE, tunnel("zcctun0", up=False)],
            "inside",
        ),
        (BeaconAnswer("hall", "10.1.7.3", "10.88.1.1"), [CABLE], "tunnel"),
        (BeaconAnswer("hall", "10.1.7.3", "::ffff:10.1.7.3"), [CABLE], "inside"),
        (BeaconAnswer("hall", "10.1.7.3", "nonsense"), [CABLE], "tunnel"),
    ],
)
def test_a_beacon_counts_only_over_a_link_that_surely_is_no_tunnel(
    answer: BeaconAnswer, among: list[Interface], how: str
) -> None:
    assert beacon_evidence(answer, among, find_tunnels(among)).how == how


class Beacon:
    """A real HTTPS server on 127.0.0.1 that says `body`."""

    def __init__(self, folder: Path) -> None:
        self.made = make_certificates(folder)
        self.ca_file = str(self.made.authority)
        self.body = b'{"site": "hall"}'
        self.status = 200
        self.asked = 0
        self.url = ""

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Beacon"]:
        import asyncio

        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(self.made.certificate, self.made.private_key)

        async def serve(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await reader.readuntil(b"\r\n\r\n")
                self.asked += 1
                head = f"HTTP/1.1 {self.status} X\r\nContent-Length: {len(self.body)}"
                writer.write(head.encode() + b"\r\n\r\n" + self.body)
                await writer.drain()
                await reader.read(1)
            writer.transport.abort()

        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
        port = server.sockets[0].getsockname()[1]
        self.url = f"https://127.0.0.1:{port}/beacon"
        try:
            yield self
        finally:
            server.close()


def reached_by(*names: Interface) -> list[Interface]:
    """The first of `names` owns the address by which the test's beacon is reached."""
    first, *others = names
    here = (*first.addresses, "127.0.0.1")
    return [msgspec.structs.replace(first, addresses=here), *others]


async def test_a_beacon_over_the_cable_is_an_office_and_through_a_tunnel_is_not(
    tmp_path: Path,
) -> None:
    def neighbour(gateway: str, _interface: str) -> str:
        return parse_arp(ARP, gateway)

    places = KnownPlaces(tmp_path, b"a key of this laptop")
    now_s = [0.0]
    async with Beacon(tmp_path / "tls").running() as beacon:
        among = reached_by(tunnel(), CABLE)
        locator = Locator(
            places, beacon.ca_file, lambda: among, neighbour, managed=list,
            resolvers=tuple, monotonic_s=lambda: now_s[0],
        )  # fmt: skip
        through = await locator.where(beacon.url)
        assert through.whereabouts.place == "unknown"
        assert through.whereabouts.vpn == "up"
        assert "through the VPN" in through.reason

        among = reached_by(CABLE)
        inside = await locator.where(beacon.url)
        where = inside.whereabouts
        assert (where.place, where.site, where.connection, where.vpn) == (
            "office", "hall", "wired", "absent",
        )  # fmt: skip
        # The same network is not asked again for a while.
        asked = beacon.asked
        await locator.where(beacon.url)
        assert beacon.asked == asked
        now_s[0] += 3600
        beacon.status = 503
        dead = await locator.where(beacon.url)
        assert beacon.asked == asked + 1
        assert dead.whereabouts.place == "office"
        assert "before" in dead.reason
        # Another network with the same silence is not that office.
        among = reached_by(LAPTOP)
        other = await locator.where(beacon.url)
        assert other.whereabouts.place == "unknown"
        assert locator.set_place("home")
        now_s[0] += 3600
        assert (await locator.where(beacon.url)).whereabouts.place == "home"
        assert locator.set_place("")
        now_s[0] += 3600
        assert (await locator.where(beacon.url)).whereabouts.place == "unknown"
    kept = (tmp_path / "places.json").read_text()
    for secret in ("10.1.7", "02:00:5e", "192.168"):
        assert secret not in kept.lower()
    assert (tmp_path / "places.json").stat().st_mode & 0o777 == 0o600


async def test_a_beacon_that_is_not_the_councils_proves_nothing(tmp_path: Path) -> None:
    async with Beacon(tmp_path / "tls").running() as beacon:
        assert await query_beacon(beacon.url, beacon.ca_file) == BeaconAnswer(
            "hall", "127.0.0.1"
        )
        beacon.body = b'{"site": "hall", "seen": "10.2.3.4", "more": 1}'
        answer = await query_beacon(beacon.url, beacon.ca_file)
        assert answer == BeaconAnswer("hall", "127.0.0.1", "10.2.3.4")
        other = str(make_certificates(tmp_path / "other").authority)
        assert await query_beacon(beacon.url, other) is None
        for body in (b"", b"[]", b'{"site": 3}', b'{"site": ""}', b"\xff", b"x" * 9999):
            beacon.body = body
            assert await query_beacon(beacon.url, beacon.ca_file) is None
    assert await query_beacon("https://127.0.0.1:1/", "") is None
    assert await query_beacon("https://[/", "") is None


def test_places_are_bounded_and_survive_nonsense(tmp_path: Path) -> None:
    places = KnownPlaces(tmp_path, b"key")
    for number in range(130):
        places.remember(f"n{number}", "home")
    assert places.known("n129") == "home"
    assert places.known("n0") == ""
    (tmp_path / "places.json").write_bytes(b"\xff{")
    assert places.known("n129") == ""
    places.remember("n1", "elsewhere")
    assert places.known("n1") == "elsewhere"
    router = "02:00:5e:00:53:01"
    assert places.fingerprint(None, router) == ""
    assert places.fingerprint(LAPTOP, "") == ""
    other = KnownPlaces(tmp_path, b"other").fingerprint(LAPTOP, router)
    assert places.fingerprint(LAPTOP, router) not in {"", other}
