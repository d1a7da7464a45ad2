"""Email against a real SMTP server."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

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
