"""Two machines alert over three nats-servers while one thing after another fails.

Run by `test_standby_faults` where each server and each machine has a namespace: FOLDER.
The pager can always be reached. Prints for each fault which machine sent the page, how
long after the fault, and in the end what came twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from namespace_cuts import cut
from nats_servers import HOSTS, NatsCluster
from river import Running
from test_alerts_standby import HoldingDesk, running_desk, write_machine
from waiting import until

from collectors.batch import batch_samples
from collectors.journal import Append, JournalConfig
from collectors.nats.nats_config import NatsConfig
from collectors.nats.nats_connection import NatsConnection
from probes.wire.clock import wall_ms
from probes.wire.sample import Sample
from towpath.journal_kind import JournalKind

MACHINES = {"ma": "10.9.0.11", "mb": "10.9.0.12"}
PAGER = "10.9.0.254"
# As it is if nobody sets it.
LEASE_S, GROUP_S = 8.0, 1.0
DEVICES = [f"core-{n}" for n in range(1, 13)]


class Council:
    """`active` evaluates; `down` are the devices that do not answer."""

    def __init__(
        self, folder: Path, cluster: NatsCluster, desk: HoldingDesk, journal: Append
    ) -> None:
        self.cluster, self.desk, self._journal = cluster, desk, journal
        self.down: set[str] = set()
        self._next = iter(DEVICES)
        nats = f"servers = {list(cluster.urls)}\nreplicas = 3".replace("'", '"')
        self.machines = {
            name: Running(
                write_machine(folder, name, nats, desk.url, LEASE_S, GROUP_S, DEVICES),
                "alert",
                before=["ip", "netns", "exec", name],
            )
            for name in MACHINES
        }
        self.active, self.other = MACHINES

    async def poll(self) -> None:
        while True:
            now_ms = wall_ms()
            samples = [
                Sample(
                    "device",
                    {"device": device, "site": f"at-{device}", "role": "router"},
                    {"up": int(device not in self.down), "outcome": "timeout"},
                    now_ms,
                )
                for device in DEVICES
            ]
            with contextlib.suppress(OSError):
                await self._journal.append(*batch_samples(samples, "poll", now_ms))
            await asyncio.sleep(1)

    def fail_device(self) -> str:
        device = next(self._next)
        self.down.add(device)
        return device

    def running(self, name: str) -> Running:
        return self.machines[name]

    async def paged(self, device: str, fault: str, begun_s: float) -> None:
        def pages() -> list[tuple[str, str, str, str, float]]:
            return [m for m in self.desk.log if m[:2] == ("page", device)]

        await until(pages, f"{fault}: the page of {device}", 90)
        _, _, _, sender, at_s = pages()[0]
        who = next(name for name, host in MACHINES.items() if host == sender)
        print(f"{fault}: page from {who} after {at_s - begun_s:.1f} s", flush=True)
        if who == self.other and fault == "leader killed":
            # The lease had to be renewed just then.
            self.active, self.other = self.other, self.active

    async def taken_over(self, before: int, begun_s: float) -> None:
        other = self.running(self.other)
        await until(
            lambda: other.count("alerts_active") > before, "a take-over", 90, 0.05
        )
        print(f"  {self.other} active after {time.monotonic() - begun_s:.1f} s")
        self.active, self.other = self.other, self.active

    def active_count(self) -> int:
        return self.running(self.other).count("alerts_active")


async def kill_leader(council: Council, connection: NatsConnection) -> None:
    """The server that leads the stream of alerts is killed."""
    info = await connection.jetstream.stream_info("towpath_alerts")
    assert info.cluster is not None
    assert info.cluster.leader
    server = council.cluster.named(info.cluster.leader)
    server.kill()
    begun_s = time.monotonic()
    await council.paged(council.fail_device(), "leader killed", begun_s)
    server.launch()
    # Version 2.9 may call a consumer not current for minutes.
    page = "healthz?js-server-only=true"
    await until(
        lambda: all(
            each.monitored(page).get("status") == "ok"
            for each in council.cluster.servers
        ),
        "a cluster",
        90,
        0.5,
    )


async def cut_off(council: Council, way: str) -> None:
    """The active machine reaches no server, or hears of none; the pager it reaches."""
    begun_s, before = time.monotonic(), council.active_count()
    cut(council.active, list(HOSTS.values()), way)
    device = council.fail_device()
    was = council.active
    await council.taken_over(before, begun_s)
    await council.paged(device, f"cut off ({way})", begun_s)
    late = [m for m in council.desk.log if m[3] == MACHINES[was] and m[4] > begun_s]
    print(f"  sent by the one cut off: {late}")
    cut(was, ())


async def killed(council: Council, when: str) -> None:
    """The active machine is killed at a moment of a delivery."""
    desk, before = council.desk, council.active_count()
    if when == "on its way":
        desk.holds = True
        device = council.fail_device()
        await until(lambda: desk.held, "a message on its way", 60)
    elif when == "before its note":
        desk.is_silent = True
        device = council.fail_device()
        await until(
            lambda: any(m[1] == device for m in desk.log), "a message that arrived", 60
        )
    else:
        # It has decided, and groups.
        device = await decided(council)
    begun_s, was = time.monotonic(), council.running(council.active)
    was.kill()
    desk.holds = desk.is_silent = False
    desk.held = 0
    await council.taken_over(before, begun_s)
    await council.paged(device, f"killed ({when})", begun_s)
    await asyncio.to_thread(was.start)


async def decided(council: Council) -> str:
    """A device of which the active machine has decided to page."""
    active = council.running(council.active)
    count, device = active.count("alert_paged"), council.fail_device()
    await until(lambda: active.count("alert_paged") > count, "a decision", 60, 0.01)
    return device


async def frozen(council: Council) -> None:
    """The active machine sleeps with a message that it has not sent."""
    desk, before, was = council.desk, council.active_count(), council.active
    stopped = council.running(was).count("alerts_standing_by")
    device = await decided(council)
    begun_s = time.monotonic()
    council.running(was).signal(signal.SIGSTOP)
    await council.taken_over(before, begun_s)
    await council.paged(device, "frozen", begun_s)
    await asyncio.sleep(LEASE_S)
    woken_s = time.monotonic()
    council.running(was).signal(signal.SIGCONT)
    await until(
        lambda: council.running(was).count("alerts_standing_by") > stopped,
        "the one that slept",
    )
    await asyncio.sleep(5)
    late = [m for m in desk.log if m[3] == MACHINES[was] and m[4] > woken_s]
    print(f"  sent after it woke: {late}")


def _make_namespaces() -> None:
    for number, (name, address) in enumerate(MACHINES.items()):
        for command in (
            f"netns add {name}",
            f"link add w{number} type veth peer name e0 netns {name}",
            f"link set w{number} master br0 up",
            f"-n {name} addr add {address}/24 dev e0",
            f"-n {name} link set e0 up",
            f"-n {name} link set lo up",
        ):
            subprocess.run(["ip", *command.split()], check=True)


async def main(folder: Path) -> None:
    _make_namespaces()
    cluster = NatsCluster(folder / "cluster", namespaces=True)
    nats = NatsConfig(servers=cluster.urls, replicas=3)
    config = JournalConfig(folder=folder / "journal", kind="nats")
    council = None
    with running_desk(PAGER) as desk:
        try:
            await asyncio.to_thread(cluster.start)
            async with (
                NatsConnection(nats, "faults") as connection,
                JournalKind(config, nats, "poll").opened() as journal,
            ):
                council = Council(folder, cluster, desk, journal)
                first, second = council.machines.values()
                polls = asyncio.create_task(council.poll())
                await asyncio.to_thread(first.start)
                await until(lambda: first.count("alerts_active"), "the first", 60)
                await asyncio.to_thread(second.start)
                await asyncio.sleep(5)
                await kill_leader(council, connection)
                for when in ("decided", "on its way", "before its note"):
                    await killed(council, when)
                    await asyncio.sleep(5)
                for way in ("both", "in", "out"):
                    await cut_off(council, way)
                    await asyncio.sleep(10)
                await frozen(council)
                council.down.clear()
                await until(
                    lambda: (
                        len({m[1] for m in desk.log if m[0] == "resolution"})
                        == len({m[1] for m in desk.log if m[0] == "page"})
                    ),
                    "all ends",
                    60,
                )
                await asyncio.sleep(3)
                polls.cancel()
        finally:
            if council is not None:
                for machine in council.machines.values():
                    machine.kill()
            cluster.stop()
    ids = {m[:2]: set() for m in desk.log}  # type: ignore[var-annotated]
    for kind, device, id, *_ in desk.log:
        ids[kind, device].add(id)
    twice = [key for key, n in Counter(m[:2] for m in desk.log).items() if n > 1]
    under = {key: len(ids[key]) for key in twice}
    print(f"{len(ids)} messages, twice (ids): {under}")


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True)
    asyncio.run(main(folder))
