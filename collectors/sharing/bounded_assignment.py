"""Which poller polls which device: rendezvous hashing with bounded loads.

Every poller computes it by itself and gets the same answer. A device goes to the poller
that it prefers most among those with room: those near its site first, then in the order
of a hash of both names. A poller has room for its part of all polls and a little more
(`slack`), so few devices move when a poller joins or leaves.
"""

from __future__ import annotations

from collections.abc import Collection
from hashlib import blake2b
from typing import Protocol

import msgspec

# A poller has at most so much more than its part.
SLACK = 0.1


class SharingPoller(Protocol):
    """A poller, and the sites it is near to."""

    @property
    def name(self) -> str: ...
    @property
    def near(self) -> Collection[str]: ...


class SharedDevice(msgspec.Struct, frozen=True):
    """A device to share; `cost` is that of its poll beside others."""

    id: str
    site: str
    cost: float = 1.0


def assign(
    devices: Collection[SharedDevice],
    pollers: Collection[SharingPoller],
    slack: float = SLACK,
) -> dict[str, str]:
    """Device → the name of its poller; empty without pollers. Pure.

    Names are unique. No poller gets more than `most_cost`.
    """
    if not pollers:
        return {}
    names = sorted(poller.name for poller in pollers)
    near: dict[str, set[str]] = {}
    for poller in pollers:
        for site in poller.near:
            near.setdefault(site, set()).add(poller.name)
    most = most_cost(devices, len(names), slack)
    load = dict.fromkeys(names, 0.0)
    holders: dict[str, str] = {}
    # Devices near a poller come first, before it is full of others.
    for device in sorted(
        devices, key=lambda device: (device.site not in near, _hash(device.id, ""))
    ):
        preferred = near.get(device.site, ())
        for name in sorted(
            names,
            key=lambda name: (name not in preferred, _hash(device.id, name)),
        ):
            if load[name] + device.cost <= most:
                break
        load[name] += device.cost
        holders[device.id] = name
    return holders


def most_cost(
    devices: Collection[SharedDevice], pollers: int, slack: float = SLACK
) -> float:
    """The most that one of so many pollers gets. Pure.

    The least loaded poller has room for any device, for it has at most the mean.
    """
    costs = [device.cost for device in devices]
    mean = sum(costs) / pollers
    # Sums of fractions differ in their last digit.
    return (mean + max(slack * mean, max(costs, default=0.0))) * (1 + 1e-9)


def _hash(device: str, poller: str) -> bytes:
    return blake2b(f"{device}\0{poller}".encode(), digest_size=8).digest()
