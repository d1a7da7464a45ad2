"""The DNS lookup probe against name servers that behave in every way."""

import asyncio
import socket
import struct
from pathlib import Path

import dns.message
import dns.rrset
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.measure import name_lookup
from probes.measure.active_interface import Interface
from probes.measure.dns_message import (
    AAAA,
    A,
    encode_query,
    encode_question,
    read_answer,
)
from probes.measure.dns_query import NameServer, look_up
from probes.platforms import linux
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


async def measure_at(
    *servers: Resolver, lifetime_s: float = 10, name: str = "www.example.org"
) -> Result:
    loop = asyncio.get_running_loop()
    transports, addresses = [], []
    for server in servers:
        transport, _ = await loop.create_datagram_endpoint(
            lambda server=server: server,  # type: ignore[misc]
            local_addr=("127.0.0.1", 0),
            family=socket.AF_INET,
        )
        transports.append(transport)
        addresses.append(NameServer(*transport.get_extra_info("sockname")))
    try:
        result = await name_lookup.measure(
            name, servers=addresses, lifetime_s=lifetime_s, now_ms=lambda: 5
        )
        fits_the_catalogue(result)
        return result
    finally:
        for transport in transports:
            transport.close()


async def test_a_lookup_has_its_time_and_outcome() -> None:
    result = await measure_at(Resolver())
    assert result.outcome is Outcome.OK
    assert result.values["lookup_ms"] > 0
    assert result.cost_bytes > 100
    assert result.target == "www.example.org"
    missing = await measure_at(Resolver(code=3))
    assert missing.outcome is Outcome.NAME_NOT_FOUND
    assert "lookup_ms" in missing.values
    assert (await measure_at(Resolver(code=2))).outcome is Outcome.NAME_SERVER_FAILED
    silent = await measure_at(Resolver(silent=True), lifetime_s=0.3)
    assert silent.outcome is Outcome.TIMEOUT
    assert "lookup_ms" not in silent.values


async def test_a_name_with_only_ipv6_is_found_and_a_refusal_is_an_outcome() -> None:
    result = await measure_at(Resolver(only_ipv6=True))
    assert result.outcome is Outcome.OK
    assert result.values["only_ipv6"] == 1
    # REFUSED (5) comes from the server; a closed port means that there is none.
    assert (await measure_at(Resolver(code=5))).outcome is Outcome.REFUSED


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
    result = await measure_at(Resolver(raw=raw), lifetime_s=0.05)
    assert result.outcome is not Outcome.OK or raw


async def test_a_laptop_without_name_servers_has_no_network() -> None:
    result = await name_lookup.measure("a.example", servers=(), now_ms=lambda: 5)
    assert (result.outcome, result.cost_bytes) == (Outcome.NO_NETWORK, 0)


async def test_a_name_server_that_fails_or_is_silent_is_followed_by_the_next() -> None:
    assert (await measure_at(Resolver(code=2), Resolver())).outcome is Outcome.OK
    assert (await measure_at(Resolver(code=5), Resolver())).outcome is Outcome.OK
    both = await measure_at(Resolver(code=5), Resolver(code=2))
    assert both.outcome is Outcome.NAME_SERVER_FAILED
    cut = bytes([0x81, 0x80]) + struct.pack("!HHHH", 1, 9, 0, 0)
    question = encode_question("www.example.org", A)
    broken = await measure_at(Resolver(raw=cut + question + b"\xc0"))
    assert broken.outcome is Outcome.BAD_ANSWER


async def test_an_answer_that_does_not_fit_is_read_over_tcp() -> None:
    truncated = bytes([0x83, 0x80]) + struct.pack("!HHHH", 1, 0, 0, 0)
    question = encode_question("www.example.org", A)
    udp = Resolver(raw=truncated + question)

    async def answer(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        (size,) = struct.unpack("!H", await reader.readexactly(2))
        query = dns.message.from_wire(await reader.readexactly(size))
        response = dns.message.make_response(query)
        for number in range(60):
            response.answer.append(
                dns.rrset.from_text(
                    "www.example.org.", 60, "IN", "A", f"10.0.0.{number}"
                )
            )
        message = response.to_wire()
        writer.write(struct.pack("!H", len(message)) + message)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: udp, local_addr=("127.0.0.1", port)
    )
    async with server:
        lookup = await look_up("www.example.org", A, [NameServer("127.0.0.1", port)], 5)
    transport.close()
    assert (lookup.outcome, lookup.found) == (Outcome.OK, True)
    assert lookup.cost_bytes > 900


@pytest.mark.parametrize(
    "name", ["a..b", "x" * 64 + ".org", ".".join(["abcdefg"] * 40)]
)
async def test_what_is_no_name_is_not_asked_for(name: str) -> None:
    result = await measure_at(Resolver(), name=name)
    assert (result.outcome, result.cost_bytes) == (Outcome.NAME_NOT_FOUND, 0)


@settings(max_examples=60, deadline=None)
@given(
    names=st.lists(
        st.from_regex(r"[a-z0-9-]{1,12}(\.[a-z]{1,8}){0,3}", fullmatch=True),
        min_size=1,
        max_size=4,
    ),
    kind=st.sampled_from([A, AAAA]),
    code=st.sampled_from([0, 2, 3, 5]),
)
def test_messages_are_read_as_dnspython_reads_them(
    names: list[str], kind: int, code: int
) -> None:
    question = encode_question(names[0], kind)
    query = dns.message.from_wire(encode_query(77, question))
    assert query.question[0].name.to_text() == f"{names[0]}."
    response = dns.message.make_response(query)
    response.set_rcode(code)
    for alias in names[1:]:
        response.answer.append(
            dns.rrset.from_text(f"{names[0]}.", 60, "IN", "CNAME", f"{alias}.")
        )
        response.answer.append(
            dns.rrset.from_text(f"{alias}.", 60, "IN", "AAAA", "2001:db8::1")
        )
    has = any(rrset.rdtype == kind for rrset in response.answer)
    answer = read_answer(response.to_wire(), 77, question)
    assert answer is not None
    assert (answer.code, answer.found, answer.truncated) == (code, has, False)
    assert read_answer(response.to_wire(), 78, question) is None


@given(st.binary(max_size=200))
def test_random_octets_are_no_answer(message: bytes) -> None:
    question = encode_question("www.example.org", A)
    head = struct.pack("!HHHHHH", 7, 0x8180, 1, 3, 0, 0) + question
    for octets in (message, head + message):
        try:
            answer = read_answer(octets, 7, question)
        except ValueError:
            continue
        assert answer is None or octets is not message


def test_the_name_servers_asked_are_those_that_programs_ask(tmp_path: Path) -> None:
    own = tmp_path / "resolv.conf"
    own.write_text("search example\nnameserver 127.0.0.53\nnameserver fe80::1%wlan0\n")
    behind = tmp_path / "upstream"
    behind.write_text("nameserver 10.9.0.53\n")
    assert linux.name_servers(own) == ("127.0.0.53", "fe80::1%wlan0")
    assert linux.resolvers(behind, own) == ("127.0.0.53", "fe80::1")
    own.write_text("nameserver 127.0.0.53\n")
    assert linux.resolvers(behind, own) == ("10.9.0.53",)
