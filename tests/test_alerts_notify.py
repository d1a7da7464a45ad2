"""Channels against a real SMTP server and a real HTTP server, and who is told when."""

from __future__ import annotations

import asyncio
import email
import email.policy
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import services
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session
from pydantic import ValidationError

from alerts import alert_commands
from alerts.alert import Alert
from alerts.alert_config import AlertConfig, build_notifiers
from alerts.estate_index import EstateIndex
from alerts.notify import (
    DeliveryRefused,
    PageSettings,
    PartlyDelivered,
    RetryLater,
    Route,
    RoutingConfig,
    build_page,
)
from alerts.notify.email import Email, EmailConfig
from alerts.notify.routing import destinations
from alerts.notify.webhook import Webhook, WebhookConfig, verify_signature
from collectors.estate.estate_model import Estate

NOW_MS = 1_777_888_800_000
ALERT = Alert(
    rule="line_down",
    subject={"line": "library-wan"},
    severity="critical",
    state="firing",
    since_ms=NOW_MS - 120_000,
    site="library",
    summary="Central Library: the primary line of Severn Telecom is down",
    cause="The supplier's circuit, or the equipment at either end of it.",
    runbook="Report circuit WB-0047 to Severn Telecom (01632 960047, 24 hours).",
    affected={"devices": 2, "agents": 20},
)
PAGE = build_page(
    [ALERT], "page", ["e1"], NOW_MS, PageSettings("https://towpath.example.gov.uk")
)


class Post:
    """What the mail server does with what it gets."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.rcpt = self.data = "250 OK"

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, to: str, _: Any
    ) -> str:
        if self.rcpt.startswith("250"):
            envelope.rcpt_tos.append(to)
        return self.rcpt

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        if self.data.startswith("250"):
            content = envelope.content
            assert isinstance(content, bytes)
            parsed = email.message_from_bytes(content, policy=email.policy.default)
            assert isinstance(parsed, EmailMessage)
            self.mails.append(parsed)
        return self.data


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    key, cert = folder / "key.pem", folder / "cert.pem"
    openssl = services.program("openssl")
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt"]
    command += ["ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    command += ["-keyout", str(key), "-out", str(cert)]
    subprocess.run(command, check=True, capture_output=True)
    return key, cert


@pytest.fixture
def post() -> Post:
    return Post()


@pytest.fixture
def plain_server(post: Post) -> Iterator[Controller]:
    controller = Controller(post, hostname="127.0.0.1", port=services.free_port())
    controller.start()
    yield controller
    controller.stop()


def mail_config(port: int, **more: Any) -> EmailConfig:
    return EmailConfig(
        **{
            "host": "localhost",
            "port": port,
            "security": "none",
            "sender": "towpath@council.example",
            "to": ("duty@council.example", "desk@council.example"),
            "timeout_s": 5,
            **more,
        }
    )


async def test_a_page_arrives_as_one_mail_with_text_and_html(
    plain_server: Controller, post: Post
) -> None:
    await Email(mail_config(plain_server.port)).notify(PAGE)
    [mail] = post.mails
    assert mail["Subject"].startswith("CRITICAL: Central Library: the primary line")
    assert mail["To"] == "duty@council.example, desk@council.example"
    assert mail["Auto-Submitted"] == "auto-generated"
    text = mail.get_body(("plain",))
    html = mail.get_body(("html",))
    assert text is not None
    assert html is not None
    for words in (
        "2 devices, about 20 laptops",
        "Report circuit WB-0047",
        "https://towpath.example.gov.uk/sites/library",
    ):
        assert words in text.get_content()
        assert words in html.get_content()


async def test_the_resolution_is_in_the_thread_of_its_page(
    plain_server: Controller, post: Post
) -> None:
    channel = Email(mail_config(plain_server.port))
    await channel.notify(PAGE)
    await channel.notify(build_page([ALERT], "resolution", ["e1"], NOW_MS))
    page, over = post.mails
    assert over["In-Reply-To"] == page["Message-ID"]
    assert over["Subject"].startswith("RESOLVED: ")


async def test_a_mail_goes_over_starttls_with_a_password(
    certificate: tuple[Path, Path], post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, cert = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)

    def known(*args: Any) -> AuthResult:
        login = args[-1]
        right = login.password == b"right horse"
        return AuthResult(success=right, handled=right)

    controller = Controller(
        post,
        hostname="127.0.0.1",
        port=services.free_port(),
        tls_context=context,
        require_starttls=True,
        authenticator=known,
        auth_required=True,
    )
    controller.start()
    try:
        config = mail_config(
            controller.port,
            security="starttls",
            ca_file=str(cert),
            user="towpath",
            password={"env": "TOWPATH_TEST_PASSWORD"},
        )
        with pytest.raises(RetryLater, match="has no TOWPATH_TEST_PASSWORD"):
            await Email(config).notify(PAGE)
        monkeypatch.setenv("TOWPATH_TEST_PASSWORD", "wrong")
        with pytest.raises(RetryLater, match="535"):
            await Email(config).notify(PAGE)
        monkeypatch.setenv("TOWPATH_TEST_PASSWORD", "right horse")
        await Email(config).notify(PAGE)
        untrusted = config.model_copy(update={"ca_file": ""})
        with pytest.raises(RetryLater, match="certificate verify failed"):
            await Email(untrusted).notify(PAGE)
    finally:
        controller.stop()
    assert len(post.mails) == 1


@pytest.mark.parametrize(
    ("rcpt", "data", "raised"),
    [
        ("550 no such person", "250 OK", DeliveryRefused),
        ("450 greylisted", "250 OK", RetryLater),
        ("250 OK", "554 looks like spam", DeliveryRefused),
        ("250 OK", "452 no space", RetryLater),
        ("250 OK", "421 going down", RetryLater),
    ],
)
async def test_what_the_mail_server_says_decides_whether_to_try_again(
    plain_server: Controller,
    post: Post,
    rcpt: str,
    data: str,
    raised: type[Exception],
) -> None:
    post.rcpt, post.data = rcpt, data
    with pytest.raises(raised, match=r"mail server localhost:\d+"):
        await Email(mail_config(plain_server.port)).notify(PAGE)


async def test_a_mail_server_that_is_not_there_or_says_nothing_is_tried_again() -> None:
    with pytest.raises(RetryLater):
        await Email(mail_config(services.free_port())).notify(PAGE)
    held: list[asyncio.StreamWriter] = []

    async def mute(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)

    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(RetryLater):
            await Email(mail_config(port, timeout_s=0.3)).notify(PAGE)
        for writer in held:
            writer.close()


async def test_one_refused_recipient_does_not_make_the_other_be_told_twice(
    plain_server: Controller, post: Post
) -> None:
    answers = iter(["250 OK", "550 left the council"])

    async def rcpt(
        server: SMTP, session: Session, envelope: Envelope, to: str, _: Any
    ) -> str:
        answer = next(answers)
        if answer.startswith("250"):
            envelope.rcpt_tos.append(to)
        return answer

    post.handle_RCPT = rcpt  # type: ignore[method-assign]
    with pytest.raises(
        PartlyDelivered, match=r"desk@council\.example, accepted for the others"
    ):
        await Email(mail_config(plain_server.port)).notify(PAGE)
    assert len(post.mails) == 1


class Desk:
    """A real HTTP server: answers as told, keeps what it was sent."""

    def __init__(self) -> None:
        self.answer = "204 No Content"
        self.headers = ""
        self.silent = False
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.url = ""

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = {
            name.lower(): value.strip()
            for name, _, value in (
                line.partition(":") for line in head.splitlines()[1:] if line
            )
        }
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.got.append((headers, body))
        if not self.silent:
            writer.write(
                f"HTTP/1.1 {self.answer}\r\n{self.headers}Content-Length: 0\r\n"
                "Connection: close\r\n\r\n".encode()
            )
            await writer.drain()
        else:
            await reader.read()
        writer.close()


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    desk = Desk()
    server = await asyncio.start_server(desk.serve, "127.0.0.1", 0)
    async with server:
        desk.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/t/key-123"
        yield desk


async def test_a_webhook_is_signed_over_its_time_and_body(
    desk: Desk, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("a shared secret\n")
    config = WebhookConfig(url=desk.url, secret={"file": tmp_path / "secret"})  # type: ignore[arg-type]
    await Webhook(config, lambda: NOW_MS).notify(PAGE)
    [(headers, body)] = desk.got
    signature = headers["towpath-signature"]
    assert verify_signature(signature, body, "a shared secret", NOW_MS + 1_000)
    assert not verify_signature(signature, body, "another", NOW_MS)
    assert not verify_signature(signature, body + b" ", "a shared secret", NOW_MS)
    assert not verify_signature(signature, body, "a shared secret", NOW_MS + 400_000)
    assert headers["towpath-id"] == PAGE.id
    assert b'"key":"line_down/line=library-wan"' in body


@pytest.mark.parametrize(
    ("answer", "raised"),
    [
        ("500 Oh", RetryLater),
        ("503 Later", RetryLater),
        ("429 Slower", RetryLater),
        ("400 Bad", DeliveryRefused),
        ("404 Gone", DeliveryRefused),
        ("302 Elsewhere", DeliveryRefused),
    ],
)
async def test_what_the_webhook_answers_decides_whether_to_try_again(
    desk: Desk, answer: str, raised: type[Exception]
) -> None:
    desk.answer = answer
    with pytest.raises(raised) as failure:
        await Webhook(WebhookConfig(url=desk.url)).notify(PAGE)
    # Paths of such addresses are secrets: they are not logged.
    assert "key-123" not in str(failure.value)
    assert len(desk.got) == 1


async def test_a_webhook_that_says_when_is_asked_then(desk: Desk) -> None:
    desk.answer, desk.headers = "429 Slower", "Retry-After: 120\r\n"
    with pytest.raises(RetryLater) as failure:
        await Webhook(WebhookConfig(url=desk.url)).notify(PAGE)
    assert failure.value.after_s == 120


async def test_a_webhook_that_hangs_or_is_not_there_is_tried_again(desk: Desk) -> None:
    desk.silent = True
    with pytest.raises(RetryLater, match=r"no answer|Timeout"):
        await Webhook(WebhookConfig(url=desk.url, timeout_s=0.3)).notify(PAGE)
    url = f"http://127.0.0.1:{services.free_port()}/"
    with pytest.raises(RetryLater):
        await Webhook(WebhookConfig(url=url)).notify(PAGE)


ESTATE = Estate.model_validate(
    {
        "sites": [{"id": "library", "name": "Central Library"}],
    }
)
MONDAY_10 = int(datetime(2026, 5, 4, 9, 0, tzinfo=UTC).timestamp() * 1000)
SATURDAY = int(datetime(2026, 5, 2, 9, 0, tzinfo=UTC).timestamp() * 1000)


def routed(now_ms: int, *routes: Route, severity: Any = "critical") -> dict[str, int]:
    alert = Alert("r", {}, severity, "firing", now_ms, site="library")
    found = destinations(
        alert,
        RoutingConfig(routes=routes),
        ("duty", "desk"),
        EstateIndex(ESTATE),
        now_ms,
    )
    return {way.channel: way.next_ms - now_ms for way in found}


def test_without_routes_everybody_is_told_of_what_is_not_just_information() -> None:
    assert routed(SATURDAY) == {"duty": 0, "desk": 0}
    assert routed(SATURDAY, severity="info") == {}


def test_a_route_for_business_hours_waits_until_the_site_opens() -> None:
    desk = Route(channels=("desk",), hours="open")
    duty = Route(channels=("duty",), hours="closed", severities=("critical",))
    assert routed(MONDAY_10, desk, duty) == {"desk": 0}
    # Saturday 10:00 in London to Monday 08:00.
    assert routed(SATURDAY, desk, duty) == {"duty": 0, "desk": 46 * 3_600_000}
    assert routed(SATURDAY, duty, severity="warning") == {}


def test_a_route_may_be_for_some_sites_or_rules() -> None:
    assert routed(SATURDAY, Route(channels=("duty",), sites=("depot",))) == {}
    assert routed(SATURDAY, Route(channels=("duty",), rules=("r",))) == {"duty": 0}


def test_channels_are_made_from_settings_and_unknown_ones_are_named() -> None:
    config = AlertConfig.model_validate(
        {
            "standing": "alerts.sqlite",
            "channels": {
                "duty": {
                    "kind": "email",
                    "host": "mail",
                    "sender": "a@b.example",
                    "to": ["c@b.example"],
                },
                "desk": {"kind": "webhook", "url": "https://desk.example/x"},
            },
            "routes": [{"channels": ["duty", "dsek"]}],
        }
    )
    assert list(build_notifiers(config)) == ["duty", "desk"]
    assert list(config.unknown_channels()) == [("alerts.routes[1].channels", "dsek")]
    with pytest.raises(ValidationError, match="a channel needs kind"):
        AlertConfig.model_validate(
            {"standing": "x", "channels": {"duty": {"kind": "emial"}}}
        )


def test_a_channel_can_be_tried_from_the_command_line(
    plain_server: Controller, post: Post
) -> None:
    lines: list[str] = []
    channels = {"duty": Email(mail_config(plain_server.port))}
    assert alert_commands.alerts_test(channels, "duty", out=lines.append) == 0
    assert "This is a test" in post.mails[0]["Subject"]
    post.rcpt = "550 no"
    assert alert_commands.alerts_test(channels, "duty", out=lines.append) == 1
    assert alert_commands.alerts_test(channels, "dtuy", out=lines.append) == 2
    assert "did you mean 'duty'" in lines[-1]
