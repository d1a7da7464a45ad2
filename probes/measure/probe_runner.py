"""How the agent runs a probe: what it passes to each round, and what it gets back."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

import msgspec

from probes.wire.policy import Policy
from probes.wire.probe import Probe
from probes.wire.report import Result

if TYPE_CHECKING:
    import ssl


class RoundContext(msgspec.Struct, frozen=True, kw_only=True):
    """What a round may use. `trust`: the TLS context, made when it is first needed;
    `brief`: a short round between the regular ones; `frugal`: send nothing that is not
    needed; `test_bytes`: what a speed test may cost; `spool_reports` and
    `spool_dropped`: reports that wait and that were dropped; `rounds_left_out`: for the
    data budget."""

    policy: Policy
    software: str
    now_ms: Callable[[], int]
    trust: Callable[[], ssl.SSLContext]
    ca_file: str = ""
    brief: bool = False
    frugal: bool = False
    test_bytes: int = 0
    spool_reports: int = 0
    spool_dropped: int = 0
    rounds_left_out: int = 0


class ProbeRunner(ABC):
    """Runs one probe. There is one runner of each probe for as long as the agent runs,
    so it may keep what it saw between two rounds."""

    @abstractmethod
    def run(self, context: RoundContext) -> AsyncIterator[Result]:
        """Measures what the policy names, one result after the other; none if it names
        nothing. What the network does never raises: it is an outcome."""

    async def glance(self) -> None:
        """Looks at what changes between two rounds, every few seconds. Must not use
        the network. Most probes have no need of it."""
        return


def make_runner(probe: Probe) -> ProbeRunner:
    """Returns a runner of `probe`, whose module is imported only now."""
    module, _, name = probe.runner.partition(":")
    runner = getattr(importlib.import_module(module), name)()
    if not isinstance(runner, ProbeRunner):
        raise TypeError(f"{probe.runner} of {probe.name!r} is not a ProbeRunner")
    return runner
