"""Email against a real SMTP server."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from pathlib import Path
from typing import Any

import msgspec
import pytest
import services
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session
from mail_server import (
    ALERT,
    NOW_MS,
    PAGE,
    Post,
    certificate,  # noqa: F401 - a fixture
    mail_config,
    plain_server,  # noqa: F401 - a fixture
    post,  # noqa: F401 - a fixture
)

from alerts.channel_trial import try_channel
from alerts.notify import (
    DeliveryRefused,
    PartlyDelivered,
    RetryLater,
    build_page,
)
from alerts.notify.email import Email


async def test_a_page_arrives_as_one_mail_with_text_and_html(
    plain_server: Controller,  # noqa: F811
    post: Post,  # noqa: F811
) -> None:
    await Email(mail_config(plain_server.port)).notify(PAGE)
    [mail] = post.mails
    assert mail["Subject"].startswith(
        "PROBLEM (critical): Central Library: the primary"
    )
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
    plain_server: Controller,  # noqa: F811
    post: Post,  # noqa: F811
) -> None:
    channel = Email(mail_config(plain_server.port))
    await channel.notify(PAGE)
    await channel.notify(build_page([ALERT], "resolution", ["e1"], NOW_MS))
    page, over = post.mails
    assert over["In-Reply-To"] == page["Message-ID"]
    assert over["Subject"].startswith("RESOLVED: ")


async def test_a_mail_goes_over_starttls_with_a_password(
    certificate: tuple[Path, Path],  # noqa: F811
    post: Post,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    key, cert = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)

    def authenticate(*args: Any) -> AuthResult:
        login = args[-1]
        right = login.password == b"right horse"
        return AuthResult(success=right, handled=right)

    controller = Controller(
        post,
        hostname="127.0.0.1",
        port=services.free_port(),
        tls_context=context,
        require_starttls=True,
        authenticator=authenticate,
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
async def test_the_answer_of_the_mail_server_decides_whether_to_try_again(
    plain_server: Controller,  # noqa: F811
    post: Post,  # noqa: F811
    rcpt: str,
    data: str,
    raised: type[Exception],
) -> None:
    post.rcpt, post.data = rcpt, data
    with pytest.raises(raised, match=r"mail server localhost:\d+"):
        await Email(mail_config(plain_server.port)).notify(PAGE)


async def test_a_mail_server_that_does_not_answer_is_tried_again() -> None:
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


async def test_one_refused_recipient_does_not_send_the_mail_twice_to_the_other(
    plain_server: Controller,  # noqa: F811
    post: Post,  # noqa: F811
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
        PartlyDelivered,
        match=r"desk@council\.example: 550 left the council; accepted for the others",
    ):
        await Email(mail_config(plain_server.port)).notify(PAGE)
    assert len(post.mails) == 1


async def test_a_greylisted_recipient_gets_the_mail_later_and_the_other_only_once(
    plain_server: Controller,  # noqa: F811
    post: Post,  # noqa: F811
) -> None:
    greylisted = {"desk@council.example"}
    accepted: list[str] = []

    async def rcpt(
        server: SMTP, session: Session, envelope: Envelope, to: str, _: Any
    ) -> str:
        if to in greylisted:
            return "450 greylisted, come back"
        envelope.rcpt_tos.append(to)
        accepted.append(to)
        return "250 OK"

    post.handle_RCPT = rcpt  # type: ignore[method-assign]
    channel = Email(mail_config(plain_server.port))
    for _ in range(2):
        with pytest.raises(RetryLater, match=r"desk@council\.example: 450") as failure:
            await channel.notify(PAGE)
        # One has it: it must stay the same message.
        assert failure.value.may_have_arrived
    greylisted.clear()
    await channel.notify(PAGE)
    assert accepted == ["duty@council.example", "desk@council.example"]
    assert {mail["Message-ID"] for mail in post.mails} == {
        f"<{PAGE.id}@council.example>"
    }
    # One that is greylisted for long does not keep the end from the other.
    greylisted.add("desk@council.example")
    with pytest.raises(RetryLater):
        await channel.notify(PAGE)
    later = msgspec.structs.replace(PAGE, sent_ms=PAGE.sent_ms + 901_000)
    with pytest.raises(PartlyDelivered):
        await channel.notify(later)


class ClosingServer:
    """A mail server that closes the connection when it has read `at`; `at` may be
    empty: at once."""

    def __init__(self, at: str) -> None:
        self.at = at

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        in_data = False
        if self.at:
            writer.write(b"220 ready\r\n")
        while self.at and (line := await reader.readline()):
            text = line.decode().strip()
            if text.startswith(self.at):
                break
            if in_data:
                continue
            in_data = text.upper() == "DATA"
            writer.write(b"354 go on\r\n" if in_data else b"250 OK\r\n")
        writer.close()


@pytest.mark.parametrize(
    ("at", "may_have_arrived"),
    [("", False), ("ehlo", False), ("mail", False), ("data", True), (".", True)],
)
async def test_a_mail_is_tried_again_as_the_same_if_the_server_may_have_it(
    at: str, may_have_arrived: bool
) -> None:
    server = await asyncio.start_server(ClosingServer(at).serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(RetryLater) as failure:
            await Email(mail_config(port)).notify(PAGE)
    assert str(failure.value).startswith(f"mail server localhost:{port}: ")
    assert failure.value.may_have_arrived is may_have_arrived


async def test_a_mail_server_that_drips_is_given_up_in_time() -> None:
    """Each step is in time, and the whole would take minutes."""

    left = asyncio.Event()

    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while True:
                writer.write(b"220-wait\r\n")
                await writer.drain()
                await asyncio.sleep(0.02)
        writer.close()
        left.set()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(RetryLater, match="no answer in time"):
            await Email(mail_config(port, timeout_s=0.3)).notify(PAGE)
        # Its connection is ended, so its thread is too.
        await asyncio.wait_for(left.wait(), 30)


async def test_a_mail_goes_over_tls_from_the_beginning(
    certificate: tuple[Path, Path],  # noqa: F811
    post: Post,  # noqa: F811
) -> None:
    key, cert = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    controller = Controller(
        post, hostname="127.0.0.1", port=services.free_port(), ssl_context=context
    )
    await asyncio.to_thread(controller.start)
    try:
        config = mail_config(controller.port, security="tls", ca_file=str(cert))
        await Email(config).notify(PAGE)
        plain = config.model_copy(update={"security": "none", "timeout_s": 1.0})
        with pytest.raises(RetryLater):
            await Email(plain).notify(PAGE)
    finally:
        controller.stop()
    assert len(post.mails) == 1


async def test_a_server_without_starttls_gets_no_password(
    plain_server: Controller,  # noqa: F811
) -> None:
    config = mail_config(plain_server.port, security="starttls")
    with pytest.raises(RetryLater, match="STARTTLS"):
        await Email(config).notify(PAGE)


def test_a_channel_can_be_tried_from_the_command_line(
    plain_server: Controller,  # noqa: F811
    post: Post,  # noqa: F811
) -> None:
    lines: list[str] = []
    channels = {"duty": Email(mail_config(plain_server.port))}
    assert try_channel(channels, "duty", out=lines.append) == 0
    assert "This is a test" in post.mails[0]["Subject"]
    post.rcpt = "550 no"
    assert try_channel(channels, "duty", out=lines.append) == 1
    assert try_channel(channels, "dtuy", out=lines.append) == 2
    assert "did you mean 'duty'" in lines[-1]
