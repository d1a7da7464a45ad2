"""`HttpsIngest`: the agents' door over HTTPS (design.md section 2, RFC 9110, RFC 7617).

    POST /v1/reports   a JSON list of `Report`, gzip allowed  -> `Receipt`
    POST /v1/enrol     `Enrolment` -> `Credential`
    GET  /v1/policy    `Policy`, with ETag and If-None-Match
    GET  /healthz      is it alive, does the journal take what it is given

A receipt means: on disk. Everything else is an error with one sentence (`{"why"}`);
503 and 429 come with Retry-After. Addresses are neither stored nor logged.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import math
import random
import sqlite3
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Sequence

import msgspec
import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from collectors.background_tasks import BackgroundTasks
from collectors.estate.estate_model import Estate
from collectors.http import HttpServer
from collectors.ingest.enrolment import Enrolling, TooMany
from collectors.ingest.ingest_config import HttpsConfig, IngestConfig
from collectors.ingest.ingest_stats import IngestStats
from collectors.ingest.intake import Intake, NotDurable
from collectors.ingest.laptop_limits import Busy
from collectors.ingest.policies import policy_of, sites_seen_from
from collectors.ingest.providers import Providers
from collectors.ingest.pseudonym import KeyRefused
from collectors.ingest.registry import Registry
from collectors.ingest.registry_records import EnrolledAgent, EnrolmentRefused
from collectors.ingest.rejection_reasons import BodyRefused, Reason
from collectors.journal import Append
from collectors.network_prefix import network_of
from collectors.reflector.reflector_access import grant, read_secret
from probes.wire.clock import WallClock, wall_ms
from probes.wire.policy import Incident
from probes.wire.report import MAX_BODY_BYTES, READ_VERSIONS, Enrolment

_MAX_ENROLMENT_BYTES = 4_000
_UPLOADS_PER_AGENT = 4

log = structlog.get_logger()
_encode = msgspec.json.Encoder().encode


class _Turned(Exception):
    """The request ends here, with this answer."""

    def __init__(self, status: int, why: str, **headers: str) -> None:
        super().__init__(why)
        self.status = status
        self.headers = {name.replace("_", "-"): text for name, text in headers.items()}


class HttpsIngest:
    """`async with HttpsIngest(config, registry, append, …):` serves until left.

    `estate` is asked each time, so that a re-read one counts: for the policy, and for
    the sites that agents may claim to be at. `incidents`: what is known to be wrong
    for staff of these sites, told with the policy. `wait_for_broker` returns when the
    MQTT broker knows who has been enrolled: an enrolment is answered after that.
    """

    def __init__(
        self,
        config: IngestConfig,
        registry: Registry,
        append: Append,
        *,
        estate: Callable[[], Estate] = Estate,
        incidents: Callable[[Collection[str]], Sequence[Incident]] = lambda sites: (),
        wait_for_broker: Callable[[], Awaitable[object]] | None = None,
        versions: range = READ_VERSIONS,
        now_ms: WallClock = wall_ms,
    ) -> None:
        if config.https is None:
            raise ValueError("ingest.https is not configured")
        self._config: HttpsConfig = config.https
        self._anonymous = config.anonymous
        self._registry, self._now_ms = registry, now_ms
        self._estate, self._policy = estate, config.policy
        self._incidents = incidents
        secret_file = config.policy.reflector_secret_file
        self._reflector_secret = read_secret(secret_file) if secret_file else b""
        self._providers = (
            Providers()
            if config.providers is None
            else Providers.read(config.providers)
        )
        self._intake = Intake(
            config, append, estate=estate, versions=versions, now_ms=now_ms
        )
        self._uploads: Counter[str] = Counter()
        self._enrolling = Enrolling(registry, wait_for_broker, time.monotonic)
        self.app = self._app()
        self._server = HttpServer(
            self.app,
            self._config.host,
            self._config.port,
            self._config.server_limits(),
            what="ingest.https.port",
            certificate=self._config.pem_files(),
            certificate_look_s=self._config.certificate_look_s,
            trusted_proxies=self._config.trusted_proxies,
            refused=self._intake.stats.refused_connection,
        )
        self._tasks = BackgroundTasks()
        self._leaving = False

    @property
    def stats(self) -> IngestStats:
        return self._intake.stats

    @property
    def connections(self) -> tuple[int, int]:
        """How many connections there are, and on how many nobody has signed in."""
        return self._server.connections, self._server.strangers

    @property
    def port(self) -> int:
        """The port it listens on; known once it runs."""
        return self._server.port

    async def __aenter__(self) -> HttpsIngest:
        if self._anonymous:
            log.warning("anyone may send reports (ingest.anonymous), only for trials")
        await self._server.start()
        self._tasks.start(self._registry.follow(), "https-ingest-registry")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._leaving = True
        await self._server.stop()
        await self._tasks.stop()

    def _app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/v1/reports", self._answering(self._reports), methods=["POST"]),
                Route("/v1/enrol", self._answering(self._enrol), methods=["POST"]),
                Route("/v1/policy", self._answering(self._give_policy)),
                Route("/healthz", self._health),
            ],
            exception_handlers={HTTPException: _not_here},
        )

    def _answering(
        self, handle: Callable[[Request], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            try:
                return await handle(request)
            except _Turned as turned:
                return _answer(turned)
            except asyncio.CancelledError:
                if not self._leaving:
                    raise
                # The journal did not take it while we were leaving: it comes again.
                return _answer(_later(503, "the server is stopping", 10))
            except ClientDisconnect:
                # Nobody is there to read this answer.
                return Response(status_code=400)

        return answer

    async def _reports(self, request: Request) -> Response:
        sender = self._sender(request)
        payer = network_of(_host(request)) if sender is None else sender.agent
        try:
            body = await self._body(request, payer)
            receipt = await self._intake.take(
                body, sender, self._providers.of(_host(request)), payer
            )
        except BodyRefused as refused:
            raise _Turned(_status(refused), str(refused)) from None
        except Busy as busy:
            own = busy.reason is Reason.AGENT_RATE
            raise _later(429 if own else 503, busy, busy.retry_s) from None
        except NotDurable as failed:
            raise _later(503, failed, 10) from None
        if sender is not None:
            self._registry.mark_seen(sender.agent, self._now_ms())
        return _json(receipt)

    async def _enrol(self, request: Request) -> Response:
        body = await self._read(request, _MAX_ENROLMENT_BYTES)
        try:
            enrolment = msgspec.json.decode(body, type=Enrolment)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise _Turned(400, f"expected token and device: {error}") from None
        address = _host(request)
        try:
            credential = await self._enrolling.enrol(enrolment, address, self._now_ms())
        except EnrolmentRefused as refused:
            self.stats.unauthorise(Reason.ENROLMENT)
            raise _Turned(403, str(refused)) from None
        except TooMany as many:
            reason = Reason.ENROLMENT_RATE if many.own else Reason.BUSY
            self._intake.turn_away(Busy(reason, str(many), many.retry_s))
            raise _later(429 if many.own else 503, many, many.retry_s) from None
        except (KeyRefused, sqlite3.Error, OSError) as error:
            log.error("a laptop could not be enrolled", error=str(error))
            raise _later(503, "enrolment is not possible at the moment", 60) from None
        log.info("agent enrolled", site=credential.home_site)
        return _json(credential)

    async def _give_policy(self, request: Request) -> Response:
        sender = self._sender(request)
        home_site = "" if sender is None else sender.home_site
        if sender is not None:
            try:
                self._intake.begin(sender.agent, 0)
            except Busy as busy:
                raise _later(429, busy, busy.retry_s) from None
        # What is wrong elsewhere is not this laptop's to know.
        here = request.query_params.get("site", "")
        sites = {home_site}
        if here in sites_seen_from(self._estate(), _host(request)):
            sites.add(here)
        # Read from a file: not in the loop's own thread.
        known = await asyncio.to_thread(self._incidents, sites)
        agent = "" if sender is None else sender.agent
        granted = grant(self._reflector_secret, agent, self._now_ms() / 1000)
        body = _encode(
            policy_of(self._estate(), self._policy, home_site, known, granted)
        )
        tag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(body, headers=headers, media_type="application/json")

    async def _health(self, request: Request) -> Response:
        if self._intake.failing:
            return _json({"status": "the journal takes no reports"}, 503)
        return _json({"status": "ok"})

    def _sender(self, request: Request) -> EnrolledAgent | None:
        """Who sends, by HTTP Basic; None only where anonymous reports are allowed."""
        scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
        if not scheme and self._anonymous:
            return None
        try:
            text = base64.b64decode(encoded, validate=True).decode()
        except (binascii.Error, ValueError):
            text = ""
        name, _, secret = text.partition(":")
        agent = (
            self._registry.verify(name, secret) if scheme.lower() == "basic" else None
        )
        if agent is None:
            self.stats.unauthorise(Reason.CREDENTIAL)
            raise _Turned(
                401,
                "expected the name and secret this laptop got when it was enrolled",
                WWW_Authenticate='Basic realm="towpath"',
            )
        connection = request.scope.get("connection")
        if connection is not None and not connection.recognise(agent.agent):
            raise _later(503, "too many connections, come back later", 5, close=True)
        return agent

    async def _body(self, request: Request, payer: str) -> bytes:
        """The unpacked body, paid for before it is read, and again before it is looked
        at. The number of bodies being received is bounded, in all and per agent, so
        that slow ones cannot fill memory or shut others out."""
        coding = request.headers.get("content-encoding", "identity").strip().lower()
        if coding not in {"identity", "gzip", "x-gzip"}:
            self._intake.refuse(Reason.CODING, b"")
            raise _Turned(
                415, "expected Content-Encoding gzip or none", Accept_Encoding="gzip"
            )
        declared = self._declared(request, MAX_BODY_BYTES)
        self._intake.begin(payer, declared)
        if (
            self._uploads.total() >= self._config.max_uploads
            or self._uploads[payer] >= _UPLOADS_PER_AGENT
        ):
            raise self._busy("too many reports at once, come back later", 2)
        self._uploads[payer] += 1
        try:
            body = await self._read(request, MAX_BODY_BYTES)
        finally:
            self._uploads[payer] -= 1
            if not self._uploads[payer]:
                del self._uploads[payer]
        self._intake.charge(payer, len(body) - declared)
        return body if coding == "identity" else self._intake.unpack(body, payer)

    def _declared(self, request: Request, limit: int) -> int:
        """The size of a body according to its head; 0 if that does not say."""
        declared = int(request.headers.get("content-length", "0"))
        if declared > limit:
            raise self._turn_large(limit)
        return declared

    async def _read(self, request: Request, limit: int) -> bytes:
        self._declared(request, limit)
        body = bytearray()
        try:
            async with asyncio.timeout(self._config.upload_s):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > limit:
                        raise self._turn_large(limit)
        except TimeoutError:
            self._intake.stats.reasons[Reason.SLOW_BODY] += 1
            raise _Turned(
                408, "the body did not arrive in time", Connection="close"
            ) from None
        return bytes(body)

    def _busy(self, why: str, retry_s: float) -> _Turned:
        busy = self._intake.turn_away(Busy(Reason.BUSY, why, retry_s))
        return _later(503, busy, retry_s)

    def _turn_large(self, limit: int) -> _Turned:
        self._intake.refuse(Reason.TOO_LARGE, b"")
        return _Turned(
            413, f"the body is larger than {limit} bytes", Connection="close"
        )


def _host(request: Request) -> str:
    return "" if request.client is None else request.client.host


async def _not_here(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _json({"why": error.detail}, error.status_code)


def _answer(turned: _Turned) -> Response:
    return _json({"why": str(turned)}, turned.status, turned.headers)


def _json(
    value: object, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    return Response(_encode(value), status, headers, "application/json")


def _status(refused: BodyRefused) -> int:
    return 413 if refused.reason is Reason.TOO_LARGE else 400


def _later(status: int, why: object, seconds: float, *, close: bool = False) -> _Turned:
    # Spread out, so that those who were sent away do not all come back together.
    wait_s = math.ceil(seconds * random.uniform(1, 2))
    headers = {"Retry-After": str(wait_s)} | ({"Connection": "close"} if close else {})
    return _Turned(status, str(why), **headers)
