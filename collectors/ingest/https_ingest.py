"""`HttpsIngest`: receives agents' reports over HTTPS (RFC 9110, RFC 7617).

    POST /v1/reports   a JSON list of `Report`, gzip allowed  -> `Receipt`
    POST /v1/enrol     and /v1/credential: see `enrolment_requests`
    GET  /v1/policy    `Policy`, with ETag and If-None-Match
    POST and GET /v1/support-code: see `support_code_requests`
    GET  /healthz      whether it runs and the journal accepts reports

A receipt means that the reports are on disk. Every error has one sentence (`{"why"}`);
503 and 429 have Retry-After. Addresses are neither stored nor logged.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
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
from collectors.deletion_clock import DeletionClock, as_it_is
from collectors.estate.estate_model import Estate
from collectors.http import Endpoint, HttpServer
from collectors.ingest.enrolment import EnrolmentService
from collectors.ingest.enrolment_requests import EnrolmentRequests
from collectors.ingest.http_answers import (
    HttpRefused,
    address_of,
    encode,
    http_error,
    json_answer,
    refusal_answer,
    retry_later,
)
from collectors.ingest.ingest_config import HttpsConfig, IngestConfig, PolicyConfig
from collectors.ingest.ingest_stats import IngestStats
from collectors.ingest.intake import NotDurable, ReportIntake
from collectors.ingest.known_laptops import CodeService, IdentityService, KnownLaptops
from collectors.ingest.laptop_limits import Busy
from collectors.ingest.laptop_policies import Freezes, LaptopPolicies, no_freezes
from collectors.ingest.policies import sites_seen_from
from collectors.ingest.providers import Providers
from collectors.ingest.registry import Registry
from collectors.ingest.registry_records import EnrolledAgent
from collectors.ingest.rejection_reasons import BodyRejected, RejectionReason
from collectors.ingest.support_code_requests import KeptCodes, SupportCodeRequests
from collectors.ip_networks import network_of
from collectors.journal import Append
from collectors.limited_body import read_limited
from collectors.reflector.reflector_access import grant, read_secret
from collectors.support_codes import SupportCodes, support_codes_file
from probes.wire import support_code
from probes.wire.clock import WallClock, wall_ms
from probes.wire.http_date import http_date_s
from probes.wire.policy import Incident
from probes.wire.report import MAX_BODY_BYTES, READ_VERSIONS, REFUSAL, USED_TWICE

_UPLOADS_PER_AGENT = 4
_NO_CREDENTIAL = "expected the name and secret this laptop got when it was enrolled"
_USED_TWICE = (
    "another laptop uses this credential, and has replaced this secret: this is a copy "
    "of its disk, or an older state of it; enrol this one as another laptop "
    "(towpath-agent enrol --new)"
)

_log = structlog.get_logger()


class HttpsIngest:
    """`async with HttpsIngest(config, registry, append, …):` serves until it is left.

    `estate` returns the current estate, for the policy and for the sites that agents
    may report from. `incidents` returns the known incidents of given sites, which
    agents get with the policy. `enrolling` gives names and secrets; the registry does
    if it is not given; `codes` makes support codes, which are kept beside the registry
    if it is not given; `policy` returns what laptops are to measure, if that is not in
    the settings. `wait_for_broker` returns when the MQTT broker knows
    every enrolled laptop: an enrolment is answered after that. `freezes` returns the
    times without speed tests. `clock` is given the time on laptops' own clocks.
    """

    def __init__(
        self,
        config: IngestConfig,
        registry: KnownLaptops,
        append: Append,
        *,
        enrolling: IdentityService | None = None,
        estate: Callable[[], Estate] = Estate,
        incidents: Callable[[Collection[str]], Sequence[Incident]] = lambda sites: (),
        wait_for_broker: Callable[[], Awaitable[object]] | None = None,
        versions: range = READ_VERSIONS,
        now_ms: WallClock = wall_ms,
        freezes: Freezes = no_freezes,
        policy: Callable[[], PolicyConfig] | None = None,
        codes: CodeService | None = None,
        clock: DeletionClock | None = None,
    ) -> None:
        if config.https is None:
            raise ValueError("ingest.https is not configured")
        self._config: HttpsConfig = config.https
        self._anonymous = config.anonymous
        policy = policy or (lambda: config.policy)
        self._registry, self._now_ms = registry, now_ms
        self._estate, self._incidents = estate, incidents
        self._policies = LaptopPolicies(config, estate, now_ms, freezes, policy)
        self._policy = policy
        secret_file = config.policy.reflector_secret_file
        self._reflector_secret = read_secret(secret_file) if secret_file else b""
        self._providers = (
            Providers()
            if config.providers is None
            else Providers.read(config.providers)
        )
        self._intake = ReportIntake(
            config,
            append,
            estate=estate,
            versions=versions,
            now_ms=now_ms,
            measured=registry.mark_measured,
            policy=policy,
            bounded=as_it_is if clock is None else clock.bounded,
        )
        self._clock = clock
        self._uploads: Counter[str] = Counter()
        if enrolling is None:
            assert isinstance(registry, Registry)
            enrolling = EnrolmentService(registry, wait_for_broker, time.monotonic)
        if codes is None:
            kept = support_codes_file(config.registry.path)
            codes = KeptCodes(SupportCodes(kept, now_ms))
        self.app = self._app(enrolling, codes)
        self._server = HttpServer(
            self.app,
            Endpoint(self._config.host, self._config.port, "ingest.https.port"),
            self._config.server_limits(),
            certificate=self._config.pem_files(),
            trusted_proxies=self._config.trusted_proxies,
            on_refusal=self._intake.stats.count_refused_connection,
        )
        self._tasks = BackgroundTasks()
        self._leaving = False

    @property
    def stats(self) -> IngestStats:
        return self._intake.stats

    @property
    def connections(self) -> tuple[int, int]:
        """(open connections, those on which nobody has signed in)."""
        return self._server.connections, self._server.strangers

    @property
    def address(self) -> str:
        """Where it is to listen, for sentences."""
        return f"{self._config.host}:{self._config.port}"

    @property
    def port(self) -> int:
        """The port it listens on, once it runs."""
        return self._server.port

    async def __aenter__(self) -> HttpsIngest:
        if self._anonymous:
            _log.warning("anonymous_reports_accepted", setting="ingest.anonymous")
        await self._server.start()
        self._tasks.start(self._registry.follow(), "https-ingest-registry")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._leaving = True
        await self._server.stop()
        await self._tasks.stop()

    def _app(self, enrolling: IdentityService, codes: CodeService) -> Starlette:
        laptops = EnrolmentRequests(
            enrolling,
            self.stats,
            self._sign_in,
            self._read,
            self._now_ms,
            lambda: self._policy().stop_key,
        )
        support = SupportCodeRequests(codes, self._sign_in)

        def post(path: str, handle: Callable[[Request], Awaitable[Response]]) -> Route:
            return Route(path, self._answering(handle), methods=["POST"])

        return Starlette(
            routes=[
                post("/v1/reports", self._reports),
                post("/v1/enrol", laptops.enrol),
                post("/v1/credential", laptops.renew),
                post("/v1/credential/confirm", laptops.confirm),
                Route("/v1/policy", self._answering(self._give_policy)),
                post(support_code.PATH, support.make),
                Route(support_code.PATH, self._answering(support.show)),
                Route("/healthz", self._health),
            ],
            exception_handlers={HTTPException: http_error},
        )

    def _answering(
        self, handle: Callable[[Request], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            try:
                return await handle(request)
            except HttpRefused as turned:
                return refusal_answer(turned)
            except asyncio.CancelledError:
                if not self._leaving:
                    raise
                # The server stopped before the journal had it: the agent sends again.
                return refusal_answer(retry_later(503, "the server is stopping", 10))
            except ClientDisconnect:
                # The client has gone; nobody reads this answer.
                return Response(status_code=400)

        return answer

    async def _reports(self, request: Request) -> Response:
        sender = self._sender(request)
        payer = network_of(address_of(request)) if sender is None else sender.agent
        try:
            body = await self._body(request, payer)
            receipt = await self._intake.accept(
                body, sender, self._providers.look_up(address_of(request)), payer
            )
        except BodyRejected as refused:
            raise HttpRefused(_status(refused), str(refused)) from None
        except Busy as busy:
            own = busy.reason is RejectionReason.AGENT_RATE
            raise retry_later(429 if own else 503, busy, busy.retry_s) from None
        except NotDurable as failed:
            raise retry_later(503, failed, 10) from None
        if sender is not None:
            self._registry.mark_seen(sender.agent, self._now_ms())
            shown_s = http_date_s(request.headers.get("date", ""))
            if self._clock is not None and shown_s is not None:
                self._clock.note_laptop(sender.agent, round(shown_s * 1000))
        version = self._policies.version(sender)
        return json_answer(msgspec.structs.replace(receipt, policy=version))

    async def _give_policy(self, request: Request) -> Response:
        sender = self._sender(request)
        home_site = "" if sender is None else sender.home_site
        if sender is not None:
            try:
                self._intake.begin(sender.agent, 0)
            except Busy as busy:
                raise retry_later(429, busy, busy.retry_s) from None
        # A laptop learns only of incidents at its own sites.
        here = request.query_params.get("site", "")
        sites = {home_site}
        if here in sites_seen_from(self._estate(), address_of(request)):
            sites.add(here)
        # Reads a file, so it runs in a thread.
        known = await asyncio.to_thread(self._incidents, sites)
        agent = "" if sender is None else sender.agent
        granted = grant(self._reflector_secret, agent, self._now_ms() / 1000)
        policy = self._policies.policy(sender, known, granted)
        body = encode(policy)
        if sender is not None:
            self._registry.mark_policy(sender.agent, policy.version)
            if self._policies.is_stopped(sender):
                # It has nothing to report, but is there.
                self._registry.mark_seen(sender.agent, self._now_ms())
        tag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(body, headers=headers, media_type="application/json")

    async def _health(self, request: Request) -> Response:
        if self._intake.failing:
            return json_answer({"status": "the journal takes no reports"}, 503)
        if problem := self._registry.problem:
            return json_answer({"status": problem}, 503)
        return json_answer({"status": "ok"})

    def _sender(self, request: Request) -> EnrolledAgent | None:
        """The sender. None only if anonymous reports are allowed."""
        if self._anonymous and not request.headers.get("authorization", ""):
            return None
        return self._sign_in(request)[0]

    def _sign_in(self, request: Request) -> tuple[EnrolledAgent, str]:
        """The sender and its secret, by HTTP Basic."""
        if problem := self._registry.problem:
            raise retry_later(503, problem, 10)
        scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
        try:
            text = base64.b64decode(encoded, validate=True).decode()
        except (binascii.Error, ValueError):
            text = ""
        name, _, secret = text.partition(":")
        agent = (
            self._registry.verify(name, secret) if scheme.lower() == "basic" else None
        )
        if agent is None:
            twice = self._registry.is_retired(name, secret, self._now_ms())
            self.stats.count_unauthorised(
                RejectionReason.USED_TWICE if twice else RejectionReason.CREDENTIAL
            )
            why = _USED_TWICE if twice else _NO_CREDENTIAL
            headers = {"WWW_Authenticate": 'Basic realm="towpath"'}
            if twice:
                headers[REFUSAL] = USED_TWICE
            raise HttpRefused(401, why, **headers)
        connection = request.scope.get("connection")
        if connection is not None and not connection.sign_in(agent.agent):
            raise retry_later(
                503, "too many connections, come back later", 5, close=True
            )
        return agent, secret

    async def _body(self, request: Request, payer: str) -> bytes:
        """Reads and unpacks the body; it is charged before reading and before parsing.

        The number of bodies being received is limited, in all and per agent, so that
        slow ones can neither fill memory nor shut others out.
        """
        coding = request.headers.get("content-encoding", "identity").strip().lower()
        if coding not in {"identity", "gzip", "x-gzip"}:
            self._intake.count_refused(RejectionReason.CODING, b"")
            raise HttpRefused(
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
        """The size of the body from Content-Length; 0 without one."""
        declared = int(request.headers.get("content-length", "0"))
        if declared > limit:
            raise self._turn_large(limit)
        return declared

    async def _read(self, request: Request, limit: int) -> bytes:
        self._declared(request, limit)
        try:
            async with asyncio.timeout(self._config.upload_s):
                body = await read_limited(request.stream(), limit)
        except TimeoutError:
            self._intake.stats.reasons[RejectionReason.SLOW_BODY] += 1
            raise HttpRefused(
                408, "the body did not arrive in time", Connection="close"
            ) from None
        if body is None:
            raise self._turn_large(limit)
        return body

    def _busy(self, why: str, retry_s: float) -> HttpRefused:
        busy = self._intake.count_busy(Busy(RejectionReason.BUSY, why, retry_s))
        return retry_later(503, busy, retry_s)

    def _turn_large(self, limit: int) -> HttpRefused:
        self._intake.count_refused(RejectionReason.TOO_LARGE, b"")
        return HttpRefused(
            413, f"the body is larger than {limit} bytes", Connection="close"
        )


def _status(refused: BodyRejected) -> int:
    return 413 if refused.reason is RejectionReason.TOO_LARGE else 400
