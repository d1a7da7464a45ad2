"""Reports over HTTPS: `POST /v1/reports`, gzip, HTTP Basic, one kept connection.

This is the default. Every answer that is not a `Receipt` leaves the reports in the
spool.
"""

from __future__ import annotations

import gzip
import time
from collections.abc import Sequence
from urllib.parse import urlencode

import msgspec

from probes.agent.http_connection import HttpResponse
from probes.agent.report_delivery import (
    BodyTooLarge,
    CredentialRefused,
    Later,
    NotTaken,
)
from probes.agent.server_connection import ServerConnection
from probes.agent.spool_rows import SpooledReport
from probes.wire.policy import MAX_BODY_BYTES as MAX_POLICY_BYTES
from probes.wire.policy import Policy
from probes.wire.policy import decode as decode_policy
from probes.wire.report import REFUSAL, USED_TWICE, Receipt
from probes.wire.retry_after import retry_after_s


class HttpsPublisher:
    """A `Publisher` over HTTPS, which also fetches the policy."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection
        self._etag = ""

    async def send(self, reports: Sequence[SpooledReport]) -> Receipt:
        """Sends `reports` and returns the receipt. Raises as every `Publisher` does."""
        body = gzip.compress(
            b"[" + b",".join(report.body for report in reports) + b"]", compresslevel=6
        )
        response = await self._connection.request(
            "POST",
            "/v1/reports",
            body,
            {"Content-Type": "application/json", "Content-Encoding": "gzip"},
        )
        if response.status == 200:
            try:
                return msgspec.json.decode(response.body, type=Receipt)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                raise Later("the server's receipt cannot be read") from None
        why = response.why
        # A proxy may accept less at once, too. But only the server itself can say that
        # a single report is too large.
        if response.status == 413 and (why is not None or len(reports) > 1):
            raise BodyTooLarge(why or "a proxy accepts less at once")
        if response.status in {400, 415, 422} and why is not None:
            raise NotTaken(why)
        raise error_of(response, time.time())

    async def policy(self, site: str = "") -> Policy | None:
        """Returns the policy if it has changed since the last time. `site` is the
        council's site that the laptop is at, for incidents there. Raises as `send`
        does."""
        headers = {"If-None-Match": self._etag} if self._etag else {}
        path = f"/v1/policy?{urlencode({'site': site})}" if site else "/v1/policy"
        response = await self._connection.request("GET", path, None, headers)
        if response.status == 304:
            return None
        if response.status != 200:
            raise error_of(response, time.time())
        try:
            policy = decode_policy(response.body[: MAX_POLICY_BYTES + 1])
        except msgspec.DecodeError as error:
            raise Later(f"the server's policy is not usable: {error}") from None
        self._etag = response.headers.get("etag", "")
        return policy


def is_used_twice(response: HttpResponse) -> bool:
    """Whether the server says that two laptops use this credential."""
    return response.headers.get(REFUSAL.lower(), "") == USED_TWICE


def error_of(response: HttpResponse, now_s: float) -> Later | CredentialRefused:
    """What an answer that is not the expected one means."""
    status, why = response.status, response.why
    if status in {401, 403} and why is not None:
        return CredentialRefused(
            f"the server refused this laptop's credential: {why}",
            used_twice=is_used_twice(response),
        )
    if 300 <= status < 400 or status == 511:
        return Later(
            f"the network answered with HTTP {status}: a sign-in page (hotel, train) "
            "may be waiting in the browser"
        )
    after_s = retry_after_s(response.headers.get("retry-after", ""), now_s)
    reason = f": {why}" if why else ""
    return Later(f"the server answered with HTTP {status}{reason}", after_s)
