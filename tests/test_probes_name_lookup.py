"""The DNS lookup probe against name servers that behave in every way."""

import asyncio
import socket
import struct

import dns.asyncresolver
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.measure import name_lookup
from probes.measure.active_interface import Interface
from probes.wire.catalogue import check_sample
from probes.wire.failure import Outcome
from probes.wire.measurements import CATALOGUE
from probes.wire.report import Report, Result, Whereabouts, samples


def fits_the_catalogue(result: Result) -> None:
    report = Report(1, "r", "a", 1, "s", Whereabouts(), (result,))
    for sample in samples(report, "hall", "isp"):
        check_sample(sample, CATALOGUE)


class Resolver(asyncio.DatagramProtocol):
    """A name server on 127.0.0.1 that answers with `code` or with `raw` octets, or
    not at all. With `only_ipv6` the name has no A record."""

    def __init__(
        self,
        code: int = 0,
        raw: bytes | None = None,
        silent: bool = False,
        only_ipv6: bool = False,
    ):
        self.code, self.raw, self.silent = code, raw, silent
        self.only_ipv6 = only_ipv6

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if self.silent:
            return
        (id,) = struct.unpack("!H", data[:2])
        end = data.index(b"\0", 12) + 5
        (kind,) = struct.unpack("!H", data[end - 4 : end - 2])
        has = kind == (28 if self.only_ipv6 else 1)
        count = 1 if self.code == 0 and has else 0
        head = struct.pack("!HHHHHH", id, 0x8180 | self.code, 1, count, 0, 0)
        address = bytes([192, 0, 2, 7] * (4 if kind == 28 else 1))
        record = b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 60, len(address)) + address
        answer = head + data[12:end] + record * count
        self.transport.sendto(  # type: ignore[attr-defined]
            answer if self.raw is None else data[:2] + self.raw, addr
        )


async def look_up(name_server: Resolver, lifetime_s: float = 10) -> Result:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: name_server, local_addr=("127.0.0.1", 0), family=socket.AF_INET
    )
    try:
        resolver = dns.asyncresolver.Resolver(configure=False)
        resolver.nameservers = ["127.0.0.1"]
        resolver.port = transport.get_extra_info("sockname")[1]
        result = await name_lookup.measure(
            "www.example.org",
            resolver=resolver,
            lifetime_s=lifetime_s,
            now_ms=lambda: 5,
        )
        fits_the_catalogue(result)
        return result
    finally:
        transport.close()


async def test_a_lookup_has_its_time_and_outcome() -> None:
    result = await look_up(Resolver())
    assert result.outcome is Outcome.OK
    assert result.values["lookup_ms"] > 0
    assert result.cost_bytes > 100
    assert result.target == "www.example.org"
    missing = await look_up(Resolver(code=3))
    assert missing.outcome is Outcome.NAME_NOT_FOUND
    assert "lookup_ms" in missing.values
    assert (await look_up(Resolver(code=2))).outcome is Outcome.NAME_SERVER_FAILED
    silent = await look_up(Resolver(silent=True), lifetime_s=0.3)
    assert silent.outcome is Outcome.TIMEOUT
    assert "lookup_ms" not in silent.values


async def test_a_name_with_only_ipv6_is_found_and_a_refusal_is_an_outcome() -> None:
    result = await look_up(Resolver(only_ipv6=True))
    assert result.outcome is Outcome.OK
    assert result.values["only_ipv6"] == 1
    # REFUSED (5) comes from the server; a closed port means that there is none.
    assert (await look_up(Resolver(code=5))).outcome is Outcome.REFUSED


@pytest.mark.parametrize(
    ("servers", "upstream", "kind", "through"),
    [
        (["192.168.1.1"], (), "gateway", 0),
        (["8.8.8.8"], (), "public", 0),
        (["10.9.0.53"], (), "private", 1),
        (["127.0.0.53"], ("10.9.0.53",), "private", 1),
        (["127.0.0.53"], (), "loopback", None),
        (["::1"], ("nonsense",), "loopback", None),
        (["fe80::1%wlan0"], (), "private", 0),
        ([], (), None, None),
    ],
)
def test_a_result_has_the_kind_of_resolver_and_not_its_address(
    servers: list[str], upstream: tuple[str, ...], kind: str | None, through: int | None
) -> None:
    interfaces = [
        Interface("wlan0", up=True, addresses=("192.168.1.20",), gateway="192.168.1.1"),
        Interface("tun0", kind="tun", up=True, addresses=("10.9.0.2",)),
    ]

    def towards(remote: str) -> str:
        return "10.9.0.2" if remote.startswith("10.") else "192.168.1.20"

    facts = name_lookup.resolver_facts(servers, interfaces, lambda: upstream, towards)
    assert facts.get("resolver") == kind
    assert facts.get("resolver_through_vpn") == through


@settings(max_examples=15, deadline=None)
@given(raw=st.binary(max_size=80))
async def test_random_responses_never_break_the_lookup(raw: bytes) -> None:
    result = await look_up(Resolver(raw=raw), lifetime_s=0.05)
    assert result.outcome is not Outcome.OK or raw


def test_windows_lookups_ask_the_resolvers_in_use_and_no_others() -> None:
    asked = name_lookup.system_resolver("win32", lambda: ("192.0.2.1", "fe80::1%12"))
    assert [str(server) for server in asked.nameservers] == ["192.0.2.1", "fe80::1%12"]
    with pytest.raises(dns.resolver.NoResolverConfiguration):
        name_lookup.system_resolver("win32", lambda: ())
