"""One InfluxDB server over HTTP: which one it is, writing lines, asking InfluxQL.

Every version is spoken to in the words it knows best: lines to `/write` of 1.x and to
`/api/v2/write` of what came after, InfluxQL to `/query`.
"""

from __future__ import annotations

import asyncio
import gzip
import re
import ssl
from base64 import b64encode
from pathlib import Path
from types import TracebackType
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
    """1.6.7 is (1, "1.6.7"); an unknown server is taken for the newest."""

    major: int = 3
    text: str = "of unknown version"

    @property
    def has_v2_write(self) -> bool:
        return self.major >= 2


class RejectedLines(msgspec.Struct, frozen=True):
    """What the server said of lines it did not take.

    `dropped`: how many, where it says so and has taken the others. `numbers`: which
    (from 0), where it says so. `why` is its own word.
    """

    why: str
    dropped: int | None = None
    numbers: tuple[int, ...] = ()


class WriteTooLarge(Exception):
    """The request was too large for the server: send fewer lines."""


class NoDatabase(Exception):
    """The database is not there. One sentence."""


class InfluxError(Exception):
    """The server's own word for why it does not answer a question."""


class InfluxSeries(msgspec.Struct):
    """One series of an answer."""

    tags: dict[str, str]
    columns: list[str]
    values: list[list[Any]]


class InfluxServer:
    """`async with InfluxServer(url, token, org) as server`.

    `token` is `user:password` for 1.x. `ca_file` is a council's own authority, trusted
    instead of the machine's. Nothing is asked of the server on entering.
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
        # Never username and password: the client would sign in as to 2.x.
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

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._http is not None
        assert self._writer is not None
        await self._writer.close()  # type: ignore[no-untyped-call]
        await self._http.aclose()

    async def version(self) -> InfluxVersion:
        """Which server it is; remembered. `Away` where it does not say."""
        if self._version is None:
            answer = await self._send("GET", "/ping", InfluxVersion())
            if answer.status_code >= 400:
                raise self._away(answer.status_code, answer.text)
            self._version = _version(answer)
        return self._version

    def forget_version(self) -> None:
        """Another server may have taken its place."""
        self._version = None

    async def write(self, database: str, lines: list[str]) -> RejectedLines | None:
        """None where all lines were taken, else what the server said of the others.

        `Away` for everything that may pass, `WriteTooLarge`, `NoDatabase`.
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
            return _told(text)
        raise self._away(status, text)

    async def query(self, database: str, text: str) -> list[InfluxSeries]:
        """The series of the one answer to one statement. `NoDatabase`, or `QueryFailed`
        for all else."""
        parameters = {"db": database, "q": text, "epoch": "ms", "chunked": "true"}
        # What changes something must be a POST; so must what is too long for a URL.
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
            raise QueryFailed(str(self._away(answer.status_code, answer.text)))
        try:
            return _series(answer.content)
        except InfluxError as said:
            if "database not found" in str(said):
                raise NoDatabase(f"{self.url}: {said}") from None
            raise QueryFailed(f"{self.url}: {_brief(str(said))}") from None
        except (msgspec.DecodeError, LookupError, TypeError, ValueError) as error:
            raise QueryFailed(f"{self.url}: not a whole answer ({error})") from None

    async def call(
        self, method: str, path: str, parameters: dict[str, str], content: Any = None
    ) -> tuple[int, Any]:
        """Any other request: the status, and the answer where it is JSON."""
        answer = await self._send(
            method, path, await self.version(), parameters, content
        )
        try:
            return answer.status_code, msgspec.json.decode(answer.content)
        except msgspec.DecodeError:
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
            # The client's own timeouts are for each step; this one is for all of it.
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
                taken = await self._writer.write_api().write(
                    database,
                    self.org,
                    body,
                    write_precision=cast(WritePrecision, WritePrecision.MS),
                )
            return (204, "") if taken else (500, "the write was not confirmed")
        except ApiException as error:
            said = error.body or error.reason or ""
            text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
            return int(error.status or 500), str(text)
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
            # 1.x has no `Token` scheme before 1.8, and 1.8 splits what follows it at
            # spaces: it would refuse a password that has one.
            return {
                "Authorization": f"Basic {b64encode(self._token.encode()).decode()}"
            }
        return {"Authorization": f"Token {self._token}"}

    def _away(self, status: int, text: str) -> Away:
        known = {
            401: "the token (1.x: user:password) is wrong or missing",
            403: "the token may not do this",
            404: "not found: is this InfluxDB?",
            429: "it is asked too much",
            503: "it is not ready",
        }
        meaning = known.get(status, "unexpected")
        return Away(f"{self.url} answered {status}, {meaning}: {_brief(text)}")


def _version(answer: httpx2.Response) -> InfluxVersion:
    text = answer.headers.get("x-influxdb-version", "")
    if not text and answer.content.startswith(b"{"):
        try:
            text = str(msgspec.json.decode(answer.content).get("version", ""))
        except msgspec.DecodeError:
            text = ""
    found = re.match(r"v?(\d+)\.\d", text)
    return InfluxVersion(int(found[1]), text) if found else InfluxVersion()


def _told(text: str) -> RejectedLines:
    dropped = _DROPPED.search(text)
    numbers: tuple[int, ...] = ()
    try:
        data = msgspec.json.decode(text)["data"]
        numbers = tuple(int(each["line_number"]) - 1 for each in data)
    except (msgspec.DecodeError, LookupError, TypeError, ValueError):
        pass
    count = len(numbers) or (int(dropped[1]) if dropped else 0)
    return RejectedLines(_brief(text), count or None, numbers)


def _series(content: bytes) -> list[InfluxSeries]:
    """The series of a chunked answer: JSON documents, one a line, the parts of one
    series in order. `InfluxError` an error, or `ValueError` where it stops short."""
    found: dict[tuple[tuple[str, str], ...], InfluxSeries] = {}
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
            for one in result.get("series", ()):
                tags = one.get("tags") or {}
                key = tuple(sorted(tags.items()))
                if key in found:
                    found[key].values += one["values"]
                else:
                    found[key] = InfluxSeries(
                        tags, one["columns"], one.get("values") or []
                    )
    if partial:
        raise ValueError("the last part is missing")
    return list(found.values())


def _reason(error: BaseException, timeout_s: float) -> str:
    if isinstance(error, TimeoutError | httpx2.TimeoutException):
        return f"no answer within {timeout_s:g} s"
    if isinstance(error, httpx2.ConnectError | aiohttp.ClientConnectorError):
        return f"cannot be reached ({_brief(str(error))})"
    return f"the connection broke ({_brief(str(error)) or type(error).__name__})"


def _brief(text: str) -> str:
    return " ".join(text.split())[:200]
