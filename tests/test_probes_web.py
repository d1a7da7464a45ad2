"""The web probe against servers that behave in every way."""

import ssl
from pathlib import Path

import pytest
import services
from hypothesis import given, settings
from hypothesis import strategies as st
from one_answer import serving

from collectors.ingest.certificate import make_certificates
from probes.measure import web_service
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


async def request(url: str, tls: ssl.SSLContext | None = None, timeout_s: float = 10):  # type: ignore[no-untyped-def]
    result = await web_service.measure(
        Service("council", url),
        tls=tls or ssl.create_default_context(),
        timeout_s=timeout_s,
        now_ms=lambda: 5,
    )
    fits_the_catalogue(result)
    assert result.target == "council"
    return result


async def test_every_phase_of_https_is_timed_within_the_total(tmp_path: Path) -> None:
    made = make_certificates(tmp_path)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(made.certificate, made.private_key)
    trust = ssl.create_default_context(cafile=str(made.authority))
    body = OK.replace(b"Content-Length: 5\r\n", b"")
    async with serving(OK, server, pause_s=0.05) as port:
        result = await request(f"https://127.0.0.1:{port}/x?y=1", trust)
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

        stranger = await request(f"https://127.0.0.1:{port}/")
        assert stranger.outcome is Outcome.TLS_FAILED
        assert set(stranger.values) == {"lookup_ms", "connect_ms"}
    async with serving(body) as port:
        plain = await request(f"http://127.0.0.1:{port}/")
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
async def test_every_response_has_its_outcome(
    answer: bytes | None, outcome: Outcome
) -> None:
    async with serving(answer) as port:
        assert (await request(f"http://127.0.0.1:{port}/")).outcome is outcome


async def test_refusals_timeouts_and_bad_addresses_are_different_outcomes() -> None:
    closed = services.free_port()
    assert (await request(f"http://127.0.0.1:{closed}/")).outcome is Outcome.REFUSED
    async with serving(OK, pause_s=20) as port:
        slow = await request(f"http://127.0.0.1:{port}/", timeout_s=0.3)
        assert slow.outcome is Outcome.TIMEOUT
        assert "connect_ms" in slow.values
        assert "total_ms" not in slow.values
    for address in ("http://127.0.0.1:99999/", "http://[/", "http:///", "http://a..b/"):
        assert (await request(address)).outcome is not Outcome.OK


async def test_an_endless_page_is_cut_off() -> None:
    async with serving(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 3_000_000) as port:
        result = await request(f"http://127.0.0.1:{port}/")
        assert result.outcome is Outcome.OK
        assert result.cost_bytes < 200_000


@settings(max_examples=40, deadline=None)
@given(answer=st.binary(max_size=300), prefix=st.sampled_from([b"", b"HTTP/1.1 "]))
async def test_random_responses_never_break_the_web_probe(
    answer: bytes, prefix: bytes
) -> None:
    async with serving(prefix + answer) as port:
        await request(f"http://127.0.0.1:{port}/", timeout_s=5)
