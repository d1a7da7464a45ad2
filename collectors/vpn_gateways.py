"""Checks VPN gateways as a laptop sees them: a TCP connection and a TLS handshake,
every minute.

A gateway with an untrusted certificate is still *up*: `outcome` has the result of the
handshake, so that "down" and "untrusted" stay separate.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import Callable
from typing import Self

import structlog

from collectors.background_tasks import BackgroundTasks
from collectors.batch import batch_samples
from collectors.certificate_files import days_left
from collectors.estate.estate_model import Estate, VpnGateway
from collectors.failure_log import FailureLog
from collectors.journal import Append
from collectors.strict_model import StrictModel
from probes.wire.clock import WallClock
from probes.wire.failure import Outcome, is_failure
from probes.wire.sample import Sample, Value
from probes.wire.socket_errors import outcome_of

_log = structlog.get_logger()


class VpnGatewaysConfig(StrictModel):
    period_s: float = 60.0
    timeout_s: float = 5.0
    ca_file: str = ""


# How soon a gateway is checked that has become this poller's own.
_LOOK_S = 5.0


class VpnGateways:
    """Checks the gateways of the estate that are this poller's own, once a period, at
    the same time.

    `is_cut_off` returns whether this machine has lost its own network: then nothing is
    known about a gateway that does not answer.
    """

    def __init__(
        self,
        config: VpnGatewaysConfig,
        estate: Callable[[], Estate],
        append: Append,
        now_ms: WallClock,
        is_cut_off: Callable[[], bool] = lambda: False,
        is_own: Callable[[VpnGateway], bool] = lambda _: True,
    ) -> None:
        self._is_own = is_own
        # When those that are its own are checked next.
        self._due_s: dict[str, float] = {}
        self._config, self._estate = config, estate
        self._append, self._now_ms = append, now_ms
        self._is_cut_off = is_cut_off
        self._tasks = BackgroundTasks()
        self._failures = FailureLog("vpn_gateway_down", "vpn_gateway_up", "warning")

    async def __aenter__(self) -> Self:
        self._tasks.start(self._run(), "vpn-gateways")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.stop()

    async def _run(self) -> None:
        while True:
            try:
                gateways = self._due()
                samples = await asyncio.gather(*(self._sample(g) for g in gateways))
                if samples:
                    await self._append.append(
                        *batch_samples(samples, "vpn_gateways", self._now_ms())
                    )
            except Exception as error:  # noqa: BLE001 - a round that fails is not the last
                _log.error("vpn_gateways_round_failed", error=repr(error))
            await asyncio.sleep(self._wait_s())

    def _due(self) -> list[VpnGateway]:
        """Those of its own that are due now; they are due again in a period."""
        now_s = time.monotonic()
        own = [g for g in self._estate().vpn_gateways if self._is_own(g)]
        due = [g for g in own if self._due_s.get(g.id, now_s) <= now_s]
        next_s = dict.fromkeys((g.id for g in due), now_s + self._config.period_s)
        self._due_s = {g.id: next_s.get(g.id) or self._due_s[g.id] for g in own}
        return due

    def _wait_s(self) -> float:
        soonest_s = min(self._due_s.values(), default=float("inf"))
        return min(max(0.0, soonest_s - time.monotonic()), _LOOK_S)

    async def _sample(self, gateway: VpnGateway) -> Sample:
        fields = await check_gateway(gateway, self._config, self._now_ms)
        if fields.get("up"):
            self._failures.recovered(gateway.id, gateway=gateway.id)
        else:
            self._failures.failed(fields["outcome"], key=gateway.id, gateway=gateway.id)
        if "up" in fields and not self._is_cut_off():
            fields["answered"] = fields["up"]
        tags = {"gateway": gateway.id, "site": gateway.site or ""}
        fields["name"] = gateway.name or gateway.id
        return Sample("vpn_gateway", tags, fields, self._now_ms())


async def check_gateway(
    gateway: VpnGateway, config: VpnGatewaysConfig, now_ms: WallClock
) -> dict[str, Value]:
    """The fields of one `vpn_gateway` row. Never raises: a failure is a result."""
    try:
        async with asyncio.timeout(config.timeout_s):
            started = time.perf_counter()
            _, writer = await asyncio.open_connection(gateway.host, gateway.port)
            connect_ms = (time.perf_counter() - started) * 1000
    except (OSError, UnicodeError) as error:
        outcome = outcome_of(error)
        if not is_failure(outcome):
            # Nothing was sent: it is neither up nor down.
            return {"outcome": outcome.value}
        return {"up": 0, "outcome": outcome.value}
    fields: dict[str, Value] = {"up": 1, "connect_ms": connect_ms}
    try:
        started = time.perf_counter()
        context = ssl.create_default_context(cafile=config.ca_file or None)
        async with asyncio.timeout(config.timeout_s):
            await writer.start_tls(context, server_hostname=gateway.host)
        fields["tls_ms"] = (time.perf_counter() - started) * 1000
        fields["outcome"] = Outcome.OK.value
        fields |= _certificate_days(writer, now_ms())
    except ssl.SSLCertVerificationError as error:
        fields["outcome"] = outcome_of(error).value
    except (OSError, UnicodeError) as error:
        fields["outcome"] = outcome_of(error).value
        fields["up"] = 0
    finally:
        writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(1.0):
                await writer.wait_closed()
    return fields


def _certificate_days(writer: asyncio.StreamWriter, now_ms: int) -> dict[str, Value]:
    """`certificate_days`; empty if our parser cannot read a certificate that TLS
    accepted."""
    tls = writer.get_extra_info("ssl_object")
    certificate = tls.getpeercert(binary_form=True) if tls else None
    if not certificate:
        return {}
    # Only here: a command that reads the settings needs no certificate.
    from cryptography import x509

    try:
        read = x509.load_der_x509_certificate(certificate)
    except ValueError:
        return {}
    return {"certificate_days": days_left(read, now_ms)}
