"""One round of one probe, and the quick looks between the rounds."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from probes.agent.probe_budget import ProbeConditions, reason_not_to_run, test_bytes
from probes.measure.probe_runner import ProbeRunner, RoundContext, make_runner
from probes.wire.failure import Outcome
from probes.wire.policy import Policy
from probes.wire.probe import Probe
from probes.wire.probe_list import PROBES
from probes.wire.report import Result

if TYPE_CHECKING:
    import ssl

_log = logging.getLogger(__name__)

ROUND_S = 120.0


class RoundSetup(msgspec.Struct, frozen=True, kw_only=True):
    """What every round is run with. `opt_out`: the probes this laptop does not run;
    `waiting` and `dropped`: how many reports wait in the spool and were dropped;
    `left_out`: how many rounds were, for the data budget."""

    software: str
    now_ms: Callable[[], int]
    ca_file: str = ""
    opt_out: Sequence[str] = ()
    waiting: Callable[[], int] = lambda: 0
    dropped: Callable[[], int] = lambda: 0
    left_out: Callable[[], int] = lambda: 0


class ProbeRounds:
    """`await measure(probe, policy, …)` returns the results of one round."""

    def __init__(self, setup: RoundSetup, probes: Sequence[Probe] = PROBES) -> None:
        self._setup = setup
        self._probes = {probe.name: probe for probe in probes}
        self._runners: dict[str, ProbeRunner] = {}
        self._tls: ssl.SSLContext | None = None
        self._glance_failed = False

    async def measure(
        self, name: str, policy: Policy, conditions: ProbeConditions
    ) -> list[Result]:
        """Runs one round of the probe `name`. Network errors and faults of the probe
        never raise: the first are outcomes, the second are logged."""
        probe = self._probes[name]
        why_not = reason_not_to_run(probe, name in self._setup.opt_out, conditions)
        if why_not is not None:
            return [self._not_measured(name, why_not)]
        results: list[Result] = []
        try:
            async with asyncio.timeout(ROUND_S):
                context = self._context(policy, conditions)
                async for result in self._runner(probe).run(context):
                    results.append(result)
        except TimeoutError:
            results.append(self._not_measured(name, Outcome.TIMEOUT))
        except Exception:  # noqa: BLE001 - one probe's fault must not stop others
            _log.exception("probe_failed probe=%s", name)
        else:
            if not results:
                results.append(self._not_measured(name, Outcome.NOT_CONFIGURED))
        return results

    async def glance(self) -> None:
        """Looks at what changes between two results: tunnel, Wi-Fi, processor. Uses no
        network, leaves out what this laptop has opted out of, and never raises."""
        try:
            for name, runner in self._runners.items():
                if name not in self._setup.opt_out:
                    await runner.glance()
        except Exception:  # noqa: BLE001 - one probe's fault must not stop others
            if not self._glance_failed:
                _log.exception("glance_failed")
            self._glance_failed = True

    def _runner(self, probe: Probe) -> ProbeRunner:
        if probe.name not in self._runners:
            self._runners[probe.name] = make_runner(probe)
        return self._runners[probe.name]

    def _context(self, policy: Policy, conditions: ProbeConditions) -> RoundContext:
        setup, left_bytes = self._setup, conditions.left_bytes
        return RoundContext(
            policy=policy,
            software=setup.software,
            now_ms=setup.now_ms,
            trust=self._trust,
            ca_file=setup.ca_file,
            brief=conditions.brief,
            frugal=conditions.metered or (left_bytes is not None and left_bytes <= 0),
            test_bytes=test_bytes(conditions),
            spool_reports=setup.waiting(),
            spool_dropped=setup.dropped(),
            rounds_left_out=setup.left_out(),
        )

    def _not_measured(self, name: str, outcome: Outcome) -> Result:
        return Result(name, 1, self._setup.now_ms(), outcome)

    def _trust(self) -> ssl.SSLContext:
        if self._tls is None:
            from probes.platforms.system_trust import trust

            self._tls = trust(self._setup.ca_file)
        return self._tls
