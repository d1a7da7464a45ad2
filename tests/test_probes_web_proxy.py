"""The web probe through real proxies, and behind real sign-in pages."""

import base64
import json
import ssl
import subprocess
import sys
import time
from pathlib import Path

import pytest
import services
from one_answer import serving
from shaped_path import FAR, shaped_path
from signed_in_proxy import (
    certified,
    encrypted_proxy,
    tinyproxy,  # noqa: F401 - a fixture
)

from collectors.ingest.certificate import make_certificates
from probes.measure import proxy_ways, web_service
from probes.measure.http_answer import leads_elsewhere
from probes.measure.web_round import web_round
from probes.platforms.system_facts import ProxySetting
from probes.wire.catalogue import check_sample
from probes.wire.failure import Outcome
from probes.wire.measurements import CATALOGUE
from probes.wire.policy import OnlineCheck, Policy, Service
from probes.wire.report import Report, Result, Whereabouts, samples

LAPTOP = str(Path(__file__).with_name("laptop_in_namespace.py"))
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"


def fits_the_catalogue(result: Result) -> Result:
    report = Report(1, "r", "a", 1, "s", Whereabouts(), (result,))
    for sample in samples(report, "", ""):
        check_sample(sample, CATALOGUE)
    return result


async def through(
    url: str, proxy: ProxySetting, tls: ssl.SSLContext | None = None
) -> Result:
    result = await web_service.measure(
        Service("council", url),
        tls=tls or ssl.create_default_context(),
        proxy=proxy,
        timeout_s=10,
        now_ms=lambda: 5,
    )
    return fits_the_catalogue(result)


@pytest.mark.service
async def test_a_real_proxy_has_a_phase_of_its_own(
    tmp_path: Path,
    tinyproxy: int,  # noqa: F811
) -> None:
    name, server, authority = certified(tmp_path / "tls")
    trust = ssl.create_default_context(cafile=str(authority))
    proxy = ProxySetting("manual", f"http://staff:secret@127.0.0.1:{tinyproxy}")
    async with serving(OK, server, host=name) as port:
        result = await through(f"https://{name}:{port}/", proxy, trust)
        assert result.outcome is Outcome.OK
        assert result.values["proxy"] == "manual"
        phases = [
            result.values[phase]
            for phase in (
                "lookup_ms",
                "connect_ms",
                "proxy_ms",
                "tls_ms",
                "first_byte_ms",
            )
        ]
        assert sum(phases) <= result.values["total_ms"]
        nobody = ProxySetting("manual", f"http://127.0.0.1:{tinyproxy}")
        refused = await through(f"https://{name}:{port}/", nobody, trust)
        assert refused.outcome is Outcome.AUTH_FAILED
    async with serving(OK, host=name) as port:
        plain = await through(f"http://{name}:{port}/x", proxy)
        assert plain.outcome is Outcome.OK
    closed = await through(f"https://{name}:{services.free_port()}/", proxy, trust)
    assert closed.outcome is not Outcome.OK


async def test_a_service_is_timed_through_an_encrypted_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, tls, authority = certified(tmp_path / "tls")
    trusted = ssl.create_default_context(cafile=str(authority))
    async with (
        encrypted_proxy(tls, name) as proxy_port,
        serving(OK, tls, host=name) as port,
    ):
        proxy = ProxySetting("pac", f"https://{name}:{proxy_port}")
        url = f"https://{name}:{port}/"
        assert (await through(url, proxy, trusted)).outcome is Outcome.TLS_FAILED
        now_s, reading_s = time.perf_counter, [0]

        def read_slowly(_: str) -> ssl.SSLContext:
            reading_s[0] = 1_000
            return trusted

        monkeypatch.setattr(web_service, "trust", read_slowly)
        monkeypatch.setattr(time, "perf_counter", lambda: now_s() + reading_s[0])
        result = await through(url, proxy, trusted)
    assert result.outcome is Outcome.OK
    assert 0 < result.values["proxy_ms"] < result.values["total_ms"]
    # Reading this computer's authorities is not the network's time.
    assert result.values["total_ms"] < 1_000_000


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (b"HTTP/1.1 407 Who\r\n\r\n", Outcome.AUTH_FAILED),
        (b"HTTP/1.1 403 No\r\n\r\n", Outcome.REFUSED),
        (b"HTTP/1.1 504 Late\r\n\r\n", Outcome.TIMEOUT),
        (b"HTTP/1.1 502 Gone\r\n\r\n", Outcome.UNREACHABLE),
        (b"nonsense\r\n\r\n", Outcome.BAD_ANSWER),
        (b"HTTP/1.1 200 ", Outcome.RESET),
        (b"x" * 200_000, Outcome.BAD_ANSWER),
        (b"HTTP/1.1 200 OK\r\n\r\nno TLS", Outcome.RESET),
    ],
)
async def test_every_response_of_a_proxy_has_its_outcome(
    answer: bytes, outcome: Outcome
) -> None:
    async with serving(answer) as port:
        proxy = ProxySetting("environment", f"http://127.0.0.1:{port}")
        result = await through("https://service.example/", proxy)
        assert result.outcome is outcome
        assert result.values["proxy"] == "environment"


async def test_a_proxy_script_is_not_run_but_reported(tmp_path: Path) -> None:
    async with serving(OK) as port:
        result = await through(f"http://127.0.0.1:{port}/", ProxySetting("pac"))
        assert (result.outcome, result.values["proxy"]) == (Outcome.OK, "pac")
        # Exceptions connect directly; other kinds of proxy are not used.
        for other in (
            ProxySetting("manual", "http://127.0.0.1:1", ("127.0.0.0/8",)),
            ProxySetting("manual", "socks5://127.0.0.1:1"),
        ):
            result = await through(f"http://127.0.0.1:{port}/", other)
            assert result.outcome is Outcome.OK


async def test_a_dead_proxy_of_a_list_is_passed_over() -> None:
    async with serving(OK) as port:
        listed = ProxySetting(
            "pac", "http://127.0.0.1:9", others=(f"http://127.0.0.1:{port}", "")
        )
        policy = Policy(services=(Service("council", "http://service.example/"),))
        (result,) = [
            result
            async for result in web_round(
                policy, ssl.create_default_context, "test", lambda: 5, lambda: listed
            )
        ]
    assert (result.outcome, result.values["proxy"]) == (Outcome.OK, "pac")


async def test_each_proxy_of_a_list_is_tried_once_a_round(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    async def connects(url: str) -> bool:
        asked.append(url)
        return url != "http://127.0.0.1:9"

    monkeypatch.setattr(proxy_ways, "can_connect", connects)
    async with serving(OK) as port:
        answers = f"http://127.0.0.1:{port}"
        listed = ProxySetting("pac", "http://127.0.0.1:9", others=(answers,))
        measured = tuple(Service(f"s{n}", f"http://s{n}.example/") for n in range(3))
        outcomes = [
            result.outcome
            async for result in web_round(
                Policy(services=measured),
                ssl.create_default_context,
                "test",
                lambda: 5,
                lambda: listed,
            )
        ]
    assert outcomes == [Outcome.OK] * 3
    assert asked == ["http://127.0.0.1:9", answers]


def test_a_login_is_encoded_and_never_reported() -> None:
    from urllib.parse import urlsplit

    header = web_service._login(urlsplit("http://us%40er:p%3Aw@p:1"))
    assert base64.b64decode(header.split()[2]) == b"us@er:p:w"
    assert web_service._login(urlsplit("http://p:1")) == ""


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (b"HTTP/1.1 204 No\r\n\r\n", Outcome.OK),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nHi", Outcome.CAPTIVE_PORTAL),
        (b"HTTP/1.1 302 F\r\nLocation: https://login.hotel/\r\n\r\n",
         Outcome.CAPTIVE_PORTAL),
        (b"HTTP/1.1 503 No\r\n\r\n", Outcome.CAPTIVE_PORTAL),
        (b"nonsense\r\n\r\n", Outcome.BAD_ANSWER),
    ],
)  # fmt: skip
async def test_an_unexpected_page_is_a_sign_in_page(
    answer: bytes, outcome: Outcome
) -> None:
    async with serving(answer) as port:
        result = await web_service.check_online(
            OnlineCheck("online", f"http://127.0.0.1:{port}/generate_204"),
            tls=ssl.create_default_context(),
            now_ms=lambda: 5,
        )
        assert fits_the_catalogue(result).outcome is outcome
    text = b"HTTP/1.1 200 OK\r\nContent-Length: 22\r\n\r\nMicrosoft Connect Test"
    async with serving(text) as port:
        check = OnlineCheck("msft", f"http://127.0.0.1:{port}/", 200, "Connect Test")
        result = await web_service.check_online(
            check, tls=ssl.create_default_context(), now_ms=lambda: 5
        )
        assert result.outcome is Outcome.OK


@pytest.mark.parametrize(
    ("status", "location", "host", "elsewhere"),
    [
        (302, b"https://login.hotel/", "council.gov.uk", True),
        (302, b"http://10.1.1.1/in", "council.gov.uk", True),
        (301, b"https://www.council.gov.uk/", "council.gov.uk", False),
        (301, b"/home", "council.gov.uk", False),
        (301, b"http://[/", "council.gov.uk", False),
        (200, b"https://login.hotel/", "council.gov.uk", False),
        (511, b"", "council.gov.uk", True),
        (302, b"http://10.99.0.9/", "10.99.0.2", True),
    ],
)
def test_plain_http_redirected_to_another_organisation_is_a_sign_in_page(
    status: int, location: bytes, host: str, elsewhere: bool
) -> None:
    head = b"HTTP/1.1 302 X\r\nLocation: " + location
    assert leads_elsewhere(status, head, host) is elsewhere


async def test_without_services_there_is_nothing_to_measure() -> None:
    results = web_round(Policy(), ssl.create_default_context, "s", lambda: 1)
    assert [result async for result in results] == []


@pytest.mark.netns
def test_a_sign_in_page_in_front_of_everything_is_detected(tmp_path: Path) -> None:
    """A hotel: its own certificate on port 443, and a redirect on port 80."""
    make_certificates(tmp_path / "hotel", (FAR,))
    policy = json.dumps(
        {
            "services": [
                {"name": "council", "url": f"https://{FAR}/"},
                {"name": "other", "url": f"https://{FAR}:444/"},
            ]
        }
    )
    with shaped_path() as path:
        command = path.near(sys.executable, LAPTOP, "web", policy)
        alone = json.loads(path.run(command))
        assert [result["outcome"] for result in alone] == ["refused", "refused"]
        with subprocess.Popen(
            path.far(sys.executable, LAPTOP, "portal", str(tmp_path / "hotel")),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stdout.readline().strip() == "ready"
            behind_portal = json.loads(path.run(command))
            process.stdin.close()
            process.wait(20)
    assert [result["outcome"] for result in behind_portal] == [
        "captive_portal",
        "captive_portal",
    ]
    # Plain HTTP is requested only once.
    assert behind_portal[0]["cost_bytes"] > behind_portal[1]["cost_bytes"]
