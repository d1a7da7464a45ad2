"""One InfluxDB server over HTTP: its version, writing lines, InfluxQL queries.

Each version is used through its best interface: lines go to `/write` of 1.x and to
`/api/v2/write` of later versions, and InfluxQL goes to `/query`.
"""

from __future__ import annotations

import asyncio
import gzip
import re
import ssl
from base64 import b64encode
from pathlib import Path
from typing import Any, cast

import aiohttp
import httpx2
import msgspec
from influxdb_client.client.influxdb_client_async import InfluxDBClientAsync
from influxdb_client.domain.write_precision import WritePrecision
from influxdb_client.rest import ApiException

from collectors.store.store_errors import Away, QueryFailed

_DATA_FAULT = re.compile(
    r"partial write|unable to parse|field type conflict|beyond retention|"
    r"max-(series|values)|invalid (field|tag|number|boolean)|missing (fields|tag)|"
    r"line protocol",
    re.IGNORECASE,
)
_URL_TEXT = 1500
_DROPPED = re.compile(r"dropped=(\d+)")


class InfluxVersion(msgspec.Struct, frozen=True):
    """1.6.7 is (1, "1.6.7"). An unknown server is treated as the newest."""

    major: int = 3
    text: str = "of unknown version"

    @property
    def has_v2_write(self) -> bool:
        return self.major >= 2


class RejectedLines(msgspec.Struct, frozen=True):
    """The server's answer about lines that it did not accept.

    `dropped` is their number, if it is known and the other lines were written.
    `numbers` are the lines (from 0), if they are known. `why` is the server's text.
    """

    why: str
    dropped: int | None = None
    numbers: tuple[int, ...] = ()


class WriteTooLarge(Exception):
    """The request was too large for the server; send fewer lines."""


class NoDatabase(Exception):
    """The database does not exist; the text is one sentence."""


class InfluxError(Exception):
    """The server's error text for a query."""


class InfluxSeries(msgspec.Struct):
    """One series of an answer."""

    tags: dict[str, str]
    columns: list[str]
    values: list[list[Any]]


class InfluxServer:
    """`async with InfluxServer(url, token, org) as server`.

    `token` is `user:password` for 1.x. `ca_file` is a council's own authority, which is
    trusted instead of the machine's. Entering sends no request.
    """

    def __init__(
        self,
        url: str,
        token: str = "",
        org: str = "-",
        timeout_s: float = 20.0,
        query_timeout_s: float = 60.0,
        ca_file: Path | None = None,
    ) -> None:
        self.url, self._token, self.org = url.rstrip("/"), token, org or "-"
        self._timeout_s, self._query_timeout_s = timeout_s, query_timeout_s
        self._ca_file = ca_file
        self._version: InfluxVersion | None = None
        self._http: httpx2.AsyncClient | None = None
        self._writer: InfluxDBClientAsync | None = None

    async def __aenter__(self) -> InfluxServer:
        trusted = await asyncio.to_thread(
            ssl.create_default_context,
            cafile=str(self._ca_file) if self._ca_file else None,
        )
        self._http = httpx2.AsyncClient(
            base_url=self.url,
            timeout=self._timeout_s,
            trust_env=False,
            verify=trusted,
        )
        # Without username and password, because the client would sign in as for 2.x.
        self._writer = InfluxDBClientAsync(
            url=self.url,
            token=self._token or "-",
            org=self.org,
            timeout=int(self._timeout_s * 1000),
            enable_gzip=True,
            ssl_context=trusted,
            allow_redirects=False,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._http is not None
        assert self._writer is not None
        await self._writer.close()  # type: ignore[no-untyped-call]
        await self._http.aclose()

    async def version(self) -> InfluxVersion:
        """Returns the server's version, which is remembered. Raises `Away`."""
        if self._version is None:
            answer = await self._send("GET", "/ping", InfluxVersion())
            if answer.status_code >= 400:
                raise self._away_error(answer.status_code, answer.text)
            self._version = _version(answer)
        return self._version

    def forget_version(self) -> None:
        """Forgets the version, as the server may have been replaced."""
        self._version = None

    async def write(self, database: str, lines: list[str]) -> RejectedLines | None:
        """Writes lines. Returns None if all were accepted, else the server's answer.

        Raises `WriteTooLarge`, `NoDatabase`, and `Away` for every temporary failure.
        """
        body = "\n".join(lines).encode()
        version = await self.version()
        if version.has_v2_write:
            status, text = await self._write_v2(database, body)
            if status == 404 and "page not found" in text:
                self._version = InfluxVersion(1, "1.x")
                return await self.write(database, lines)
        else:
            status, text = await self._write_v1(database, body)
        if status < 300:
            return None
        if status == 413:
            raise WriteTooLarge
        if status == 404 and ("not found" in text or "not exist" in text):
            raise NoDatabase(f"{self.url}: no database {database!r} ({_brief(text)})")
        if status in (400, 422) and _DATA_FAULT.search(text):
            return _rejected_lines(text)
        raise self._away_error(status, text)

    async def query(self, database: str, text: str) -> list[InfluxSeries]:
        """Returns the series of the answer to one statement.

        Raises `NoDatabase` or `QueryFailed`.
        """
        parameters = {"db": database, "q": text, "epoch": "ms", "chunked": "true"}
        # Statements that change something, or are too long for a URL, need a POST.
        is_short = text.startswith(("SELECT ", "SHOW ")) and len(text) < _URL_TEXT
        try:
            answer = await self._send(
                "GET" if is_short else "POST",
                "/query",
                await self.version(),
                parameters,
                timeout_s=self._query_timeout_s,
            )
        except Away as away:
            raise QueryFailed(str(away)) from None
        if answer.status_code == 404 and "not found" in answer.text:
            raise NoDatabase(f"{self.url}: {_brief(answer.text)}")
        if answer.status_code >= 300:
            self.forget_version()
            raise QueryFailed(str(self._away_error(answer.status_code, answer.text)))
        try:
            return _series(answer.content)
        except InfluxError as error:
            if "database not found" in str(error):
                raise NoDatabase(f"{self.url}: {error}") from None
            raise QueryFailed(f"{self.url}: {_brief(str(error))}") from None
        except (msgspec.DecodeError, LookupError, TypeError, ValueError) as error:
            raise QueryFailed(f"{self.url}: incomplete answer ({error})") from None

    async def call(
        self, method: str, path: str, parameters: dict[str, str], content: Any = None
    ) -> tuple[int, Any]:
        """Sends any other request. Returns status and answer, as JSON or text."""
        answer = await self._send(
            method, path, await self.version(), parameters, content
        )
        try:
            return answer.status_code, msgspec.json.decode(answer.content)
        except ValueError:
            return answer.status_code, answer.text

    async def _send(
        self,
        method: str,
        path: str,
        version: InfluxVersion,
        parameters: dict[str, str] | None = None,
        content: Any = None,
        timeout_s: float | None = None,
    ) -> httpx2.Response:
        assert self._http is not None
        timeout_s = timeout_s or self._timeout_s
        in_body = method == "POST" and content is None and parameters is not None
        try:
            # The client's own timeouts are for each step, this one for the request.
            async with asyncio.timeout(timeout_s):
                return await self._http.request(
                    method,
                    path,
                    params=None if in_body else parameters,
                    data=parameters if in_body else None,
                    json=content,
                    headers=self._authorization(version),
                    timeout=timeout_s,
                )
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, TimeoutError) as error:
            self.forget_version()
            raise Away(f"{self.url}: {_reason(error, timeout_s)}") from None

    async def _write_v2(self, database: str, body: bytes) -> tuple[int, str]:
        assert self._writer is not None
        try:
            async with asyncio.timeout(self._timeout_s):
                confirmed = await self._writer.write_api().write(
                    database,
                    self.org,
                    body,
                    write_precision=cast("WritePrecision", WritePrecision.MS),
                )
            return (204, "") if confirmed else (500, "the write was not confirmed")
        except ApiException as error:
            body_text = error.body or error.reason or ""
            if isinstance(body_text, bytes):
                body_text = body_text.decode("utf-8", "replace")
            return int(error.status or 500), str(body_text)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            self.forget_version()
            raise Away(f"{self.url}: {_reason(error, self._timeout_s)}") from None

    async def _write_v1(self, database: str, body: bytes) -> tuple[int, str]:
        assert self._http is not None
        headers = {
            **self._authorization(await self.version()),
            "Content-Encoding": "gzip",
            "Content-Type": "text/plain; charset=utf-8",
        }
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await self._http.post(
                    "/write",
                    params={"db": database, "precision": "ms"},
                    content=gzip.compress(body, compresslevel=1),
                    headers=headers,
                )
        except (httpx2.HTTPError, OSError, TimeoutError) as error:
            self.forget_version()
            raise Away(f"{self.url}: {_reason(error, self._timeout_s)}") from None
        return answer.status_code, answer.text

    def _authorization(self, version: InfluxVersion) -> dict[str, str]:
        if not self._token:
            return {}
        if not version.has_v2_write and ":" in self._token:
            # Before 1.8 there is no `Token` scheme. 1.8 splits it at spaces and would
            # refuse a password with one.
            return {
                "Authorization": f"Basic {b64encode(self._token.encode()).decode()}"
            }
        return {"Authorization": f"Token {self._token}"}

    def _away_error(self, status: int, text: str) -> Away:
        known = {
            401: "the token (1.x: user:password) is wrong or missing",
            403: "the token may not do this",
            404: "not found: is this InfluxDB?",
            429: "too many requests",
            503: "it is not ready",
        }
        meaning = known.get(status, "unexpected")
        return Away(f"{self.url} answered {status}, {meaning}: {_brief(text)}")


def _version(answer: httpx2.Response) -> InfluxVersion:
    text = answer.headers.get("x-influxdb-version", "")
    if not text and answer.content.startswith(b"{"):
        try:
            text = str(msgspec.json.decode(answer.content).get("version", ""))
        except ValueError:
            text = ""
    match = re.match(r"v?(\d+)\.\d", text)
    return InfluxVersion(int(match[1]), text) if match else InfluxVersion()


def _rejected_lines(text: str) -> RejectedLines:
    dropped = _DROPPED.search(text)
    numbers: tuple[int, ...] = ()
    try:
        data = msgspec.json.decode(text)["data"]
        numbers = tuple(int(line["line_number"]) - 1 for line in data)
    except (msgspec.DecodeError, LookupError, TypeError, ValueError):
        pass
    count = len(numbers) or (int(dropped[1]) if dropped else 0)
    return RejectedLines(_brief(text), count or None, numbers)


def _series(content: bytes) -> list[InfluxSeries]:
    """Returns the series of a chunked answer: JSON documents, one a line.

    The parts of one series are in order. Raises `InfluxError` for the server's error
    and `ValueError` if the answer is incomplete.
    """
    by_tags: dict[tuple[tuple[str, str], ...], InfluxSeries] = {}
    documents = [line for line in content.split(b"\n") if line.strip()]
    if not documents:
        raise ValueError("it is empty")
    partial = False
    for document in documents:
        decoded = msgspec.json.decode(document)
        if "error" in decoded:
            raise InfluxError(decoded["error"])
        for result in decoded["results"]:
            if "error" in result:
                raise InfluxError(result["error"])
            partial = bool(result.get("partial"))
            for part in result.get("series", ()):
                tags = part.get("tags") or {}
                key = tuple(sorted(tags.items()))
                if key in by_tags:
                    by_tags[key].values += part["values"]
                else:
                    by_tags[key] = InfluxSeries(
                        tags, part["columns"], part.get("values") or []
                    )
    if partial:
        raise ValueError("the last part is missing")
    return list(by_tags.values())


def _reason(error: BaseException, timeout_s: float) -> str:
    if isinstance(error, TimeoutError | httpx2.TimeoutException):
        return f"no answer within {timeout_s:g} s"
    if isinstance(error, httpx2.ConnectError | aiohttp.ClientConnectorError):
        return f"cannot be reached ({_brief(str(error))})"
    return f"the connection broke ({_brief(str(error)) or type(error).__name__})"


def _brief(text: str) -> str:
    return " ".join(text.split())[:200]
