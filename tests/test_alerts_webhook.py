"""Webhooks against a real HTTP server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import services
from faulty_http import FaultyServer
from mail_server import (
    NOW_MS,
    PAGE,
    certificate,  # noqa: F401 - a fixture
)

from alerts.notify import (
    DeliveryRefused,
    RetryLater,
)
from alerts.notify.webhook import Webhook, WebhookConfig, verify_signature


class Desk:
    """A real HTTP server: answers with `answer`, and keeps every request."""

    def __init__(self) -> None:
        self.answer = "204 No Content"
        self.headers = ""
        self.silent = False
        self.requests: list[tuple[dict[str, str], bytes]] = []
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
        self.requests.append((headers, body))
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
    [(headers, body)] = desk.requests
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
async def test_the_status_of_the_webhook_decides_whether_to_try_again(
    desk: Desk, answer: str, raised: type[Exception]
) -> None:
    desk.answer = answer
    with pytest.raises(raised) as failure:
        await Webhook(WebhookConfig(url=desk.url)).notify(PAGE)
    # The path of a webhook address is a secret: it is not logged.
    assert "key-123" not in str(failure.value)
    assert len(desk.requests) == 1


async def test_a_redirect_names_the_new_server_and_is_not_followed() -> None:
    with FaultyServer() as server:
        server.fault, server.fault_body = 307, ""
        server.headers = {"Location": "https://new.example/hooks/key-456?k=key-789"}
        with pytest.raises(DeliveryRefused, match=r"https://new\.example,") as failure:
            await Webhook(WebhookConfig(url=f"{server.url}/h")).notify(PAGE)
        assert "key-" not in str(failure.value)
        assert len(server.requests) == 1


async def test_a_certificate_that_is_not_trusted_is_told(
    certificate: tuple[Path, Path],  # noqa: F811
) -> None:
    server = FaultyServer()
    server.use_tls(certificate)
    with server:
        with pytest.raises(RetryLater, match="CERTIFICATE_VERIFY_FAILED") as failure:
            await Webhook(WebhookConfig(url=server.url)).notify(PAGE)
        assert not failure.value.may_have_arrived
        config = WebhookConfig(url=server.url, ca_file=str(certificate[1]))
        await Webhook(config).notify(PAGE)
    assert len(server.requests) == 1


@pytest.mark.parametrize("fault", ["drip", "hang", "close"])
async def test_an_answer_that_never_ends_takes_no_longer_than_the_time_limit(
    fault: str,
) -> None:
    with FaultyServer() as server:
        server.fault = fault
        with pytest.raises(RetryLater) as failure:
            await Webhook(WebhookConfig(url=server.url, timeout_s=0.5)).notify(PAGE)
    assert failure.value.may_have_arrived


async def test_what_a_server_repeats_of_its_secrets_is_hidden(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("the-shared-key")
    with FaultyServer() as server:
        server.fault = 500
        server.fault_body = {"error": "bad path /hooks/key-123 with the-shared-key"}
        config = WebhookConfig.model_validate(
            {"url": f"{server.url}/hooks/key-123", "secret": {"file": tmp_path / "key"}}
        )
        with pytest.raises(
            RetryLater, match="answered 500 'error: bad path"
        ) as failure:
            await Webhook(config).notify(PAGE)
    assert "key-123" not in str(failure.value)
    assert "the-shared-key" not in str(failure.value)


async def test_a_retry_after_of_a_webhook_is_followed(desk: Desk) -> None:
    desk.answer, desk.headers = "429 Slower", "Retry-After: 120\r\n"
    with pytest.raises(RetryLater) as failure:
        await Webhook(WebhookConfig(url=desk.url)).notify(PAGE)
    assert failure.value.after_s == 120


async def test_a_webhook_that_does_not_answer_is_tried_again(desk: Desk) -> None:
    desk.silent = True
    with pytest.raises(RetryLater, match=r"no answer|Timeout"):
        await Webhook(WebhookConfig(url=desk.url, timeout_s=0.3)).notify(PAGE)
    url = f"http://127.0.0.1:{services.free_port()}/"
    with pytest.raises(RetryLater):
        await Webhook(WebhookConfig(url=url)).notify(PAGE)
