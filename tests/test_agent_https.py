"""Reports over HTTPS: whatever the far end does, nothing is forgotten too early."""

import asyncio
import base64
import contextlib
import gzip
import json
import ssl
import tempfile
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.ingest.certificate import Certificates, make_certificates
from probes.agent.publish_https import HttpsPublisher
from probes.agent.report_delivery import (
    BATCH_BYTES,
    BATCH_REPORTS,
    BodyTooLarge,
    CredentialRefused,
    Later,
    NotTaken,
    ReportDelivery,
    retry_s,
)
from probes.agent.server_connection import ServerConnection
from probes.agent.settings import SpoolLimits
from probes.agent.spool import Spool
from probes.diagnosis.sent_log import LOG_BYTES, SentLog
from probes.wire.report import (
    MAX_BODY_BYTES,
    MAX_REPORTS,
    AgentCredential,
    Receipt,
    Report,
    ReportRefusal,
    Whereabouts,
)

NOW_MS = 1_790_000_000_000
WHO = AgentCredential("agent-1", "s3cret")


def report(id: str) -> Report:
    return Report(1, id, "agent-1", NOW_MS, "test", Whereabouts(), ())


class Request(msgspec.Struct):
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def ids(self) -> list[str]:
        return [report["id"] for report in json.loads(gzip.decompress(self.body))]


Answer = Callable[[Request], bytes | None]


def http(status: int, body: object = None, **headers: str) -> bytes:
    content = b"" if body is None else msgspec.json.encode(body)
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(content)}"]
    lines += [f"{name.replace('_', '-')}: {text}" for name, text in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


def take(request: Request) -> bytes:
    return http(200, Receipt(tuple(request.ids)))


class Council:
    """A real TLS server that answers as `answer` says; None: it just hangs up."""

    def __init__(self, certificates: Certificates) -> None:
        self.answer: Answer = take
        self.requests: list[Request] = []
        self.connections = 0
        self.ca_file = str(certificates.authority)
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(certificates.certificate, certificates.private_key)
        self.port = 0

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Council"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.connections += 1
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, EOFError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                first, *lines = head.strip().split("\r\n")
                headers = {
                    name.lower(): text.strip()
                    for name, _, text in (line.partition(":") for line in lines)
                }
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                self.requests.append(Request(first.split()[1], headers, body))
                answer = self.answer(self.requests[-1])
                if answer is None:
                    break
                writer.write(answer)
                await writer.drain()
                if b"\r\n\r\n" not in answer or headers.get("x-half"):
                    break
                if answer.startswith(b"HTTP/1.1 666"):
                    break
        writer.transport.abort()


@pytest.fixture(scope="module")
def certificates() -> Certificates:
    return make_certificates(Path(tempfile.mkdtemp()))


class Laptop:
    def __init__(self, folder: Path, council: Council, request_s: float = 20) -> None:
        self.folder = folder
        self.spool = Spool(folder, SpoolLimits(), lambda: NOW_MS)
        self.door = ServerConnection(
            f"https://127.0.0.1:{council.port}",
            WHO,
            council.ca_file,
            "towpath-agent/test",
            request_s,
        )
        self.delivery = ReportDelivery(
            self.spool,
            HttpsPublisher(self.door),
            SentLog(folder),
            lambda: NOW_MS,
            lambda: 0.5,
        )

    @contextlib.asynccontextmanager
    async def running(self, reports: int = 3) -> AsyncIterator["Laptop"]:
        with self.spool:
            for number in range(reports):
                self.spool.put(report(f"r{number}"))
            async with self.door:
                yield self

    @property
    def ids(self) -> list[str]:
        return [report.id for report in self.spool.oldest(10**4, 10**9)]


@pytest.fixture
async def council(certificates: Certificates) -> AsyncIterator[Council]:
    async with Council(certificates).running() as running:
        yield running


async def test_what_a_receipt_names_is_forgotten_over_one_kept_connection(
    tmp_path: Path, council: Council
) -> None:
    async with Laptop(tmp_path, council).running(450) as laptop:
        waits = [await laptop.delivery.deliver() for _ in range(3)]
        assert laptop.ids == []
        assert waits[2] is None
        assert all(wait is not None and 2 <= wait <= 6 for wait in waits[:2])
        assert [len(request.ids) for request in council.requests] == [200, 200, 50]
        assert council.connections == 1
        assert laptop.delivery.delivered == 450
        headers = council.requests[0].headers
        basic = base64.b64encode(b"agent-1:s3cret").decode()
        assert headers["authorization"] == f"Basic {basic}"
        assert headers["content-encoding"] == "gzip"
        assert laptop.door.cost_bytes > sum(len(r.body) for r in council.requests)
        noted = SentLog(tmp_path).last(1000)
        assert len(noted) == 450
        assert json.loads(noted[0])["report"]["id"] == "r0"
        assert await laptop.delivery.deliver() is None
        assert len(council.requests) == 3


async def test_a_refused_credential_is_tried_again_soon_and_then_much_later(
    tmp_path: Path, council: Council
) -> None:
    council.answer = lambda _: http(401, {"why": "unknown laptop"})
    async with Laptop(tmp_path, council).running() as laptop:
        waits = [await laptop.delivery.deliver() or 0 for _ in range(8)]
        # It may only be too new for this server to know it.
        assert 0 < waits[0] <= 15
        assert waits[-1] >= 1800
        assert laptop.delivery.denied
        assert "unknown laptop" in laptop.delivery.trouble
        assert len(laptop.ids) == 3
        council.answer = take
        await laptop.delivery.deliver()
        assert (laptop.delivery.denied, laptop.delivery.trouble) == (False, "")


async def test_too_much_at_once_is_halved_until_it_passes(
    tmp_path: Path, council: Council
) -> None:
    def at_most_30(request: Request) -> bytes:
        many = len(request.ids) > 30
        return http(413, {"why": "too large"}) if many else take(request)

    council.answer = at_most_30
    async with Laptop(tmp_path, council).running(200) as laptop:
        for _ in range(40):
            await laptop.delivery.deliver()
        assert laptop.ids == []
        assert not laptop.delivery.refused


@pytest.mark.parametrize("status", [400, 413])
async def test_one_bad_report_is_found_refused_and_counted_and_the_rest_arrives(
    tmp_path: Path, council: Council, status: int
) -> None:
    taken: set[str] = set()

    def not_r77(request: Request) -> bytes:
        if "r77" in request.ids:
            return http(status, {"why": "r77 cannot be read"})
        taken.update(request.ids)
        return take(request)

    council.answer = not_r77
    async with Laptop(tmp_path, council).running(120) as laptop:
        for _ in range(60):
            await laptop.delivery.deliver()
        assert laptop.ids == []
        assert dict(laptop.delivery.refused) == {"r77 cannot be read": 1}
        assert len(taken) == 119


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (http(400), "HTTP 400"),
        (http(401), "HTTP 401"),
        (http(413)[:30], "cannot be reached"),
        (http(302, Location="http://10.0.0.1/login"), "sign-in page"),
        (http(511), "sign-in page"),
        (http(503, {"why": "journal away"}), "journal away"),
        (http(200, {"accepted": "r0"}), "cannot be read"),
        (http(200, ["r0"]), "cannot be read"),
        (http(200, Receipt(())), "names none"),
        (http(200, Receipt(("x1", "x2"))), "names none"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{", "cannot be reached"),
        (b"\x16\x03\x01 nonsense\r\n\r\n", "cannot be reached"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n\xff\xff", "cannot be read"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nab",
         "cannot be reached"),
        (None, "cannot be reached"),
    ],
)  # fmt: skip
async def test_whatever_is_not_a_receipt_keeps_everything_and_is_a_sentence(
    tmp_path: Path, council: Council, answer: bytes | None, says: str
) -> None:
    def once(request: Request) -> bytes | None:
        # Closing after a torn answer: what a broken proxy or a dying server does.
        if answer is not None and b"999" in answer:
            request.headers["x-half"] = "1"
        return answer

    council.answer = once
    async with Laptop(tmp_path, council, request_s=5).running() as laptop:
        wait = await laptop.delivery.deliver()
        assert wait is not None
        assert wait >= 30
        assert laptop.ids == ["r0", "r1", "r2"]
        assert says in laptop.delivery.trouble
        council.answer = take
        assert await laptop.delivery.deliver() is None
        assert laptop.ids == []


async def test_a_proxy_that_takes_nothing_forgets_nothing(
    tmp_path: Path, council: Council
) -> None:
    council.answer = lambda _: http(413)
    async with Laptop(tmp_path, council).running(40) as laptop:
        for _ in range(20):
            await laptop.delivery.deliver()
        assert len(laptop.ids) == 40
        assert not laptop.delivery.refused
        assert "HTTP 413" in laptop.delivery.trouble


async def test_a_server_that_never_answers_and_one_that_is_not_there(
    tmp_path: Path, council: Council
) -> None:
    council.answer = lambda _: b""
    async with Laptop(tmp_path, council, request_s=0.3).running() as laptop:
        assert await laptop.delivery.deliver() is not None
        assert len(laptop.ids) == 3
    council.port = 1
    async with Laptop(tmp_path, council).running(0) as laptop:
        assert await laptop.delivery.deliver() is not None
        assert "cannot be reached" in laptop.delivery.trouble
        assert len(laptop.ids) == 3


async def test_a_certificate_of_somebody_else_is_not_spoken_to(
    tmp_path: Path, council: Council
) -> None:
    council.ca_file = str(make_certificates(tmp_path / "other").authority)
    async with Laptop(tmp_path, council).running() as laptop:
        await laptop.delivery.deliver()
        assert "certificate" in laptop.delivery.trouble
    assert council.requests == []


async def test_the_servers_own_wait_is_kept(tmp_path: Path, council: Council) -> None:
    async with Laptop(tmp_path, council).running() as laptop:
        council.answer = lambda _: http(429, {"why": "busy"}, Retry_After="70")
        wait = await laptop.delivery.deliver()
        assert wait is not None
        assert 70 <= wait <= 70 * 1.25
        at = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
        council.answer = lambda _: http(503, Retry_After=at)
        wait = await laptop.delivery.deliver()
        assert wait is not None
        assert 60 <= wait <= 90 * 1.25


async def test_refused_reports_are_removed_and_counted_with_why(
    tmp_path: Path, council: Council
) -> None:
    council.answer = lambda _: http(
        200,
        Receipt(
            ("r0",),
            (ReportRefusal("r1", "version 9"), ReportRefusal("r2", "version 9")),
        ),
    )
    async with Laptop(tmp_path, council).running() as laptop:
        assert await laptop.delivery.deliver() is None
        assert dict(laptop.delivery.refused) == {"version 9": 2}
        assert laptop.delivery.delivered == 1


async def test_the_policy_is_asked_for_with_its_tag_and_read_with_care(
    tmp_path: Path, council: Council
) -> None:
    answers = [
        http(200, {"report_s": 60, "something_new": 1}, ETag='"a"'),
        http(304),
        http(200, {"report_s": 1}),
        http(200, {"report_s": "often"}),
        http(401, {"why": "who?"}),
        http(500),
    ]
    council.answer = lambda _: answers[len(council.requests) - 1]
    async with Laptop(tmp_path, council).running() as laptop:
        publisher = HttpsPublisher(laptop.door)
        policy = await publisher.policy()
        assert policy is not None
        assert policy.report_s == 60
        assert await publisher.policy() is None
        assert council.requests[1].headers["if-none-match"] == '"a"'
        assert await publisher.policy() is not None
        with pytest.raises(Later, match="not usable"):
            await publisher.policy()
        with pytest.raises(CredentialRefused):
            await publisher.policy()
        with pytest.raises(Later, match="500"):
            await publisher.policy()


def test_after_an_outage_laptops_come_back_over_a_minute_or_more() -> None:
    first = [retry_s(1, None, chance / 1000) for chance in range(1000)]
    assert max(first) - min(first) >= 59
    waits = [retry_s(failures, None, 0.5) for failures in range(1, 30)]
    assert waits == sorted(waits)
    assert waits[-1] == 1800


class Moody:
    """A `Publisher` that does what a list says; it remembers what it made durable."""

    def __init__(self, moods: list[str], bad: set[str]) -> None:
        self.moods, self.bad = moods, bad
        self.durable: set[str] = set()

    async def send(self, reports):  # type: ignore[no-untyped-def]
        ids = [report.id for report in reports]
        mood = self.moods.pop(0) if self.moods else "take"
        if mood == "later":
            raise Later("not now")
        if mood == "denied":
            raise CredentialRefused("who?")
        if mood == "large" and len(ids) > 1:
            raise BodyTooLarge("less")
        if mood == "lost":
            self.durable.update(set(ids) - self.bad)
            raise Later("the answer was lost")
        if self.bad & set(ids) and mood == "picky":
            raise NotTaken("bad one")
        good = [id for id in ids if id not in self.bad]
        if mood == "some":
            good = good[: len(good) // 2 + 1]
        self.durable.update(good)
        refused = tuple(ReportRefusal(id, "bad") for id in ids if id in self.bad)
        return Receipt(tuple(good), refused)


@settings(max_examples=60, deadline=None)
@given(
    moods=st.lists(
        st.sampled_from(["take", "later", "denied", "large", "lost", "some", "picky"]),
        max_size=30,
    ),
    bad=st.sets(st.integers(0, 30), max_size=3),
)
async def test_everything_is_made_durable_or_refused_and_nothing_is_lost(
    moods: list[str], bad: set[int]
) -> None:
    everything = {f"r{number}" for number in range(31)}
    refused = {f"r{number}" for number in bad}
    moody = Moody(list(moods), refused)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        with Spool(path, SpoolLimits(), lambda: NOW_MS) as spool:
            for id in sorted(everything):
                spool.put(report(id))
            delivery = ReportDelivery(
                spool, moody, SentLog(path), lambda: NOW_MS, lambda: 0.0
            )
            for _ in range(400):
                if await delivery.deliver() is None:
                    break
            assert spool.waiting == 0
            assert moody.durable == everything - refused
            assert sum(delivery.refused.values()) == len(refused)


def test_a_batch_stays_within_what_the_server_takes() -> None:
    assert BATCH_REPORTS <= MAX_REPORTS
    assert BATCH_BYTES < MAX_BODY_BYTES


def test_the_log_of_what_was_sent_is_bounded(tmp_path: Path) -> None:
    log = SentLog(tmp_path)
    many = [msgspec.json.encode({"text": "x" * 10_000}) for _ in range(50)]
    for _ in range(12):
        log.append(NOW_MS, many)
    size = sum(file.stat().st_size for file in tmp_path.iterdir())
    assert size < 2.5 * LOG_BYTES + len(many) * 10_000
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in tmp_path.iterdir())
    assert len(log.last(5)) == 5
