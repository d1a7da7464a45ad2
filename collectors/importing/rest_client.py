"""Reads a REST API: GET only, JSON only, and one sentence for whatever goes wrong."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpx2

_TIMEOUT_S = 30.0
# A server that is busy, or a line that hiccups: asked again, twice.
_PAUSES_S = (0.0, 1.0, 3.0)
_BUSY = (429, 502, 503, 504)
_MOST_PAGES = 10_000
_MOST_BYTES = 256 << 20


class Trouble(RuntimeError):
    """What the API did not do, in one sentence; `status` is its HTTP status, or 0."""

    def __init__(self, says: str, status: int = 0, body: Any = None) -> None:
        super().__init__(says)
        self.status, self.body = status, body


def token_in(path: Path) -> str:
    """The token in a file: its first line. `Trouble` where there is none."""
    try:
        lines = path.read_text(encoding="utf-8").split()
    except OSError as error:
        raise Trouble(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Trouble(f"{path}: is no text") from None
    if not lines:
        raise Trouble(f"{path}: is empty, expected an API token")
    return lines[0]


class Api:
    """`async with Api(url, headers) as api:`. `what` names it in sentences."""

    def __init__(
        self,
        what: str,
        url: str,
        headers: Mapping[str, str],
        ca_file: Path | None = None,
        pauses_s: tuple[float, ...] = _PAUSES_S,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise Trouble(f"{url!r} is no address such as https://netbox.example.org")
        self._what, self._url = what, url.rstrip("/")
        self._headers, self._ca_file = dict(headers), ca_file
        self._pauses_s = pauses_s
        self._http: httpx2.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        try:
            trusted = await asyncio.to_thread(
                ssl.create_default_context,
                cafile=str(self._ca_file) if self._ca_file else None,
            )
        except OSError as error:
            raise Trouble(f"{self._ca_file}: {error.strerror or error}") from None
        self._http = httpx2.AsyncClient(
            headers={"Accept": "application/json", **self._headers},
            timeout=_TIMEOUT_S,
            verify=trusted,
            # Never to another host: the token would go with it.
            follow_redirects=False,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._http is not None:
            await self._http.aclose()

    async def get(self, path: str) -> Any:
        """What `path` (with its question) answers. Raises `Trouble`."""
        trouble = Trouble(f"{self._what} at {self._url} was not asked")
        for pause_s in self._pauses_s:
            await asyncio.sleep(pause_s)
            try:
                return await self._once(path)
            except Trouble as error:
                trouble = error
                if error.status and error.status not in _BUSY:
                    raise
        raise trouble

    async def pages(self, path: str) -> AsyncIterator[dict[str, Any]]:
        """The `results` of `path` and of every `next` behind it (NetBox)."""
        seen: set[str] = set()
        following: str | None = path
        while following:
            if following in seen or len(seen) > _MOST_PAGES:
                raise Trouble(f"{self._what}: {path} goes round in circles")
            seen.add(following)
            page = await self.get(following)
            results = page.get("results") if isinstance(page, dict) else None
            if not isinstance(results, list):
                raise Trouble(
                    f"{self._what}: {path} has no list of results: is "
                    f"{self._url} its address?"
                )
            for each in results:
                if isinstance(each, dict):
                    yield each
            following = self._next(page.get("next"))

    def _next(self, url: Any) -> str | None:
        """The next page on the host that was named: behind a proxy an API may think
        that it is called otherwise."""
        if not isinstance(url, str) or not url:
            return None
        parts = urlsplit(url)
        base = urlsplit(self._url).path
        path = parts.path
        if base and path.startswith(base):
            path = path[len(base) :]
        return f"{path}?{parts.query}" if parts.query else path

    async def _once(self, path: str) -> Any:
        assert self._http is not None
        url = f"{self._url}{path}"
        plain = f"{self._what} at {self._url}"
        try:
            answer = await self._http.get(url)
        except httpx2.TimeoutException:
            raise Trouble(f"{plain} gave no answer within {_TIMEOUT_S:g} s") from None
        except httpx2.RemoteProtocolError:
            raise Trouble(f"{plain} broke its answer off ({path})") from None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            raise Trouble(f"{plain} cannot be reached: {_why(error)}") from None
        body = _json(answer)
        if answer.is_redirect:
            to = answer.headers.get("location", "elsewhere")
            raise Trouble(f"{plain} sends on to {to}: give that address", 300)
        if answer.status_code in (401, 403):
            raise Trouble(
                f"{plain} does not take the token ({answer.status_code}"
                f"{_said(body)}): is it whole, not expired, and may it read?",
                answer.status_code,
                body,
            )
        if answer.status_code == 404:
            raise Trouble(
                f"{plain} has no {path.partition('?')[0]} (404{_said(body)}): is that "
                "its address?",
                404,
                body,
            )
        if answer.status_code != 200:
            raise Trouble(
                f"{plain} answered {answer.status_code}{_said(body)} to {path}",
                answer.status_code,
                body,
            )
        if body is None:
            raise Trouble(f"{plain} answered {path} with something that is no JSON")
        return body


def _json(answer: httpx2.Response) -> Any:
    if len(answer.content) > _MOST_BYTES:
        return None
    try:
        return answer.json()
    except (ValueError, RecursionError):
        return None


def _said(body: Any) -> str:
    """What the API itself says of it, in brackets' worth."""
    if isinstance(body, dict):
        for key in ("message", "detail", "error"):
            if isinstance(body.get(key), str) and body[key]:
                return f", {' '.join(body[key].split())[:120]}"
    return ""


def _why(error: Exception) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted ({cause.verify_message}); --ca-file"
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return str(error) or type(error).__name__
