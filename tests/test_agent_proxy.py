"""The way of the agent's own connection: the system decides it for each server."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from inspecting_proxy import InspectingProxy
from one_answer import serving
from river import started
from signed_in_proxy import (
    certified,
    tinyproxy,  # noqa: F401 - a fixture
)

from probes.agent.report_delivery import Later
from probes.agent.server_connection import (
    ServerConnection,
    refusal_sentence,
    way_sentence,
)
from probes.platforms.proxies import NO_PROXY
from probes.platforms.system_facts import ProxySetting

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
PAC = "http://council.example/proxy.pac"


@pytest.mark.service
async def test_the_agent_goes_through_the_proxy_that_the_script_names(
    tmp_path: Path,
    tinyproxy: int,  # noqa: F811
) -> None:
    name, tls, authority = certified(tmp_path / "tls")
    log = tmp_path / "tinyproxy.log"
    ways = [ProxySetting("pac", f"http://staff:secret@127.0.0.1:{tinyproxy}", (), PAC)]
    asked: list[str] = []

    def decide(url: str) -> ProxySetting:
        asked.append(url)
        return ways[-1]

    async with serving(OK, tls, host=name) as port:
        server = f"https://{name}:{port}"
        async with ServerConnection(
            server, None, str(authority), "test", proxy=decide
        ) as connection:
            assert (await connection.request("GET", "/v1/policy")).body == b"hello"
            request = f"CONNECT {name}:{port}"
            assert request in log.read_text()
            assert asked == [server]
            through = log.read_text().count(request)
            # The person works elsewhere now; the connection breaks first.
            ways.append(ProxySetting("manual", "http://127.0.0.1:9"))
            connection._used_s = -1e9
            with pytest.raises(Later, match=r"through the proxy 127\.0\.0\.1:9\)"):
                await connection.request("GET", "/v1/policy")
            ways.append(ProxySetting("pac", "", (), PAC))
            assert (await connection.request("GET", "/v1/policy")).body == b"hello"
            assert log.read_text().count(request) == through
            # A proxy that wants to know who asks.
            ways.append(ProxySetting("manual", f"http://127.0.0.1:{tinyproxy}"))
            connection._used_s = -1e9
            with pytest.raises(Later, match=r"asks for a sign-in \(HTTP 407\)"):
                await connection.request("GET", "/v1/policy")
            # An exception of the council's own setting.
            ways.append(ProxySetting("manual", "http://127.0.0.1:9", (name,)))
            assert (await connection.request("GET", "/v1/policy")).body == b"hello"


def test_a_sentence_names_the_way_and_never_a_password() -> None:
    secret = ProxySetting("manual", "http://staff:hunter2@proxy.example:8080")
    socks = ProxySetting("manual", "socks5://staff:hunter2@proxy.example:1080")
    silent = ProxySetting("pac", "", (), PAC)
    sentences = [
        way_sentence(secret),
        way_sentence(socks),
        way_sentence(silent),
        refusal_sentence("https://towpath.example", secret, "407 Who are you"),
        refusal_sentence("https://towpath.example", secret, "403 Forbidden"),
    ]
    assert sentences == [
        " (through the proxy proxy.example:8080)",
        " (directly: the agent cannot use the SOCKS proxy proxy.example:1080)",
        f" (directly: the proxy script {PAC} named no proxy)",
        "the proxy proxy.example:8080 asks for a sign-in (HTTP 407), which the agent "
        "does not have: let requests for https://towpath.example through without one",
        "the proxy proxy.example:8080 did not connect to https://towpath.example: "
        "403 Forbidden",
    ]
    assert way_sentence(NO_PROXY) == ""


async def status_with(proxy: Callable[[str], ProxySetting]) -> int:
    """What a server on this machine answers to an agent with that setting."""
    async with (
        serving(OK) as port,
        ServerConnection(
            f"http://127.0.0.1:{port}", None, "", "test", proxy=proxy
        ) as connection,
    ):
        return (await connection.request("GET", "/")).status


async def test_a_script_that_does_not_end_stops_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("probes.agent.server_connection.SCRIPT_S", 0.05)
    ended = threading.Event()

    def endless(url: str) -> ProxySetting:
        ended.wait(30)
        return NO_PROXY

    assert await status_with(endless) == 200
    ended.set()


async def test_a_setting_that_cannot_be_read_is_no_proxy() -> None:
    def broken(url: str) -> ProxySetting:
        raise OSError("the registry is damaged")

    assert await status_with(broken) == 200


@pytest.mark.service
async def test_the_agent_goes_through_a_proxy_that_opens_tls(tmp_path: Path) -> None:
    name, tls, authority = certified(tmp_path / "tls")
    proxy = InspectingProxy(tmp_path / "proxy", authority)

    def decide(_: str) -> ProxySetting:
        return ProxySetting("manual", proxy.url)

    async with started(proxy), serving(OK, tls, host=name) as port:
        server, ca_file = f"https://{name}:{port}", tmp_path / "trusted.pem"
        # The laptop has not been given the council's authority yet.
        ca_file.write_text(authority.read_text())
        async with ServerConnection(
            server, None, str(ca_file), "test", proxy=decide
        ) as connection:
            for _ in range(2):
                with pytest.raises(Later, match=r"not trusted.*through the proxy"):
                    await connection.request("GET", "/v1/policy")
            ca_file.write_text(proxy.ca_file.read_text())
            assert (await connection.request("GET", "/v1/policy")).body == b"hello"
        assert f"CONNECT {name}:{port} staff" in proxy.access_log.read_text()
