"""Reports over a real broker: forgotten only after the server's receipt."""

import asyncio
import contextlib
import gzip
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiomqtt
import msgspec
import pytest
import services
from hypothesis import given
from hypothesis import strategies as st
from waiting import until

from probes.agent.publish_mqtt import MqttPublisher, decode_receipt
from probes.agent.report_delivery import CredentialRefused, Later, ReportDelivery
from probes.agent.settings import Mqtt, Settings, SpoolLimits
from probes.agent.spool import Spool
from probes.diagnosis.sent_log import SentLog
from probes.wire.report import (
    ACKS_TOPIC,
    REPORTS_TOPIC,
    AgentCredential,
    Receipt,
    Report,
    ReportRefusal,
    Whereabouts,
)

pytestmark = pytest.mark.service

NOW_MS = 1_790_000_000_000
WHO = AgentCredential("agent-1", "s3cret")


def report(id: str) -> Report:
    return Report(1, id, "agent-1", NOW_MS, "test", Whereabouts(), ())


class Server:
    """The council's end, tiny: what `answer` returns for the ids is published."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.seen: list[list[str]] = []
        self.answer: Callable[[list[str]], bytes | None] = taking

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Server"]:
        ready = asyncio.Event()
        task = asyncio.create_task(self._serve(ready))
        await asyncio.wait_for(ready.wait(), 20)
        try:
            yield self
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, aiomqtt.MqttError):
                await task

    async def _serve(self, ready: asyncio.Event) -> None:
        while True:
            with contextlib.suppress(aiomqtt.MqttError):
                async with aiomqtt.Client("127.0.0.1", self.port) as client:
                    await client.subscribe(f"{REPORTS_TOPIC}/+", qos=1)
                    ready.set()
                    async for message in client.messages:
                        assert isinstance(message.payload, bytes)
                        tree = msgspec.json.decode(gzip.decompress(message.payload))
                        self.seen.append([report["id"] for report in tree])
                        answer = self.answer(self.seen[-1])
                        agent = message.topic.value.rpartition("/")[2]
                        if answer is not None:
                            await client.publish(f"{ACKS_TOPIC}/{agent}", answer)
            await asyncio.sleep(0.05)


def taking(ids: list[str]) -> bytes:
    return msgspec.json.encode(Receipt(tuple(ids)))


def laptop_settings(folder: Path, port: int, ack_s: int = 20) -> Settings:
    return Settings(
        transport="mqtt",
        mqtt=Mqtt("127.0.0.1", port, tls=False),
        state_folder=str(folder),
        ack_s=ack_s,
    )


@contextlib.contextmanager
def spooled(folder: Path, count: int):  # type: ignore[no-untyped-def]
    with Spool(folder, SpoolLimits(), lambda: NOW_MS) as spool:
        for number in range(count):
            spool.put(report(f"r{number}"))
        yield spool


async def test_reports_are_forgotten_on_the_receipt_and_a_bad_one_is_counted(
    tmp_path: Path,
) -> None:
    with services.running(services.mosquitto(tmp_path / "broker")) as broker:
        settings = laptop_settings(tmp_path, broker.port)
        server = Server(broker.port)
        server.answer = lambda ids: msgspec.json.encode(
            Receipt(
                tuple(id for id in ids if id != "r3"),
                (ReportRefusal("r3", "odd"),) if "r3" in ids else (),
            )
        )
        async with server.running(), MqttPublisher(settings, WHO) as publisher:
            with spooled(tmp_path, 250) as spool:
                delivery = ReportDelivery(
                    spool, publisher, SentLog(tmp_path), lambda: NOW_MS, lambda: 0.0
                )
                assert await delivery.deliver() is not None
                assert await delivery.deliver() is None
                assert spool.waiting == 0
                assert dict(delivery.refused) == {"odd": 1}
                assert [len(ids) for ids in server.seen] == [200, 50]


async def test_without_a_receipt_everything_stays_and_a_late_one_still_counts(
    tmp_path: Path,
) -> None:
    with services.running(services.mosquitto(tmp_path / "broker")) as broker:
        settings = laptop_settings(tmp_path, broker.port, ack_s=1)
        server = Server(broker.port)
        server.answer = lambda ids: None
        async with server.running(), MqttPublisher(settings, WHO) as publisher:
            with spooled(tmp_path, 3) as spool:
                waiting = spool.oldest(10, 10**6)
                with pytest.raises(Later, match="no receipt"):
                    await publisher.send(waiting)
                # Nonsense, then only a part of it, late: it counts at the next try.
                async with aiomqtt.Client("127.0.0.1", broker.port) as other:
                    topic = f"{ACKS_TOPIC}/{WHO.agent}"
                    await other.publish(topic, b"\xff{", qos=1)
                    await other.publish(topic, taking(["r0", "earlier"]), qos=1)
                receipt = await publisher.send(waiting)
                assert set(receipt.accepted) == {"r0", "earlier"}
                assert spool.forget(receipt) == 1
                assert spool.waiting == 2


async def test_a_broker_that_was_away_is_found_again_and_nothing_is_lost(
    tmp_path: Path,
) -> None:
    broker = services.mosquitto(tmp_path / "broker")
    settings = laptop_settings(tmp_path, broker.port, ack_s=2)
    server = Server(broker.port)
    with spooled(tmp_path, 40) as spool:
        publisher = MqttPublisher(settings, WHO, back_s=(1, 1), connect_s=2)
        async with publisher:
            with pytest.raises(Later):
                await publisher.send(spool.oldest(10, 10**6))
            with services.running(broker):
                async with server.running():
                    delivery = ReportDelivery(
                        spool, publisher, SentLog(tmp_path), lambda: NOW_MS
                    )
                    await _deliver_until(delivery, lambda: bool(server.seen))
                    assert publisher.came_back()
                    assert not publisher.came_back()
                    broker.kill()
                    assert await delivery.deliver() is None or spool.waiting
                    spool.put(report("late"))
                    broker.start()
                    await _deliver_until(delivery, lambda: spool.waiting == 0)
                    assert publisher.came_back()
    assert {id for ids in server.seen for id in ids} >= {"r0", "r39", "late"}


async def _deliver_until(delivery: ReportDelivery, done: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not done():
            await delivery.deliver()


async def test_a_refused_credential_is_distinguished_from_an_absent_broker(
    tmp_path: Path,
) -> None:
    users = tmp_path / "users"
    users.write_text("")
    users.chmod(0o600)
    extra = f"allow_anonymous false\npassword_file {users}\n"
    with services.running(services.mosquitto(tmp_path / "broker", extra)) as broker:
        settings = laptop_settings(tmp_path, broker.port)
        publisher = MqttPublisher(settings, WHO, connect_s=3)
        with spooled(tmp_path, 1) as spool:
            async with publisher:
                with pytest.raises(CredentialRefused, match="credential"):
                    await publisher.send(spool.oldest(1, 100))


async def test_leaving_is_quick_though_nobody_answers(tmp_path: Path) -> None:
    async with asyncio.timeout(30):
        writers: list[asyncio.StreamWriter] = []
        silent = await asyncio.start_server(
            lambda _, writer: writers.append(writer), "127.0.0.1", 0
        )
        port = silent.sockets[0].getsockname()[1]
        settings = laptop_settings(tmp_path, port)
        # It would wait for its answer for longer than this test may last.
        async with MqttPublisher(settings, WHO, connect_s=600):
            await until(lambda: writers, "a connection")
        for writer in writers:
            writer.transport.abort()
        silent.close()


@given(st.binary(max_size=200))
def test_no_receipt_breaks_the_laptop(payload: bytes) -> None:
    receipt = decode_receipt(payload)
    assert receipt is None or isinstance(receipt, Receipt)
