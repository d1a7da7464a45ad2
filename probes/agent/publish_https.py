"""Reports over HTTPS: `POST /v1/reports`, gzip, HTTP Basic, one kept connection.

Port 443 passes where laptops are, so this is the default. The system's proxy is used
where one is set. Every answer that is not a `Receipt` leaves the reports in the spool.
"""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import gzip
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Self
from urllib.parse import urlencode

import msgspec

from probes.agent.report_delivery import (
    BodyTooLarge,
    CredentialRefused,
    Later,
    NotTaken,
)
from probes.agent.spool_rows import SpooledReport
from probes.wire.policy import MAX_BODY_BYTES as MAX_POLICY_BYTES
from probes.wire.policy import Policy
from probes.wire.policy import decode as decode_policy
from probes.wire.report import AgentCredential, Receipt
from probes.wire.retry_after import retry_after_s

if TYPE_CHECKING:
    import ssl

    import httpx2

MAX_ANSWER_BYTES = 1_000_000
# Longer than the pauses of a drain, shorter than home routers forget a connection.
KEEP_S = 60.0
REQUEST_S = 60.0
_HANDSHAKE_BYTES = 6_000
_HEAD_BYTES = 700


class _Why(msgspec.Struct):
    why: str


class HttpResponse(msgspec.Struct, frozen=True):
    """What came back: at most `MAX_ANSWER_BYTES` of it."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def why(self) -> str | None:
        """The server's own sentence; None where it was not our server that spoke."""
        try:
            return msgspec.json.decode(self.body, type=_Why).why[:300]
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None


def trust(ca_file: str) -> ssl.SSLContext:
    """TLS that verifies: against `ca_file` where given, else the system's list."""
    import ssl

    return ssl.create_default_context(cafile=ca_file or None)


class ServerConnection:
    """One kept HTTPS connection to the council's server. `async with door:`.

    `ask` raises `Later` with a sentence for everything that kept an answer from coming.
    `clock_ahead_s`: by how much this laptop's clock is ahead of the server's, whose
    certificate was checked; None until it answered. `cost_bytes` counts what went over
    the network, handshakes estimated at 6 kB.
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

    async def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> HttpResponse:
        """One request and its whole answer."""
        import httpx2

        if self._client is None:
            self._client = self._connect()
        sent = 0 if body is None else len(body)
        now_s = time.monotonic()
        if now_s - self._used_s > KEEP_S:
            self.cost_bytes += _HANDSHAKE_BYTES
        self._used_s = now_s
        self.cost_bytes += sent + _HEAD_BYTES
        try:
            async with (
                asyncio.timeout(self._request_s),
                self._client.stream(
                    method, self._server + path, content=body, headers=headers
                ) as response,
            ):
                taken = bytearray()
                async for part in response.aiter_bytes():
                    taken += part
                    if len(taken) > MAX_ANSWER_BYTES:
                        raise Later(f"{self._server} answered with too much")
        except TimeoutError:
            raise Later(
                f"{self._server} did not answer in {self._request_s:g} s"
            ) from None
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
            raise Later(_sentence(self._server, error)) from None
        except OSError as error:
            raise Later(f"{self._server} cannot be reached: {error}") from None
        self.cost_bytes += len(taken) + _HEAD_BYTES
        self._compare_clocks(response.headers.get("date", ""))
        return HttpResponse(response.status_code, dict(response.headers), bytes(taken))

    def clock_was_set(self, by_s: float) -> None:
        """What is known of this laptop's clock stays true when somebody sets it."""
        if self.clock_ahead_s is not None:
            self.clock_ahead_s += by_s

    def _compare_clocks(self, date: str) -> None:
        # Without TLS, or from a proxy's page, anybody may say what time it is.
        if self._server.startswith("https:"):
            with contextlib.suppress(TypeError, ValueError, OverflowError, IndexError):
                theirs_s = email.utils.parsedate_to_datetime(date).timestamp()
                self.clock_ahead_s = self._wall_s() - theirs_s

    def _connect(self) -> httpx2.AsyncClient:
        import httpx2

        who = self._credential
        return httpx2.AsyncClient(
            auth=None if who is None else httpx2.BasicAuth(who.agent, who.secret),
            verify=trust(self._ca_file),
            headers={"User-Agent": self._software, "Accept": "application/json"},
            timeout=httpx2.Timeout(30.0, connect=10.0),
            limits=httpx2.Limits(
                max_connections=1, max_keepalive_connections=1, keepalive_expiry=KEEP_S
            ),
            follow_redirects=False,
        )


class HttpsPublisher:
    """A `Publisher` over HTTPS; also fetches the policy through the same door."""

    def __init__(self, door: ServerConnection) -> None:
        self._door = door
        self._etag = ""

    async def send(self, reports: Sequence[SpooledReport]) -> Receipt:
        body = gzip.compress(
            b"[" + b",".join(each.body for each in reports) + b"]", compresslevel=6
        )
        answer = await self._door.ask(
            "POST",
            "/v1/reports",
            body,
            {"Content-Type": "application/json", "Content-Encoding": "gzip"},
        )
        if answer.status == 200:
            try:
                return msgspec.json.decode(answer.body, type=Receipt)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                raise Later("the server's receipt was not readable") from None
        why = answer.why
        # Something on the way may take less at once, too; but only the server itself
        # can say that one report by itself is too much.
        if answer.status == 413 and (why is not None or len(reports) > 1):
            raise BodyTooLarge(why or "something on the way takes less at once")
        if answer.status in {400, 415, 422} and why is not None:
            raise NotTaken(why)
        raise _turned(answer, time.time())

    async def policy(self, site: str = "") -> Policy | None:
        """The policy if it changed since the last time. `site`: where the laptop is, of
        the council's, for what is known to be wrong there. Raises as `send` does."""
        headers = {"If-None-Match": self._etag} if self._etag else {}
        path = f"/v1/policy?{urlencode({'site': site})}" if site else "/v1/policy"
        answer = await self._door.ask("GET", path, None, headers)
        if answer.status == 304:
            return None
        if answer.status != 200:
            raise _turned(answer, time.time())
        try:
            policy = decode_policy(answer.body[: MAX_POLICY_BYTES + 1])
        except msgspec.DecodeError as error:
            raise Later(f"the server's policy is not usable: {error}") from None
        self._etag = answer.headers.get("etag", "")
        return policy


def _turned(answer: HttpResponse, now_s: float) -> Later | CredentialRefused:
    status, why = answer.status, answer.why
    if status in {401, 403} and why is not None:
        return CredentialRefused(f"the server refused this laptop's credential: {why}")
    if 300 <= status < 400 or status == 511:
        return Later(
            f"something on the way answered with HTTP {status}: a sign-in page "
            "(hotel, train) may be waiting in the browser"
        )
    after_s = retry_after_s(answer.headers.get("retry-after", ""), now_s)
    said = f": {why}" if why else ""
    return Later(f"the server answered with HTTP {status}{said}", after_s)


def _sentence(server: str, error: Exception) -> str:
    text = str(error) or type(error).__name__
    if "CERTIFICATE_VERIFY_FAILED" in text:
        said = f"the certificate of {server} is not to be trusted: {text}"
        # Far more often it is the laptop's clock than the server's certificate.
        out_of_time = "not yet valid" in text or "has expired" in text
        return f"{said}; is this laptop's clock right?" if out_of_time else said
    return f"{server} cannot be reached: {text}"
