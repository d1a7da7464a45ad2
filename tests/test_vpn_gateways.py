"""A VPN gateway's door is knocked at as a laptop would; every failure is a result."""

import asyncio
import contextlib
import datetime
import errno
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from file_shortage import no_file_left
from polled_switches import RowSink
from services import free_port
from waiting import until

from collectors.estate.estate_model import Estate, Site, VpnGateway
from collectors.vpn_gateways import VpnGateways, VpnGatewaysConfig, check_gateway
from probes.wire.clock import wall_ms
from probes.wire.failure import Outcome
from probes.wire.socket_errors import outcome_of


def certificate(folder: Path, host: str, days: int, begins: int = -1) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + datetime.timedelta(days=begins))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    (folder / "ca.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "ca.pem", folder / "key.pem")
    return context


@contextlib.asynccontextmanager
async def door(context: ssl.SSLContext | None) -> AsyncIterator[int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


def gateway(port: int, host: str = "localhost") -> VpnGateway:
    return VpnGateway(id="vpn-1", host=host, port=port)


async def test_a_working_gateway_is_up_with_its_certificates_days(
    tmp_path: Path,
) -> None:
    async with door(certificate(tmp_path, "localhost", 30)) as port:
        config = VpnGatewaysConfig(ca_file=str(tmp_path / "ca.pem"))
        fields = await check_gateway(gateway(port), config, wall_ms)
    assert fields["up"] == 1
    assert fields["outcome"] == "ok"
    assert 29 < float(fields["certificate_days"]) <= 30


async def test_an_untrusted_certificate_is_up_but_reported(tmp_path: Path) -> None:
    async with door(certificate(tmp_path, "localhost", 30)) as port:
        fields = await check_gateway(gateway(port), VpnGatewaysConfig(), wall_ms)
    assert (fields["up"], fields["outcome"]) == (1, "tls_failed")


async def test_a_closed_port_is_refused() -> None:
    fields = await check_gateway(gateway(free_port()), VpnGatewaysConfig(), wall_ms)
    assert fields == {"up": 0, "outcome": "refused"}


async def test_a_gateway_that_was_sent_nothing_is_neither_up_nor_down() -> None:
    with no_file_left():
        fields = await check_gateway(
            gateway(443, "127.0.0.1"), VpnGatewaysConfig(), wall_ms
        )
    assert fields == {"outcome": "no_resources"}


async def test_an_unknown_name_is_reported() -> None:
    there_is_none = gateway(443, "gateway.invalid")
    fields = await check_gateway(there_is_none, VpnGatewaysConfig(), wall_ms)
    assert fields == {"up": 0, "outcome": "name_not_found"}


async def test_a_door_that_never_answers_tls_is_down_after_the_timeout() -> None:
    async with door(None) as port:
        config = VpnGatewaysConfig(timeout_s=0.3)

        async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(1)
            writer.close()

        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            fields = await check_gateway(gateway(port), config, wall_ms)
    assert (fields["up"], fields["outcome"]) == (0, "timeout")


async def test_a_poller_checks_the_gateways_that_are_its_own_and_no_others() -> None:
    port, sink, own = free_port(), RowSink(), {"vpn-1"}
    gateways = tuple(
        VpnGateway(id=f"vpn-{n}", host="127.0.0.1", port=port) for n in (1, 2)
    )
    estate = Estate(sites=(Site(id="s", name="S"),), vpn_gateways=gateways)

    def checked() -> set[str]:
        return {sample.tags["gateway"] for sample in sink.samples}

    async with VpnGateways(
        VpnGatewaysConfig(period_s=0.05),
        lambda: estate,
        sink,
        wall_ms,
        is_own=lambda gateway: gateway.id in own,
    ):
        await until(lambda: len(sink.samples) > 2, "checks of one")
        assert checked() == {"vpn-1"}
        own.clear()
        own.add("vpn-2")
        # A check that has begun may end.
        await until(lambda: "vpn-2" in checked(), "a check of the other")
        sink.samples.clear()
        await until(lambda: len(sink.samples) > 2, "checks of the other")
        assert checked() == {"vpn-2"}


class TwoAddresses(asyncio.SelectorEventLoop):
    """Resolves every name to an IPv6 and an IPv4 address of this machine."""

    async def getaddrinfo(self, host, port, **more):  # type: ignore[no-untyped-def]
        stream = (socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
        return [
            (socket.AF_INET6, *stream, ("::1", port, 0, 0)),
            (socket.AF_INET, *stream, ("127.0.0.1", port)),
        ]


def test_a_port_closed_on_both_its_addresses_is_refused() -> None:
    """asyncio then raises an error without a number."""
    with asyncio.Runner(loop_factory=TwoAddresses) as runner:
        closed = gateway(free_port(), "two.example")
        fields = runner.run(check_gateway(closed, VpnGatewaysConfig(), wall_ms))
    assert fields == {"up": 0, "outcome": "refused"}


def test_a_closed_port_is_refused_though_this_machine_lacks_the_other_family() -> None:
    error = OSError(
        "Multiple exceptions: [Errno 101] Network is unreachable, "
        "[Errno 111] Connect call failed ('192.0.2.1', 443)"
    )
    assert outcome_of(error) is Outcome.REFUSED
    alone = OSError("192.0.2.1:161: Network is unreachable (os error 101)")
    assert outcome_of(alone) is Outcome.NO_NETWORK


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError(errno.ECONNREFUSED, "refused"),
        ConnectionAbortedError(errno.ECONNABORTED, "aborted"),
        BrokenPipeError(errno.EPIPE, "broken pipe"),
        OSError(errno.ENETUNREACH, "network is unreachable"),
        OSError(errno.EHOSTUNREACH, "no route to host"),
        OSError(errno.ETIMEDOUT, "timed out"),
        socket.gaierror(socket.EAI_AGAIN, "try again"),
        socket.gaierror(socket.EAI_NONAME, "not known"),
        ssl.SSLError(1, "wrong version number"),
        UnicodeError("label too long"),
    ],
)
async def test_a_gateway_gives_the_reasons_that_a_laptop_gives(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr(asyncio, "open_connection", fails)
    fields = await check_gateway(gateway(443), VpnGatewaysConfig(), wall_ms)
    assert fields == {"up": 0, "outcome": outcome_of(error).value}


async def test_a_certificate_that_is_not_valid_yet_is_reported_as_a_wrong_clock(
    tmp_path: Path,
) -> None:
    async with door(certificate(tmp_path, "localhost", 30, begins=10)) as port:
        config = VpnGatewaysConfig(ca_file=str(tmp_path / "ca.pem"))
        fields = await check_gateway(gateway(port), config, wall_ms)
    assert (fields["up"], fields["outcome"]) == (1, "clock_wrong")
