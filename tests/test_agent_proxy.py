"""The way of the agent's own connection: the system decides it for each server."""

import ssl
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import services
from hypothesis import given
from hypothesis import strategies as st
from inspecting_proxy import InspectingProxy
from one_answer import serving
from river import started
from signed_in_proxy import (
    certified,
    encrypted_proxy,
    tinyproxy,  # noqa: F401 - a fixture
)
from test_agent_mqtt import spooled
from test_agent_status import NOW_MS
from waiting import until

from probes.agent import http_connection
from probes.agent.http_connection import HttpConnection
from probes.agent.policy_refresh import PolicyRefresh
from probes.agent.publish_https import HttpsPublisher
from probes.agent.report_delivery import Later, ReportDelivery
from probes.agent.server_connection import (
    PROXY_RETRY_S,
    ServerConnection,
    refusal_sentence,
    sign_in_schemes,
    way_sentence,
)
from probes.agent.stop_orders import StopOrders
from probes.diagnosis.sent_log import SentLog
from probes.measure.proxy_ways import choose_way
from probes.platforms.proxies import NO_PROXY, NOT_ENDED, SCRIPT_S
from probes.platforms.script_runs import ScriptRuns
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
            with pytest.raises(Later, match=r"asks for a sign-in by Basic \(HTTP"):
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
        refusal_sentence("https://towpath.example", secret, "403 \x1b[31mNo\x07"),
        refusal_sentence("https://towpath.example", secret, "407 x", ("NTLM", "Basic")),
        refusal_sentence("https://towpath.example", secret, "407 x", ("NTLM",)),
        way_sentence(ProxySetting("pac", "", (), PAC, (), "cannot be fetched or run")),
        way_sentence(ProxySetting("pac", note=NOT_ENDED)),
    ]
    assert sentences == [
        " (through the proxy proxy.example:8080)",
        " (directly: the agent cannot use the SOCKS proxy proxy.example:1080)",
        f" (directly: the proxy script {PAC} named no proxy)",
        "the proxy proxy.example:8080 asks for a sign-in (HTTP 407), which the agent "
        "does not have: let requests for https://towpath.example through without one",
        "the proxy proxy.example:8080 did not connect to https://towpath.example: "
        "403 Forbidden",
        "the proxy proxy.example:8080 did not connect to https://towpath.example: "
        r"403 \u001b[31mNo\u0007",
        "the proxy proxy.example:8080 does not accept the user name and password of "
        "the proxy setting (HTTP 407, a sign-in by NTLM or Basic)",
        "the proxy proxy.example:8080 asks for a sign-in by NTLM (HTTP 407), and the "
        "agent can only send a user name and password (Basic): let requests for "
        "https://towpath.example through without one",
        f" (directly: the proxy script {PAC} cannot be fetched or run)",
        " (directly: the proxy script does not end within 20 s)",
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


async def test_a_script_that_has_not_ended_is_not_started_again() -> None:
    now_s = [0.0]
    runs, ended, begun = ScriptRuns(lambda: now_s[0]), threading.Event(), []

    def endless() -> None:
        begun.append(True)
        ended.wait(30)

    running = threading.Thread(target=runs.run, args=(PAC, endless))
    running.start()
    await until(lambda: begun)
    # Another script, and this one while it may still end, run meanwhile.
    assert runs.run("http://other.example/", lambda: 5) == 5
    assert runs.run(PAC, lambda: 6) == 6
    now_s[0] = SCRIPT_S
    with pytest.raises(TimeoutError):
        runs.run(PAC, endless)
    assert len(begun) == 1
    ended.set()
    running.join()
    assert runs.run(PAC, lambda: 7) == 7


async def test_the_first_proxy_of_a_list_that_answers_is_used() -> None:
    asked: list[str] = []

    async def connects(url: str) -> bool:
        asked.append(url)
        return url == "http://c:3"

    async def chosen(*ways: str) -> tuple[str, str]:
        setting = ProxySetting("pac", ways[0], (), PAC, ways[1:])
        setting = await choose_way(setting, connects)
        assert setting.others == ()
        return setting.url, way_sentence(setting)

    assert await chosen("http://a:1", "socks5://b:2", "http://c:3", "http://d:4") == (
        "http://c:3",
        " (through the proxy c:3; a:1 does not answer, b:2 is a SOCKS proxy)",
    )
    assert asked == ["http://a:1", "http://c:3"]
    assert await chosen("http://a:1", "socks5://b:2", "") == (
        "",
        f" (directly: the proxy script {PAC} names only what cannot be used: "
        "a:1 does not answer, b:2 is a SOCKS proxy)",
    )
    # Without a direct way the council wants none: the error is the first proxy's.
    assert await chosen("socks5://b:2", "http://staff:hunter2@a:1") == (
        "http://staff:hunter2@a:1",
        " (through the proxy a:1; b:2 is a SOCKS proxy, a:1 does not answer)",
    )
    asked.clear()
    assert await chosen("", "http://a:1") == (
        "",
        f" (directly: the proxy script {PAC} named no proxy)",
    )
    # A single one is not tried beforehand.
    assert (await chosen("http://a:1"))[0] == "http://a:1"
    assert asked == []


async def test_a_dead_proxy_is_passed_over_on_the_way_to_the_server(
    tmp_path: Path,
) -> None:
    name, tls, authority = certified(tmp_path / "tls")
    proxy = ProxySetting("pac", "http://127.0.0.1:9", (), PAC, ("socks5://s:1", ""))
    async with (
        serving(OK, tls, host=name) as port,
        ServerConnection(
            f"https://{name}:{port}",
            None,
            str(authority),
            "test",
            proxy=lambda _: proxy,
        ) as connection,
    ):
        assert (await connection.request("GET", "/")).body == b"hello"


ASKING = (
    b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Negotiate\r\n"
    b'Proxy-Authenticate: NTLM, Kerberos realm="a, b"\r\nContent-Length: 5\r\n\r\nhello'
)


async def test_how_a_proxy_wants_one_to_sign_in_is_named_and_it_is_seldom_asked(
    tmp_path: Path,
) -> None:
    async with serving(ASKING, host="127.0.0.1") as port:
        proxy = ProxySetting("manual", f"http://127.0.0.1:{port}")
        async with ServerConnection(
            "https://towpath.example", None, "", "test", proxy=lambda _: proxy
        ) as connection:
            publisher = HttpsPublisher(connection)
            with spooled(tmp_path, 1) as spool:
                delivery = ReportDelivery(
                    spool, publisher, SentLog(tmp_path), lambda: NOW_MS
                )
                wait_s = await delivery.deliver()
                assert spool.waiting == 1
            refresh = PolicyRefresh(tmp_path, publisher, StopOrders(tmp_path, ""))
            again_s = (await refresh.fetch("", lambda: NOW_MS)).retry_s
    assert (
        delivery.trouble
        == refresh.trouble
        == (
            f"the proxy 127.0.0.1:{port} asks for a sign-in by Negotiate or NTLM or "
            "Kerberos (HTTP 407), which the agent does not have: let requests for "
            "https://towpath.example through without one"
        )
    )
    assert wait_s is not None
    assert again_s is not None
    assert min(wait_s, again_s) >= PROXY_RETRY_S


@pytest.mark.parametrize(
    ("values", "schemes"),
    [
        ((b"Negotiate",), ("Negotiate",)),
        ((b'Basic realm="the council, hall"', b"NTLM"), ("Basic", "NTLM")),
        (
            (b'Digest realm="x", nonce="a b", qop="auth", Basic realm="y"',),
            ("Digest", "Basic"),
        ),
        ((b"NTLM TlRMTVNTUAACAAAA==",), ("NTLM",)),
        ((b"", b"\xff\xfe", b"=,=,"), ()),
    ],
)
def test_the_ways_to_sign_in_are_read(
    values: tuple[bytes, ...], schemes: tuple[str, ...]
) -> None:
    headers = [(b"Proxy-Authenticate", value) for value in values]
    assert sign_in_schemes([(b"Via", b"NTLM"), *headers]) == schemes


@given(st.lists(st.binary(max_size=60), max_size=5))
def test_no_header_of_a_proxy_breaks_the_sentence(values: list[bytes]) -> None:
    schemes = sign_in_schemes([(b"proxy-authenticate", value) for value in values])
    text = refusal_sentence("https://t.example", NO_PROXY, "407", schemes)
    assert text.isprintable()
    assert len(text) < 400


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
                with pytest.raises(Later) as error:
                    await connection.request("GET", "/v1/policy")
                at = f"127.0.0.1:{proxy.port}"
                assert str(error.value) == (
                    f"{server} has a certificate that is not trusted: self-signed "
                    "certificate in certificate chain; it was issued by 'Wrenford "
                    f"proxy authority' for '{name}'; the proxy 'proxy.wrenford.example "
                    "(squid/5.7)' on the way opens encrypted connections: let this "
                    "server through unopened, or have laptops trust its authority "
                    f"(through the proxy {at})"
                )
            looks = proxy.access_log.read_text().count("GET")
            assert looks == 1
            ca_file.write_text(proxy.ca_file.read_text())
            assert (await connection.request("GET", "/v1/policy")).body == b"hello"
        # A server that is down: the page of the proxy has a certificate for a name,
        # and not for an address.
        down = f"https://{name}:{services.free_port()}"
        async with ServerConnection(
            down, None, str(proxy.ca_file), "test", proxy=decide
        ) as connection:
            with pytest.raises(Later, match="IP address mismatch") as error:
                await connection.request("GET", "/v1/policy")
            assert str(error.value).endswith(
                f"; it was issued by 'Wrenford proxy authority' for '{name}'; the "
                "proxy 'proxy.wrenford.example (squid/5.7)' on the way opens encrypted "
                "connections and cannot reach the server (HTTP 503) (through the "
                f"proxy {at})"
            )
        assert f"CONNECT {name}:{port} staff" in proxy.access_log.read_text()


async def test_a_proxy_may_itself_be_encrypted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, tls, authority = certified(tmp_path / "tls")
    trusted = ssl.create_default_context(cafile=authority)
    monkeypatch.setattr(http_connection, "trust", lambda _: trusted)
    async with (
        encrypted_proxy(tls, name) as port,
        serving(OK, tls, host=name) as server_port,
    ):
        connection = HttpConnection(
            f"https://{name}:{server_port}", trusted, f"https://{name}:{port}"
        )
        answer = await connection.request("GET", "/", most_bytes=1_000)
        assert answer.body == b"hello"
        assert connection.certificate
        connection.close()
