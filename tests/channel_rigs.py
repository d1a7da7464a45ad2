"""One rig for each kind of channel: a real or faithful server at the other end, and the
same handles for all, so that one contract is tested against every channel."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import httpx2
import services
from aiosmtpd.controller import Controller
from faulty_http import FaultyServer, Request
from govuk_notify_server import API_KEY, EMAIL_TEMPLATE, SMS_TEMPLATE, NotifyService
from govuk_notify_server import SECRET as NOTIFY_SECRET
from mail_server import Post, mail_config, self_signed
from service_desk_base import SECRET as DESK_SECRET
from servicenow_server import ServiceNow

from alerts.notify.alertmanager import Alertmanager, AlertmanagerConfig
from alerts.notify.apprise_channel import Apprise, AppriseConfig
from alerts.notify.delivery_result import Notifier
from alerts.notify.desk_settings import ServiceDeskConfig
from alerts.notify.email import Email
from alerts.notify.govuk_notify import GovukNotify, GovukNotifyConfig
from alerts.notify.service_desk import ServiceDesk
from alerts.notify.webhook import Webhook, WebhookConfig

SECRET = "s3cret-in-a-file"


class ChannelRig(Protocol):
    """`arrived`: the first line of each message that the other end has, in order.
    `fault`: what the other end does: nothing, or one of `FAULTS`."""

    notifier: Notifier
    secret: str

    def set_fault(self, fault: str) -> None: ...

    def arrived(self) -> list[str]: ...


class EmailRig:
    secret = SECRET

    def __init__(self, folder: Path) -> None:
        self._post = Post()
        port = services.free_port()
        self._controller = Controller(self._post, hostname="127.0.0.1", port=port)
        self._controller.start()
        self.notifier = Email(mail_config(port, timeout_s=15))

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

    secret = SECRET

    def __init__(self, server: FaultyServer) -> None:
        self.server = server
        self._stack = contextlib.ExitStack()
        self._stack.enter_context(server)

    def set_fault(self, fault: str) -> None:
        if fault == "gone":
            self.close()
        self.server.fault = STATUSES.get(fault, 0)
        # Servers repeat in their answers what they were sent.
        self.server.fault_body = {"error": f"not with {self.secret} today"}

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
                "timeout_s": 15,
            }
        )
        self.notifier = Webhook(config)

    def arrived(self) -> list[str]:
        return [r.json["subject"] for r in self.server.requests]


class AppriseRig(HttpRig):
    """One address of apprise at a server that keeps what it gets."""

    def __init__(self, folder: Path, address: str, title: str) -> None:
        super().__init__(FaultyServer(lambda request: (200, {"id": "1"})))
        self._title = title
        place = folder / "apprise.urls"
        url = address.format(at=f"localhost:{self.server.port}", secret=SECRET)
        place.write_text(f"# the duty phone\n{url}\n")
        config = AppriseConfig.model_validate(
            {"urls": {"file": place}, "timeout_s": 15}
        )
        self.notifier = Apprise(config)

    def arrived(self) -> list[str]:
        return [
            re.search(self._title, request.body.decode()).group(1)  # type: ignore[union-attr]
            for request in self.server.requests
        ]


def _apprise_json(folder: Path) -> AppriseRig:
    address = "json://towpath:{secret}@{at}/{secret}"
    return AppriseRig(folder, address, r'"title": "([^"]*)"')


def _apprise_ntfy(folder: Path) -> AppriseRig:
    address = "ntfy://towpath:{secret}@{at}/alerts"
    return AppriseRig(folder, address, r'"title": ?"([^"]*)"')


class WorkflowsRig(AppriseRig):
    """Teams: an Adaptive Card, over TLS."""

    def __init__(self, folder: Path) -> None:
        address = "workflows://{at}/workflow-1/{secret}"
        super().__init__(folder, address, r'"text": "((?:PROBLEM|RESOLVED)[^"]*)"')
        key, cert = self_signed(folder)
        self.server.use_tls((key, cert))
        self._before = os.environ.get("REQUESTS_CA_BUNDLE")
        os.environ["REQUESTS_CA_BUNDLE"] = str(cert)

    def close(self) -> None:
        super().close()
        os.environ.pop("REQUESTS_CA_BUNDLE", None)
        if self._before is not None:
            os.environ["REQUESTS_CA_BUNDLE"] = self._before


class GovukNotifyRig(HttpRig):
    secret = NOTIFY_SECRET

    def __init__(self, folder: Path) -> None:
        self.service = NotifyService()
        super().__init__(FaultyServer(self.service))
        place = folder / "notify.key"
        place.write_text(API_KEY)
        config = GovukNotifyConfig.model_validate(
            {
                "url": self.server.url,
                "api_key": {"file": place},
                "to": ["duty@council.example"],
                "email_template": EMAIL_TEMPLATE,
                "sms_template": SMS_TEMPLATE,
                "timeout_s": 15,
            }
        )
        self.config = config
        self.notifier = GovukNotify(config)

    def arrived(self) -> list[str]:
        return [one["subject"] or one["body"] for one in self.service.notifications]


class AlertmanagerRig(HttpRig):
    """A real Alertmanager, behind a proxy that fails on demand."""

    def __init__(self, folder: Path) -> None:
        self.process = services.alertmanager(folder)
        self.process.start()
        super().__init__(FaultyServer(self._pass_on))
        token = folder / "alertmanager.token"
        token.write_text(SECRET)
        self.notifier = Alertmanager(
            AlertmanagerConfig.model_validate(
                {
                    "servers": [self.server.url],
                    "token": {"file": token},
                    "timeout_s": 15,
                }
            )
        )

    def _pass_on(self, request: Request) -> tuple[int, Any]:
        url = f"http://127.0.0.1:{self.process.port}{request.path}"
        answer = httpx2.request(
            request.method,
            url,
            content=request.body,
            headers={"Content-Type": "application/json"},
        )
        return answer.status_code, answer.json() if answer.content else None

    def alerts(self) -> list[dict[str, Any]]:
        """What Alertmanager shows as active."""
        url = f"http://127.0.0.1:{self.process.port}/api/v2/alerts"
        return list(httpx2.get(url).json())

    def arrived(self) -> list[str]:
        posted = [request.json for request in self.server.requests]
        return [one["annotations"]["summary"] for alerts in posted for one in alerts]

    def close(self) -> None:
        super().close()
        self.process.stop()


class ServiceDeskRig(HttpRig):
    def __init__(self, folder: Path) -> None:
        self.desk = ServiceNow()
        super().__init__(FaultyServer(self.desk))
        place = folder / "desk.key"
        place.write_text(DESK_SECRET)
        settings = {**self.desk.settings(str(place)), "url": self.server.url}
        self.notifier = ServiceDesk(ServiceDeskConfig.model_validate(settings))

    secret = DESK_SECRET

    def arrived(self) -> list[str]:
        return self.desk.titles()


# Those whose messages have a subject, and those that keep alerts.
MESSAGE_RIGS: dict[str, Callable[[Path], Any]] = {
    "email": EmailRig,
    "webhook": WebhookRig,
    "apprise json": _apprise_json,
    "apprise ntfy": _apprise_ntfy,
    "apprise workflows": WorkflowsRig,
    "govuk_notify": GovukNotifyRig,
}
STANDING_RIGS: dict[str, Callable[[Path], Any]] = {
    "alertmanager": AlertmanagerRig,
    "service_desk": ServiceDeskRig,
}
RIGS = {**MESSAGE_RIGS, **STANDING_RIGS}


@contextlib.contextmanager
def rig(kind: str, folder: Path) -> Iterator[ChannelRig]:
    channel = RIGS[kind](folder)
    try:
        yield channel
    finally:
        channel.close()
