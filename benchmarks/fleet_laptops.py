"""Some hundred agents in one process, for `benchmarks.fleet`: `python -m
benchmarks.fleet_laptops ORDERS.json`.

Each is the agent as it is shipped (enrolment, schedule, spool, delivery, policy) with a
folder of its own; only its measurements and its place are made up. What happens is
appended to a file, a JSON line each. SIGUSR1: some laptops are set up anew, as after
their disk was wiped. SIGTERM: all stop.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from collectors.file_limit import raise_file_limit
from probes.agent.agent import Agent
from probes.agent.agent_parts import AgentIdentity, AgentTiming, ServerLink
from probes.agent.clock_changes import clock_error_ms
from probes.agent.enrol import device_id, request_enrolment, save_credential
from probes.agent.place import KnownPlaces, Locator, PlaceVerdict
from probes.agent.probe_budget import ProbeConditions
from probes.agent.probe_round import ProbeRounds, RoundSetup
from probes.agent.publish_https import HttpsPublisher
from probes.agent.publish_mqtt import MqttPublisher
from probes.agent.report_delivery import CredentialRefused, Later, Publisher
from probes.agent.server_connection import ServerConnection
from probes.agent.settings import Mqtt, Settings
from probes.agent.spool import Spool
from probes.agent.spool_rows import SpooledReport
from probes.wire.clock import wall_ms
from probes.wire.failure import Outcome
from probes.wire.policy import Office, Policy
from probes.wire.report import (
    AgentCredential,
    Enrolment,
    Receipt,
    Report,
    Result,
    Whereabouts,
)
from probes.wire.sample import Value

SOFTWARE = "towpath-agent/bench"
MEASURED = "call_path"
_HOME = PlaceVerdict(Whereabouts("home", "", "wifi", "up"), "made up")
_CALL: dict[str, Value] = {
    "rtt_ms": 31.5,
    "jitter_ms": 2.25,
    "loss_ratio": 0.01,
    "mos_estimated": 4.1,
}


class FleetOrders(msgspec.Struct, frozen=True, kw_only=True):
    """Which laptops a process has, and how they reach the server. `blocked`: whose UDP
    is blocked; `over_mqtt`: those that use the broker; `anew`: those that SIGUSR1 sets
    up again. `within_s`: they are installed over this time."""

    folder: str
    events: str
    laptops: list[int]
    server: str
    token: str
    ca_file: str
    within_s: float
    broker_port: int = 0
    blocked: frozenset[int] = frozenset()
    over_mqtt: frozenset[int] = frozenset()
    anew: frozenset[int] = frozenset()
    rings: dict[int, str] = {}


class FleetEvent(msgspec.Struct, frozen=True):
    """`what`: enrolled (`why`: its pseudonym), delivered (`count` call paths, which the
    server has confirmed), failed, refused, or made (`count` call paths, at the
    end)."""

    at_s: float
    laptop: int
    what: str
    count: int = 0
    why: str = ""


class _MadeUpRounds(ProbeRounds):
    """A result of the shape of each probe's."""

    def __init__(self, blocked: bool) -> None:
        super().__init__(RoundSetup(software=SOFTWARE, now_ms=wall_ms))
        self._blocked, self.made = blocked, 0

    async def measure(
        self, name: str, policy: Policy, conditions: ProbeConditions
    ) -> list[Result]:
        now_ms = wall_ms()
        if name != MEASURED:
            return [Result(name, 1, now_ms, Outcome.NOT_CONFIGURED)]
        self.made += 1
        if self._blocked:
            return [Result(name, 1, now_ms, Outcome.UDP_BLOCKED, "hq")]
        return [Result(name, 1, now_ms, Outcome.OK, "hq", _CALL, 90_000)]

    async def glance(self) -> None:
        """Nothing of this machine is looked at."""


class _AtHome(Locator):
    def __init__(self, folder: Path) -> None:
        super().__init__(KnownPlaces(folder, b"bench"))

    def network(self) -> str:
        return "home"

    async def where(
        self, beacon_url: str, offices: Sequence[Office] = ()
    ) -> PlaceVerdict:
        return _HOME


class _Watched:
    """A publisher that records what comes of each request."""

    def __init__(self, publisher: Publisher, fleet: _Fleet, laptop: int) -> None:
        self._publisher, self._fleet, self._laptop = publisher, fleet, laptop

    async def send(self, reports: Sequence[SpooledReport]) -> Receipt:
        try:
            receipt = await self._publisher.send(reports)
        except Later as later:
            self._fleet.tell(self._laptop, "failed", why=str(later))
            raise
        except CredentialRefused as refused:
            self._fleet.tell(self._laptop, "refused", why=str(refused))
            raise
        accepted = set(receipt.accepted)
        bodies = [report.body for report in reports if report.id in accepted]
        self._fleet.tell(self._laptop, "delivered", sum(map(_calls, bodies)))
        return receipt


class _Fleet:
    def __init__(self, orders: FleetOrders) -> None:
        self._orders = orders
        self._events = Path(orders.events).open("ab", buffering=0)  # noqa: SIM115
        self._stop = asyncio.Event()
        self._running: dict[int, asyncio.Task[None]] = {}
        self._stops: dict[int, asyncio.Event] = {}
        self._made: dict[int, int] = {}

    def tell(self, laptop: int, what: str, count: int = 0, why: str = "") -> None:
        event = FleetEvent(time.time(), laptop, what, count, why)
        self._events.write(msgspec.json.encode(event) + b"\n")

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stop.set)
        loop.add_signal_handler(signal.SIGUSR1, self._set_up_anew)
        for laptop in self._orders.laptops:
            self._install(laptop, random.uniform(0, self._orders.within_s))
        await self._stop.wait()
        for stop in self._stops.values():
            stop.set()
        await asyncio.gather(*self._running.values(), return_exceptions=True)
        for laptop, made in self._made.items():
            self.tell(laptop, "made", made)

    def _set_up_anew(self) -> None:
        for laptop in self._orders.anew & set(self._orders.laptops):
            before = self._running[laptop]
            self._running[laptop] = asyncio.create_task(self._wipe(laptop, before))

    async def _wipe(self, laptop: int, before: asyncio.Task[None]) -> None:
        self._stops[laptop].set()
        await asyncio.wait({before})
        shutil.rmtree(self._folder(laptop))
        self._install(laptop, random.uniform(0, 30))
        await self._running[laptop]

    def _install(self, laptop: int, after_s: float) -> None:
        self._stops[laptop] = asyncio.Event()
        self._running[laptop] = asyncio.create_task(self._run_laptop(laptop, after_s))

    def _folder(self, laptop: int) -> Path:
        return Path(self._orders.folder, f"laptop-{laptop}")

    async def _run_laptop(self, laptop: int, after_s: float) -> None:
        orders, stop = self._orders, self._stops[laptop]
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), after_s)
            return
        folder = self._folder(laptop)
        folder.mkdir(parents=True)
        settings = Settings(
            server=orders.server,
            state_folder=str(folder),
            ca_file=orders.ca_file,
            transport="mqtt" if laptop in orders.over_mqtt else "https",
            mqtt=Mqtt("localhost", orders.broker_port or 8883),
        )
        credential = await self._enrol(laptop, folder, stop)
        if credential is not None:
            await self._run_agent(laptop, settings, credential, stop)

    async def _enrol(
        self, laptop: int, folder: Path, stop: asyncio.Event
    ) -> AgentCredential | None:
        orders = self._orders
        while not stop.is_set():
            try:
                async with ServerConnection(
                    orders.server, None, orders.ca_file, SOFTWARE
                ) as connection:
                    credential = await request_enrolment(
                        connection, orders.server, self._wish(laptop, folder)
                    )
                save_credential(folder, credential)
            except Later as later:
                self.tell(laptop, "failed", why=str(later))
                wait_s = random.uniform(30, 120)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), later.after_s or wait_s)
            else:
                self.tell(laptop, "enrolled", why=credential.agent)
                return credential
        return None

    def _wish(self, laptop: int, folder: Path) -> Enrolment:
        # The same computer, whatever is installed on it.
        machine = hashlib.sha256(f"bench {laptop}".encode()).hexdigest()
        ring = self._orders.rings.get(laptop, "")
        return Enrolment(self._orders.token, device_id(folder), machine, ring)

    async def _run_agent(
        self,
        laptop: int,
        settings: Settings,
        credential: AgentCredential,
        stop: asyncio.Event,
    ) -> None:
        rounds = _MadeUpRounds(laptop in self._orders.blocked)
        async with contextlib.AsyncExitStack() as stack:
            connection = await stack.enter_async_context(
                ServerConnection(
                    settings.server, credential, settings.ca_file, SOFTWARE
                )
            )
            spool = stack.enter_context(
                Spool(
                    settings.folder(),
                    settings.spool,
                    wall_ms,
                    clock_error_ms=lambda: clock_error_ms(connection.clock_ahead_s),
                )
            )
            https = HttpsPublisher(connection)
            publisher: Publisher = https
            came_back: Callable[[], bool] | None = None
            if settings.transport == "mqtt":
                mqtt = MqttPublisher(settings, credential)
                publisher = await stack.enter_async_context(mqtt)
                came_back = mqtt.came_back
            agent = Agent(
                AgentIdentity(settings, credential, SOFTWARE),
                spool,
                ServerLink(
                    _Watched(publisher, self, laptop),
                    policies=https,
                    network_bytes=lambda: connection.cost_bytes,
                    clock_ahead_s=lambda: connection.clock_ahead_s,
                    came_back=came_back,
                ),
                timing=AgentTiming(),
                locator=_AtHome(settings.folder()),
                rounds=rounds,
            )
            await agent.run(stop)
        self._made[laptop] = self._made.get(laptop, 0) + rounds.made


def _calls(body: bytes) -> int:
    """How many results of a report are call paths."""
    report = msgspec.json.decode(body, type=Report)
    return sum(result.probe == MEASURED for result in report.results)


def main(arguments: list[str]) -> None:
    raise_file_limit()
    orders = msgspec.json.decode(Path(arguments[0]).read_bytes(), type=FleetOrders)
    asyncio.run(_Fleet(orders).run())


if __name__ == "__main__":
    main(sys.argv[1:])
