"""One rig for each kind of channel: a real or faithful server at the other end, and the
same handles for all, so that one contract is tested against every channel."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import services
from aiosmtpd.controller import Controller
from faulty_http import FaultyServer
from mail_server import Post, mail_config

from alerts.notify.delivery_result import Notifier
from alerts.notify.email import Email
from alerts.notify.webhook import Webhook, WebhookConfig

SECRET = "s3cret-in-a-file"


class ChannelRig(Protocol):
    """`arrived`: the first line of each message that the other end has, in order.
    `fault`: what the other end does: nothing, or one of `FAULTS`."""

    notifier: Notifier

    def set_fault(self, fault: str) -> None: ...

    def arrived(self) -> list[str]: ...


class EmailRig:
    def __init__(self, folder: Path) -> None:
        self._post = Post()
        port = services.free_port()
        self._controller = Controller(self._post, hostname="127.0.0.1", port=port)
        self._controller.start()
        self.notifier = Email(mail_config(port, timeout_s=2))

    def set_fault(self, fault: str) -> None:
        post = self._post
        post.rcpt = post.data = "250 OK"
        if fault == "later":
            post.rcpt = "450 greylisted, come back"
        elif fault == "never":
            post.rcpt = "550 no such person"
        elif fault == "too large":
            post.data = "552 message size exceeds the limit"
        elif fault == "gone":
            self.close()

    def arrived(self) -> list[str]:
        return [mail["Subject"] for mail in self._post.mails]

    def close(self) -> None:
        if self._controller.server is not None:
            self._controller.stop()


STATUSES = {"later": 503, "never": 403, "too large": 413}


class HttpRig:
    """The server of a channel that speaks HTTP."""

    def __init__(self, server: FaultyServer) -> None:
        self.server = server
        self._stack = contextlib.ExitStack()
        self._stack.enter_context(server)

    def set_fault(self, fault: str) -> None:
        if fault == "gone":
            self.close()
        self.server.fault = STATUSES.get(fault, 0)
        # Servers repeat in their answers what they were sent.
        self.server.fault_body = {"error": f"not with {SECRET} today"}

    def close(self) -> None:
        self._stack.close()


class WebhookRig(HttpRig):
    def __init__(self, folder: Path) -> None:
        super().__init__(FaultyServer())
        secret = folder / "webhook.key"
        secret.write_text(SECRET)
        config = WebhookConfig.model_validate(
            {
                "url": f"{self.server.url}/hooks/{SECRET}?key={SECRET}",
                "secret": {"file": secret},
                "timeout_s": 2,
            }
        )
        self.notifier = Webhook(config)

    def arrived(self) -> list[str]:
        return [r.json["subject"] for r in self.server.requests]


RIGS = {"email": EmailRig, "webhook": WebhookRig}


@contextlib.contextmanager
def rig(kind: str, folder: Path) -> Iterator[ChannelRig]:
    channel = RIGS[kind](folder)
    try:
        yield channel
    finally:
        channel.close()
