"""Speed test to the council's reflector, both ways: ndt7 within a data budget."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from probes.measure import bufferbloat
from probes.measure.connect_times import connect_times_ms
from probes.measure.probe_runner import ProbeRunner, RoundContext
from probes.platforms.system_trust import trust
from probes.wire import ndt7
from probes.wire.clock import WallClock
from probes.wire.failure import Outcome
from probes.wire.path_probes import BANDWIDTH
from probes.wire.percentiles import median
from probes.wire.report import Result
from probes.wire.sample import Value
from probes.wire.socket_errors import outcome_of

if TYPE_CHECKING:
    from probes.measure.ndt7_client import Transferred

NAME = BANDWIDTH.name
VERSION = 2
_IDLE_ATTEMPTS = 5
# For each direction: the download must not use up what the upload needs.
_LEAST_BYTES = 100_000


async def measure(
    url: str,
    *,
    now_ms: WallClock,
    budget_bytes: int,
    seconds: float = ndt7.SECONDS,
    reflector_id: str = "reflector",
    ca_file: str | None = None,
    verify: bool = True,
) -> Result:
    """Runs a download, then an upload, against the ndt7 server at `url`
    (`https://host`, `wss://host:port`, with or without the path; also `http` and `ws`).

    Uses about `budget_bytes` in all: half for the download, the rest for the upload.
    `at_least` is 1 if the budget or the server's cap ended either of them;
    `down_at_least` and `up_at_least` show which. If the server has too many tests
    already, the outcome is `busy`, with `retry_after_s` if the server gave it. An
    unusable `url` is `not_configured`. Network errors never raise; a missing `ca_file`
    does.
    """
    time_ms = now_ms()
    values: dict[str, Value] = {}
    cost_bytes = 0

    def result(outcome: Outcome) -> Result:
        return Result(NAME, VERSION, time_ms, outcome, reflector_id, values, cost_bytes)

    if budget_bytes < 2 * _LEAST_BYTES:
        return result(Outcome.BUDGET_SPENT)
    endpoint = _endpoint(url)
    if endpoint is None:
        return result(Outcome.NOT_CONFIGURED)
    # It takes four megabytes, and most laptops run no speed test.
    from probes.measure import ndt7_client

    host, port, secure = endpoint
    tls = _tls(ca_file, verify) if secure else None
    try:
        idle = await connect_times_ms(host, port, _IDLE_ATTEMPTS)
    except (OSError, UnicodeError) as error:
        return result(outcome_of(error))
    values["rtt_idle_ms"] = round(median(idle), 3)

    down = await ndt7_client.download(url, tls, seconds, budget_bytes // 2)
    cost_bytes += down.octets
    values |= _direction_values("down", down)
    if down.outcome is not Outcome.OK:
        return result(down.outcome)

    up = await ndt7_client.upload(url, tls, seconds, budget_bytes - cost_bytes)
    if up.outcome is Outcome.BUSY:
        # The server may not have released the download's slot yet.
        await asyncio.sleep(1.0)
        up = await ndt7_client.upload(url, tls, seconds, budget_bytes - cost_bytes)
    cost_bytes += up.octets
    values |= _direction_values("up", up)
    values["at_least"] = int(down.limited or up.limited)
    loaded = [rtt_ms for rtt_ms in (down.rtt_loaded_ms, up.rtt_loaded_ms) if rtt_ms]
    if loaded:
        values["rtt_loaded_ms"] = round(max(loaded), 3)
        rpm = bufferbloat.responsiveness_rpm(max(loaded))
        values["responsiveness_rpm"] = round(rpm, 1)
    if len(loaded) == 2:
        values["bufferbloat"] = bufferbloat.grade(median(idle), *loaded)
    return result(up.outcome)


def _direction_values(direction: str, transfer: Transferred) -> dict[str, Value]:
    values: dict[str, Value] = {}
    if transfer.bps is not None:
        values[f"{direction}_bps"] = round(transfer.bps, 1)
        values[f"{direction}_at_least"] = int(transfer.limited)
    if transfer.rtt_loaded_ms is not None:
        values[f"rtt_{direction}_ms"] = round(transfer.rtt_loaded_ms, 3)
    if transfer.retransmitted is not None:
        values[f"{direction}_retransmit_ratio"] = round(transfer.retransmitted, 6)
    if transfer.retry_after_s:
        values["retry_after_s"] = transfer.retry_after_s
    return values


def _endpoint(url: str) -> tuple[str, int, bool] | None:
    """Host, port and whether to use TLS; None if `url` is not an ndt7 address."""
    try:
        parts = urlsplit(ndt7.url_of(url, ndt7.DOWNLOAD))
        secure = parts.scheme == "wss"
        if parts.hostname and parts.scheme in ("ws", "wss"):
            return parts.hostname, parts.port or (443 if secure else 80), secure
    except ValueError:
        pass
    return None


def _tls(ca_file: str | None, verify: bool) -> ssl.SSLContext:
    context = trust(ca_file or "")
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


class BandwidthRunner(ProbeRunner):
    """Tests against the first reflector of the policy that takes speed tests."""

    async def run(self, context: RoundContext) -> AsyncIterator[Result]:
        reflector = context.policy.speed_test_reflector
        if reflector is not None:
            yield await measure(
                reflector.test_url,
                budget_bytes=context.test_bytes,
                reflector_id=reflector.id,
                ca_file=context.ca_file or None,
                now_ms=context.now_ms,
            )
