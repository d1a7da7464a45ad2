"""A client of Microsoft Graph for call records: pages, throttling and failures."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import NamedTuple, Self

import httpx2
import msgspec

from collectors.calls.calls_config import CallsConfig
from collectors.calls.graph_token import GraphRefused, GraphToken
from collectors.calls.record_list import (
    PageHead,
    PageRefused,
    is_record,
    next_link,
    page_head,
    record_url,
)
from collectors.calls.record_values import Json, as_object
from collectors.checked_client import checked_client
from collectors.limited_body import read_limited
from probes.wire.http_date import http_date_s
from probes.wire.retry_after import retry_after_s

_TIMEOUT_S = 60.0
_LONGEST_ANSWER_S = 300.0
_MOST_AHEAD_S = 600.0
_MAX_BYTES = 128 << 20
_MAX_PAGES = 20_000
# Pauses before further tries after a failure of Microsoft's, without Retry-After.
_PAUSES_S = (1.0, 4.0, 15.0)
# Beyond that the round ends, and the next one tries again.
_LONGEST_WAIT_S = 300.0
_MOST_WAITS = 8
_PERMISSION = "CallRecords.Read.All"


class RecordGone(LookupError):
    """Microsoft no longer has that record."""


class GraphFails(GraphRefused):
    """This request has no answer that can be used; others may have one."""


class _GraphAnswer(NamedTuple):
    """`status` is 0 if there is no whole answer. `head`: that of a page, if it is
    one."""

    status: int = 0
    headers: Mapping[str, str] = {}
    body: bytes = b""
    head: PageHead | None = None


class GraphClient:
    """`async with GraphClient(config, token) as graph:`. `counts` has what happened to
    requests: `throttled` and `server_errors`."""

    def __init__(
        self,
        config: CallsConfig,
        token: GraphToken,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock_s: Callable[[], float] = time.time,
    ) -> None:
        self._config, self._token, self._sleep = config, token, sleep
        self._clock_s = clock_s
        self.counts: Counter[str] = Counter()
        self._http: httpx2.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        ca_file = self._config.ca_file
        try:
            trusted = await asyncio.to_thread(
                ssl.create_default_context, cafile=str(ca_file) if ca_file else None
            )
        except OSError as error:
            raise GraphRefused(f"calls.ca_file: {ca_file}: {error.strerror}") from None
        self._http = checked_client(
            self._config.graph_url,
            trusted,
            # Else members of enumerations that are new come as `unknownFutureValue`.
            headers={
                "Accept": "application/json",
                "Prefer": "include-unknown-enum-members",
            },
            timeout=_TIMEOUT_S,
            # A redirect to another host would send the token there.
            follow_redirects=False,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._http is not None:
            await self._http.aclose()

    async def pages(
        self, url: str, permission: str = _PERMISSION, of_record: str = ""
    ) -> AsyncIterator[bytes]:
        """Yields the page at `url` and all after it. The first must be `of_record`,
        if that is an id. Raises `RecordGone`, or `GraphRefused`, which names the
        `permission` that it takes."""
        visited: set[str] = set()
        link: str | None = url
        while link is not None:
            if link in visited or len(visited) >= _MAX_PAGES:
                raise GraphFails("Microsoft Graph's pages never end")
            visited.add(link)
            answer = await self._ask("GET", link, permission)
            assert answer.head is not None
            is_first = len(visited) == 1
            if of_record and is_first and not is_record(answer.head, of_record):
                # A cache in between may mix up answers: another record would count
                # as this one.
                raise GraphFails(
                    "Microsoft Graph sent something other than the record that was "
                    "asked for"
                )
            yield answer.body
            try:
                link = next_link(answer.head, self._config.graph_url)
            except PageRefused as refused:
                raise GraphFails(str(refused)) from None

    async def record(self, id: str) -> list[bytes]:
        """Returns a record and the further pages of its sessions. Raises `RecordGone`
        or `GraphRefused`."""
        url = record_url(self._config.graph_url, id)
        return [page async for page in self.pages(url, of_record=id)]

    async def change(self, method: str, url: str, fields: Json | None = None) -> Json:
        """Makes, changes or removes something, and returns its fields. Raises
        `RecordGone` or `GraphRefused`."""
        content = None if fields is None else msgspec.json.encode(fields)
        answer = await self._ask(method, url, _PERMISSION, content)
        try:
            return as_object(msgspec.json.decode(answer.body or b"{}"))
        except (ValueError, RecursionError):
            return {}

    async def _ask(
        self, method: str, url: str, permission: str, content: bytes | None = None
    ) -> _GraphAnswer:
        """Returns an answer that can be used."""
        waits = failures = 0
        is_renewed = False
        while True:
            token = await self._token.value()
            answer = await self._send(method, url, token, content)
            status = answer.status
            if method == "GET":
                is_usable = answer.head is not None
            else:
                is_usable = status in (200, 201, 202, 204)
            if is_usable:
                self._check_clock(answer.headers.get("date"))
                return answer
            if status == 401 and not is_renewed:
                # The token expired, or the secret was changed, in the middle.
                is_renewed = True
                self._token.forget(token)
            elif status == 429:
                self.counts["throttled"] += 1
                waits += 1
                wait_s = self._asked_s(answer)
                wait_s = _PAUSES_S[-1] if wait_s is None else wait_s
                if waits > _MOST_WAITS or wait_s > _LONGEST_WAIT_S:
                    raise GraphRefused(
                        "Microsoft Graph allows no more requests at present (429)"
                    )
                await self._sleep(wait_s)
            elif status in (0, 200, 408) or status >= 500:
                self.counts["server_errors"] += 1
                if failures == len(_PAUSES_S):
                    raise GraphFails(self._why_failed(status))
                asked_s = self._asked_s(answer)
                pause_s = _PAUSES_S[failures] if asked_s is None else asked_s
                failures += 1
                await self._sleep(min(pause_s, _LONGEST_WAIT_S))
            else:
                raise _refusal(status, permission)

    async def _send(
        self, method: str, url: str, token: str, content: bytes | None
    ) -> _GraphAnswer:
        """Sends one request. Raises `GraphFails` if the answer is too large."""
        assert self._http is not None
        headers = {"Authorization": f"Bearer {token}"}
        if content is not None:
            headers["Content-Type"] = "application/json"
        try:
            async with (
                # An answer that comes drop by drop keeps within the other timeout.
                asyncio.timeout(_LONGEST_ANSWER_S),
                self._http.stream(
                    method, url, headers=headers, content=content
                ) as answer,
            ):
                body = await read_limited(answer.aiter_bytes(), _MAX_BYTES)
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError):
            return _GraphAnswer()
        if body is None:
            raise GraphFails(
                f"Microsoft Graph sent a page of over {_MAX_BYTES >> 20} MB"
            )
        status = answer.status_code
        head = page_head(body) if status == 200 else None
        return _GraphAnswer(status, answer.headers, body, head)

    def _asked_s(self, answer: _GraphAnswer) -> float | None:
        """Returns how long Microsoft asks to wait."""
        return retry_after_s(answer.headers.get("retry-after"), self._clock_s())

    def _why_failed(self, status: int) -> str:
        if status == 200:
            return (
                "the answer to a request to Microsoft Graph is no record and no list: "
                "a proxy in between may have sent it"
            )
        if status:
            return f"Microsoft Graph fails ({status})"
        return f"{self._config.graph_url} cannot be reached, or does not finish"

    def _check_clock(self, date: str | None) -> None:
        """Raises `GraphRefused` if this machine's clock is so far ahead that windows
        would be written before Microsoft has their records."""
        server_s = http_date_s(date or "")
        ahead_s = 0.0 if server_s is None else self._clock_s() - server_s
        if ahead_s > _MOST_AHEAD_S:
            raise GraphRefused(
                f"this machine's clock is {ahead_s / 60:.0f} minutes ahead of "
                "Microsoft's: records of calls would be missed"
            )


def _refusal(status: int, permission: str) -> Exception:
    """What an answer means that a further try would not change. Its text is not shown,
    as it may name what was asked for."""
    if status in (404, 410):
        return RecordGone("Microsoft Graph no longer has that record")
    if status == 401:
        return GraphRefused("Microsoft Graph does not accept the token (401)")
    if status == 403:
        return GraphRefused(
            f"Microsoft Graph refuses (403): the application has no permission "
            f"{permission}, or no administrator's consent to it any more"
        )
    return GraphFails(f"Microsoft Graph answered {status}")
