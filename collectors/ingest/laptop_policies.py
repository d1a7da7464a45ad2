"""`LaptopPolicies`: the policy of each laptop, and its version.

The version is a hash of everything that changes what a laptop does. It goes with every
receipt, so that an agent knows at once that there is a new policy or stop order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from collectors.estate.estate_model import Estate
from collectors.ingest.ingest_config import IngestConfig, PolicyConfig
from collectors.ingest.policies import agent_policy
from collectors.ingest.registry_records import EnrolledAgent
from collectors.ingest.stop_order_file import ServedOrders
from collectors.reflector.reflector_access import NO_ACCESS, ReflectorAccess
from probes.wire.clock import WallClock
from probes.wire.policy import Incident, Policy, SpeedTestFreeze
from probes.wire.stop_order import StopOrder, stops_everything

# More than laptops have sites, rings and teams together. What ended orders have left
# goes then too.
_MOST_KEPT = 10_000
# Returns the times without speed tests, by the time now.
Freezes = Callable[[int], tuple[SpeedTestFreeze, ...]]


def no_freezes(_now_ms: int) -> tuple[SpeedTestFreeze, ...]:
    return ()


class _Placing(NamedTuple):
    """What of a laptop its policy depends on."""

    home_site: str = ""
    ring: str = ""
    team: str = ""


class LaptopPolicies:
    """`estate` returns the current estate, `policy` what laptops are to measure, if
    that is not in the settings. `sender` is None for anonymous agents."""

    def __init__(
        self,
        config: IngestConfig,
        estate: Callable[[], Estate],
        now_ms: WallClock,
        freezes: Freezes = no_freezes,
        policy: Callable[[], PolicyConfig] | None = None,
    ) -> None:
        self._estate, self._now_ms = estate, now_ms
        self._policy = policy or (lambda: config.policy)
        self._orders = ServedOrders(
            config.registry.stop_orders, lambda: self._policy().stop_key
        )
        self._freezes = freezes
        self._of: tuple[Estate, PolicyConfig] | None = None
        self._of_freezes: tuple[SpeedTestFreeze, ...] = ()
        self._versions: dict[tuple[_Placing, tuple[str, ...]], str] = {}

    def policy(
        self,
        sender: EnrolledAgent | None,
        incidents: Sequence[Incident] = (),
        granted: ReflectorAccess = NO_ACCESS,
    ) -> Policy:
        placing, config = _placing(sender), self._policy()
        policy = agent_policy(
            self._estate(),
            config.for_ring(placing.ring),
            placing.home_site,
            incidents,
            granted,
            self._freezes(self._now_ms()),
            placing.team,
        )
        return msgspec.structs.replace(
            policy,
            ring=placing.ring,
            stop_key=config.stop_key,
            orders=self._orders.lines(placing.ring, self._now_ms()),
            version=self.version(sender),
        )

    def version(self, sender: EnrolledAgent | None) -> str:
        """A short text that is the same as long as the laptop's plan is."""
        placing = _placing(sender)
        orders = self._orders.lines(placing.ring, self._now_ms())
        estate, freezes = self._estate(), self._freezes(self._now_ms())
        config, of = self._policy(), self._of
        is_same = of is not None and of[0] is estate and of[1] is config
        if not is_same or self._of_freezes != freezes:
            self._of, self._versions = (estate, config), {}
            self._of_freezes = freezes
        known = self._versions.get((placing, orders))
        if known is None:
            ring = config.for_ring(placing.ring)
            home_site, team = placing.home_site, placing.team
            plan = agent_policy(estate, ring, home_site, team=team).plan()
            body = msgspec.json.encode(
                (plan, placing.ring, config.stop_key, orders, freezes)
            )
            known = hashlib.sha256(body).hexdigest()[:12]
            if len(self._versions) >= _MOST_KEPT:
                self._versions.clear()
            self._versions[placing, orders] = known
        return known

    def is_stopped(self, sender: EnrolledAgent) -> bool:
        """Whether an order stops everything that this laptop measures."""
        return stops_everything(self.stops(sender.ring))

    def stops(self, ring: str | None) -> list[StopOrder]:
        """The stops in force for a laptop of `ring`, or of any."""
        return self._orders.stops(ring, self._now_ms())


def _placing(sender: EnrolledAgent | None) -> _Placing:
    if sender is None:
        return _Placing()
    return _Placing(sender.home_site, sender.ring, sender.team)
