"""`/check`: tests in any browser whether a call would work from here, against one of
the council's reflectors. Nothing is stored."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import structlog
from starlette.requests import Request
from starlette.responses import Response

from collectors.reflector import call_echo
from collectors.reflector.reflector_access import (
    SecretRefused,
    make_token,
    read_secret,
)
from dashboards import call_quality
from dashboards.web.page_views import Views
from dashboards.web.security_headers import PAGE
from probes.wire import ndt7

_log = structlog.get_logger()
# A voice call sends 50 messages a second.
CALL_MESSAGES = 500
# What the speed tests may use, each: enough to tell 4 Mbit/s from 40.
SPEED_BYTES, SPEED_SECONDS = 12_500_000, 8
# A call with video in a group needs this much (Microsoft: 4 Mbit/s down, 2 up at best;
# it works with less).
VIDEO_MBPS = 2.5
_JUDGED = {
    "rtt": "rtt_p95_ms",
    "jitter": "jitter_p95_ms",
    "late": "loss_mean_ratio",
}


class CheckPage:
    """`show` renders a template with values, and returns the answer. `secret_file`: the
    reflectors' secret, from which each load of the page gets a token for its tests."""

    def __init__(
        self,
        views: Views,
        show: Callable[..., Response],
        secret_file: Path | None = None,
    ) -> None:
        self._views, self._show = views, show
        self._secret = b""
        if secret_file is not None:
            try:
                self._secret = read_secret(secret_file)
            except SecretRefused as error:
                # Reflectors that ask for no token still answer.
                _log.warning("check_page_without_tokens", error=str(error))

    async def page(self, request: Request) -> Response:
        reflectors = self._views.estate().reflectors
        address = next((r.ndt7_url for r in reflectors if r.ndt7_url), "")
        limits = {
            name: (
                call_quality.BY_FIELD[field].good,
                call_quality.BY_FIELD[field].poor,
            )
            for name, field in _JUDGED.items()
        }
        answer = self._show(
            "check.html",
            here="check",
            now_ms=self._views.now_ms(),
            test=self._test(address) if address else None,
            limits=limits,
            video_mbps=VIDEO_MBPS,
            speed_seconds=SPEED_SECONDS,
            speed_bytes=SPEED_BYTES,
            messages=CALL_MESSAGES,
        )
        if address:
            answer.headers["content-security-policy"] = policy_with(address)
        return answer

    def _test(self, address: str) -> dict[str, str]:
        """The addresses of the three tests. Each load is a holder of its own, so that
        one page has one test at a time."""
        base = ndt7.with_token(address, self._token())
        more = {ndt7.MOST_BYTES_KEY: str(SPEED_BYTES)}
        return {
            "call": ndt7.url_of(base, call_echo.PATH),
            "download": ndt7.url_of(base, ndt7.DOWNLOAD, more),
            "upload": ndt7.url_of(base, ndt7.UPLOAD),
            "call_protocol": call_echo.SUBPROTOCOL,
            "speed_protocol": ndt7.SUBPROTOCOL,
        }

    def _token(self) -> str:
        if not self._secret:
            return ""
        holder = f"browser {secrets.token_hex(8)}"
        return make_token(self._secret, holder, self._views.now_ms() / 1000)


def policy_with(address: str) -> str:
    """Returns the pages' content security policy, which also allows connections to
    the reflector at that address, and nowhere else."""
    parts = urlsplit(ndt7.url_of(address, ""))
    return PAGE["content-security-policy"].replace(
        "connect-src 'self'", f"connect-src 'self' {parts.scheme}://{parts.netloc}"
    )
