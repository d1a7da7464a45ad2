"""Reports through a real mosquitto: receipts, bad reports, kills and a full journal."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from append_doubles import ListAppend
from ingest_council import (
    body,
    deliver,
    enrol,
    mqtt_connection,
    report,
    wall_ms,
)
from mqtt_broker import Broker, ingesting, mqtt_config, running_broker
from paho.mqtt import publish
from waiting import until

from collectors.ingest.broker_client import BrokerConnection
from probes.wire.report import ACKS_TOPIC, REPORTS_TOPIC, Receipt

pytestmark = pytest.mark.service


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with running_broker(tmp_path) as broker:
        yield broker


def kept_aside(folder: Path) -> list[Path]:
    return sorted((folder / "aside").iterdir())


async def test_reports_through_a_broker_get_receipts_when_they_are_durable(
    broker: Broker, tmp_path: Path
) -> None:
    laptop = enrol(broker.registry, "LAPTOP-1")
    append = ListAppend()
    async with broker.files, ingesting(broker, tmp_path, append) as ingest:
        waiting = {f"r{n}": report(laptop.agent, f"r{n}") for n in range(3)}
        append.open.clear()
        sending = asyncio.create_task(deliver(broker.server.port, laptop, waiting))
        await until(lambda: append.calls > 0)
        assert len(waiting) == 3
        append.open.set()
        await asyncio.wait_for(sending, 20)
        assert ingest.stats.accepted >= 3
    assert {agent for _, agent, _ in append.rows()} == {laptop.agent}
    assert append.batches[0].tag("home_site")[0] == "town-hall"
    assert append.batches[0].tag("provider")[0] == "unknown"


async def test_killing_the_broker_twice_loses_nothing_and_doubles_change_nothing(
    broker: Broker, tmp_path: Path
) -> None:
    laptops = [enrol(broker.registry, f"LAPTOP-{n}") for n in range(4)]
    await broker.files.load()
    append = ListAppend()
    at_ms = wall_ms() - 100_000
    reports_by_agent = {
        laptop.agent: {
            f"r{n}": report(laptop.agent, f"r{n}", time_ms=at_ms + n)
            for n in range(300)
        }
        for laptop in laptops
    }
    async with ingesting(broker, tmp_path, append) as ingest:
        sending = [
            asyncio.create_task(
                deliver(
                    broker.server.port, laptop, dict(reports_by_agent[laptop.agent])
                )
            )
            for laptop in laptops
        ]
        for goal in (150, 600):
            await until(lambda goal=goal: ingest.stats.accepted >= goal)
            await asyncio.to_thread(broker.server.kill)
            await asyncio.to_thread(broker.server.start)
        async with asyncio.timeout(60):
            await asyncio.gather(*sending)
    expected = {
        (result.probe, agent, result.time_ms)
        for agent, reports in reports_by_agent.items()
        for sent in reports.values()
        for result in sent.results
    }
    assert append.rows() == expected
    assert len(expected) == 2400
    # The ingest remembered the ids. If it had died, a report could be written twice.
    assert sum(len(batch) for batch in append.batches) == 2400
    assert ingest.stats.accepted == 1200


async def test_unreadable_reports_are_counted_answered_and_kept_aside(
    broker: Broker, tmp_path: Path
) -> None:
    laptop = enrol(broker.registry, "LAPTOP-1")
    await broker.files.load()
    append = ListAppend()
    good = body(report(laptop.agent, "r1"))
    bad_payloads = [b"", b"\xff", b"{}", gzip.compress(good)[:-4], b"[17]"]
    answers = []
    async with (
        ingesting(broker, tmp_path, append) as ingest,
        mqtt_connection(broker.server.port, laptop) as client,
    ):
        await client.subscribe(f"{ACKS_TOPIC}/{laptop.agent}", qos=1)
        for payload in [*bad_payloads, gzip.compress(good)]:
            topic = f"{REPORTS_TOPIC}/{laptop.agent}"
            await client.publish(topic, payload, qos=1)
        async with asyncio.timeout(20):
            async for message in client.messages:
                answers.append(msgspec.json.decode(message.payload, type=Receipt))
                if len(answers) == 6:
                    break
        assert ingest.stats.reasons == {"unreadable": 4, "malformed": 1}
    assert sorted(id for answer in answers for id in answer.accepted) == ["r1"]
    assert len(kept_aside(tmp_path)) == 5


async def test_one_agents_junk_counts_against_its_rate_and_delays_nobody_else(
    broker: Broker, tmp_path: Path
) -> None:
    noisy, calm = (enrol(broker.registry, name) for name in ("NOISY", "CALM"))
    await broker.files.load()
    append = ListAppend()
    async with (
        ingesting(broker, tmp_path, append, max_waiting=350) as ingest,
        mqtt_connection(broker.server.port, noisy) as client,
    ):
        junk = gzip.compress(b"")[:-1]
        for _ in range(700):
            topic = f"{REPORTS_TOPIC}/{noisy.agent}"
            await client.publish(topic, junk, qos=0)
        await until(lambda: ingest.stats.reasons.total() >= 700)
        waiting = {"r1": report(calm.agent, "r1")}
        await asyncio.wait_for(deliver(broker.server.port, calm, waiting), 20)
        # The burst that it may send, and what its rate adds in the meantime.
        assert 300 <= ingest.stats.reasons["unreadable"] < 400
        assert set(ingest.stats.reasons) == {"unreadable", "agent_rate"}


async def test_receipts_wait_until_the_journal_works_again(
    broker: Broker, tmp_path: Path
) -> None:
    laptop = enrol(broker.registry, "LAPTOP-1")
    await broker.files.load()
    append = ListAppend()
    append.fault = OSError(28, "No space left on device")
    async with ingesting(broker, tmp_path, append) as ingest:
        waiting = {"r1": report(laptop.agent, "r1")}
        sending = asyncio.create_task(deliver(broker.server.port, laptop, waiting))
        await until(lambda: ingest.stats.failures > 3)
        assert waiting
        append.fault = None
        await asyncio.wait_for(sending, 20)
    assert len(append.rows()) == 2


async def test_while_the_event_loop_is_busy_the_broker_keeps_the_messages(
    broker: Broker, tmp_path: Path
) -> None:
    laptop = enrol(broker.registry, "LAPTOP-1")
    await broker.files.load()
    config = mqtt_config(tmp_path, broker.server.port)
    topic = f"{REPORTS_TOPIC}/{laptop.agent}"
    arrived: list[bytes] = []
    async with BrokerConnection(
        config,
        config.username,
        "a password of the server",
        client_id=config.client_id,
        on_message=lambda _, payload: arrived.append(payload),
    ) as connection:
        await connection.subscribe(f"{REPORTS_TOPIC}/+")
        sending = asyncio.create_task(
            asyncio.to_thread(
                publish.multiple,
                [(topic, str(n), 1, False) for n in range(3000)],
                port=broker.server.port,
                auth={"username": laptop.agent, "password": laptop.secret},
            )
        )
        await until(lambda: arrived, "the first message", every_s=0)
        before = len(arrived)
        time.sleep(3)  # noqa: ASYNC251 - nothing else in this loop may run
        await asyncio.sleep(0)
        assert 0 < len(arrived) - before <= 1000
        await until(lambda: len(arrived) == 3000, "the rest of the messages")
        await sending
    assert [int(payload) for payload in arrived] == list(range(3000))


async def test_two_ingests_may_share_the_reports(
    broker: Broker, tmp_path: Path
) -> None:
    laptops = [enrol(broker.registry, f"LAPTOP-{n}") for n in range(4)]
    await broker.files.load()
    append = ListAppend()
    async with (
        ingesting(broker, tmp_path, append, shared_group="ingest") as first,
        ingesting(
            broker, tmp_path, append, shared_group="ingest", username="second"
        ) as second,
    ):
        sending = [
            deliver(
                broker.server.port,
                laptop,
                {f"r{n}": report(laptop.agent, f"r{n}") for n in range(200)},
            )
            for laptop in laptops
        ]
        await asyncio.wait_for(asyncio.gather(*sending), 60)
        assert first.stats.accepted > 0
        assert second.stats.accepted > 0
