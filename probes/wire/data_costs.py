"""How much data the agent uses in a day, from cadences and sizes. Pure.

The size of a run is counted, with IP and UDP headers, or measured
(`benchmarks/agent_cost.py`). Speed tests are left out: they have their own monthly
limit.
"""

from __future__ import annotations

from typing import NamedTuple

from msgspec.structs import replace

from probes.wire.policy import BURST_ROUNDS_MS, BURSTS_PER_DAY, Policy, TeamsRelay
from probes.wire.probe import Probe, RunConditions
from probes.wire.probe_list import PROBES

DAY_S = 86_400
_HEADERS_BYTES = {4: 28, 6: 48}
BAD_MINUTES, DELIVERY, POLICY, PLACE = "bad minutes", "delivery", "policy", "place"
# One delivery of results, and one policy.
DELIVERY_BYTES = 10_000
POLICY_BYTES = 7_000
# One request to the council's beacon, and how often the place is checked again while
# the network stays the same.
PLACE_BYTES = 6_000
PLACE_EVERY_S = 1800
TYPICAL_SERVICES, TYPICAL_NAMES = 5, 3


class Cost(NamedTuple):
    """One line of the sum: `runs` per day, each of `run_bytes`."""

    name: str
    run_bytes: int
    runs: int

    @property
    def day_bytes(self) -> int:
        return self.run_bytes * self.runs


def round_bytes(probe: Probe, policy: Policy, metered: bool, brief: bool) -> int:
    """What a round of `probe` usually costs, with the longer headers (IPv6)."""
    conditions = _conditions(policy, metered, 0, 0, ip=6)
    return probe.cost_bytes(replace(conditions, brief=brief))


def _conditions(
    policy: Policy, metered: bool, services: int, names: int, ip: int
) -> RunConditions:
    return RunConditions(
        policy=policy,
        metered=metered,
        services=len(policy.services) or services,
        names=len(policy.names) or names,
        header_bytes=_HEADERS_BYTES[ip],
    )


def day(
    policy: Policy, metered: bool, services: int = 0, names: int = 0, ip: int = 4
) -> list[Cost]:
    """Returns the lines of a day of 24 hours under `policy`: what a run costs and how
    many there are. `services` and `names` are how many there are if the policy has
    none; `ip` is the version of the Internet Protocol, 4 or 6."""
    conditions = _conditions(policy, metered, services, names, ip)
    lines = []
    for probe in PROBES:
        cost_bytes = probe.cost_bytes(conditions)
        cadence_s = probe.cadence_s(policy, metered)
        if cadence_s and cost_bytes:
            lines.append(Cost(probe.name, cost_bytes, DAY_S // cadence_s))
    if policy.hurry and not metered:
        lines += _bursts(replace(conditions, brief=True))
    every_s = policy.report_every_s(metered)
    if policy.beacon_url:
        lines.append(Cost(PLACE, PLACE_BYTES, DAY_S // PLACE_EVERY_S))
    lines.append(Cost(DELIVERY, DELIVERY_BYTES, DAY_S // max(every_s, 1)))
    lines.append(Cost(POLICY, POLICY_BYTES, DAY_S // max(policy.refresh_s, 1)))
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
            BAD_MINUTES,
            max(signs) + explaining,
            BURSTS_PER_DAY * len(BURST_ROUNDS_MS),
        )
    ]


def typical_day(metered: bool, ip: int = 4) -> list[Cost]:
    """The day of a council that asks for a little of everything."""
    policy = Policy(
        teams_relay=TeamsRelay(host="relay"), beacon_url="https://beacon.example/"
    )
    return day(policy, metered, TYPICAL_SERVICES, TYPICAL_NAMES, ip)


def regular_bytes(lines: list[Cost]) -> int:
    """The bytes of the day without extra rounds."""
    return sum(line.day_bytes for line in lines if line.name != BAD_MINUTES)


def sending_bytes(lines: list[Cost]) -> int:
    """The bytes of the day that no probe uses."""
    others = {DELIVERY, POLICY, PLACE}
    return sum(line.day_bytes for line in lines if line.name in others)


def total(lines: list[Cost]) -> int:
    """The bytes of the whole day."""
    return sum(line.day_bytes for line in lines)
