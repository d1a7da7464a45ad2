"""The page /check: any browser tests against a real reflector whether calls would work
from where it is."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import axe
import council
import pytest
from browser import browser
from council_page import page_client, page_text
from ndt7_reflector import config as reflector_config
from store_doubles import AlertList, MemoryStore
from waiting import wait_until
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.server import ServerConnection, serve
from websockets.typing import Subprotocol

from collectors.estate import Estate
from collectors.estate.estate_model import Reflector
from collectors.reflector import ReflectorService, call_echo
from collectors.reflector.call_echo import lost_ratios
from collectors.reflector.reflector_access import make_token
from collectors.support_codes import SupportCodes
from dashboards.web import StatusPage, WebConfig, check_page
from dashboards.web.visitors import Right
from probes.wire import ndt7
from probes.wire.clock import wall_ms
from probes.wire.tcp_info import read_tcp_info

SECRET = "5a" * 32
FILE = "support-codes.sqlite"
CALL = {"subprotocols": [call_echo.SUBPROTOCOL], "compression": None}


def _estate(url: str) -> Estate:
    reflectors = (Reflector(id="hq", host="127.0.0.1", ndt7_url=url),)
    return council.estate().model_copy(update={"reflectors": reflectors})


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "reflector.key"
    path.touch(0o600)
    path.write_text(SECRET)
    return path


def test_the_page_may_connect_to_the_councils_reflector_and_nowhere_else() -> None:
    with page_client(estate=_estate("https://reflect.example:8443/x")) as client:
        page = client.get("/check")
        others = client.get("/")
    policy = page.headers["content-security-policy"]
    assert "connect-src 'self' wss://reflect.example:8443;" in policy
    assert "script-src 'self'; style-src 'self';" in policy
    assert "reflect.example" not in others.headers["content-security-policy"]
    text = page_text(page.text)
    assert "Nothing is stored" in text
    assert "This check needs JavaScript" in text


def test_without_a_reflector_the_page_says_that_it_is_not_set_up() -> None:
    with page_client() as client:
        page = client.get("/check")
    assert "This check is not set up here" in page.text
    assert 'id="start"' not in page.text


async def test_a_test_call_is_echoed_to_who_has_a_token_and_is_bounded(
    secret: Path,
) -> None:
    settings = {"access": "token", "secret_file": secret, "calls_at_once": 2}
    async with ReflectorService(reflector_config(**settings)) as reflector:
        base = f"ws://127.0.0.1:{reflector.web_port}"
        with pytest.raises(InvalidStatus) as refused:
            async with connect(ndt7.url_of(base, call_echo.PATH), **CALL):
                pass
        assert refused.value.response.status_code == 403

        def address(holder: str) -> str:
            token = make_token(bytes.fromhex(SECRET), holder, wall_ms() / 1000)
            return ndt7.url_of(ndt7.with_token(base, token), call_echo.PATH)

        async with connect(address("a"), **CALL) as link:
            for number in range(50):
                await link.send(number.to_bytes(4) + bytes(156))
            found = [await link.recv() for _ in range(50)]
            assert [int.from_bytes(message[:4]) for message in found] == [*range(50)]
            # One page has one test at a time, and all have so many.
            await _is_busy(address("a"))
            async with connect(address("b"), **CALL):
                await _is_busy(address("c"))
            # On this machine it may be a proxy's connection: nothing is known of it.
            await link.send("end")
            assert json.loads(await link.recv()) == {"down": None, "up": None}
        for too_much in ([bytes(5000)], ["text"], [bytes(8)] * 3000):
            async with asyncio.timeout(10), connect(address("d"), **CALL) as link:
                with pytest.raises(ConnectionClosed):
                    await _send_and_read_on(link, too_much)
        assert reflector.web_stats.calls >= 5
        assert reflector.web_stats.testing == 0


async def _is_busy(address: str) -> None:
    """A browser reads why a connection was closed, not why it was refused."""
    async with connect(address, **CALL) as link:
        with pytest.raises(ConnectionClosed):
            await link.recv()
        assert link.close_code == 1013


def test_what_was_sent_again_or_came_after_a_gap_was_lost_on_the_way() -> None:
    none = read_tcp_info(b"")
    call = none._replace(data_segments_in=500, data_segments_out=500)
    assert lost_ratios(none, call) == (0.0, 0.0)
    down = call._replace(sent_again=12, sent_twice=2)
    assert lost_ratios(none, down) == (0.02, 0.0)
    # At a round trip of 40 ms three packets come after each gap, until it is filled.
    up = call._replace(out_of_order=30, min_rtt_us=40_000)
    assert lost_ratios(none, up) == (0.0, 0.02)
    few = none._replace(data_segments_in=19, data_segments_out=19, sent_again=9)
    assert lost_ratios(none, few) == (None, None)


async def _send_and_read_on(
    link: ClientConnection, messages: list[bytes | str]
) -> None:
    for message in messages:
        await link.send(message)
    while True:
        await link.recv()


@contextmanager
def _served(secret: Path, **more: object) -> Iterator[tuple[str, ReflectorService]]:
    """The page and a reflector, each on a port of its own, in another thread."""
    ready, loop = threading.Event(), asyncio.new_event_loop()
    found: list[tuple[str, ReflectorService]] = []
    stop = asyncio.Event()

    async def run() -> None:
        settings = {"access": "token", "secret_file": secret} | more
        async with ReflectorService(reflector_config(**settings)) as reflector:
            sign_in = {
                "base_url": "http://127.0.0.1:1",
                "file": secret.parent / "sign-in.sqlite",
                "local_users": True,
                "public": [Right.SEE_SUMMARY],
            }
            estate = _estate(f"ws://127.0.0.1:{reflector.web_port}")
            page = StatusPage(
                # People sign in here; the summary is public.
                WebConfig.model_validate({"port": 0, "sign_in": sign_in}),
                lambda: estate,
                AlertList(),
                MemoryStore(),
                reflector_secret=secret,
                support=SupportCodes(secret.parent / FILE, wall_ms),
            )
            async with page:
                found.append((page.url, reflector))
                ready.set()
                await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=[run()])
    thread.start()
    try:
        assert ready.wait(30)
        yield found[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)
        loop.close()


# A browser test waits for nothing that it need not wait for.
SOONER = "const later = setTimeout; setTimeout = (work, ms) => later(work, ms / 10);"
GIVEN = "const given = document.querySelector('#check').dataset;"


def _failures(faulty: str) -> list[tuple[str, str]]:
    """What goes wrong, and what the page says."""
    return [
        (f"{GIVEN} given.call = 'ws://127.0.0.1:1'", "could not be reached, or is"),
        (f"{GIVEN} given.call = '{faulty}/away'", "broke off during the test"),
        (f"{GIVEN} given.call = '{faulty}/busy'", "busy with other people's checks"),
        (f"{GIVEN} given.call = '{faulty}/mute'", "Hardly anything of the test call"),
        (
            f"{GIVEN} given.download = given.upload = 'ws://127.0.0.1:1';"
            "Object.defineProperty(document, 'hidden', { value: true })",
            "The speed was not measured",
        ),
        ("let at = Date.now(); Date.now = () => (at += 9000)", "was asleep during"),
    ]


@contextmanager
def _faulty_server() -> Iterator[str]:
    """`/away` closes in the middle of a call, `/busy` at once as the reflector does
    without a place, and `/mute` sends nothing back."""

    def answer(link: ServerConnection) -> None:
        assert link.request is not None
        is_away = link.request.path == "/away"
        if link.request.path == "/busy":
            link.close(1013)
        for number, _ in enumerate(link):
            if is_away and number == 9:
                return

    protocol = Subprotocol(call_echo.SUBPROTOCOL)
    with serve(answer, "127.0.0.1", 0, subprotocols=[protocol]) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        finally:
            server.shutdown()
            thread.join(30)


@pytest.mark.service
def test_a_browser_tests_the_call_and_the_speed_and_answers_in_plain_words(
    secret: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check_page, "CALL_MESSAGES", 40)
    monkeypatch.setattr(check_page, "SPEED_SECONDS", 1)
    with _served(secret) as (url, reflector), browser(tmp_path / "chromium") as tab:

        def shown() -> str:
            return str(tab.run("document.querySelector('main')?.innerText"))

        def load() -> None:
            tab.call("Page.navigate", url=f"{url}/check")
            ready = "document.readyState + !!document.querySelector('#start')"
            wait_until(lambda: tab.run(ready) == "completetrue", "the page to load")

        load()
        # A page that is open and not used does nothing.
        assert reflector.web_stats.calling == reflector.web_stats.calls == 0
        tab.run("document.querySelector('#start').click()")
        wait_until(lambda: "The check is done." in shown(), "the check to end", 60)
        text = shown()
        assert "ready for calls" in text or "calls may not be good" in text, text
        assert "Mbit/s" in text.partition("Download")[2][:30]
        # Behind a proxy on the same machine nothing is known of losses.
        assert text.count("not measured") == 1
        assert reflector.web_stats.calls == 1
        assert reflector.web_stats.downloads == 1
        assert reflector.web_stats.uploads == 1
        assert axe.findings(tab)[0] == []
        focused = "document.activeElement.id"
        assert tab.run(focused) == "verdict"

        # With a support code, and only then, the result is stored.
        codes = SupportCodes(secret.parent / FILE, wall_ms)
        made = codes.make("k1-aaaaaaaaaaaaaaaa").code
        tab.run(f"document.querySelector('#code').value = '{made}'")
        tab.run("document.querySelector('#send button').click()")
        wait_until(lambda: "The result was sent" in shown(), "the answer", 30)
        opened = codes.opened(codes.open(made, "a", "A").reference, "a")
        assert opened is not None
        (sent,) = opened.checks
        assert 0 < sent.check.rtt_ms < 60_000
        assert sent.check.down_mbps
        assert sent.check.up_mbps
        load()

        # Each failure is a sentence of its own, and none looks like a good call.
        tab.call("Page.setBypassCSP", enabled=True)
        with _faulty_server() as faulty:
            for script, sentence in _failures(faulty):
                load()
                tab.run(f"{SOONER} {script}; void 0")
                tab.run("document.querySelector('#start').click()")
                wait_until(lambda said=sentence: said in shown(), sentence)
                assert "Yes, ready for calls" not in shown(), sentence

        # A browser that is too old.
        tab.call("Page.enable")
        tab.call(
            "Page.addScriptToEvaluateOnNewDocument", source="delete window.WebSocket;"
        )
        load()
        wait_until(lambda: "This browser is too old" in shown(), "the sentence")
