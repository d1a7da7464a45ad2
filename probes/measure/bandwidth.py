"""How much fits through the line to the council, both ways: ndt7, with a budget."""

from __future__ import annotations

import asyncio
import ssl
import statistics
from urllib.parse import urlsplit

from probes.measure import bufferbloat, ndt7_client
from probes.wire import ndt7
from probes.wire.clock import WallClock
from probes.wire.failure import Outcome
from probes.wire.report import Result
from probes.wire.sample import Value
from probes.wire.socket_errors import outcome_of

NAME = "bandwidth"
VERSION = 2
_IDLE_TIMES = 5
# Half each way: the way down must not eat what the way up needs.
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
    """A download, then an upload, against the ndt7 server at `url` (`https://host`,
    `wss://host:port` or with the path; `http` and `ws` are spoken too).

    At most about `budget_bytes` in all, half each way, what the download leaves going
    to the upload; `at_least` is 1 where the budget or the server's cap ended one of
    them, and which. A server with too many tests already is `busy`, with when to come
    again where it said so; a `url` that is none is `not_configured`. Never raises for
    what the network does; a missing `ca_file` is the caller's.
    """
    time_ms = now_ms()
    values: dict[str, Value] = {}
    cost_bytes = 0

    def result(outcome: Outcome) -> Result:
        return Result(NAME, VERSION, time_ms, outcome, reflector_id, values, cost_bytes)

    if budget_bytes < 2 * _LEAST_BYTES:
        return result(Outcome.BUDGET_SPENT)
    door = _door(url)
    if door is None:
        return result(Outcome.NOT_CONFIGURED)
    host, port, secure = door
    tls = _tls(ca_file, verify) if secure else None
    try:
        idle = await ndt7_client.round_trips(host, port, _IDLE_TIMES)
    except (OSError, UnicodeError) as error:
        return result(outcome_of(error))
    values["rtt_idle_ms"] = round(statistics.median(idle), 3)

    down = await ndt7_client.download(url, tls, seconds, budget_bytes // 2)
    cost_bytes += down.octets
    values |= _told("down", down)
    if down.outcome is not Outcome.OK:
        return result(down.outcome)

    up = await ndt7_client.upload(url, tls, seconds, budget_bytes - cost_bytes)
    if up.outcome is Outcome.BUSY:
        # Its place of the download may not be free again yet.
        await asyncio.sleep(1.0)
        up = await ndt7_client.upload(url, tls, seconds, budget_bytes - cost_bytes)
    cost_bytes += up.octets
    values |= _told("up", up)
    values["at_least"] = int(down.limited or up.limited)
    loaded = [each for each in (down.rtt_loaded_ms, up.rtt_loaded_ms) if each]
    if loaded:
        values["rtt_loaded_ms"] = round(max(loaded), 3)
        rpm = bufferbloat.responsiveness_rpm(max(loaded))
        values["responsiveness_rpm"] = round(rpm, 1)
    if len(loaded) == 2:
        values["bufferbloat"] = bufferbloat.grade(statistics.median(idle), *loaded)
    return result(up.outcome)


def _told(way: str, done: ndt7_client.Transferred) -> dict[str, Value]:
    values: dict[str, Value] = {}
    if done.bps is not None:
        values[f"{way}_bps"] = round(done.bps, 1)
        values[f"{way}_at_least"] = int(done.limited)
    if done.rtt_loaded_ms is not None:
        values[f"rtt_{way}_ms"] = round(done.rtt_loaded_ms, 3)
    if done.retransmitted is not None:
        values[f"{way}_retransmit_ratio"] = round(done.retransmitted, 6)
    if done.retry_after_s:
        values["retry_after_s"] = done.retry_after_s
    return values


def _door(url: str) -> tuple[str, int, bool] | None:
    """Host, port and whether by TLS; None for what is no such address."""
    try:
        parts = urlsplit(ndt7.url_of(url, ndt7.DOWNLOAD))
        secure = parts.scheme == "wss"
        if parts.hostname and parts.scheme in ("ws", "wss"):
            return parts.hostname, parts.port or (443 if secure else 80), secure
    except ValueError:
        pass
    return None


def _tls(ca_file: str | None, verify: bool) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca_file)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
