"""E-mail by SMTP: STARTTLS (587), TLS (465) or, on a trusted network, neither."""

from __future__ import annotations

import contextlib
import smtplib
import socket
import ssl
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from typing import Annotated, Any, Literal

from pydantic import Field

from alerts.notify.channel_settings import ChannelSettings
from alerts.notify.delivery_result import (
    DeliveryRefused,
    MessageTooLarge,
    RetryLater,
)
from alerts.notify.page import Page
from alerts.notify.sent_parts import RecipientFailure, SentParts
from alerts.notify.thread_call import call_in_thread
from collectors.secret import Secret

# What a server says to a recipient: the code, and its text.
ServerAnswer = tuple[int, bytes]
_TOO_LARGE = 552


class EmailConfig(ChannelSettings):
    """A mail server and the recipients. `password` names the place of the secret."""

    kind: Literal["email"] = "email"
    host: str
    port: Annotated[int, Field(ge=1, le=65535)] = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    ca_file: str = ""
    user: str = ""
    password: Secret = Secret()
    sender: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")]
    to: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")], ...],
        Field(min_length=1),
    ]
    timeout_s: Annotated[float, Field(gt=0)] = 20.0

    def secrets(self) -> Iterator[tuple[str, Secret]]:
        if self.user:
            yield "password", self.password

    def recipients(self) -> tuple[str, ...]:
        return tuple(address.lower() for address in self.to)


class Email:
    """One page is one mail to all of `to`. Uses the blocking smtplib in a thread, the
    client that is known best.

    Recipients that are only refused for now (greylisting) are tried again alone, for a
    quarter of an hour. Longer would keep the end of the alert from the others.
    """

    def __init__(self, config: EmailConfig) -> None:
        self._config = config
        self._sent = SentParts()

    async def notify(self, page: Page) -> None:
        """Raises `RetryLater` for 4xx, timeouts and failed connections,
        `DeliveryRefused` for 5xx, and `PartlyDelivered` if the server accepts only some
        recipients."""
        message = compose_message(page, self._config.sender, self._config.to)
        to = [a for a in self._config.to if not self._sent.has(page.id, a)]
        refused = await self.send(message, to)
        for address in to:
            if address not in refused:
                self._sent.add(page.id, address)
        failures = [
            RecipientFailure(refusal_text(address, answer), is_refused=answer[0] >= 500)
            for address, answer in refused.items()
        ]
        self._sent.settle(page.id, page.sent_ms, self.where, failures)

    async def send(
        self, message: EmailMessage, to: Sequence[str]
    ) -> dict[str, ServerAnswer]:
        """Sends a message to `to`; its headers may name others. Returns the recipients
        that the server refuses, with its answer. Raises `RetryLater` and
        `DeliveryRefused`."""
        attempt = _Attempt(self._config)
        try:
            # smtplib's timeout is per step; this one is for all of them.
            return await call_in_thread(
                lambda: attempt.send(message, to), 3 * self._config.timeout_s, "smtp"
            )
        except TimeoutError:
            attempt.abandon()
            raise RetryLater(
                f"{self.where}: no answer in time", may_have_arrived=attempt.has_begun
            ) from None
        except smtplib.SMTPRecipientsRefused as error:
            return error.recipients
        except smtplib.SMTPAuthenticationError as error:
            # A password can be corrected while the page waits.
            raise RetryLater(
                f"{self.where}: the password is not accepted: {_smtp_reply(error)}"
            ) from None
        except smtplib.SMTPNotSupportedError as error:
            raise RetryLater(f"{self.where}: {error}") from None
        except smtplib.SMTPResponseException as error:
            reason = f"{self.where}: {_smtp_reply(error)}"
            if error.smtp_code == _TOO_LARGE:
                raise MessageTooLarge(reason) from None
            if error.smtp_code >= 500:
                raise DeliveryRefused(reason) from None
            raise RetryLater(reason) from None
        except smtplib.SMTPServerDisconnected as error:
            raise RetryLater(
                f"{self.where}: closed the connection before it had accepted the "
                f"mail ({error})",
                may_have_arrived=attempt.has_begun,
            ) from None
        except (smtplib.SMTPException, OSError, LookupError) as error:
            raise RetryLater(
                f"{self.where}: {error}", may_have_arrived=attempt.has_begun
            ) from None

    @property
    def sender(self) -> str:
        return self._config.sender

    @property
    def where(self) -> str:
        return f"mail server {self._config.host}:{self._config.port}"


class _Attempt:
    """One connection to the mail server, blocking; `abandon` may be called from
    another thread. Once it `has_begun`, the server may have the mail."""

    def __init__(self, config: EmailConfig) -> None:
        self._config = config
        self.server: smtplib.SMTP | None = None
        self.sock: socket.socket | None = None
        self.has_begun = False

    def send(self, message: EmailMessage, to: Sequence[str]) -> dict[str, ServerAnswer]:
        """Returns the recipients that were refused, if others were not."""
        config = self._config
        context = ssl.create_default_context(cafile=config.ca_file or None)
        server: smtplib.SMTP
        if config.security == "tls":
            server = _WatchedSmtpSsl(
                self, config.host, config.port, config.timeout_s, context=context
            )
        else:
            server = _WatchedSmtp(self, config.host, config.port, config.timeout_s)
        try:
            if config.security == "starttls":
                server.starttls(context=context)
            if config.user:
                server.login(config.user, config.password.value())
            refused = server.send_message(message, to_addrs=to)
        except BaseException:
            server.close()
            raise
        # What follows the acceptance of the mail cannot undo it.
        with contextlib.suppress(smtplib.SMTPException, OSError):
            server.quit()
        return refused

    def abandon(self) -> None:
        """Ends a connection that takes too long, so that its thread ends too."""
        for sock in (self.server.sock if self.server else None, self.sock):
            if sock is not None:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)


class _WatchedSmtp(smtplib.SMTP):
    """Lets `attempt` know its socket from the beginning, and when the mail is sent."""

    def __init__(
        self, attempt: _Attempt, host: str, port: int, timeout_s: float, **more: Any
    ) -> None:
        self._attempt = attempt
        super().__init__(host, port, timeout=timeout_s, **more)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        sock: socket.socket = super()._get_socket(host, port, timeout)  # type: ignore[misc]
        self._attempt.server, self._attempt.sock = self, sock
        return sock

    def data(self, msg: Any) -> tuple[int, bytes]:
        self._attempt.has_begun = True
        return super().data(msg)


class _WatchedSmtpSsl(_WatchedSmtp, smtplib.SMTP_SSL):
    """The same, with TLS from the beginning."""


def refusal_text(address: str, answer: ServerAnswer) -> str:
    """Returns `a@council.example: 550 no such mailbox`."""
    code, text = answer
    return f"{address}: {code} {text.decode(errors='replace')}"


def compose_message(page: Page, sender: str, to: tuple[str, ...]) -> EmailMessage:
    """Returns the mail of `page`: text and HTML, threaded with its resolution. It is
    marked as automatic (RFC 3834), so that no out-of-office message answers it."""
    message = EmailMessage()
    domain = sender.rpartition("@")[2]
    message["Subject"] = page.subject
    message["From"] = Address("Towpath", addr_spec=parseaddr(sender)[1])
    message["To"] = ", ".join(to)
    message["Date"] = format_datetime(
        datetime.fromtimestamp(page.data["sent_ms"] / 1000, UTC)
    )
    message["Message-ID"] = f"<{page.id}@{domain}>"
    if page.id != f"{page.thread}-page":
        message["In-Reply-To"] = f"<{page.thread}-page@{domain}>"
        message["References"] = f"<{page.thread}-page@{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    if page.severity == "critical" and (page.kind == "page" or page.data["again"]):
        message["Importance"] = "high"
    message.set_content(page.text)
    message.add_alternative(page.html, subtype="html")
    return message


def _smtp_reply(error: smtplib.SMTPResponseException) -> str:
    reply = error.smtp_error
    text = reply.decode(errors="replace") if isinstance(reply, bytes) else str(reply)
    return f"{error.smtp_code} {text}"
