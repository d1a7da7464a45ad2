"""Simulated laptops, which report through the real publisher.

Their results are random numbers. Everything after that is real: enrolment, HTTPS, the
broker, the journal.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import uuid
from collections.abc import Collection
from pathlib import Path
from typing import Self

import msgspec
import structlog

from collectors.background_tasks import BackgroundTasks
from probes.agent.enrol import NotEnrolled, enrol
from probes.agent.publish_https import HttpsPublisher
from probes.agent.publish_mqtt import MqttPublisher
from probes.agent.report_delivery import CredentialRefused, Later, NotTaken, Publisher
from probes.agent.server_connection import ServerConnection
from probes.agent.settings import Mqtt, Settings
from probes.agent.spool_rows import SpooledReport
from probes.wire import mos
from probes.wire.clock import wall_ms
from probes.wire.failure import Outcome
from probes.wire.front_doors import FRONT_DOORS
from probes.wire.report import Connection, Place, Report, Result, Whereabouts
from probes.wire.sample import Value

_log = structlog.get_logger()
_SOFTWARE = "towpath-demo"


class SimulatedLaptop(msgspec.Struct):
    """One simulated laptop and where it is used today. `agent` is its pseudonym once it
    is enrolled; `trouble` is why its last report was not accepted."""

    number: int
    home_site: str
    place: Place
    site: str
    connection: Connection
    rtt_ms: float
    jitter_ms: float
    loss_ratio: float
    agent: str = ""
    trouble: str = "it has not tried to enrol yet"

    @property
    def transport(self) -> str:
        """Every sixth laptop reports over MQTT, the others over HTTPS."""
        return "mqtt" if self.number % 6 == 5 else "https"


def fleet(count_each: int = 12) -> list[SimulatedLaptop]:
    """`count_each` laptops by cable in the town hall, and as many by Wi-Fi there, in
    the library and at home: no group is too small to be shown, nor the rest of one."""
    dice = random.Random(862)
    made: list[SimulatedLaptop] = []
    for n in range(2 * count_each):
        made.append(
            SimulatedLaptop(
                len(made),
                "town-hall",
                "office",
                "town-hall",
                "wired" if n % 2 else "wifi",
                dice.uniform(3, 8),
                dice.uniform(0.2, 2.0),
                0.0,
            )
        )
    for _ in range(count_each):
        made.append(
            SimulatedLaptop(
                len(made),
                "library",
                "office",
                "library",
                "wired",
                dice.uniform(8, 14),
                dice.uniform(0.5, 2.5),
                0.0,
            )
        )
    for _ in range(count_each):
        made.append(
            SimulatedLaptop(
                len(made),
                # All of one site: in threes and fours they could not be shown.
                "town-hall",
                "home",
                "",
                "wifi",
                dice.uniform(14, 38),
                dice.uniform(1.5, 9.0),
                dice.choice((0.0, 0.0, 0.001, 0.004)),
            )
        )
    return made


def report(
    laptop: SimulatedLaptop, agent: str, now_ms: int, dice: random.Random
) -> Report:
    """The report of `laptop` at `now_ms`: calls, names, web and the path of a call."""
    rtt_ms = max(0.5, dice.gauss(laptop.rtt_ms, laptop.rtt_ms * 0.08))
    jitter_ms = max(0.05, dice.gauss(laptop.jitter_ms, laptop.jitter_ms * 0.2))
    loss = laptop.loss_ratio if dice.random() < 0.5 else 0.0
    if _is_far(laptop) and dice.random() < 0.4:
        loss = dice.uniform(0.01, 0.04)
    at_home = laptop.place == "home"
    results = (
        Result(
            "call_path",
            1,
            now_ms,
            Outcome.OK,
            "reflector",
            {
                "rtt_ms": rtt_ms,
                "rtt_min_ms": rtt_ms * 0.9,
                "rtt_p95_ms": rtt_ms + 2 * jitter_ms,
                "jitter_ms": jitter_ms,
                "loss_ratio": loss,
                "mos_estimated": mos.estimate(rtt_ms, jitter_ms, loss),
                "poor": int(loss >= 0.01 or jitter_ms >= 30 or rtt_ms >= 100),
                "sent": 500,
                "received": round(500 * (1 - loss)),
            },
            172_000,
        ),
        Result(
            "name_lookup",
            1,
            now_ms,
            Outcome.OK,
            "localhost",
            {"lookup_ms": dice.uniform(2, 25)},
            180,
        ),
        Result("agent", 1, now_ms, Outcome.OK, "", {"spool_reports": 0}),
        _web("council", rtt_ms, now_ms, dice),
        *(
            _web(door.name, 5 + 0.6 * rtt_ms, now_ms, dice)
            for door in FRONT_DOORS.values()
        ),
        *_path_results(laptop, rtt_ms, now_ms, dice),
    )
    return Report(
        version=1,
        id=uuid.UUID(int=dice.getrandbits(128), version=4).hex,
        agent=agent,
        sent_ms=now_ms,
        software=_SOFTWARE,
        whereabouts=Whereabouts(
            laptop.place,
            laptop.site,
            laptop.connection,
            "up" if at_home else "down",
        ),
        results=results,
    )


def _web(service: str, rtt_ms: float, now_ms: int, dice: random.Random) -> Result:
    """A request to a web service that is so far away."""
    phases: dict[str, Value] = {
        "lookup_ms": dice.uniform(2, 25),
        "connect_ms": rtt_ms,
        "tls_ms": 2 * rtt_ms,
        "first_byte_ms": dice.uniform(20, 60) + rtt_ms,
    }
    total: dict[str, Value] = {"total_ms": sum(map(float, phases.values()))}
    values = {**phases, **total, "status": 200}
    return Result("web", 1, now_ms, Outcome.OK, service, values, 6_000)


def _path_results(
    laptop: SimulatedLaptop, rtt_ms: float, now_ms: int, dice: random.Random
) -> list[Result]:
    """Results for the VPN, the Wi-Fi, the hops, a relay and the laptop itself."""
    at_home = laptop.place == "home"
    beside_ms = 0.8 * rtt_ms
    vpn: dict[str, Value] = {"up": 0}
    if at_home:
        vpn = {
            "up": 1,
            "product": "WireGuard",
            "reconnects": 0,
            "tunnel_rtt_ms": beside_ms + dice.uniform(2, 9),
            "direct_rtt_ms": beside_ms,
            "teams_way": "split_out",
        }
    wireless = laptop.connection == "wifi"
    measured: dict[str, dict[str, Value]] = {
        "path": {
            "gateway_rtt_ms": dice.uniform(2, 6) if wireless else 0.6,
            "gateway_loss_ratio": 0.0,
            "provider_rtt_ms": 0.5 * rtt_ms,
            "provider_loss_ratio": 0.0,
            "edge_rtt_ms": rtt_ms,
            "edge_loss_ratio": laptop.loss_ratio,
        },
        "teams_relay": {"rtt_ms": rtt_ms + dice.uniform(1, 6), "loss_ratio": 0.0},
        "laptop": {"cpu_ratio": dice.uniform(0.05, 0.5), "memory_ratio": 0.6},
    }
    if wireless:
        far = _is_far(laptop)
        level_dbm = round(dice.gauss(-78 if far else -58, 2))
        measured["wifi"] = {
            "signal_dbm": level_dbm,
            "signal_min_dbm": level_dbm - 3,
            "band_ghz": 2.4 if far else 5.0,
        }
    outcome = Outcome.OK if at_home else Outcome.NOT_CONNECTED
    return [
        Result("vpn", 1, now_ms, outcome, "", vpn),
        *(
            Result(probe, 1, now_ms, Outcome.OK, "", values)
            for probe, values in measured.items()
        ),
    ]


def _is_far(laptop: SimulatedLaptop) -> bool:
    """Every fourth laptop at home is two walls away from its router."""
    return laptop.place == "home" and laptop.number % 4 == 0


class Fleet:
    """`async with Fleet(...)`: every laptop enrols once and reports every `every_s`.

    Laptops at a site in `silent_sites` send nothing, as if its line were down. They do
    not send these reports later, because they could not have measured anything.
    """

    def __init__(
        self,
        laptops: list[SimulatedLaptop],
        server: str,
        tokens: dict[str, str],
        ca_file: str,
        broker: Mqtt,
        folder: Path,
        every_s: float = 10.0,
    ) -> None:
        self._laptops, self._server, self._tokens = laptops, server, tokens
        self._ca_file, self._broker, self._folder = ca_file, broker, folder
        self._every_s = every_s
        self.silent_sites: set[str] = set()
        self._tasks = BackgroundTasks()

    def __len__(self) -> int:
        return len(self._laptops)

    def missing(self, agents: Collection[str]) -> list[SimulatedLaptop]:
        """The laptops whose pseudonyms are not among `agents`, those in the store."""
        return [laptop for laptop in self._laptops if laptop.agent not in agents]

    async def __aenter__(self) -> Self:
        for laptop in self._laptops:
            self._tasks.start(self._run(laptop), f"laptop-{laptop.number}")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.stop()

    async def _run(self, laptop: SimulatedLaptop) -> None:
        dice = random.Random(laptop.number)
        # Spread out, as laptops are opened in the morning; here over a few seconds.
        await asyncio.sleep(dice.uniform(0, self._every_s / 2))
        folder = self._folder / f"laptop-{laptop.number}"
        folder.mkdir(parents=True, exist_ok=True)
        while True:
            try:
                credential = await enrol(
                    self._server,
                    self._tokens[laptop.home_site],
                    folder,
                    self._ca_file,
                    _SOFTWARE,
                )
                break
            except (Later, NotEnrolled) as error:
                laptop.trouble = f"it could not enrol: {error}"
                await asyncio.sleep(2)
        laptop.agent = credential.agent
        laptop.trouble = "it has enrolled and not sent a report yet"
        async with contextlib.AsyncExitStack() as stack:
            publisher: Publisher
            if laptop.transport == "mqtt":
                settings = Settings(
                    transport="mqtt", mqtt=self._broker, ca_file=self._ca_file, ack_s=10
                )
                publisher = await stack.enter_async_context(
                    MqttPublisher(settings, credential)
                )
            else:
                connection = ServerConnection(
                    self._server, credential, self._ca_file, _SOFTWARE
                )
                publisher = HttpsPublisher(await stack.enter_async_context(connection))
            while True:
                if laptop.site not in self.silent_sites:
                    await self._send_report(laptop, publisher, dice)
                await asyncio.sleep(self._every_s * dice.uniform(0.9, 1.1))

    async def _send_report(
        self, laptop: SimulatedLaptop, publisher: Publisher, dice: random.Random
    ) -> None:
        now_ms = wall_ms()
        made = report(laptop, laptop.agent, now_ms, dice)
        waiting = SpooledReport(made.id, now_ms, msgspec.json.encode(made))
        try:
            receipt = await publisher.send([waiting])
        except (Later, CredentialRefused, NotTaken) as error:
            laptop.trouble = f"its report was not accepted: {error}"
            _log.debug("demo_laptop_waits", laptop=laptop.number, error=str(error))
        else:
            refused = "; ".join(refusal.why for refusal in receipt.refused)
            laptop.trouble = f"its report was refused: {refused}" if refused else ""
