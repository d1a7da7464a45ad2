"""A REST client: GET and JSON only, and one sentence for every kind of failure."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import httpx2

from collectors.checked_client import checked_client
from collectors.limited_body import read_limited

_LONGEST_ANSWER_S = 300.0
_TIMEOUT_S = 30.0
# Pauses before each attempt: a busy server or a lost connection is retried twice.
_PAUSES_S = (0.0, 1.0, 3.0)
_RETRY_STATUSES = (429, 502, 503, 504)
_MAX_PAGES = 10_000
_MAX_BYTES = 256 << 20


class SourceError(RuntimeError):
    """Why a source of data cannot be read, in one sentence.

    `status` is the HTTP status, or 0; `body` the decoded answer, if there was one.
    """

    def __init__(self, message: str, status: int = 0, body: Any = None) -> None:
        super().__init__(message)
        self.status, self.body = status, body


def read_token(path: Path) -> str:
    """Read the token from a file's first line. Raises `SourceError` if there is
    none."""
    try:
        lines = path.read_text(encoding="utf-8").split()
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SourceError(f"{path}: is not a text file") from None
    if not lines:
        raise SourceError(f"{path}: is empty, expected an API token")
    return lines[0]


class RestClient:
    """`async with RestClient(name, url, headers) as api:`. Messages contain `name`."""

    def __init__(
        self,
        name: str,
        url: str,
        headers: Mapping[str, str],
        ca_file: Path | None = None,
        pauses_s: tuple[float, ...] = _PAUSES_S,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise SourceError(
                f"{url!r} is not an address such as https://netbox.example.org"
            )
        self._name, self._url = name, url.rstrip("/")
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
            raise SourceError(f"{self._ca_file}: {error.strerror or error}") from None
        try:
            self._http = checked_client(
                self._url,
                trusted,
                headers={"Accept": "application/json", **self._headers},
                timeout=_TIMEOUT_S,
                # A redirect to another host would send the token there.
                follow_redirects=False,
            )
        except httpx2.InvalidURL as error:
            raise SourceError(f"{self._url!r} is no address: {error}") from None
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._http is not None:
            await self._http.aclose()

    async def get(self, path: str) -> Any:
        """Return the decoded JSON at `path` (with its query). Raises `SourceError`."""
        failure = SourceError(f"{self._name} at {self._url} was not queried")
        for pause_s in self._pauses_s:
            await asyncio.sleep(pause_s)
            try:
                return await self._get_once(path)
            except SourceError as error:
                failure = error
                if error.status and error.status not in _RETRY_STATUSES:
                    raise
        raise failure

    async def pages(self, path: str) -> AsyncIterator[dict[str, Any]]:
        """Yield the `results` of `path` and of every `next` page after it (NetBox)."""
        visited: set[str] = set()
        next_path: str | None = path
        while next_path:
            if next_path in visited or len(visited) > _MAX_PAGES:
                raise SourceError(f"{self._name}: the pages of {path} never end")
            visited.add(next_path)
            page = await self.get(next_path)
            results = page.get("results") if isinstance(page, dict) else None
            if not isinstance(results, list):
                raise SourceError(
                    f"{self._name}: {path} has no list of results: is "
                    f"{self._url} its address?"
                )
            for row in results:
                if isinstance(row, dict):
                    yield row
            next_path = self._to_path(page.get("next"))

    def _to_path(self, url: Any) -> str | None:
        """Return the path of the next page on the configured host: an API behind a
        proxy may give another host name in its links."""
        if not isinstance(url, str) or not url:
            return None
        parts = urlsplit(url)
        base = urlsplit(self._url).path
        path = parts.path
        if base and path.startswith(base):
            path = path[len(base) :]
        return f"{path}?{parts.query}" if parts.query else path

    async def _get_once(self, path: str) -> Any:
        assert self._http is not None
        url = f"{self._url}{path}"
        server = f"{self._name} at {self._url}"
        try:
            async with (
                # An answer that comes drop by drop keeps within the other timeout.
                asyncio.timeout(_LONGEST_ANSWER_S),
                self._http.stream("GET", url) as answer,
            ):
                content = await read_limited(answer.aiter_bytes(), _MAX_BYTES)
        except httpx2.TimeoutException:
            raise SourceError(
                f"{server} gave no answer within {_TIMEOUT_S:g} s"
            ) from None
        except TimeoutError:
            raise SourceError(
                f"{server} gave no whole answer within {_LONGEST_ANSWER_S:g} s"
            ) from None
        except httpx2.RemoteProtocolError:
            raise SourceError(
                f"{server} closed the connection half way ({path})"
            ) from None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            raise SourceError(
                f"{server} cannot be reached: {_failure_reason(error)}"
            ) from None
        if content is None:
            raise SourceError(
                f"{server} answered {path} with more than {_MAX_BYTES >> 20} MB", 200
            )
        body = _decode_json(content)
        if answer.is_redirect:
            to = answer.headers.get("location", "elsewhere")
            raise SourceError(f"{server} redirects to {to}: give that address", 300)
        if answer.status_code in (401, 403):
            raise SourceError(
                f"{server} rejects the token ({answer.status_code}"
                f"{_error_text(body)}): is it complete, in date and allowed to read?",
                answer.status_code,
                body,
            )
        if answer.status_code == 404:
            raise SourceError(
                f"{server} has no {path.partition('?')[0]} (404{_error_text(body)}): "
                "is that its address?",
                404,
                body,
            )
        if answer.status_code != 200:
            raise SourceError(
                f"{server} answered {answer.status_code}{_error_text(body)} to {path}",
                answer.status_code,
                body,
            )
        if body is None:
            raise SourceError(
                f"{server} answered {path} with something other than JSON"
            )
        return body


def _decode_json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _error_text(body: Any) -> str:
    """Return the API's own error message, to put in brackets after the status."""
    if isinstance(body, dict):
        for key in ("message", "detail", "error"):
            if isinstance(body.get(key), str) and body[key]:
                return f", {' '.join(body[key].split())[:120]}"
    return ""


def _failure_reason(error: Exception) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted ({cause.verify_message}); --ca-file"
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return str(error) or type(error).__name__
