"""The ndt7 server and the probe's client over real sockets, with and without TLS."""

import asyncio
import contextlib
import datetime
import itertools
import json
import os
import random
import time

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from services import free_port
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from collectors.reflector import ReflectorConfig, ReflectorService
from probes.measure import bandwidth
from probes.wire import ndt7
from probes.wire.catalogue import check_sample
from probes.wire.failure import Outcome
from probes.wire.measurements import CATALOGUE
from probes.wire.report import Report, Whereabouts, samples

QUICK = {"now_ms": lambda: 5, "budget_bytes": 50_000_000, "seconds": 1.0}
OFFER = {"subprotocols": [ndt7.SUBPROTOCOL], "compression": None, "max_size": 2**24}


def config(**more):
    defaults = {"addresses": ("127.0.0.1",), "stamp_port": 0, "web_port": 0}
    defaults |= {"access": "open", "tests_bps": 1e12}
    return ReflectorConfig(**(defaults | more))


def base(reflector, scheme="ws"):
    return f"{scheme}://127.0.0.1:{reflector.web_port}"


async def nobody_tests(reflector):
    async with asyncio.timeout(10):
        while reflector.web_stats.testing:  # noqa: ASYNC110 - it is a counter
            await asyncio.sleep(0.02)


async def all_of(link):
    """Everything a server sends until it closes: (texts, sizes of binaries)."""
    texts, sizes = [], []
    try:
        async with asyncio.timeout(20):
            while True:
                message = await link.recv()
                if isinstance(message, str):
                    texts.append(json.loads(message))
                else:
                    sizes.append(len(message))
    except ConnectionClosed as closed:
        return texts, sizes, closed
    raise AssertionError("never closed")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    now = datetime.datetime.now(datetime.UTC)
    return make_certificate(
        tmp_path_factory.mktemp("tls"), now - datetime.timedelta(days=1)
    )


def make_certificate(folder, begins):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begins)
        .not_valid_after(begins + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False)
        .add_extension(x509.BasicConstraints(True, None), True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return folder


async def test_a_download_is_what_the_specification_says():
    async with ReflectorService(config(), test_seconds=1.5) as reflector:
        url = base(reflector) + ndt7.DOWNLOAD + "?client_name=test&client_version=1"
        async with connect(url, **OFFER) as link:
            assert link.subprotocol == ndt7.SUBPROTOCOL
            started = time.monotonic()
            texts, sizes, closed = await all_of(link)
            took = time.monotonic() - started
    assert closed.rcvd.code == 1000
    assert took >= 1.4
    assert sizes[0] == 2**13
    assert all(2**10 <= size <= 2**20 for size in sizes)
    before = 0
    for one, two in itertools.pairwise(sizes):
        before += one
        assert two == one or (two == 2 * one and one < before / 16)
    assert 3 <= len(texts) <= took * 10 + 2
    last = texts[-1]
    # Since its v0.9 in every one; of one test, so always the same.
    (about,) = {tuple(each["ConnectionInfo"].items()) for each in texts}
    assert dict(about)["Client"].startswith("127.0.0.1:")
    assert (last["Origin"], last["Test"]) == ("server", "download")
    assert last["AppInfo"]["NumBytes"] == sum(sizes)
    assert last["AppInfo"]["ElapsedTime"] == pytest.approx(1.5e6, rel=0.5)
    times = [each["AppInfo"]["ElapsedTime"] for each in texts]
    assert times == sorted(times)


async def test_an_upload_is_counted_and_told_back():
    async with ReflectorService(config(), test_seconds=1.5) as reflector:
        async with connect(base(reflector) + ndt7.UPLOAD, **OFFER) as link:
            for _ in range(40):
                await link.send(bytes(2**13))
            texts, sizes, closed = await all_of(link)
        assert reflector.web_stats.octets_in == 40 * 2**13
    assert sizes == []
    assert closed.rcvd.code == 1000
    assert texts[-1]["AppInfo"]["NumBytes"] == 40 * 2**13
    assert len(texts) <= 1.5 * 10 + 2


async def test_an_upload_in_small_fragments_is_counted_and_ends_cleanly():
    # M-Lab's own client cuts its messages into frames of 4 kB.
    async with ReflectorService(config(), test_seconds=1.0) as reflector:
        async with connect(base(reflector) + ndt7.UPLOAD, **OFFER) as link:
            sent, over = 0, time.monotonic() + 0.5
            while time.monotonic() < over:
                await link.send([bytes(2**12)] * 16)
                sent += 2**16
            await link.send(["{}", '{"text": ', "1}"])
            texts, _sizes, closed = await all_of(link)
        assert reflector.web_stats.octets_in == sent
        assert reflector.web_stats.failed == 0
    assert texts[-1]["AppInfo"]["NumBytes"] == sent
    assert closed.rcvd.code == 1000


async def test_who_goes_on_sending_when_the_test_is_over_is_still_told_so():
    async with ReflectorService(config(), test_seconds=0.5) as reflector:
        async with connect(base(reflector) + ndt7.UPLOAD, **OFFER) as link:
            with contextlib.suppress(ConnectionClosed):
                async with asyncio.timeout(10):
                    while True:
                        await link.send(bytes(2**16))
        assert reflector.web_stats.failed == 0
    assert link.close_code == 1000


async def test_early_exit_ends_a_download_at_250_megabytes():
    async with ReflectorService(config(), test_seconds=30) as reflector:
        url = base(reflector) + ndt7.DOWNLOAD + "?early_exit=250"
        async with connect(url, **OFFER) as link:
            _texts, sizes, _closed = await all_of(link)
    assert 240e6 < sum(sizes) <= 250e6


async def test_a_clients_own_measurements_are_welcome_in_both_directions():
    async with ReflectorService(config(), test_seconds=0.8) as reflector:
        for path in (ndt7.DOWNLOAD, ndt7.UPLOAD):
            async with connect(base(reflector) + path, **OFFER) as link:
                for said in ("{}", "not json", '{"AppInfo": {"NumBytes": -1}}'):
                    await link.send(said)
                _texts, _sizes, closed = await all_of(link)
                assert closed.rcvd.code == 1000


async def test_a_download_that_gets_binary_messages_is_ended():
    async with ReflectorService(config(), test_seconds=30) as reflector:
        async with connect(base(reflector) + ndt7.DOWNLOAD, **OFFER) as link:
            await link.send(bytes(2000))
            _texts, _sizes, closed = await all_of(link)
        assert closed.rcvd is not None


@pytest.mark.parametrize(
    ("path", "offer", "status"),
    [
        (ndt7.DOWNLOAD, {}, 400),
        (ndt7.DOWNLOAD, {"subprotocols": ["something.else"]}, 400),
        (ndt7.UPLOAD + "?=2", OFFER, 400),
        (ndt7.DOWNLOAD + "?early_exit=1", OFFER, 400),
        ("/ndt/v8/download", OFFER, 404),
    ],
)
async def test_what_the_specification_forbids_is_refused(path, offer, status):
    async with ReflectorService(config()) as reflector:
        with pytest.raises(InvalidStatus) as refused:
            await connect(base(reflector) + path, **offer)
    assert refused.value.response.status_code == status


@pytest.mark.parametrize("query", ["?a=1&a=2", "?a", "?a=&b=%C3%A4"])
async def test_what_servers_are_to_bear_is_borne(query):
    """A key twice, a key without a value."""
    async with (
        ReflectorService(config(), test_seconds=0.2) as reflector,
        connect(base(reflector) + ndt7.DOWNLOAD + query, **OFFER) as link,
    ):
        _texts, sizes, _closed = await all_of(link)
    assert sizes


async def test_idle_connections_keep_neither_others_nor_a_running_test_out():
    few = config(connections=10)
    async with (
        ReflectorService(few, test_seconds=2) as reflector,
        connect(f"{base(reflector)}/ndt/v7/download", **OFFER) as test,
    ):
        running = asyncio.create_task(all_of(test))
        crowd = [
            await asyncio.open_connection(
                "127.0.0.1", reflector.web_port, local_addr=("127.0.0.2", 0)
            )
            for _ in range(40)
        ]
        async with httpx2.AsyncClient(trust_env=False) as client:
            for _ in range(3):
                answer = await client.get(f"{base(reflector, 'http')}/echo")
                assert answer.status_code == 200
        _, sizes, closed = await running
        assert sizes
        assert closed.rcvd.code == 1000
        assert reflector.web_stats.crowded >= 30
        for _, writer in crowd:
            writer.close()


async def test_with_all_places_taken_the_answer_is_busy_until_one_is_free():
    async with ReflectorService(config(tests_at_once=1), test_seconds=30) as reflector:
        url = base(reflector) + ndt7.UPLOAD
        async with connect(url, **OFFER):
            with pytest.raises(InvalidStatus) as refused:
                await connect(url, **OFFER)
            assert refused.value.response.status_code == 503
            found = await bandwidth.measure(base(reflector), **QUICK)
            assert found.outcome is Outcome.BUSY
            assert "down_bps" not in found.values
            assert reflector.web_stats.busy == 2
        await nobody_tests(reflector)
        async with connect(url, **OFFER):
            pass


async def test_who_is_told_busy_is_told_when_to_come_again():
    busy = config(tests_at_once=1, retry_after_s=100)
    async with ReflectorService(busy, test_seconds=30) as reflector:
        url = base(reflector) + ndt7.UPLOAD
        async with connect(url, **OFFER):
            found = await bandwidth.measure(base(reflector), **QUICK)
    assert found.outcome is Outcome.BUSY
    assert 50 <= found.values["retry_after_s"] <= 150


async def test_one_place_of_a_network_leaves_the_others_to_other_networks():
    several = config(
        addresses=("127.0.0.1", "::1"), web_port=free_port(), tests_at_once=3
    )
    async with ReflectorService(several, test_seconds=30) as reflector:
        url = base(reflector) + ndt7.UPLOAD
        async with connect(url, **OFFER):
            with pytest.raises(InvalidStatus):
                await connect(url, **OFFER)
            async with connect(url.replace("127.0.0.1", "[::1]"), **OFFER):
                assert reflector.web_stats.testing == 2


async def test_a_place_is_free_as_soon_as_the_test_is_over():
    async with ReflectorService(config(tests_at_once=1), test_seconds=0.3) as reflector:
        url = base(reflector)
        rude = await asyncio.open_connection("127.0.0.1", reflector.web_port)
        # A client that never answers the closing handshake.
        rude[1].write(
            b"GET /ndt/v7/upload HTTP/1.1\r\nHost: r\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            b"Sec-WebSocket-Protocol: net.measurementlab.ndt.v7\r\n\r\n"
        )
        assert b"101" in await rude[0].readuntil(b"\r\n")
        await asyncio.sleep(0.5)
        async with connect(url + ndt7.UPLOAD, **OFFER):
            pass
        rude[1].close()


async def test_a_tenth_of_the_line_is_what_all_tests_share():
    # As it comes, a line of 1 Gbit/s: never without a limit.
    assert ReflectorConfig().share_bps == 50e6
    shared = config(tests_at_once=2, line_bps=400e6, tests_bps=0)
    assert shared.share_bps == 20e6
    assert config(tests_at_once=2, line_bps=400e6, tests_bps=10e6).share_bps == 5e6
    async with (
        ReflectorService(shared, test_seconds=1.0) as reflector,
        connect(base(reflector) + ndt7.DOWNLOAD, **OFFER) as link,
    ):
        assert link.response.headers[ndt7.CAP_HEADER] == "20000000"


async def test_load_and_what_it_does_to_others_are_told():
    async with ReflectorService(config(), test_seconds=2.0) as reflector:
        found = await bandwidth.measure(
            base(reflector), **QUICK | {"seconds": 2.0, "budget_bytes": 10**12}
        )
    values = found.values
    assert found.outcome is Outcome.OK
    assert values["down_at_least"] == values["up_at_least"] == values["at_least"] == 0
    assert values["bufferbloat"] in ("A+", "A", "B", "C", "D", "F")
    assert values["rtt_loaded_ms"] == max(values["rtt_down_ms"], values["rtt_up_ms"])
    assert 0 <= values["up_retransmit_ratio"] < 1
    report = Report(1, "r", "a", 0, "test", Whereabouts(), (found,))
    check_sample(samples(report, "", "")[0], CATALOGUE)


async def test_a_place_is_freed_when_a_client_vanishes():
    async with ReflectorService(config(tests_at_once=1), test_seconds=30) as reflector:
        link = await connect(base(reflector) + ndt7.DOWNLOAD, **OFFER)
        link.transport.abort()
        await nobody_tests(reflector)


async def test_a_capped_reflector_holds_to_its_cap_and_the_result_says_at_least():
    capped = config(tests_at_once=2, tests_bps=40e6)
    async with ReflectorService(capped, test_seconds=1.5) as reflector:
        found = await bandwidth.measure(base(reflector), **QUICK | {"seconds": 1.5})
    assert found.outcome is Outcome.OK
    # Uncapped it is some Gbit/s; what a short test's first burst or a busy machine adds
    # or takes is within these.
    assert 10e6 < found.values["down_bps"] < 40e6
    assert 10e6 < found.values["up_bps"] < 40e6
    assert found.values["at_least"] == 1
    assert found.cost_bytes < 20_000_000


async def test_both_ways_are_measured_within_the_budget():
    async with ReflectorService(config(), test_seconds=1.0) as reflector:
        found = await bandwidth.measure(base(reflector), **QUICK)
    assert found.outcome is Outcome.OK
    assert found.probe == "bandwidth"
    assert found.time_ms == 5
    assert 20e6 < found.cost_bytes <= 50_000_000
    assert found.values["at_least"] == 1
    assert found.values["down_bps"] > 10e6
    assert found.values["up_bps"] > 10e6
    assert found.values["rtt_idle_ms"] < 1000


async def test_a_budget_too_small_to_measure_with_is_spent():
    found = await bandwidth.measure("ws://127.0.0.1:1", **QUICK | {"budget_bytes": 1})
    assert found.outcome is Outcome.BUDGET_SPENT
    assert found.cost_bytes == 0


async def test_it_works_over_tls_for_who_trusts_the_certificate(certificate):
    tls = config(
        tls_certificate=certificate / "cert.pem", tls_key=certificate / "key.pem"
    )
    async with ReflectorService(tls, test_seconds=1.0) as reflector:
        url = f"https://localhost:{reflector.web_port}"
        trusted = await bandwidth.measure(
            url, ca_file=str(certificate / "cert.pem"), **QUICK
        )
        unknown = await bandwidth.measure(url, **QUICK)
        careless = await bandwidth.measure(url, verify=False, **QUICK)
    assert trusted.outcome is careless.outcome is Outcome.OK
    assert unknown.outcome is Outcome.TLS_FAILED


async def test_a_certificate_that_is_not_valid_yet_means_a_wrong_clock(tmp_path):
    now = datetime.datetime.now(datetime.UTC)
    folder = make_certificate(tmp_path, now + datetime.timedelta(days=300))
    tls = config(tls_certificate=folder / "cert.pem", tls_key=folder / "key.pem")
    async with ReflectorService(tls) as reflector:
        url = f"https://localhost:{reflector.web_port}"
        found = await bandwidth.measure(url, ca_file=str(folder / "cert.pem"), **QUICK)
    assert found.outcome is Outcome.CLOCK_WRONG


async def test_the_echo_answers_a_web_probe(certificate):
    tls = config(
        tls_certificate=certificate / "cert.pem", tls_key=certificate / "key.pem"
    )
    async with ReflectorService(tls) as reflector:
        url = f"https://localhost:{reflector.web_port}/echo"
        async with httpx2.AsyncClient(verify=False) as client:
            for _ in range(3):
                answer = await client.get(url)
                assert (answer.status_code, answer.text) == (200, "towpath\n")
            assert (await client.get(url + "?x=1")).status_code == 200
            assert (await client.get(url.replace("echo", "nothing"))).status_code == 404
        assert reflector.web_stats.echoes == 4


async def answer_with(raw):
    async def serve(reader, writer):
        await reader.read(1000)
        writer.write(raw)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1]


@pytest.mark.parametrize(
    ("raw", "outcome"),
    [
        (b"", Outcome.BAD_ANSWER),
        (b"SSH-2.0-OpenSSH\r\n", Outcome.BAD_ANSWER),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", Outcome.BAD_ANSWER),
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", Outcome.AUTH_FAILED),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", Outcome.BUSY),
    ],
)
async def test_a_server_of_another_kind_is_an_outcome(raw, outcome):
    server, port = await answer_with(raw)
    async with server:
        found = await bandwidth.measure(f"ws://127.0.0.1:{port}", **QUICK)
    assert found.outcome is outcome
    assert "down_bps" not in found.values


@pytest.mark.parametrize(
    "url", ["", "ftp://r.example", "ws://", "ws://r.example:port", "ws://[::1"]
)
async def test_an_address_that_is_none_is_not_configured(url):
    found = await bandwidth.measure(url, **QUICK)
    assert found.outcome is Outcome.NOT_CONFIGURED


async def test_noise_at_the_web_door_leaves_it_open():
    random.seed(1)
    async with ReflectorService(config()) as reflector:
        idle = await asyncio.open_connection("127.0.0.1", reflector.web_port)
        for _ in range(30):
            _reader, writer = await asyncio.open_connection(
                "127.0.0.1", reflector.web_port
            )
            writer.write(b"GET /ndt/v7/upload HTTP/1.1\r\n" * random.randrange(2))
            writer.write(os.urandom(random.randrange(1, 2000)))
            writer.close()
        async with httpx2.AsyncClient() as client:
            answer = await client.get(f"http://127.0.0.1:{reflector.web_port}/echo")
            assert answer.text == "towpath\n"
        idle[1].close()
        assert reflector.web_stats.testing == 0


async def test_nobody_there_and_no_such_name_are_outcomes():
    server, port = await answer_with(b"")
    server.close()
    await server.wait_closed()
    found = await bandwidth.measure(f"ws://127.0.0.1:{port}", **QUICK)
    assert found.outcome is Outcome.REFUSED
    found = await bandwidth.measure("wss://no-such-host.invalid", **QUICK)
    assert found.outcome in (Outcome.NAME_NOT_FOUND, Outcome.NAME_SERVER_FAILED)


async def test_leaving_the_reflector_ends_the_tests_that_run():
    async with ReflectorService(config(), test_seconds=60) as reflector:
        link = await connect(base(reflector) + ndt7.UPLOAD, **OFFER)
    _texts, _sizes, closed = await all_of(link)
    assert closed is not None
