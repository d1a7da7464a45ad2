"""How much data the agent uses in a day, from cadences and sizes. Pure.

The size of a run is counted, with IP and UDP headers, or measured
(`benchmarks/agent_cost.py`). Speed tests are left out: they have their own monthly
limit.
"""

from __future__ import annotations

from typing import NamedTuple

from msgspec.structs import replace

from probes.diagnosis.number_text import capitalised
from probes.wire.policy import BURST_ROUNDS_MS, BURSTS_PER_DAY, Policy
from probes.wire.probe import RunConditions
from probes.wire.probe_list import PROBES, probe_title

DAY_S = 86_400
_HEADERS_BYTES = {4: 28, 6: 48}
# One delivery of results, and one policy.
DELIVERY_BYTES = 10_000
POLICY_BYTES = 7_000


class Cost(NamedTuple):
    """One line of the sum: `runs` per day, each of `run_bytes`."""

    name: str
    run_bytes: int
    runs: int

    @property
    def day_bytes(self) -> int:
        return self.run_bytes * self.runs


def day(
    policy: Policy, metered: bool, services: int = 0, names: int = 0, ip: int = 4
) -> list[Cost]:
    """Returns the lines of a day of 24 hours under `policy`: what a run costs and how
    many there are. `services` and `names` are how many there are if the policy has
    none; `ip` is the version of the Internet Protocol, 4 or 6."""
    conditions = RunConditions(
        policy=policy,
        metered=metered,
        services=len(policy.services) or services,
        names=len(policy.names) or names,
        header_bytes=_HEADERS_BYTES[ip],
    )
    lines = []
    for probe in PROBES:
        cost_bytes = probe.cost_bytes(conditions)
        cadence_s = probe.cadence_s(policy, metered)
        if cadence_s and cost_bytes:
            lines.append(Cost(probe.name, cost_bytes, DAY_S // cadence_s))
    if policy.hurry and not metered:
        lines += _bursts(replace(conditions, brief=True))
    every_s = policy.report_s * (3 if metered else 1)
    lines.append(Cost("delivery", DELIVERY_BYTES, DAY_S // max(every_s, 1)))
    lines.append(Cost("policy", POLICY_BYTES, DAY_S // max(policy.refresh_s, 1)))
    return lines


def _bursts(conditions: RunConditions) -> list[Cost]:
    """Returns the line of the bursts: as many as there can be. Most days have none."""
    signs = [
        probe.cost_bytes(conditions)
        for probe in PROBES
        if probe.burst == "sign" and probe.cadence_s(conditions.policy, False)
    ]
    if not signs:
        return []
    explaining = sum(
        probe.cost_bytes(conditions) for probe in PROBES if probe.burst == "explains"
    )
    return [
        Cost(
            "bad minutes",
            max(signs) + explaining,
            BURSTS_PER_DAY * len(BURST_ROUNDS_MS),
        )
    ]


def total(lines: list[Cost]) -> int:
    """The bytes of the whole day."""
    return sum(line.day_bytes for line in lines)


def cost_lines(lines: list[Cost]) -> list[str]:
    """The lines and their sum as text."""
    rows = [
        f"  {capitalised(probe_title(line.name)):<14} {line.run_bytes / 1e3:>8.1f} kB"
        f" x {line.runs:>4} = {line.day_bytes / 1e6:>5.1f} MB"
        for line in lines
    ]
    return [*rows, f"  {'In 24 hours':<33}{total(lines) / 1e6:>5.1f} MB"]
