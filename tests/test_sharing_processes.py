"""Three `towpath run --role poll` share an estate over NATS; the devices record who
asks them, and when."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
from nats_servers import NatsServer, running_nats
from river import Running
from waiting import until

from towpath.demo import snmp_messages
from towpath.demo.simulated_switches import SimulatedSwitch

DEVICES, PERIOD_S, LEASE_S = 12, 1.0, 2.5
NAMES = ("a", "b", "c")


class Recorder(SimulatedSwitch):
    """A switch that answers every poller, and records the requests. Each poller has a
    community of its own."""

    def __init__(self, name: str) -> None:
        super().__init__(name, 2)
        self.seen: list[tuple[float, str]] = []

    def answer(self, data: bytes) -> list[bytes]:
        with contextlib.suppress(snmp_messages.Malformed):
            self._community = snmp_messages.decode(data).community
            self.seen.append((time.monotonic(), self._community.decode()))
        return super().answer(data)

    def pollers(self, since_s: float = 0.0) -> list[str]:
        """Who asked, in order, each once for all the requests that came together."""
        runs: list[str] = []
        for seen_s, poller in self.seen:
            if seen_s >= since_s and runs[-1:] != [poller]:
                runs.append(poller)
        return runs


class PollerFolder(msgspec.Struct):
    folder: Path
    settings: Path


def _poller(folder: Path, name: str, server: NatsServer) -> Running:
    own = folder / name
    own.mkdir()
    secrets = own / "snmp.toml"
    secrets.write_text(f'[default]\ncommunity = "{name}"\n')
    secrets.chmod(0o600)
    settings = own / "towpath.toml"
    settings.write_text(
        f'estate = "{folder / "estate.toml"}"\n'
        f'[journal]\nkind = "nats"\n[nats]\nservers = ["{server.url}"]\n'
        f'[snmp]\nshare = true\npoller = "{name}"\nlease_s = {LEASE_S}\n'
        f'period_s = {PERIOD_S}\nping_s = 0\ncredentials_file = "snmp.toml"\n'
        "[traps]\nenabled = false\n[metrics]\nport = 0\n"
    )
    return Running(PollerFolder(own, settings), "poll")  # type: ignore[arg-type]


@contextlib.asynccontextmanager
async def _switches(folder: Path) -> AsyncIterator[list[Recorder]]:
    async with contextlib.AsyncExitStack() as stack:
        switches = [
            await stack.enter_async_context(Recorder(f"switch-{n}"))
            for n in range(DEVICES)
        ]
        lines = ['[[sites]]\nid = "town-hall"\nname = "Town hall"\n']
        for switch in switches:
            lines.append(
                f'[[devices]]\nid = "{switch.name}"\nsite = "town-hall"\n'
                f'address = "{switch.address}"\nport = {switch.port_number}\n'
            )
        (folder / "estate.toml").write_text("".join(lines))
        yield switches


@contextlib.contextmanager
def _running(pollers: list[Running]) -> Iterator[None]:
    try:
        for poller in pollers:
            poller.launch()
        yield
    finally:
        for poller in pollers:
            poller.kill()


def _holders(switches: list[Recorder], since_s: float) -> dict[str, set[str]]:
    """Who asked which devices since then."""
    holders = defaultdict(set)
    for switch in switches:
        for poller in switch.pollers(since_s):
            holders[poller].add(switch.name)
    return holders


def _are_all_polled(switches: list[Recorder], by: str) -> bool:
    """True if in the last period each device was polled by one of these pollers."""
    since_s = time.monotonic() - 1.5 * PERIOD_S
    holders = [switch.pollers(since_s) for switch in switches]
    return all(runs and set(runs) <= set(by) for runs in holders)


async def test_each_device_has_one_poller_also_when_one_is_killed_and_one_stalls(
    tmp_path: Path,
) -> None:
    with running_nats(tmp_path / "nats") as server:
        async with _switches(tmp_path) as switches:
            a, b, c = pollers = [_poller(tmp_path, name, server) for name in NAMES]
            with _running(pollers):
                await until(
                    lambda: len(_holders(switches, time.monotonic() - PERIOD_S)) == 3,
                    "three pollers at work",
                )
                streams = json.dumps(server.monitored("jsz?streams=1"))
                # Each has a log of its own in the journal that the other roles read.
                assert all(f"towpath-poll+{name}" in streams for name in NAMES)
                b.signal(signal.SIGKILL)
                await until(
                    lambda: _are_all_polled(switches, "ac"),
                    "all devices polled by the two",
                )
                # It sleeps longer than its lease and wakes up in the middle of it all.
                c.signal(signal.SIGSTOP)
                await until(
                    lambda: _are_all_polled(switches, "a"),
                    "all devices polled by the last",
                )
                c.signal(signal.SIGCONT)
                woken_s = time.monotonic()
                await until(
                    lambda: "c" in _holders(switches, woken_s), "the one that slept"
                )
                await asyncio.sleep(PERIOD_S)
                await until(lambda: _are_all_polled(switches, "ac"), "all polled again")
            assert c.count("lease_lost")
            # Two at once would ask in turn. On a machine that is too busy to renew a
            # lease, devices change hands more often.
            if a.count("lease_lost") + b.count("lease_lost") == 0:
                for switch in switches:
                    assert len(switch.pollers()) <= 6, switch.pollers()
                    assert switch.pollers(woken_s) in (["a"], ["c"], ["a", "c"])
