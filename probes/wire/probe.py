"""What the council's server and its agents both know of a probe: the type `Probe`.

All probes are listed in `probes/wire/probe_list.py`. What measures is in
`probes/measure`, which the server never imports: a `Probe` names it as text.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from probes.wire.catalogue import Field, Measurement, Tag
from probes.wire.policy import Policy

# What the `target` of a result may name: nothing, a reflector of the estate, a service
# or online check of the policy, a name of the policy, or a media edge of a team.
TargetKind = Literal["none", "reflectors", "services", "names", "media_edges"]

_TAGS = (
    Tag("agent", "pseudonym of the laptop (a keyed hash)", personal=True),
    Tag("site", "office the laptop is in; empty if it is elsewhere", personal=True),
    Tag("home_site", "site its user belongs to"),
    Tag("place", "office, home, elsewhere or unknown", personal=True),
    Tag("connection", "wired, wifi, mobile or unknown"),
    Tag("vpn", "up, down, absent or unknown"),
    Tag("provider", "operator of the network the report came from", personal=True),
    Tag("target", "what was measured: a reflector, or a service's name"),
)
_OUTCOME = (
    Field("outcome", "str", "1", "ok, or the reason from the closed list"),
    Field("ok", "int", "flag", "1 if the outcome is ok"),
    Field("state", "int", "1", "0 failed, 1 nothing there, 2 not measured, 3 ok"),
    Field("cost_bytes", "int", "byte", "network data used, sent and received"),
)


class RunConditions(msgspec.Struct, frozen=True):
    """What the cost of a run depends on. `services` and `names`: how many there are;
    `header_bytes`: of IP and UDP; `brief`: a short round between the regular ones."""

    policy: Policy
    metered: bool
    services: int
    names: int
    header_bytes: int
    brief: bool = False


def no_cost(_conditions: RunConditions) -> int:
    """The cost of a probe that uses no data, or that has a limit of its own."""
    return 0


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """One probe.

    `measurement`: the name, the fields and the default period of its results.
    `title`: its name as a person reads it; `about`: what it looks at, in words for
    people who are not engineers.
    `runner`: `module:Class` of its `probes.measure.probe_runner.ProbeRunner`, imported
    when it first runs: an agent does not carry what it does not run.
    `targets`, `target_names`: what the `target` of its results may name; the server
    keeps any other name as `other`.
    `cost_bytes`: what one run usually sends and receives.
    `metered_factor`: how many times less often it runs on a metered connection, if the
    policy does not set a cadence for it; 0: never.
    `local`: it looks at the laptop itself, so it runs even if this month's data budget
    is spent, and it is part of `towpath-agent selftest`.
    `heavy`: it loads the line. It runs rarely, never on a metered connection, only on
    mains power and while nobody uses the line, and has a monthly budget of its own
    (`speed_test_bytes_per_month`).
    `burst`: `sign` if a change for the worse in its results starts a burst of short
    rounds, `explains` if it then runs with the probe that saw the change.
    `judges_network`: its failures show that the network is at fault, not one target.
    `fresh_s`: how long a result counts for `towpath-agent status`; None: an hour.
    `group_windows`: how many usual windows of groups make one of its own, which is
    longer because it runs less often.
    """

    measurement: Measurement
    title: str
    about: str
    runner: str
    targets: TargetKind = "none"
    target_names: tuple[str, ...] = ()
    cost_bytes: Callable[[RunConditions], int] = no_cost
    metered_factor: int = 1
    local: bool = False
    heavy: bool = False
    burst: Literal["", "sign", "explains"] = ""
    judges_network: bool = False
    fresh_s: int | None = None
    group_windows: int = 1

    @property
    def name(self) -> str:
        return self.measurement.name

    def cadence_s(self, policy: Policy, metered: bool) -> int:
        """Returns the seconds between two runs under `policy`; 0: never."""
        usual_s = policy.cadence_s.get(self.name, self.measurement.period_s)
        if not metered:
            return usual_s
        return policy.metered_cadence_s.get(self.name, usual_s * self.metered_factor)


def agent_measurement(
    name: str, meaning: str, period_s: int, *fields: Field
) -> Measurement:
    """Returns the measurement of a probe, with the tags and fields that all of them
    have. It is about one laptop, so it is personal data, kept for 30 days."""
    return Measurement(
        name=name,
        meaning=meaning,
        tags=_TAGS,
        fields=(*_OUTCOME, *fields),
        period_s=period_s,
        lateness_s=600,
        retention_days=30,
        personal=True,
    )
