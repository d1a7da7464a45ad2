"""Three pollers that share simulated switches over three nats-servers, in one process.

Run by `test_sharing_faults`: FOLDER FAULT, with FAULT `kill` or `cut`. Prints how long
after each fault, and after its end, all devices had been polled again; and how many
polls there were, and how many of them at the same time as another of their device.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from namespace_cuts import cut
from nats_servers import HOSTS, NatsCluster
from polled_switches import PUBLIC, RowSink, device, estate
from waiting import until

from collectors.batch import Batch
from collectors.estate import Estate
from collectors.nats.nats_config import NatsConfig
from collectors.nats.nats_connection import NatsConnection
from collectors.sharing.learnt_bucket import LearntBucket
from collectors.sharing.share_thread import ShareThread
from collectors.snmp import Poller, SnmpConfig
from collectors.snmp.polling.poll_schedule import PollTarget
from towpath.demo.simulated_switches import SimulatedSwitch

DEVICES, PERIOD_S, LEASE_S = 24, 1.0, 6.0
# All devices must have been polled again so long after the end of a fault.
HEALED_S = 30.0
# And during a fault, so long after its begin.
MEANWHILE_S = 60.0


class PollTimes:
    """When each device was polled, and by which poller; cancelled polls too."""

    def __init__(self) -> None:
        self.polls: dict[str, list[tuple[float, float, str]]] = {}

    def record(self, name: str, poller: Poller) -> None:
        run = poller._runner.run

        async def run_timed(target: PollTarget, *rest: Any) -> list[Batch]:
            begin_s = time.monotonic()
            try:
                return await run(target, *rest)
            finally:
                poll = (begin_s, time.monotonic(), name)
                self.polls.setdefault(target.device.id, []).append(poll)

        poller._runner.run = run_timed  # type: ignore[method-assign]

    def are_all_polled(self, since_s: float) -> bool:
        last = [polls[-1][0] for polls in self.polls.values()]
        return len(last) == DEVICES and min(last) > since_s

    def overlaps(self) -> list[str]:
        """Two polls of a device that ran at the same time."""
        return [
            f"{device}: {before[2]} from {before[0]:.3f} to {before[1]:.3f}, "
            f"{after[2]} from {after[0]:.3f} to {after[1]:.3f}"
            for device, polls in self.polls.items()
            for before, after in itertools.pairwise(sorted(polls))
            if after[0] < before[1]
        ]


@contextlib.asynccontextmanager
async def poller(
    name: str, urls: tuple[str, ...], known: Estate, times: PollTimes
) -> AsyncIterator[ShareThread]:
    nats = NatsConfig(servers=urls, replicas=3)
    config = SnmpConfig(period_s=PERIOD_S, ping_s=0, timeout_s=0.5)
    share = ShareThread(nats, name, (), LEASE_S)
    async with NatsConnection(nats, name) as connection, share:
        learnt = LearntBucket(connection)
        async with Poller(
            config, lambda: known, PUBLIC, RowSink(), share=share, learnt=learnt
        ) as polling:
            times.record(name, polling)
            yield share


async def fault(cluster: NatsCluster, kind: str, name: str, times: PollTimes) -> None:
    server = cluster.named(name)
    others = [at for other, at in HOSTS.items() if other != name]
    if kind == "kill":
        server.kill()
    else:
        cut(name, others)
    # By then a lease has ended if it was not renewed. Leaders may be elected first.
    await asyncio.sleep(LEASE_S)
    begun_s = time.monotonic()
    meanwhile = "not"
    while time.monotonic() < begun_s + MEANWHILE_S:
        if times.are_all_polled(begun_s):
            meanwhile = f"after {LEASE_S + time.monotonic() - begun_s:.1f} s"
            break
        await asyncio.sleep(0.1)
    if kind == "kill":
        await asyncio.to_thread(server.start)
    else:
        cut(name, ())
    healed_s = time.monotonic()
    await until(lambda: times.are_all_polled(healed_s), "polls again", HEALED_S)
    healed_s = time.monotonic() - healed_s
    print(f"{kind} {name}: polled {meanwhile}; after its end {healed_s:.1f} s")
    # Version 2.9 may call a consumer of a watch not current for minutes.
    page = "healthz?js-server-only=true"
    await until(
        lambda: all(s.monitored(page).get("status") == "ok" for s in cluster.servers),
        "a cluster",
        90,
        0.5,
    )


async def main(folder: Path, kind: str) -> None:
    cluster = NatsCluster(folder / "cluster", namespaces=True)
    times = PollTimes()
    try:
        await asyncio.to_thread(cluster.start)
        async with contextlib.AsyncExitStack() as stack:
            switches = [
                await stack.enter_async_context(SimulatedSwitch(f"switch-{n}", 2))
                for n in range(DEVICES)
            ]
            known = estate(*(device(switch.name, switch) for switch in switches))
            shares = [
                await stack.enter_async_context(
                    poller(name, cluster.urls, known, times)
                )
                for name in "abc"
            ]
            await until(
                lambda: all(share.pollers == 3 and share.held for share in shares),
                "three pollers",
                60,
            )
            for name in HOSTS:
                await fault(cluster, kind, name, times)
            changes = sum(share.changes for share in shares)
    finally:
        cluster.stop()
    polls = sum(map(len, times.polls.values()))
    overlaps = times.overlaps()
    print(*overlaps, sep="\n")
    print(f"{polls} polls, {len(overlaps)} at once, {changes} changes")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
