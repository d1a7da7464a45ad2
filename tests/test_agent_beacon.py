"""A beacon proves an office only if no tunnel carried the query."""

import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from laptop_interfaces import CABLE, LAPTOP, tunnel

from collectors.ingest.certificate import make_certificates
from probes.agent.beacon import (
    BeaconAnswer,
    beacon_evidence,
    query_beacon,
)
from probes.agent.place import KnownPlaces, Locator
from probes.measure.active_interface import (
    Interface,
)
from probes.measure.tunnels import (
    find_tunnels,
)
from probes.platforms.linux_tools import parse_arp

ARP = """IP address       HW type     Flags       HW address            Mask     Device
192.168.1.1      0x1         0x2         02:00:5e:00:53:01     *        wlp2s0
10.1.7.1         0x1         0x2         02:00:5E:00:53:02     *        enp3s0
10.1.7.9         0x1         0x0         00:00:00:00:00:00     *        enp3s0
"""


@pytest.mark.parametrize(
    ("answer", "interfaces", "how"),
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
def test_a_beacon_counts_only_over_a_link_that_is_certainly_no_tunnel(
    answer: BeaconAnswer, interfaces: list[Interface], how: str
) -> None:
    assert beacon_evidence(answer, interfaces, find_tunnels(interfaces)).how == how


class Beacon:
    """A real HTTPS server on 127.0.0.1 that answers with `body`."""

    def __init__(self, folder: Path) -> None:
        self.certificates = make_certificates(folder)
        self.ca_file = str(self.certificates.authority)
        self.body = b'{"site": "hall"}'
        self.status = 200
        self.queries = 0
        self.url = ""

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Beacon"]:
        import asyncio

        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(
            self.certificates.certificate, self.certificates.private_key
        )

        async def serve(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await reader.readuntil(b"\r\n\r\n")
                self.queries += 1
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


def reached_by(*interfaces: Interface) -> list[Interface]:
    """Give the first interface the local address of the connection to the beacon."""
    first, *others = interfaces
    addresses = (*first.addresses, "127.0.0.1")
    return [msgspec.structs.replace(first, addresses=addresses), *others]


async def test_a_beacon_over_the_cable_is_an_office_and_through_a_tunnel_is_not(
    tmp_path: Path,
) -> None:
    def neighbour(gateway: str, _interface: str) -> str:
        return parse_arp(ARP, gateway)

    places = KnownPlaces(tmp_path, b"a key of this laptop")
    now_s = [0.0]
    async with Beacon(tmp_path / "tls").running() as beacon:
        interfaces = reached_by(tunnel(), CABLE)
        locator = Locator(
            places, beacon.ca_file, lambda: interfaces, neighbour, managed=list,
            resolvers=tuple, monotonic_s=lambda: now_s[0],
        )  # fmt: skip
        through = await locator.where(beacon.url)
        assert through.whereabouts.place == "unknown"
        assert through.whereabouts.vpn == "up"
        assert "through the VPN" in through.reason

        interfaces = reached_by(CABLE)
        inside = await locator.where(beacon.url)
        where = inside.whereabouts
        assert (where.place, where.site, where.connection, where.vpn) == (
            "office", "hall", "wired", "absent",
        )  # fmt: skip
        # The beacon is not queried again for a while on the same network.
        queries = beacon.queries
        await locator.where(beacon.url)
        assert beacon.queries == queries
        now_s[0] += 3600
        beacon.status = 503
        dead = await locator.where(beacon.url)
        assert beacon.queries == queries + 1
        assert dead.whereabouts.place == "office"
        assert "before" in dead.reason
        # Another network without an answer is not that office.
        interfaces = reached_by(LAPTOP)
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
