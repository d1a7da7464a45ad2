"""`NatsConnection`: the one connection of a process to NATS. It is kept up for ever,
and each change of its state is logged once, in one sentence."""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Self

import structlog
from nats import errors
from nats.aio.client import Client
from nats.aio.transport import TcpTransport
from nats.js import JetStreamContext

from collectors.background_tasks import BackgroundTasks
from collectors.nats.nats_config import NatsConfig
from collectors.nats.nats_credentials import NatsCredentials, read_credentials
from collectors.nats.nats_errors import (
    NATS_FAILURES,
    forbidden_sentence,
    nats_sentence,
)
from collectors.nats.request_doubts import RequestDoubts

_log = structlog.get_logger()
_CONNECT_S = 3
_PING_S = 3
_RETRY_S = 1
_FIRST_S = 5.0
_LOOK_S = 10.0
_API_S = 5.0
_CLOSE_S = 3.0
_FLUSH_S = 2.0
_LOOK_ANSWER_S = 3.0
_UNANSWERED = 2
# Errors of a slow or broken connection. Requests have timeouts of their own.
_ENDED = (
    errors.StaleConnectionError,
    errors.FlushTimeoutError,
    ConnectionResetError,
    BrokenPipeError,
)


class NatsConnection:
    """`async with NatsConnection(config, "poll") as connection`.

    Entering waits a moment for the servers and goes on without them: what needs them
    fails until they are there. It raises `ValueError` only for files that cannot be
    used. `client` and `jetstream` are the same objects for ever.
    """

    def __init__(self, config: NatsConfig, name: str) -> None:
        self.config = config
        self._name = f"{config.prefix}-{name}"
        self.client = Client()
        self.jetstream = JetStreamContext(self.client, timeout=_API_S)
        self._jetstream_quickly = JetStreamContext(self.client, timeout=_LOOK_ANSWER_S)
        # Looks in a row.
        self._unanswered = 0
        self._doubts = RequestDoubts()
        self._forbidden = ""
        self.problem = "not connected yet"
        # Called whenever the connection has ended or is there again.
        self.listeners: set[Callable[[], None]] = set()
        self._logged: set[str] = set()
        self._changed = asyncio.Event()
        self._ready = asyncio.Event()
        self._tasks = BackgroundTasks()
        self._tls: ssl.SSLContext | None = None
        # Of the last connection that worked.
        self._writer: asyncio.StreamWriter | None = None
        self._credentials: NatsCredentials | None = None

    @property
    def is_connected(self) -> bool:
        return self.client.is_connected

    def sentence(self, error: BaseException) -> str:
        """What an error means."""
        if isinstance(error, TimeoutError) and self._forbidden:
            # The servers do not answer what a user may not ask.
            forbidden, self._forbidden = self._forbidden, ""
            return f"{', '.join(self.config.servers)}: {forbidden}"
        is_refused = isinstance(error, (*_ENDED, ssl.SSLError)) and not isinstance(
            error, ssl.SSLCertVerificationError
        )
        if is_refused and self._demands_certificate:
            return (
                f"{', '.join(self.config.servers)}: the server ended the connection: "
                "it demands a certificate that it accepts "
                f"({self.config.table}.certificate)"
            )
        return nats_sentence(error, self.config)

    @property
    def _demands_certificate(self) -> bool:
        """True while it has not let this process in, by what the server says first."""
        return self._is_new and bool(self.client._server_info.get("tls_verify"))

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._read_files)
        self._tasks.start(self._keep_up(), "nats-connection")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FIRST_S):
                await self._ready.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.stop()
        with contextlib.suppress(Exception):
            async with asyncio.timeout(_CLOSE_S):
                await self.client.close()

    async def _keep_up(self) -> None:
        while True:
            if self.client.is_closed or self._is_new or self._has_given_up:
                # The client gives up when a server ends the connection with an error.
                await self._connect()
            await self._look()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S if not self.problem else _RETRY_S):
                    await self._changed.wait()
            self._changed.clear()

    @property
    def _is_new(self) -> bool:
        return not (self.client.is_connected or self.client.is_reconnecting)

    @property
    def _has_given_up(self) -> bool:
        """Whether it reports that it connects again, and does not any more."""
        connecting = self.client._reconnection_task
        return bool(
            self.client.is_reconnecting and connecting is not None and connecting.done()
        )

    def _abort_ended(self) -> None:
        """The client first waits until what it wrote is sent, or refused: to a server
        that is cut off, or stands still, that is a quarter of an hour."""
        if self._writer is not None:
            self._writer.transport.abort()
            self._writer = None

    def _drop_failed(self) -> None:
        """The client waits for ever until a connection is closed whose TLS failed."""
        transport = self.client._transport
        if isinstance(transport, TcpTransport) and transport._bare_io_writer:
            transport._bare_io_writer.transport.abort()
            self.client._transport = None

    async def _connect(self) -> None:
        while True:
            try:
                await self._connect_client(self._report_error)
                # What was requested of the closed client has left a subject for
                # answers to which it is not subscribed.
                self.client._resp_sub_prefix = None
                return
            except Exception as error:  # noqa: BLE001 - kept up for ever
                self._report_problem(nats_sentence(error, self.config))
                await asyncio.sleep(_RETRY_S)

    async def connect_once(self) -> None:
        """Connects without keeping it up. Raises the first error of the client, or
        `ValueError` for files that cannot be used."""
        await asyncio.to_thread(self._read_files)
        failed: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()

        async def note(error: Exception) -> None:
            self._note_forbidden(error)
            if not failed.done():
                failed.set_result(error)

        # The client itself tries for ever.
        connecting = asyncio.create_task(self._connect_client(note))
        await asyncio.wait(
            (connecting, failed),
            timeout=2 * _CONNECT_S,
            return_when=asyncio.FIRST_COMPLETED,
        )
        if failed.done() or not connecting.done():
            connecting.cancel()
            await asyncio.wait((connecting,), timeout=_CLOSE_S)
            raise failed.result() if failed.done() else TimeoutError
        await connecting

    async def _connect_client(
        self, report_error: Callable[[Exception], Awaitable[None]]
    ) -> None:
        await self.client.connect(
            # Each process has an order of its own; if one fails, the next is tried.
            random.sample(self.config.servers, len(self.config.servers)),
            dont_randomize=True,
            name=self._name,
            error_cb=report_error,
            disconnected_cb=self._report_change,
            reconnected_cb=self._report_change,
            closed_cb=self._report_change,
            max_reconnect_attempts=-1,
            reconnect_time_wait=_RETRY_S,
            connect_timeout=_CONNECT_S,
            ping_interval=_PING_S,
            max_outstanding_pings=2,
            # Without it, what has to wait for this waits for ever if the client is
            # closed meanwhile.
            flush_timeout=_FLUSH_S,
            tls=self._tls,
            user=self.config.user or None,
            password=self._password if self.config.user else None,
            signature_cb=self._sign if self._credentials else None,
            user_jwt_cb=self._jwt
            if self._credentials and self._credentials.jwt
            else None,
        )

    def doubt(self) -> None:
        """A request was not answered: looks at once whether anything is."""
        self._doubts.doubt(time.monotonic())
        self._changed.set()

    def confirm(self) -> None:
        """A request was answered."""
        self._doubts.confirm()

    async def _look(self) -> None:
        """Whether JetStream answers, too."""
        if not self.client.is_connected:
            self._forget_looks()
            self._abort_ended()
            return
        if isinstance(transport := self.client._transport, TcpTransport):
            self._writer = transport._io_writer
        is_doubted = self._doubts.begin_look()
        try:
            await self._jetstream_quickly.account_info()
        except NATS_FAILURES as error:
            self._report_problem(self.sentence(error))
            self._unanswered += 1
            if self._unanswered >= _UNANSWERED:
                # This server may be cut off from the others.
                await self._try_next_server()
            return
        self._unanswered = 0
        servers = len(self.config.servers)
        if self._doubts.is_misleading(is_doubted, self._server(), servers):
            await self._try_next_server()
        if self._doubts.confirms_nothing(time.monotonic()):
            self._report_problem(
                f"{', '.join(self.config.servers)}: JetStream is there, but does not "
                "answer what concerns streams: is a disk full?"
            )
            return
        if self.problem and self._logged:
            _log.info("nats_works_again", server=self._server())
        self.problem = ""
        self._logged.clear()
        self._ready.set()

    def _forget_looks(self) -> None:
        self._unanswered = 0
        self._doubts.forget_looks()

    async def _try_next_server(self) -> None:
        self._forget_looks()
        if len(self.config.servers) > 1:
            await self.client.force_reconnect()

    def _note_forbidden(self, error: Exception) -> None:
        if forbidden := forbidden_sentence(error):
            self._forbidden = forbidden

    async def _report_error(self, error: Exception) -> None:
        self._note_forbidden(error)
        if not self.client.is_connected:
            self._drop_failed()
            await self._read_renewed()
        if isinstance(error, _ENDED) and not self._demands_certificate:
            # It ended, perhaps after an error that is logged already. Another server
            # may take over at once; if none does, that is logged.
            return
        sentence = self.sentence(error)
        if self.client.is_connected:
            # It concerns one request, such as a permission that is missing.
            self._log_once(sentence)
        else:
            self._report_problem(sentence)

    async def _report_change(self) -> None:
        await self._read_renewed()
        if not self.client.is_connected and not self.problem:
            self.problem = f"{', '.join(self.config.servers)}: the connection ended"
        self._changed.set()
        for listener in tuple(self.listeners):
            listener()

    async def _read_renewed(self) -> None:
        """Certificates may have been renewed since, perhaps because they were what kept
        it from connecting."""
        if self._tls is not None:
            with contextlib.suppress(ValueError):
                await asyncio.to_thread(self._read_files)

    def _report_problem(self, sentence: str) -> None:
        self.problem = sentence
        self._log_once(sentence)

    def _log_once(self, sentence: str) -> None:
        if sentence not in self._logged:
            self._logged.add(sentence)
            _log.error("nats_fails", error=sentence)

    def _server(self) -> str:
        url = self.client.connected_url
        return "" if url is None else url.netloc

    def _password(self) -> str:
        path = self.config.password_file
        assert path is not None
        return path.read_text("utf-8").strip()

    def _sign(self, nonce: str) -> bytes:
        """At each connection, before `_jwt`: the file may have been renewed."""
        assert self._credentials is not None
        assert self.config.credentials_file is not None
        with contextlib.suppress(ValueError):
            self._credentials = read_credentials(self.config.credentials_file)
        # A key without a JWT: the client itself takes it from a package of its own.
        self.client._public_nkey = self._credentials.public_key
        return self._credentials.sign(nonce)

    def _jwt(self) -> bytes:
        assert self._credentials is not None
        return self._credentials.jwt.encode()

    def _read_files(self) -> None:
        """Blocking. Raises `ValueError` with the setting whose file cannot be used."""
        config = self.config
        if config.password_file is not None:
            try:
                password = self._password()
            except OSError as error:
                raise ValueError(
                    f"{config.table}.password_file: {config.password_file}: "
                    f"{error.strerror}"
                ) from None
            if not password:
                raise ValueError(
                    f"{config.table}.password_file: {config.password_file} is empty"
                )
        if config.credentials_file is not None:
            try:
                self._credentials = read_credentials(config.credentials_file)
            except ValueError as error:
                raise ValueError(f"{config.table}.credentials_file: {error}") from None
        if not config.has_tls:
            return
        try:
            if self._tls is None:
                # Without a file those of the system are trusted.
                self._tls = ssl.create_default_context(cafile=config.ca_file)
            elif config.ca_file is not None:
                self._tls.load_verify_locations(config.ca_file)
        except OSError as error:
            raise ValueError(
                f"{config.table}.ca_file: {config.ca_file}: {_why(error)}"
            ) from None
        try:
            if config.certificate is not None:
                self._tls.load_cert_chain(config.certificate, config.private_key)
        except OSError as error:
            raise ValueError(
                f"{config.table}.certificate, {config.table}.private_key: "
                f"{config.certificate}, "
                f"{config.private_key}: {_why(error)}"
            ) from None


@contextlib.asynccontextmanager
async def connected_once(connection: NatsConnection) -> AsyncIterator[None]:
    """For a command, which fails at once if the servers are not there: raises what
    `connect_once` raises."""
    try:
        await connection.connect_once()
        yield
    finally:
        with contextlib.suppress(Exception):
            await connection.client.close()


def _why(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return "is not a PEM file of that kind"
    return error.strerror or str(error)
