"""E-mail by SMTP: STARTTLS (587), TLS (465) or, on a trusted network, neither."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from typing import Annotated, Literal

from pydantic import Field

from alerts.notify.delivery_result import DeliveryRefused, PartlyDelivered, RetryLater
from alerts.notify.page import Page
from alerts.secret import Secret
from collectors.strict_model import StrictModel


class EmailConfig(StrictModel):
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
    fallback: str = ""


class Email:
    """One page is one mail to all of `to`. Uses the blocking smtplib in a thread, the
    client that is known best."""

    def __init__(self, config: EmailConfig) -> None:
        self._config = config

    async def notify(self, page: Page) -> None:
        """Raises `RetryLater` for 4xx, timeouts and failed connections,
        `DeliveryRefused` for 5xx, and `PartlyDelivered` if the server accepts only some
        recipients."""
        message = compose_message(page, self._config.sender, self._config.to)
        try:
            # smtplib's timeout is per step; this one is for all of them.
            async with asyncio.timeout(3 * self._config.timeout_s):
                await asyncio.to_thread(self._send, message)
        except TimeoutError:
            raise RetryLater(f"{self._where}: no answer in time") from None
        except smtplib.SMTPRecipientsRefused as error:
            answers = [code for code, _ in error.recipients.values()]
            answers_text = "; ".join(
                f"{who}: {code} {text.decode(errors='replace')}"
                for who, (code, text) in error.recipients.items()
            )
            if any(400 <= code < 500 for code in answers):
                raise RetryLater(f"{self._where}: {answers_text}") from None
            raise DeliveryRefused(f"{self._where}: {answers_text}") from None
        except smtplib.SMTPAuthenticationError as error:
            # A password can be corrected while the page waits.
            raise RetryLater(f"{self._where}: {_smtp_reply(error)}") from None
        except smtplib.SMTPResponseException as error:
            if error.smtp_code >= 500:
                raise DeliveryRefused(f"{self._where}: {_smtp_reply(error)}") from None
            raise RetryLater(f"{self._where}: {_smtp_reply(error)}") from None
        except (smtplib.SMTPException, ssl.SSLError, OSError, LookupError) as error:
            raise RetryLater(f"{self._where}: {error}") from None

    @property
    def _where(self) -> str:
        return f"mail server {self._config.host}:{self._config.port}"

    def _send(self, message: EmailMessage) -> None:
        config = self._config
        context = ssl.create_default_context(cafile=config.ca_file or None)
        if config.security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                config.host, config.port, timeout=config.timeout_s, context=context
            )
        else:
            server = smtplib.SMTP(config.host, config.port, timeout=config.timeout_s)
        with server:
            if config.security == "starttls":
                server.starttls(context=context)
            if config.user:
                server.login(config.user, config.password.value())
            refused = server.send_message(message)
        if refused:
            names = ", ".join(refused)
            raise PartlyDelivered(
                f"{self._where}: refused for {names}, accepted for the others"
            )


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
    if page.kind == "resolution":
        message["In-Reply-To"] = f"<{page.thread}-page@{domain}>"
        message["References"] = f"<{page.thread}-page@{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    if page.severity == "critical" and page.kind == "page":
        message["Importance"] = "high"
    message.set_content(page.text)
    message.add_alternative(page.html, subtype="html")
    return message


def _smtp_reply(error: smtplib.SMTPResponseException) -> str:
    reply = error.smtp_error
    text = reply.decode(errors="replace") if isinstance(reply, bytes) else str(reply)
    return f"{error.smtp_code} {text}"
