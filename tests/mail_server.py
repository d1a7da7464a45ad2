"""A real mail server, and a page to notify of, for tests."""

from __future__ import annotations

import email
import email.policy
import subprocess
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import services
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from alerts.alert import Alert
from alerts.notify import (
    PageSettings,
    build_page,
)
from alerts.notify.email import EmailConfig

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
    """The mail server's handler: keeps mails, and answers with `rcpt` and `data`."""

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
    return self_signed(tmp_path_factory.mktemp("tls"))


def self_signed(folder: Path) -> tuple[Path, Path]:
    """A key and a certificate for localhost."""
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
