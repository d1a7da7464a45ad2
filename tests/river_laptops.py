"""Laptops for tests of the whole: they send numbered reports with the agent's own
publishers, and the journal is searched for the numbers."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import msgspec
from river import Council
from waiting import until

from collectors.journal import JournalReader
from probes.agent.enrol import enrol
from probes.agent.publish_https import HttpsPublisher
from probes.agent.publish_mqtt import MqttPublisher
from probes.agent.report_delivery import CredentialRefused, Later, Publisher
from probes.agent.server_connection import ServerConnection
from probes.agent.settings import Mqtt, Settings
from probes.agent.spool_rows import SpooledReport
from probes.wire.clock import wall_ms
from probes.wire.failure import Outcome
from probes.wire.report import Report, Result, Whereabouts

# A report's number is in it (`sent`) and in its time, so that it can be found again.
FIRST_MS = wall_ms() // 1000 * 1000 - 7_200_000
STEP_MS = 1_000


def report(agent: str, number: int) -> Report:
    at_ms = FIRST_MS + number * STEP_MS
    results = (
        Result(
            "call_path", 1, at_ms, Outcome.OK, "hq", {"rtt_ms": 9.5, "sent": number}
        ),
        Result("name_lookup", 1, at_ms, Outcome.TIMEOUT, "resolver"),
    )
    return Report(
        1, f"r{number}", agent, at_ms, "towpath-test", Whereabouts("home"), results
    )


class Laptop:
    """Makes reports with rising numbers and sends each until a receipt names it."""

    def __init__(self, agent: str, publisher: Publisher) -> None:
        self.agent, self._publisher = agent, publisher
        self.made = 0
        self.receipted: set[int] = set()
        self.refused: list[str] = []
        self._waiting: dict[str, SpooledReport] = {}
        self.failures = 0

    async def live(self, stop: asyncio.Event, pause_s: float = 0.05) -> None:
        """Until `stop` is set and nothing waits."""
        while self._waiting or not stop.is_set():
            if not stop.is_set() and len(self._waiting) < 10:
                for _ in range(3):
                    self._make()
            if self._waiting:
                await self._send()
            await asyncio.sleep(pause_s)

    def _make(self) -> None:
        made = report(self.agent, self.made)
        body = msgspec.json.encode(made)
        self._waiting[made.id] = SpooledReport(made.id, made.sent_ms, body)
        self.made += 1

    async def _send(self) -> None:
        try:
            receipt = await self._publisher.send(list(self._waiting.values()))
        except (Later, CredentialRefused):
            # The broker does not know a laptop that has just been enrolled.
            self.failures += 1
            await asyncio.sleep(0.3)
            return
        for id in receipt.accepted:
            self.receipted.add(int(id[1:]))
            self._waiting.pop(id, None)
        for refusal in receipt.refused:
            self.refused.append(refusal.why)
            self._waiting.pop(refusal.id, None)


class Laptops:
    """`async with Laptops(council, https=4, mqtt=2, broker=port) as laptops`: they
    enrol and report at once; `finish` lets them deliver what waits."""

    def __init__(
        self, council: Council, https: int, mqtt: int = 0, broker: int = 0
    ) -> None:
        self._council = council
        self._counts = (https, mqtt)
        self._broker = broker
        self._stop = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.https: list[Laptop] = []
        self.mqtt: list[Laptop] = []

    @property
    def all(self) -> list[Laptop]:
        return [*self.https, *self.mqtt]

    @property
    def receipts(self) -> int:
        return sum(len(laptop.receipted) for laptop in self.all)

    async def __aenter__(self) -> Laptops:
        token = self._council.token()
        self._stack = contextlib.AsyncExitStack()
        for n in range(sum(self._counts)):
            await self._open(n, token)
        self._tasks = [
            asyncio.create_task(each.live(self._stop), name=f"laptop-{each.agent}")
            for each in self.all
        ]
        return self

    async def _open(self, n: int, token: str) -> None:
        council, software = self._council, "towpath-test"
        ca = str(council.tls.authority)
        folder = council.folder / "laptops" / str(n)
        folder.mkdir(parents=True, exist_ok=True)
        who = await enrol(council.server, token, folder, ca, software)
        if n < self._counts[0]:
            door = ServerConnection(council.server, who, ca, software, request_s=10)
            await self._stack.enter_async_context(door)
            self.https.append(Laptop(who.agent, HttpsPublisher(door)))
            return
        settings = Settings(mqtt=Mqtt("localhost", self._broker), ca_file=ca, ack_s=3)
        publisher = MqttPublisher(settings, who, back_s=(1, 1), connect_s=3)
        await self._stack.enter_async_context(publisher)
        self.mqtt.append(Laptop(who.agent, publisher))

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._stack.aclose()

    async def more(self, count: int, seconds: float = 60) -> None:
        """Until each laptop has `count` more receipts than now."""
        wanted = {laptop.agent: len(laptop.receipted) + count for laptop in self.all}
        await until(
            lambda: all(len(e.receipted) >= wanted[e.agent] for e in self.all),
            f"{count} receipts more for each laptop",
            seconds,
        )

    async def finish(self, seconds: float = 60) -> None:
        self._stop.set()
        async with asyncio.timeout(seconds):
            await asyncio.gather(*self._tasks)
        assert [laptop.refused for laptop in self.all if laptop.refused] == []
        assert all(len(laptop.receipted) == laptop.made for laptop in self.all)


async def journalled(folder: Path, reader: str) -> dict[str, list[int]]:
    """The numbers of the reports that a reader finds in the journal, by agent."""
    found: dict[str, list[int]] = {}
    async with JournalReader(folder, reader) as reading:
        while (chunk := await reading.read(wait_s=0.5)) is not None:
            for batch in chunk.batches:
                if batch.measurement == "call_path":
                    for sample in batch.samples():
                        numbers = found.setdefault(sample.tags["agent"], [])
                        numbers.append(int(sample.fields["sent"]))
    return found
