"""Reports over HTTPS: each answer of the server, and what the laptop does with it."""

import base64
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from report_server import (
    Laptop,
    ReportServer,
    Request,
    accept,
    certificates,  # noqa: F401 - a fixture
    http,
    report_server,  # noqa: F401 - a fixture
)

from collectors.ingest.certificate import make_certificates
from probes.agent.publish_https import HttpsPublisher
from probes.agent.report_delivery import (
    CredentialRefused,
    Later,
)
from probes.diagnosis.sent_log import SentLog
from probes.wire.report import (
    Receipt,
    ReportRefusal,
)


async def test_reports_in_a_receipt_are_removed_over_one_kept_connection(
    tmp_path: Path,
    report_server: ReportServer,  # noqa: F811
) -> None:
    async with Laptop(tmp_path, report_server).running(450) as laptop:
        waits = [await laptop.delivery.deliver() for _ in range(3)]
        assert laptop.ids == []
        assert waits[2] is None
        assert all(wait is not None and 2 <= wait <= 6 for wait in waits[:2])
        assert [len(request.ids) for request in report_server.requests] == [
            200,
            200,
            50,
        ]
        assert report_server.connections == 1
        assert laptop.delivery.delivered == 450
        headers = report_server.requests[0].headers
        basic = base64.b64encode(b"agent-1:s3cret").decode()
        assert headers["authorization"] == f"Basic {basic}"
        assert headers["content-encoding"] == "gzip"
        assert laptop.door.cost_bytes > sum(len(r.body) for r in report_server.requests)
        noted = SentLog(tmp_path).last(1000)
        assert len(noted) == 450
        assert json.loads(noted[0])["report"]["id"] == "r0"
        assert await laptop.delivery.deliver() is None
        assert len(report_server.requests) == 3


async def test_a_refused_credential_is_tried_again_soon_and_then_much_later(
    tmp_path: Path,
    report_server: ReportServer,  # noqa: F811
) -> None:
    report_server.answer = lambda _: http(401, {"why": "unknown laptop"})
    async with Laptop(tmp_path, report_server).running() as laptop:
        waits = [await laptop.delivery.deliver() or 0 for _ in range(8)]
        # The laptop may only be too new for this server to know it.
        assert 0 < waits[0] <= 15
        assert waits[-1] >= 1800
        assert laptop.delivery._denials == 8
        assert "unknown laptop" in laptop.delivery.trouble
        assert len(laptop.ids) == 3
        report_server.answer = accept
        await laptop.delivery.deliver()
        assert (laptop.delivery._denials, laptop.delivery.trouble) == (0, "")


async def test_a_batch_that_is_too_large_is_halved_until_it_passes(
    tmp_path: Path,
    report_server: ReportServer,  # noqa: F811
) -> None:
    def at_most_30(request: Request) -> bytes:
        many = len(request.ids) > 30
        return http(413, {"why": "too large"}) if many else accept(request)

    report_server.answer = at_most_30
    async with Laptop(tmp_path, report_server).running(200) as laptop:
        for _ in range(40):
            await laptop.delivery.deliver()
        assert laptop.ids == []
        assert not laptop.delivery.refused


@pytest.mark.parametrize("status", [400, 413])
async def test_one_bad_report_is_counted_as_refused_and_the_rest_arrives(
    tmp_path: Path,
    report_server: ReportServer,  # noqa: F811
    status: int,
) -> None:
    taken: set[str] = set()

    def not_r77(request: Request) -> bytes:
        if "r77" in request.ids:
            return http(status, {"why": "r77 cannot be read"})
        taken.update(request.ids)
        return accept(request)

    report_server.answer = not_r77
    async with Laptop(tmp_path, report_server).running(120) as laptop:
        for _ in range(60):
            await laptop.delivery.deliver()
        assert laptop.ids == []
        assert dict(laptop.delivery.refused) == {"r77 cannot be read": 1}
        assert len(taken) == 119


@pytest.mark.parametrize(
    ("answer", "message"),
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
         "cannot be read"),
        (None, "cannot be reached"),
    ],
)  # fmt: skip
async def test_an_answer_that_is_not_a_receipt_removes_no_report_and_is_explained(
    tmp_path: Path,
    report_server: ReportServer,  # noqa: F811
    answer: bytes | None,
    message: str,
) -> None:
    def once(request: Request) -> bytes | None:
        # Close after a torn answer, as a broken proxy or a dying server does.
        if answer is not None and b"999" in answer:
            request.headers["x-half"] = "1"
        return answer

    report_server.answer = once
    async with Laptop(tmp_path, report_server, request_s=5).running() as laptop:
        wait = await laptop.delivery.deliver()
        assert wait is not None
        assert wait >= 30
        assert laptop.ids == ["r0", "r1", "r2"]
        assert message in laptop.delivery.trouble
        report_server.answer = accept
        assert await laptop.delivery.deliver() is None
        assert laptop.ids == []


async def test_a_proxy_that_accepts_nothing_removes_no_report(
    tmp_path: Path,
    report_server: ReportServer,  # noqa: F811
) -> None:
    report_server.answer = lambda _: http(413)
    async with Laptop(tmp_path, report_server).running(40) as laptop:
        for _ in range(20):
            await laptop.delivery.deliver()
        assert len(laptop.ids) == 40
        assert not laptop.delivery.refused
        assert "HTTP 413" in laptop.delivery.trouble


async def test_a_server_that_does_not_answer_removes_no_report(
    tmp_path: Path,
    report_server: ReportServer,  # noqa: F811
) -> None:
    report_server.answer = lambda _: b""
    async with Laptop(tmp_path, report_server, request_s=0.3).running() as laptop:
        assert await laptop.delivery.deliver() is not None
        assert len(laptop.ids) == 3
    report_server.port = 1
    async with Laptop(tmp_path, report_server).running(0) as laptop:
        assert await laptop.delivery.deliver() is not None
        assert "cannot be reached" in laptop.delivery.trouble
        assert len(laptop.ids) == 3


async def test_nothing_is_sent_to_a_server_with_an_unknown_certificate(
    tmp_path: Path,
    report_server: ReportServer,  # noqa: F811
) -> None:
    report_server.ca_file = str(make_certificates(tmp_path / "other").authority)
    report_server.answer = lambda _: http(200)
    async with Laptop(tmp_path, report_server).running() as laptop:
        await laptop.delivery.deliver()
        assert "; it was issued by 'Towpath" in laptop.delivery.trouble
    # It is looked at, by a request without a credential or a report.
    (request,) = report_server.requests
    assert (request.path, request.body) == ("/", b"")
    assert "authorization" not in request.headers


async def test_the_retry_after_of_the_server_is_followed(
    tmp_path: Path,
    report_server: ReportServer,  # noqa: F811
) -> None:
    async with Laptop(tmp_path, report_server).running() as laptop:
        report_server.answer = lambda _: http(429, {"why": "busy"}, Retry_After="70")
        wait = await laptop.delivery.deliver()
        assert wait is not None
        assert 70 <= wait <= 70 * 1.25
        at = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
        report_server.answer = lambda _: http(503, Retry_After=at)
        wait = await laptop.delivery.deliver()
        assert wait is not None
        assert 60 <= wait <= 90 * 1.25


async def test_refused_reports_are_removed_and_counted_by_reason(
    tmp_path: Path,
    report_server: ReportServer,  # noqa: F811
) -> None:
    report_server.answer = lambda _: http(
        200,
        Receipt(
            ("r0",),
            (ReportRefusal("r1", "version 9"), ReportRefusal("r2", "version 9")),
        ),
    )
    async with Laptop(tmp_path, report_server).running() as laptop:
        assert await laptop.delivery.deliver() is None
        assert dict(laptop.delivery.refused) == {"version 9": 2}
        assert laptop.delivery.delivered == 1


async def test_the_policy_is_requested_with_its_tag_and_checked(
    tmp_path: Path,
    report_server: ReportServer,  # noqa: F811
) -> None:
    answers = [
        http(200, {"report_s": 60, "something_new": 1}, ETag='"a"'),
        http(304),
        http(200, {"report_s": 1}),
        http(200, {"report_s": "often"}),
        http(401, {"why": "who?"}),
        http(500),
    ]
    report_server.answer = lambda _: answers[len(report_server.requests) - 1]
    async with Laptop(tmp_path, report_server).running() as laptop:
        publisher = HttpsPublisher(laptop.door)
        policy = await publisher.policy()
        assert policy is not None
        assert policy.report_s == 60
        assert await publisher.policy() is None
        assert report_server.requests[1].headers["if-none-match"] == '"a"'
        assert await publisher.policy() is not None
        with pytest.raises(Later, match="not usable"):
            await publisher.policy()
        with pytest.raises(CredentialRefused):
            await publisher.policy()
        with pytest.raises(Later, match="500"):
            await publisher.policy()
