"""The web and name lookup probes, against real servers of every mood."""

import asyncio
import socket
import ssl
import struct
from pathlib import Path

import dns.asyncresolver
import pytest
import services
from hypothesis import given, settings
from hypothesis import strategies as st
from one_answer import serving

from collectors.ingest.certificate import make_certificates
from probes.measure import name_lookup, web_service
from probes.measure.active_interface import Interface
from probes.wire.catalogue import check_sample
from probes.wire.failure import Outcome
from probes.wire.measurements import CATALOGUE
from probes.wire.policy import Service
from probes.wire.report import Report, Result, Whereabouts, samples

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"


def fits_the_catalogue(result: Result) -> None:
    report = Report(1, "r", "a", 1, "s", Whereabouts(), (result,))
    for sample in samples(report, "hall", "isp"):
        check_sample(sample, CATALOGUE)


async def ask(url: str, tls: ssl.SSLContext | None = None, timeout_s: float = 10):  # type: ignore[no-untyped-def]
    result = await web_service.measure(
        Service("council", url),
        tls=tls or ssl.create_default_context(),
        timeout_s=timeout_s,
        now_ms=lambda: 5,
    )
    fits_the_catalogue(result)
    assert result.target == "council"
    return result


async def test_every_phase_of_https_is_timed_and_adds_up(tmp_path: Path) -> None:
    made = make_certificates(tmp_path)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(made.certificate, made.private_key)
    trust = ssl.create_default_context(cafile=str(made.authority))
    body = OK.replace(b"Content-Length: 5\r\n", b"")
    async with serving(OK, server, pause_s=0.05) as port:
        result = await ask(f"https://127.0.0.1:{port}/x?y=1", trust)
        assert result.outcome is Outcome.OK
        values = result.values
        assert values["status"] == 200
        assert values["first_byte_ms"] >= 50
        phases = [
            values[name]
            for name in ("lookup_ms", "connect_ms", "tls_ms", "first_byte_ms")
        ]
        assert sum(phases) <= values["total_ms"]
        assert result.cost_bytes > 5000

        stranger = await ask(f"https://127.0.0.1:{port}/")
        assert stranger.outcome is Outcome.TLS_FAILED
        assert set(stranger.values) == {"lookup_ms", "connect_ms"}
    async with serving(body) as port:
        plain = await ask(f"http://127.0.0.1:{port}/")
        assert plain.outcome is Outcome.OK
        assert "tls_ms" not in plain.values


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (b"HTTP/1.1 404 No\r\n\r\n", Outcome.OK),
        (b"HTTP/1.1 503 No\r\n\r\n", Outcome.BAD_ANSWER),
        (b"HTTP/1.1 511 Sign in\r\n\r\n", Outcome.CAPTIVE_PORTAL),
        (b"HTTP/1.1 407 Who\r\n\r\n", Outcome.AUTH_FAILED),
        (b"HTTP/1.1 302 F\r\nLocation: http://login.hotel/\r\n\r\n",
         Outcome.CAPTIVE_PORTAL),
        (b"HTTP/1.1 302 F\r\nLocation: https://10.1.1.1/in\r\n\r\n",
         Outcome.CAPTIVE_PORTAL),
        (b"HTTP/1.1 302 F\r\nLocation: https://login.example/\r\n\r\n", Outcome.OK),
        (b"HTTP/1.1 301 F\r\nLocation: /home\r\n\r\n", Outcome.OK),
        # Sign-in pages that a strict parser rejects.
        (b"HTTP/1.1 302 F\r\nLocation : http://login.hotel/\r\n\r\n",
         Outcome.CAPTIVE_PORTAL),
        (b"HTTP/1.1 302 F\r\nX Portal: 1\r\nLocation: http://login.hotel/\r\n\r\n",
         Outcome.CAPTIVE_PORTAL),
        (b"HTTP/1.1 302 F\r\nContent-Length: 5\r\nContent-Length: 0\r\n"
         b"Location: http://login.hotel/\r\n\r\n", Outcome.CAPTIVE_PORTAL),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nhello", Outcome.OK),
        (b"SSH-2.0-OpenSSH\r\n\r\n", Outcome.BAD_ANSWER),
        (b"HTTP/1.1 abc\r\n\r\n", Outcome.BAD_ANSWER),
        (b"", Outcome.RESET),
        (None, Outcome.RESET),
    ],
)  # fmt: skip
async def test_answers_become_outcomes(answer: bytes | None, outcome: Outcome) -> None:
    async with serving(answer) as port:
        assert (await ask(f"http://127.0.0.1:{port}/")).outcome is outcome


async def test_what_keeps_an_answer_from_coming_is_told_apart() -> None:
    closed = services.free_port()
    assert (await ask(f"http://127.0.0.1:{closed}/")).outcome is Outcome.REFUSED
    async with serving(OK, pause_s=20) as port:
        slow = await ask(f"http://127.0.0.1:{port}/", timeout_s=0.3)
        assert slow.outcome is Outcome.TIMEOUT
        assert "connect_ms" in slow.values
        assert "total_ms" not in slow.values
    for odd in ("http://127.0.0.1:99999/", "http://[/", "http:///", "http://a..b/"):
        assert (await ask(odd)).outcome is not Outcome.OK


async def test_a_page_without_end_is_cut() -> None:
    async with serving(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 3_000_000) as port:
        result = await ask(f"http://127.0.0.1:{port}/")
        assert result.outcome is Outcome.OK
        assert result.cost_bytes < 200_000


@settings(max_examples=40, deadline=None)
@given(answer=st.binary(max_size=300), prefix=st.sampled_from([b"", b"HTTP/1.1 "]))
async def test_no_answer_breaks_the_web_probe(answer: bytes, prefix: bytes) -> None:
    async with serving(prefix + answer) as port:
        await ask(f"http://127.0.0.1:{port}/", timeout_s=5)


class Resolver(asyncio.DatagramProtocol):
    """A name server on 127.0.0.1 that answers with `code`, or `raw` octets, or not;
    `only_ipv6`: it knows no A of the name."""

    def __init__(
        self,
        code: int = 0,
        raw: bytes | None = None,
        silent: bool = False,
        only_ipv6: bool = False,
    ):
        self.code, self.raw, self.silent = code, raw, silent
        self.only_ipv6 = only_ipv6
        self.asked = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.asked += 1
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


async def test_names_are_looked_up_at_the_resolver_itself_with_time_and_outcome() -> (
    None
):
    found = await look_up(Resolver())
    assert found.outcome is Outcome.OK
    assert found.values["lookup_ms"] > 0
    assert found.cost_bytes > 100
    assert found.target == "www.example.org"
    missing = await look_up(Resolver(code=3))
    assert missing.outcome is Outcome.NAME_NOT_FOUND
    assert "lookup_ms" in missing.values
    assert (await look_up(Resolver(code=2))).outcome is Outcome.NAME_SERVER_FAILED
    silent = await look_up(Resolver(silent=True), lifetime_s=0.3)
    assert silent.outcome is Outcome.TIMEOUT
    assert "lookup_ms" not in silent.values


async def test_a_name_with_ipv6_alone_is_found_and_one_without_either_is_not() -> None:
    found = await look_up(Resolver(only_ipv6=True))
    assert found.outcome is Outcome.OK
    assert found.values["only_ipv6"] == 1
    # REFUSED (5) is the server's word; a closed port is its absence.
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
def test_of_the_resolver_its_kind_is_said_and_not_its_address(
    servers: list[str], upstream: tuple[str, ...], kind: str | None, through: int | None
) -> None:
    among = [
        Interface("wlan0", up=True, addresses=("192.168.1.20",), gateway="192.168.1.1"),
        Interface("tun0", kind="tun", up=True, addresses=("10.9.0.2",)),
    ]

    def towards(remote: str) -> str:
        return "10.9.0.2" if remote.startswith("10.") else "192.168.1.20"

    found = name_lookup.resolver_facts(servers, among, lambda: upstream, towards)
    assert found.get("resolver") == kind
    assert found.get("resolver_through_vpn") == through


@settings(max_examples=15, deadline=None)
@given(raw=st.binary(max_size=80))
async def test_no_answer_breaks_the_name_lookup(raw: bytes) -> None:
    result = await look_up(Resolver(raw=raw), lifetime_s=0.05)
    assert result.outcome is not Outcome.OK or raw
