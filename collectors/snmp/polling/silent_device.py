"""What a poll does about a device that does not answer: how long it waits, and what it
looks for afterwards, so that all of it ends before the next poll is due."""

from __future__ import annotations

import asyncio
import contextlib

from collectors.estate.estate_model import Device
from collectors.ping import EchoResult, PingTarget
from collectors.snmp.session.credentials import Credential
from collectors.snmp.session.session import Failed
from collectors.snmp.session.silent_agent import explain_silence
from collectors.snmp.snmp_config import SnmpConfig
from probes.wire.failure import Outcome

# The device itself did not answer. A router may have reported that it is unreachable.
_SILENT = (Outcome.TIMEOUT, Outcome.UNREACHABLE, Outcome.NO_NETWORK)
# What is kept of a poll's time for looking afterwards: so many time-outs, but no more
# than this part.
_LOOK_TIMEOUTS, _LOOK_SHARE = 2, 0.25


def reading_time_s(config: SnmpConfig, at_most_s: float) -> float:
    """How long a poll of `at_most_s` may read. Pure.

    The rest is for looking why a device is silent. One request always has its time,
    however short the period is.
    """
    look_s = min(_LOOK_TIMEOUTS * config.timeout_s, _LOOK_SHARE * at_most_s)
    return min(config.budget_s, max(config.timeout_s, at_most_s - look_s))


async def look_for_agent(
    failed: Failed,
    device: Device,
    credential: Credential,
    pinged: PingTarget | None,
    timeout_s: float,
    at_most_s: float,
) -> tuple[Failed, EchoResult | None]:
    """After a poll without an answer: why an SNMP agent that is there does not answer,
    or else `failed`; and ICMP echoes, if they came within `at_most_s`."""
    if failed.outcome is Outcome.BUDGET_SPENT:
        failed = Failed(Outcome.TIMEOUT, "no answer in all the time for a poll")
    if failed.outcome not in _SILENT:
        return failed, None
    refusal, echoes = "", None

    async def explain() -> None:
        nonlocal refusal
        refusal = await explain_silence(
            str(device.address), device.port, credential, timeout_s
        )

    async def probe() -> None:
        nonlocal echoes
        if pinged is not None:
            echoes = await pinged.probe()

    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(max(0.0, at_most_s)):
            await asyncio.gather(explain(), probe())
    return Failed(Outcome.AUTH_FAILED, refusal) if refusal else failed, echoes
