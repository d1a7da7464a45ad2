"""What the agent costs the connection in a day: from cadence and size. Pure.

The figures a run costs are counted (IP and UDP headers included) or measured
(`benchmarks/agent.py`); speed tests have a monthly limit of their own.
"""

from __future__ import annotations

from typing import NamedTuple

from probes.measure import call_path
from probes.wire.measurements import CATALOGUE
from probes.wire.policy import BURST_ROUNDS_MS, BURSTS_PER_DAY, Policy

DAY_S = 86_400
_HEADERS_BYTES = {4: 28, 6: 48}
# One HTTPS request that begins with a handshake; one delivery of what was measured.
WEB_BYTES = 6_000
VPN_BYTES = 6_000
DELIVERY_BYTES = 10_000
POLICY_BYTES = 7_000


class Cost(NamedTuple):
    """One line of the sum: `runs` a day of `each_bytes`."""

    what: str
    each_bytes: int
    runs: int

    @property
    def day_bytes(self) -> int:
        return self.each_bytes * self.runs


def day(
    policy: Policy, metered: bool, services: int = 0, names: int = 0, ip: int = 4
) -> list[Cost]:
    """A day of 24 hours under `policy`, by line: what a run costs and how many there
    are. `services` and `names` are how many the policy has where it has none itself;
    `ip` is the version of the Internet Protocol, 4 or 6."""
    packet = call_path.VOICE_BYTES + _HEADERS_BYTES[ip]
    services = len(policy.services) or services
    each = {
        "call_path": call_path.PACKETS * 2 * packet,
        # 20 hops looked at, 15 rounds of two to five stations: seldom more than this.
        "path": 15_000,
        "teams_relay": policy.teams_relay.packets * 2 * (20 + 12 + _HEADERS_BYTES[ip]),
        # Compared with the direct way at every third result, its MTU four times a day.
        "vpn": 0 if metered else VPN_BYTES // 3,
        "web": WEB_BYTES * services,
        "name_lookup": 200 * (len(policy.names) or names),
    }
    lines = []
    for probe, cost in each.items():
        period_s = CATALOGUE.measurement(probe).period_s
        cadence_s = policy.cadence(probe, period_s, metered)
        if cadence_s and cost:
            lines.append(Cost(probe, cost, DAY_S // cadence_s))
    if policy.hurry and not metered and policy.cadence("call_path", 1, False):
        # Three bursts of three rounds are the most; most days have none.
        short = call_path.SHORT_PACKETS * 2 * packet + each["path"] + each["vpn"]
        lines.append(
            Cost(
                "bad minutes",
                short,
                BURSTS_PER_DAY * len(BURST_ROUNDS_MS),
            )
        )
    every_s = policy.report_s * (3 if metered else 1)
    lines.append(Cost("delivery", DELIVERY_BYTES, DAY_S // max(every_s, 1)))
    lines.append(Cost("policy", POLICY_BYTES, DAY_S // max(policy.refresh_s, 1)))
    return lines


def total(lines: list[Cost]) -> int:
    """Bytes of the whole day."""
    return sum(each.day_bytes for each in lines)


def shown(lines: list[Cost]) -> list[str]:
    """The sum, line by line, for a person."""
    rows = [
        f"  {each.what:<12} {each.each_bytes / 1e3:>8.1f} kB x {each.runs:>4} ="
        f" {each.day_bytes / 1e6:>5.1f} MB"
        for each in lines
    ]
    return [*rows, f"  {'in 24 hours':<31}{total(lines) / 1e6:>5.1f} MB"]
