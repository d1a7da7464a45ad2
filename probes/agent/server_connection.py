"""The HTTPS connection to the council's server: one request at a time, kept open.

It goes the way that the system decides for this server: through a proxy that is set,
or that a proxy script names. Port 443 works wherever laptops are.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Self
from urllib.parse import urlsplit

import msgspec

from probes import platforms
from probes.agent.certificate_words import certificate_error, certificate_sentence
from probes.agent.http_connection import (
    HttpConnection,
    HttpResponse,
    NoAnswer,
    ProxyRefused,
)
from probes.agent.report_delivery import Later
from probes.agent.shown_certificate import ShownCertificate, look
from probes.measure.background import in_background_within
from probes.measure.proxy_ways import (
    basic_login,
    choose_way,
    host_and_port,
    is_usable,
)
from probes.platforms.proxies import NO_PROXY, NOT_ENDED, SCRIPT_S, applies
from probes.platforms.system_facts import ProxySetting
from probes.platforms.system_trust import trust
from probes.wire.display import displayable
from probes.wire.failure import Outcome
from probes.wire.http_date import http_date, http_date_s
from probes.wire.report import AgentCredential
from probes.wire.socket_errors import outcome_of

MAX_RESPONSE_BYTES = 1_000_000
# Longer than the pauses between batches, shorter than home routers forget a connection.
KEEP_S = 60.0
REQUEST_S = 60.0
LOOK_AGAIN_S = 900.0
# A proxy that refuses does so until the council changes it, or the laptop moves; other
# failures pass.
PROXY_RETRY_S = 900.0
_REFUSALS = ("403", "407")
_HANDSHAKE_BYTES = 6_000
_HEAD_BYTES = 700
_WORDS = {
    Outcome.REFUSED: "the connection was refused",
    Outcome.RESET: "the connection was cut",
    Outcome.TIMEOUT: "there was no answer in time",
    Outcome.NAME_NOT_FOUND: "its name is not known to DNS",
    Outcome.NAME_SERVER_FAILED: "the DNS server failed",
    Outcome.NO_NETWORK: "there is no network",
}
# What OpenSSL makes of an answer that is not TLS.
_NO_TLS = {"WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL", "HTTP_REQUEST"}
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,29}")


class ServerConnection:
    """One kept HTTPS connection: `async with connection:`.

    `clock_ahead_s`: by how much this laptop's clock is ahead of the server's, whose
    certificate was checked; None until it has answered. `cost_bytes` counts the network
    data used, with handshakes estimated at 6 kB. `proxy` returns the system's setting
    for an address; it is asked again before each new connection, because the laptop may
    be on another network.
    """

    def __init__(
        self,
        server: str,
        credential: AgentCredential | None,
        ca_file: str,
        software: str,
        request_s: float = REQUEST_S,
        wall_s: Callable[[], float] = time.time,
        proxy: Callable[[str], ProxySetting] = platforms.proxy_towards,
    ) -> None:
        self._server, self._ca_file = server.rstrip("/"), ca_file
        self._credential, self._software = credential, software
        self._request_s, self._wall_s = request_s, wall_s
        self._http: HttpConnection | None = None
        self._one_at_a_time = asyncio.Lock()
        self._proxy, self._setting = proxy, NO_PROXY
        self._used_s = -KEEP_S
        self._shown: ShownCertificate | None = None
        self._looked_s = -LOOK_AGAIN_S
        self.cost_bytes = 0
        self.clock_ahead_s: float | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._close()

    async def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> HttpResponse:
        """Sends one request and returns the whole response. Raises `Later` with a
        sentence if there is none."""
        async with self._one_at_a_time:
            return await self._request(method, path, body or b"", headers or {})

    async def _request(
        self, method: str, path: str, body: bytes, headers: dict[str, str]
    ) -> HttpResponse:
        kept = time.monotonic() - self._used_s <= KEEP_S
        if not kept:
            self.cost_bytes += _HANDSHAKE_BYTES
            if self._http is not None:
                self._http.close()
        if self._http is None or not kept:
            await self._choose_proxy()
        self._used_s = time.monotonic()
        self.cost_bytes += len(body) + _HEAD_BYTES
        try:
            answer = await self._exchange(method, path, body, headers)
        except BaseException:
            # The next attempt asks for the way again.
            self._used_s = -KEEP_S
            self._close()
            raise
        self.cost_bytes += len(answer.body) + _HEAD_BYTES
        self._compare_clocks(answer.headers.get("date", ""))
        return answer

    async def _exchange(
        self, method: str, path: str, body: bytes, headers: dict[str, str]
    ) -> HttpResponse:
        try:
            async with asyncio.timeout(self._request_s):
                if self._http is None:
                    self._http = self._new_connection()
                return await self._http.request(
                    method,
                    path,
                    [*self._own_headers(), *headers.items()],
                    body,
                    most_bytes=MAX_RESPONSE_BYTES,
                )
        except TimeoutError:
            raise self._failed(f"did not answer in {self._request_s:g} s") from None
        except ProxyRefused as error:
            text, schemes = str(error), sign_in_schemes(error.headers)
            raise Later(
                refusal_sentence(self._server, self._setting, text, schemes),
                PROXY_RETRY_S if text.startswith(_REFUSALS) else None,
            ) from None
        except (NoAnswer, OSError, ValueError) as error:
            untrusted = certificate_error(error)
            if untrusted is not None:
                raise self._failed(await self._why_untrusted(untrusted)) from None
            raise self._failed(f"cannot be reached: {reason_of(error)}") from None

    def use_credential(self, credential: AgentCredential) -> None:
        """Signs in with that from the next request on."""
        self._credential = credential

    def clock_was_set(self, by_s: float) -> None:
        """Corrects `clock_ahead_s` after this laptop's clock was set."""
        if self.clock_ahead_s is not None:
            self.clock_ahead_s += by_s

    def _compare_clocks(self, date: str) -> None:
        # Without TLS, or from a proxy's page, the date proves nothing.
        if self._server.startswith("https:"):
            server_s = http_date_s(date)
            if server_s is not None:
                self.clock_ahead_s = self._wall_s() - server_s

    async def _why_untrusted(self, error: ssl.SSLCertVerificationError) -> str:
        """The sentence about a certificate, with what it shows: looked at again at most
        every quarter of an hour."""
        now_s = time.monotonic()
        if now_s - self._looked_s > LOOK_AGAIN_S:
            self._looked_s = now_s
            self.cost_bytes += _HANDSHAKE_BYTES
            url = self._setting.url
            self._shown = await look(self._server, url if is_usable(url) else "")
        return certificate_sentence(error, self._wall_s(), self._shown)

    def _failed(self, reason: str) -> Later:
        return Later(f"{self._server} {reason}{way_sentence(self._setting)}")

    async def _choose_proxy(self) -> None:
        try:
            setting = await in_background_within(
                SCRIPT_S,
                ProxySetting("pac", note=NOT_ENDED),
                self._proxy,
                self._server,
            )
        except (OSError, ValueError):
            setting = NO_PROXY
        host = urlsplit(self._server).hostname or ""
        # The exceptions are those of all that a setting names.
        if not any(
            applies(msgspec.structs.replace(setting, url=url), host)
            for url in setting.ways
        ):
            setting = msgspec.structs.replace(setting, url="", others=())
        setting = await choose_way(setting)
        if setting != self._setting:
            self._setting, self._looked_s = setting, -LOOK_AGAIN_S
            self._close()

    def _close(self) -> None:
        if self._http is not None:
            self._http.close()
            self._http = None

    def _new_connection(self) -> HttpConnection:
        proxy = self._setting.url if is_usable(self._setting.url) else ""
        return HttpConnection(self._server, trust(self._ca_file), proxy)

    def _own_headers(self) -> Iterator[tuple[str, str]]:
        yield "User-Agent", self._software
        yield "Accept", "application/json"
        # From it the server sees if its own clock is wrong.
        yield "Date", http_date(self._wall_s())
        if self._credential is not None:
            agent, secret = self._credential.agent, self._credential.secret
            yield "Authorization", basic_login(agent, secret)


def reason_of(error: Exception) -> str:
    """Why there was no answer, in words where there are some: systems have their own,
    in many languages. Pure."""
    text, words = str(error), None
    if isinstance(error, ssl.SSLError) and getattr(error, "reason", "") in _NO_TLS:
        words = "something without encryption answers, such as a sign-in page"
    elif isinstance(error, OSError):
        words = _WORDS.get(outcome_of(error))
    return f"{words} ({text})" if words and text else words or text


def sign_in_schemes(headers: Iterable[tuple[bytes, bytes]]) -> tuple[str, ...]:
    """The names of the ways to sign in, in the order of the headers. Pure."""
    found = []
    for name, value in headers:
        if name.lower() == b"proxy-authenticate":
            text = value.decode("latin-1")
            # A challenge begins with its name; parameters have an equals sign.
            for part in text.split(","):
                words = part.split()
                if words and "=" not in words[0] and _SCHEME.fullmatch(words[0]):
                    found.append(words[0])
    return tuple(dict.fromkeys(found))[:5]


def refusal_sentence(
    server: str, proxy: ProxySetting, text: str, schemes: Sequence[str] = ()
) -> str:
    """Why a proxy did not connect to `server`; `text` is its status line, `schemes` how
    it wants programs to sign in. Pure."""
    at = host_and_port(proxy.url)
    if not text.startswith("407"):
        return (
            f"the proxy {at} did not connect to {server}: "
            f"{displayable(text) or 'no reason given'}"
        )
    by = f" by {' or '.join(schemes)}" if schemes else ""
    if any(scheme.lower() == "basic" for scheme in schemes) and "@" in proxy.url:
        return (
            f"the proxy {at} does not accept the user name and password of the proxy "
            f"setting (HTTP 407, a sign-in{by})"
        )
    has_none = "which the agent does not have"
    if schemes and "@" in proxy.url:
        has_none = "and the agent can only send a user name and password (Basic)"
    return (
        f"the proxy {at} asks for a sign-in{by} (HTTP 407), {has_none}: let requests "
        f"for {server} through without one"
    )


def way_sentence(proxy: ProxySetting) -> str:
    """The end of a sentence about a connection that failed: which way it took, unless
    that was simply the direct one. Pure."""
    if is_usable(proxy.url):
        note = f"; {proxy.note}" if proxy.note else ""
        return f" (through the proxy {host_and_port(proxy.url)}{note})"
    if proxy.url:
        at = host_and_port(proxy.url)
        return f" (directly: the agent cannot use the SOCKS proxy {at})"
    if proxy.script or (proxy.note and proxy.kind == "pac"):
        name = f" {proxy.script}" if proxy.script else ""
        return f" (directly: the proxy script{name} {proxy.note or 'named no proxy'})"
    return ""
