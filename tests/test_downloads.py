"""What is fetched from elsewhere: where a server may send Towpath, and where not."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from faulty_http import FaultyServer, Request

from alerts.download import DownloadFailed, DownloadLimits, download
from alerts.notify.delivery_result import RetryLater
from alerts.notify.http_caller import HttpCaller
from collectors.checked_hosts import AddressRefused, CheckedHosts
from collectors.importing.rest_client import RestClient, SourceError

LIMITS = DownloadLimits("calendar", 1000, 2.0)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[list[str]]]:
    """Name → its addresses at each look-up, of which the last stays."""
    answers: dict[str, list[list[str]]] = {}
    real = socket.getaddrinfo

    def look_up(host: Any, port: Any, *rest: Any, **more: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name not in answers:
            return real(host, port, *rest, **more)
        own = answers[name]
        found = own.pop(0) if len(own) > 1 else own[0]
        return [info for one in found for info in real(one, port, *rest, **more)]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return answers


@pytest.mark.parametrize(
    ("source", "target", "allowed"),
    [
        ("https://8.8.8.8/a", "https://10.0.0.1/", False),
        ("https://8.8.8.8/a", "http://169.254.169.254/latest", False),
        ("https://8.8.8.8/a", "https://[::1]:8086/", False),
        ("https://8.8.8.8/a", "https://[::ffff:10.0.0.1]/", False),
        ("https://8.8.8.8/a", "https://[64:ff9b::a00:1]/", False),
        ("https://8.8.8.8/a", "https://[2002:a00:1::]/", False),
        # Other ways to write 127.0.0.1.
        ("https://8.8.8.8/a", "http://2130706433/", False),
        ("https://8.8.8.8/a", "http://localhost/", False),
        # Behind a proxy names of the internet need not be known.
        ("https://cdn.invalid/a", "https://10.0.0.1/", False),
        ("https://8.8.8.8/a", "https://9.9.9.9/", True),
        ("https://8.8.8.8/a", "https://cdn.invalid/", True),
        # The council's own servers may name each other, but nothing of this machine.
        ("https://10.0.0.1/a", "https://10.0.0.2/", True),
        ("https://10.0.0.1/a", "https://8.8.8.8/", True),
        ("https://10.0.0.1/a", "http://127.0.0.1:8086/", False),
        ("https://10.0.0.1/a", "http://169.254.169.254/latest", False),
        ("http://localhost/a", "http://localhost:81/b", True),
        # The council's own choice.
        ("", "http://10.0.0.1/", True),
        ("", "http://127.0.0.1:8080/", True),
        ("", "http://localhost:8080/", True),
    ],
)
async def test_only_an_internal_server_may_name_an_internal_address(
    source: str, target: str, allowed: bool
) -> None:
    hosts = CheckedHosts()
    if allowed:
        await hosts.addresses(target, source)
    else:
        with pytest.raises(AddressRefused):
            await hosts.addresses(target, source)


@pytest.mark.parametrize(
    ("addresses", "why"),
    [
        (["127.0.0.1"], "leads to 127.0.0.1, which is this machine"),
        (["169.254.169.254"], "leads to 169.254.169.254"),
        (["0.0.0.0"], "leads to 0.0.0.0"),
        (["8.8.8.8", "10.0.0.1"], "has an internal address beside one of the internet"),
    ],
)
async def test_a_name_that_leads_to_this_machine_is_not_asked(
    addresses: list[str], why: str, names: dict[str, list[list[str]]]
) -> None:
    names["stream.example"] = [addresses]
    with FaultyServer() as server:
        url = f"http://stream.example:{server.port}/live.m3u8"
        with pytest.raises(DownloadFailed, match=why):
            await download(url, {}, LIMITS)
        assert not server.requests


@pytest.mark.parametrize(
    ("location", "why"),
    [
        ("http://127.0.0.1:8086/secret", "8.8.8.8: sends from the internet to an in"),
        ("http://[::1", "8.8.8.8: sends to a damaged address"),
        ("http://9.9.9.9:99999/", "9.9.9.9:99999: there is no such port"),
        ("file:///etc/passwd", "8.8.8.8: sends to an address without https"),
    ],
)
async def test_a_redirect_of_the_internet_to_where_nothing_may_be_asked_fails(
    location: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def app(request: Request) -> tuple[int, str]:
        return (302, "") if request.path == "/a" else (200, "secret")

    with FaultyServer(app) as server:
        server.headers["Location"] = location
        # As a proxy it answers for every host.
        monkeypatch.setenv("http_proxy", server.url)
        monkeypatch.delenv("no_proxy", raising=False)
        with pytest.raises(DownloadFailed) as caught:
            await download("http://8.8.8.8/a", {}, LIMITS)
        assert why in str(caught.value)
        assert [request.path for request in server.requests] == ["/a"]


async def test_the_address_that_was_checked_is_the_one_that_is_asked(
    names: dict[str, list[list[str]]],
) -> None:
    def app(request: Request) -> tuple[int, str]:
        return (302, "") if request.path == "/a" else (200, "the manifest")

    # Nobody listens at the first address; at the second look-up it is another one.
    names["stream.example"] = [["127.0.0.3", "127.0.0.1"], ["127.0.0.9"]]
    with FaultyServer(app) as server:
        own = f"http://stream.example:{server.port}"
        server.headers["Location"] = "/b"
        hosts = CheckedHosts()
        local = f"http://localhost:{server.port}/"
        answer = await download(f"{own}/a", {}, LIMITS, local, hosts)
        assert (answer.url, answer.body) == (f"{own}/b", b"the manifest")
        hosts_sent = {request.headers["host"] for request in server.requests}
        assert hosts_sent == {own.removeprefix("http://")}
        # The same download asks the same address once more.
        await download(f"{own}/c", {}, LIMITS, local, hosts)
        assert len(server.requests) == 3


async def test_a_name_without_an_address_is_not_looked_up_again(
    names: dict[str, list[list[str]]],
) -> None:
    names["stream.example"] = [[], ["127.0.0.1"]]
    with FaultyServer() as server:
        url = f"http://stream.example:{server.port}/"
        with pytest.raises(DownloadFailed, match="its name has no address"):
            await asyncio.wait_for(download(url, {}, LIMITS), 30)
        assert not server.requests


@pytest.mark.parametrize(
    ("addresses", "why"),
    [
        (["127.0.0.1"], "leads to 127.0.0.1, which is this machine"),
        (["169.254.169.254"], "leads to 169.254.169.254"),
        (["8.8.8.8", "10.0.0.1"], "an internal address beside one of the internet"),
        ([], "its name has no address"),
    ],
)
async def test_no_webhook_and_no_import_is_led_to_this_machine_by_a_name(
    addresses: list[str], why: str, names: dict[str, list[list[str]]]
) -> None:
    names["hooks.example"] = [addresses]
    with FaultyServer() as server:
        url = f"http://hooks.example:{server.port}"
        with pytest.raises(RetryLater, match=why) as refused:
            await HttpCaller("webhook", url).call("POST", json_body={"key": "k"})
        assert not refused.value.may_have_arrived
        async with RestClient("NetBox", url, {}, pauses_s=(0.0,)) as netbox:
            with pytest.raises(SourceError, match=why):
                await netbox.get("/api/")
        assert not server.requests


async def test_a_request_goes_to_the_next_address_and_is_looked_up_once(
    names: dict[str, list[list[str]]],
) -> None:
    # Nobody listens at the first address; at the second look-up it is another one.
    names["localhost"] = [["127.0.0.3", "127.0.0.1"], ["127.0.0.9"]]
    with FaultyServer() as server:
        url = f"http://localhost:{server.port}"
        await HttpCaller("webhook", url).call("POST", json_body={"key": "k"})
        [request] = server.requests
        assert request.headers["host"] == f"localhost:{server.port}"
        assert request.body == b'{"key": "k"}'


async def test_a_proxy_looks_up_names_itself(
    names: dict[str, list[list[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    names["hooks.example"] = [["127.0.0.1"]]
    with FaultyServer() as server:
        monkeypatch.setenv("http_proxy", server.url)
        monkeypatch.delenv("no_proxy", raising=False)
        await HttpCaller("webhook", "http://hooks.example").call("POST")
        assert server.requests[0].headers["host"] == "hooks.example"
