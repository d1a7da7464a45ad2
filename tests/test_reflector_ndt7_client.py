"""The ndt7 client against real servers, with and without TLS: results and outcomes."""

import asyncio
import datetime

import httpx2
import pytest
from ndt7_reflector import (
    QUICK,
    base,
    config,
    make_certificate,
)

from collectors.reflector import ReflectorService
from probes.measure import bandwidth
from probes.wire.catalogue import check_sample
from probes.wire.failure import Outcome
from probes.wire.measurements import CATALOGUE
from probes.wire.report import Report, Whereabouts, samples


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    now = datetime.datetime.now(datetime.UTC)
    return make_certificate(
        tmp_path_factory.mktemp("tls"), now - datetime.timedelta(days=1)
    )


async def test_throughput_and_its_effect_on_round_trips_are_reported():
    async with ReflectorService(config(), test_seconds=2.0) as reflector:
        result = await bandwidth.measure(
            base(reflector), **QUICK | {"seconds": 2.0, "budget_bytes": 10**12}
        )
    values = result.values
    assert result.outcome is Outcome.OK
    assert values["down_at_least"] == values["up_at_least"] == values["at_least"] == 0
    assert values["bufferbloat"] in ("A+", "A", "B", "C", "D", "F")
    assert values["rtt_loaded_ms"] == max(values["rtt_down_ms"], values["rtt_up_ms"])
    assert 0 <= values["up_retransmit_ratio"] < 1
    report = Report(1, "r", "a", 0, "test", Whereabouts(), (result,))
    check_sample(samples(report, "", "")[0], CATALOGUE)


async def test_a_capped_reflector_holds_to_its_cap_and_the_result_says_at_least():
    capped = config(tests_at_once=2, tests_bps=40e6)
    async with ReflectorService(capped, test_seconds=1.5) as reflector:
        result = await bandwidth.measure(base(reflector), **QUICK | {"seconds": 1.5})
    assert result.outcome is Outcome.OK
    # Uncapped it is some Gbit/s. A short test's first burst adds to the cap.
    assert 0 < result.values["down_bps"] < 40e6
    assert 0 < result.values["up_bps"] < 40e6
    assert result.values["at_least"] == 1
    assert result.cost_bytes < 20_000_000


async def test_both_ways_are_measured_within_the_budget():
    # Time enough for the budget to end both, on a busy machine too.
    async with ReflectorService(config(), test_seconds=60) as reflector:
        result = await bandwidth.measure(base(reflector), **QUICK | {"seconds": 60})
    assert result.outcome is Outcome.OK
    assert result.probe == "bandwidth"
    assert result.time_ms == 5
    assert 20e6 < result.cost_bytes <= 50_000_000
    assert result.values["at_least"] == 1
    assert result.values["down_bps"] > 0
    assert result.values["up_bps"] > 0
    assert result.values["rtt_idle_ms"] > 0


async def test_a_budget_too_small_to_measure_with_is_spent():
    result = await bandwidth.measure("ws://127.0.0.1:1", **QUICK | {"budget_bytes": 1})
    assert result.outcome is Outcome.BUDGET_SPENT
    assert result.cost_bytes == 0


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
        result = await bandwidth.measure(url, ca_file=str(folder / "cert.pem"), **QUICK)
    assert result.outcome is Outcome.CLOCK_WRONG


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
        result = await bandwidth.measure(f"ws://127.0.0.1:{port}", **QUICK)
    assert result.outcome is outcome
    assert "down_bps" not in result.values


@pytest.mark.parametrize(
    "url", ["", "ftp://r.example", "ws://", "ws://r.example:port", "ws://[::1"]
)
async def test_an_address_that_is_none_is_not_configured(url):
    result = await bandwidth.measure(url, **QUICK)
    assert result.outcome is Outcome.NOT_CONFIGURED


async def test_nobody_there_and_no_such_name_are_outcomes():
    server, port = await answer_with(b"")
    server.close()
    await server.wait_closed()
    result = await bandwidth.measure(f"ws://127.0.0.1:{port}", **QUICK)
    assert result.outcome is Outcome.REFUSED
    result = await bandwidth.measure("wss://no-such-host.invalid", **QUICK)
    assert result.outcome in (Outcome.NAME_NOT_FOUND, Outcome.NAME_SERVER_FAILED)
