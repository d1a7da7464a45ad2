"""The agent's own use of the laptop, and the reports that it could not send."""

from __future__ import annotations

from collections.abc import AsyncIterator

from probes.measure.probe_runner import ProbeRunner, RoundContext
from probes.platforms import system_load
from probes.wire.clock import WallClock
from probes.wire.failure import Outcome
from probes.wire.laptop_probes import AGENT
from probes.wire.report import Result

NAME = AGENT.name
VERSION = 1


async def measure(
    *,
    spool_reports: int,
    spool_dropped: int,
    rounds_left_out: int = 0,
    software: str,
    now_ms: WallClock,
) -> Result:
    """Measures this process: resident memory, share of one core, uptime."""
    time_ms, used = now_ms(), system_load.process_use()
    uptime_s = max(time_ms / 1000 - used.started_s, 0.0)
    return Result(
        NAME,
        VERSION,
        time_ms,
        Outcome.OK,
        values={
            "spool_reports": spool_reports,
            "spool_dropped": spool_dropped,
            "rounds_left_out": rounds_left_out,
            "rss_bytes": used.rss_bytes,
            "cpu_ratio": used.cpu_s / max(uptime_s, 1.0),
            "uptime_s": uptime_s,
            "version": software,
        },
    )


class AgentRunner(ProbeRunner):
    async def run(self, context: RoundContext) -> AsyncIterator[Result]:
        yield await measure(
            spool_reports=context.spool_reports,
            spool_dropped=context.spool_dropped,
            rounds_left_out=context.rounds_left_out,
            software=context.software,
            now_ms=context.now_ms,
        )
