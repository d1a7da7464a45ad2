"""How much fits through the line to the council, both ways: ndt7, with a budget."""

from __future__ import annotations

import asyncio
import ssl
import statistics
from collections.abc import Callable
from urllib.parse import urlsplit

from probes import ndt7, transfer
from probes.failure import Outcome
from probes.faults import outcome_of
from probes.report import Result
from probes.sample import Value

NAME = "bandwidth"
VERSION = 1
_IDLE_TIMES = 5
# Half each way: the way down must not eat what the way up needs.
_LEAST_BYTES = 100_000


async def measure(
    url: str,
    *,
    now_ms: Callable[[], int],
    budget_bytes: int,
    seconds: float = ndt7.SECONDS,
    reflector_id: str = "reflector",
    ca_file: str | None = None,
    verify: bool = True,
) -> Result:
    """A download, then an upload, against the ndt7 server at `url` (`https://host`,
    `wss://host:port` or with the path; `http` and `ws` are spoken too).

    At most about `budget_bytes` in all, half each way, what the download leaves going
    to the upload; `at_least` is 1 where the budget or the server's cap ended it.
    A server with too many tests already is `busy`, a `url` that is none is
    `not_configured`. Never raises for what the network
    does; a missing `ca_file` is the caller's.
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
        idle = await transfer.round_trips(host, port, _IDLE_TIMES)
    except (OSError, UnicodeError) as error:
        return result(outcome_of(error))
    values["rtt_idle_ms"] = round(statistics.median(idle), 3)

    down = await transfer.download(url, tls, seconds, budget_bytes // 2)
    cost_bytes += down.octets
    if down.bps is not None:
        values["down_bps"] = round(down.bps, 1)
    if down.outcome is not Outcome.OK:
        return result(down.outcome)
    values["at_least"] = int(down.limited)
    if down.rtt_loaded_ms is not None:
        values["rtt_loaded_ms"] = round(down.rtt_loaded_ms, 3)

    up = await transfer.upload(url, tls, seconds, budget_bytes - cost_bytes)
    if up.outcome is Outcome.BUSY:
        # Its place of the download may not be free again yet.
        await asyncio.sleep(1.0)
        up = await transfer.upload(url, tls, seconds, budget_bytes - cost_bytes)
    cost_bytes += up.octets
    if up.bps is not None:
        values["up_bps"] = round(up.bps, 1)
    values["at_least"] = int(down.limited or up.limited)
    loaded = [each for each in (down.rtt_loaded_ms, up.rtt_loaded_ms) if each]
    if loaded:
        values["rtt_loaded_ms"] = round(max(loaded), 3)
    return result(up.outcome)


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
