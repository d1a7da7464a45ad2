"""The HTTPS connection to the council's server: one request at a time, kept open.

The system's proxy is used if one is set. Port 443 works wherever laptops are.
"""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Self

import msgspec

from probes.agent.report_delivery import Later
from probes.wire.report import AgentCredential

if TYPE_CHECKING:
    import ssl

    import httpx2

MAX_RESPONSE_BYTES = 1_000_000
# Longer than the pauses between batches, shorter than home routers forget a connection.
KEEP_S = 60.0
REQUEST_S = 60.0
_HANDSHAKE_BYTES = 6_000
_HEAD_BYTES = 700


class _ErrorBody(msgspec.Struct):
    why: str


class HttpResponse(msgspec.Struct, frozen=True):
    """One response, with at most `MAX_RESPONSE_BYTES` of body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def why(self) -> str | None:
        """The server's own sentence; None if something else than our server
        answered."""
        try:
            return msgspec.json.decode(self.body, type=_ErrorBody).why[:300]
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None


def trust(ca_file: str) -> ssl.SSLContext:
    """Returns a TLS context that verifies against `ca_file`, or against the system's
    list if it is empty."""
    import ssl

    return ssl.create_default_context(cafile=ca_file or None)


class ServerConnection:
    """One kept HTTPS connection: `async with connection:`.

    `clock_ahead_s`: by how much this laptop's clock is ahead of the server's, whose
    certificate was checked; None until it has answered. `cost_bytes` counts the network
    data used, with handshakes estimated at 6 kB.
    """

    def __init__(
        self,
        server: str,
        credential: AgentCredential | None,
        ca_file: str,
        software: str,
        request_s: float = REQUEST_S,
        wall_s: Callable[[], float] = time.time,
    ) -> None:
        self._server, self._ca_file = server.rstrip("/"), ca_file
        self._credential, self._software = credential, software
        self._request_s, self._wall_s = request_s, wall_s
        self._client: httpx2.AsyncClient | None = None
        self._used_s = -KEEP_S
        self.cost_bytes = 0
        self.clock_ahead_s: float | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> HttpResponse:
        """Sends one request and returns the whole response. Raises `Later` with a
        sentence if there is none."""
        import httpx2

        if self._client is None:
            self._client = self._make_client()
        sent_bytes = 0 if body is None else len(body)
        now_s = time.monotonic()
        if now_s - self._used_s > KEEP_S:
            self.cost_bytes += _HANDSHAKE_BYTES
        self._used_s = now_s
        self.cost_bytes += sent_bytes + _HEAD_BYTES
        try:
            async with (
                asyncio.timeout(self._request_s),
                self._client.stream(
                    method, self._server + path, content=body, headers=headers
                ) as response,
            ):
                content = bytearray()
                async for part in response.aiter_bytes():
                    content += part
                    if len(content) > MAX_RESPONSE_BYTES:
                        raise Later(f"the answer of {self._server} is too long")
        except TimeoutError:
            raise Later(
                f"{self._server} did not answer in {self._request_s:g} s"
            ) from None
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
            raise Later(_sentence(self._server, error)) from None
        except OSError as error:
            raise Later(f"{self._server} cannot be reached: {error}") from None
        self.cost_bytes += len(content) + _HEAD_BYTES
        self._compare_clocks(response.headers.get("date", ""))
        return HttpResponse(
            response.status_code, dict(response.headers), bytes(content)
        )

    def clock_was_set(self, by_s: float) -> None:
        """Corrects `clock_ahead_s` after this laptop's clock was set."""
        if self.clock_ahead_s is not None:
            self.clock_ahead_s += by_s

    def _compare_clocks(self, date: str) -> None:
        # Without TLS, or from a proxy's page, the date proves nothing.
        if self._server.startswith("https:"):
            with contextlib.suppress(TypeError, ValueError, OverflowError, IndexError):
                server_s = email.utils.parsedate_to_datetime(date).timestamp()
                self.clock_ahead_s = self._wall_s() - server_s

    def _make_client(self) -> httpx2.AsyncClient:
        import httpx2

        credential = self._credential
        return httpx2.AsyncClient(
            auth=None
            if credential is None
            else httpx2.BasicAuth(credential.agent, credential.secret),
            verify=trust(self._ca_file),
            headers={"User-Agent": self._software, "Accept": "application/json"},
            timeout=httpx2.Timeout(30.0, connect=10.0),
            limits=httpx2.Limits(
                max_connections=1, max_keepalive_connections=1, keepalive_expiry=KEEP_S
            ),
            follow_redirects=False,
        )


def _sentence(server: str, error: Exception) -> str:
    text = str(error) or type(error).__name__
    if "CERTIFICATE_VERIFY_FAILED" in text:
        sentence = f"the certificate of {server} is not trusted: {text}"
        # Far more often it is the laptop's clock than the server's certificate.
        out_of_time = "not yet valid" in text or "has expired" in text
        return f"{sentence}; is this laptop's clock right?" if out_of_time else sentence
    return f"{server} cannot be reached: {text}"
