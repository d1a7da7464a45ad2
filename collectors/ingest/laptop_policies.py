"""`LaptopPolicies`: the policy of each laptop, and its version.

The version is a hash of everything that changes what a laptop does. It goes with every
receipt, so that an agent knows at once that there is a new policy or stop order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import msgspec

from collectors.estate.estate_model import Estate
from collectors.ingest.ingest_config import IngestConfig
from collectors.ingest.policies import agent_policy
from collectors.ingest.registry_records import EnrolledAgent
from collectors.ingest.stop_order_file import ServedOrders
from collectors.reflector.reflector_access import NO_ACCESS, ReflectorAccess
from probes.wire.clock import WallClock
from probes.wire.policy import Incident, Policy, SpeedTestFreeze
from probes.wire.stop_order import StopOrder, stops_everything

# More than sites times rings. What ended orders have left goes then too.
_MOST_KEPT = 10_000
# Returns the times without speed tests, by the time now.
Freezes = Callable[[int], tuple[SpeedTestFreeze, ...]]


def no_freezes(_now_ms: int) -> tuple[SpeedTestFreeze, ...]:
    return ()


class LaptopPolicies:
    """`estate` returns the current estate. `sender` is None for anonymous agents."""

    def __init__(
        self,
        config: IngestConfig,
        estate: Callable[[], Estate],
        now_ms: WallClock,
        freezes: Freezes = no_freezes,
    ) -> None:
        self._estate, self._config, self._now_ms = estate, config.policy, now_ms
        self._orders = ServedOrders(config.registry.stop_orders, config.policy.stop_key)
        self._freezes = freezes
        self._of: Estate | None = None
        self._of_freezes: tuple[SpeedTestFreeze, ...] = ()
        self._versions: dict[tuple[str, str, tuple[str, ...]], str] = {}

    def policy(
        self,
        sender: EnrolledAgent | None,
        incidents: Sequence[Incident] = (),
        granted: ReflectorAccess = NO_ACCESS,
    ) -> Policy:
        home_site, ring = _place(sender)
        policy = agent_policy(
            self._estate(),
            self._config.for_ring(ring),
            home_site,
            incidents,
            granted,
            self._freezes(self._now_ms()),
        )
        return msgspec.structs.replace(
            policy,
            ring=ring,
            stop_key=self._config.stop_key,
            orders=self._orders.lines(ring, self._now_ms()),
            version=self.version(sender),
        )

    def version(self, sender: EnrolledAgent | None) -> str:
        """A short text that is the same as long as the laptop's plan is."""
        home_site, ring = _place(sender)
        orders = self._orders.lines(ring, self._now_ms())
        estate, freezes = self._estate(), self._freezes(self._now_ms())
        if self._of is not estate or self._of_freezes != freezes:
            self._of, self._of_freezes, self._versions = estate, freezes, {}
        known = self._versions.get((home_site, ring, orders))
        if known is None:
            plan = agent_policy(estate, self._config.for_ring(ring), home_site).plan()
            body = msgspec.json.encode(
                (plan, ring, self._config.stop_key, orders, freezes)
            )
            known = hashlib.sha256(body).hexdigest()[:12]
            if len(self._versions) >= _MOST_KEPT:
                self._versions.clear()
            self._versions[home_site, ring, orders] = known
        return known

    def is_stopped(self, sender: EnrolledAgent) -> bool:
        """Whether an order stops everything that this laptop measures."""
        return stops_everything(self.stops(sender.ring))

    def stops(self, ring: str | None) -> list[StopOrder]:
        """The stops in force for a laptop of `ring`, or of any."""
        return self._orders.stops(ring, self._now_ms())


def _place(sender: EnrolledAgent | None) -> tuple[str, str]:
    return ("", "") if sender is None else (sender.home_site, sender.ring)
