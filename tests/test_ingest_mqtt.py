"""The agents' door through a real mosquitto, with its passwords and its ACL."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import gzip
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiomqtt
import msgspec
import pytest
from append_doubles import ListAppend
from ingest_council import (
    body,
    deliver,
    enrol,
    mqtt_connection,
    opened_registry,
    registry_config,
    report,
    wall_ms,
)
from paho.mqtt import publish
from services import Server, free_port, mosquitto, program, running
from waiting import until

from collectors.ingest.broker_client import BrokerConnection
from collectors.ingest.broker_files import BrokerFiles, mosquitto_text
from collectors.ingest.certificate import make_certificates
from collectors.ingest.ingest_config import BrokerConfig, IngestConfig, MqttConfig
from collectors.ingest.mosquitto_hash import matches, mosquitto_hash
from collectors.ingest.mqtt_ingest import MqttIngest
from collectors.ingest.registry import Registry
from probes.wire.report import ACKS_TOPIC, REPORTS_TOPIC, AgentCredential, Receipt

pytestmark = pytest.mark.service


class Broker:
    """A mosquitto whose users are a registry's agents."""

    def __init__(self, server: Server, files: BrokerFiles, registry: Registry) -> None:
        self.server, self.files, self.registry = server, files, registry


def broker_config(folder: Path) -> BrokerConfig:
    return BrokerConfig(
        password_file=folder / "passwords",
        acl_file=folder / "acl",
        pid_file=folder / "mosquitto.pid",
        more_users=("second",),
        every_s=0.2,
    )


def mqtt_config(folder: Path, port: int, **settings: Any) -> MqttConfig:
    secret = folder / "own-password"
    secret.write_text("a password of the server\n")
    return MqttConfig(
        port=port,
        **{"tls": False, "password_file": secret, "retry_max_s": 1, **settings},
    )


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    config = broker_config(tmp_path)
    server = mosquitto(tmp_path, mosquitto_text(config))
    with opened_registry(tmp_path) as registry:
        files = BrokerFiles(config, mqtt_config(tmp_path, server.port), registry)
        files.write()
        with running(server):
            yield Broker(server, files, registry)


@contextlib.asynccontextmanager
async def ingesting(
    broker: Broker, folder: Path, append: ListAppend, **settings: Any
) -> AsyncIterator[MqttIngest]:
    config = IngestConfig(
        registry=registry_config(folder),
        mqtt=mqtt_config(folder, broker.server.port, **settings),
        aside=folder / "aside",
    )
    async with MqttIngest(config, broker.registry, append) as ingest:
        await until(lambda: ingest.connected)
        yield ingest


def kept_aside(folder: Path) -> list[Path]:
    return sorted((folder / "aside").iterdir())


async def test_reports_through_a_broker_are_receipted_once_they_are_durable(
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
    made = {
        who.agent: {
            f"r{n}": report(who.agent, f"r{n}", time_ms=at_ms + n) for n in range(300)
        }
        for who in laptops
    }
    async with ingesting(broker, tmp_path, append) as ingest:
        sending = [
            asyncio.create_task(deliver(broker.server.port, who, dict(made[who.agent])))
            for who in laptops
        ]
        for goal in (150, 600):
            await until(lambda goal=goal: ingest.stats.accepted >= goal)
            await asyncio.to_thread(broker.server.kill)
            await asyncio.to_thread(broker.server.start)
        async with asyncio.timeout(60):
            await asyncio.gather(*sending)
    expected = {
        (result.probe, agent, result.time_ms)
        for agent, reports in made.items()
        for each in reports.values()
        for result in each.results
    }
    assert append.rows() == expected
    assert len(expected) == 2400
    # A report may be written twice where its first receipt was lost with us; here
    # the ids were remembered, so it was not.
    assert sum(len(batch) for batch in append.batches) == 2400
    assert ingest.stats.accepted == 1200


async def test_an_agent_can_neither_speak_as_another_nor_read_its_receipts(
    broker: Broker, tmp_path: Path
) -> None:
    alice = enrol(broker.registry, "ALICE")
    mallory = enrol(broker.registry, "MALLORY")
    await broker.files.load()
    append = ListAppend()
    overheard: list[str] = []
    async with (
        ingesting(broker, tmp_path, append) as ingest,
        mqtt_connection(broker.server.port, mallory) as evil,
    ):
        for topic in (f"{ACKS_TOPIC}/{alice.agent}", f"{ACKS_TOPIC}/+", "#"):
            await evil.subscribe(topic, qos=1)
        forged = body(report(alice.agent, "forged"))
        await evil.publish(f"{REPORTS_TOPIC}/{alice.agent}", forged, qos=1)
        await deliver(broker.server.port, alice, {"true": report(alice.agent, "true")})
        # Under its own name it may speak, and hears why it is not believed.
        await evil.publish(f"{REPORTS_TOPIC}/{mallory.agent}", forged, qos=1)
        async with asyncio.timeout(20):
            async for message in evil.messages:
                overheard.append(message.topic.value)
                if b"not_yours" in bytes(message.payload):
                    break
        assert ingest.stats.reasons == {"not_yours": 1}
    assert set(overheard) == {f"{ACKS_TOPIC}/{mallory.agent}"}
    assert {agent for _, agent, _ in append.rows()} == {alice.agent}


async def test_an_agent_cannot_take_over_the_session_of_another(
    broker: Broker, tmp_path: Path
) -> None:
    alice = enrol(broker.registry, "ALICE")
    mallory = enrol(broker.registry, "MALLORY")
    await broker.files.load()
    port = broker.server.port
    async with ingesting(broker, tmp_path, ListAppend()):
        async with mqtt_connection(port, alice) as client:
            await client.subscribe(f"{ACKS_TOPIC}/{alice.agent}", qos=1)
            async with aiomqtt.Client(
                "127.0.0.1",
                port,
                username=mallory.agent,
                password=mallory.secret,
                identifier=alice.agent,
                clean_session=False,
            ):
                made = body(report(alice.agent, "r1"))
                await client.publish(f"{REPORTS_TOPIC}/{alice.agent}", made, qos=1)
                async with asyncio.timeout(20):
                    message = await anext(client.messages)
        assert b"r1" in bytes(message.payload)


async def test_the_broker_lets_in_who_is_enrolled_and_shuts_out_who_is_revoked(
    broker: Broker, tmp_path: Path
) -> None:
    port = broker.server.port

    async def listen_once_revoked() -> None:
        async with mqtt_connection(port, laptop) as client, asyncio.timeout(20):
            broker.registry.revoke(laptop.agent)
            async for _ in client.messages:
                pass

    async with (
        broker.files,
        ingesting(broker, tmp_path, ListAppend()) as ingest,
    ):
        laptop = enrol(broker.registry, "LAPTOP-1")
        # The broker learns of it within a moment, while it runs.
        waiting = {"r1": report(laptop.agent, "r1")}
        await asyncio.wait_for(deliver(port, laptop, waiting), 20)
        for wrong in (
            AgentCredential(laptop.agent, "not its secret"),
            AgentCredential("nobody", laptop.secret),
        ):
            with pytest.raises(aiomqtt.MqttError):
                async with mqtt_connection(port, wrong):
                    pass
        with pytest.raises(aiomqtt.MqttError):
            async with aiomqtt.Client("127.0.0.1", port):
                pass
        with pytest.raises(aiomqtt.MqttError, match=r"[Dd]isconnect"):
            await listen_once_revoked()
        with pytest.raises(aiomqtt.MqttError):
            async with mqtt_connection(port, laptop):
                pass
        assert ingest.connected


async def test_a_revoked_agent_is_not_believed_even_where_the_broker_still_is(
    broker: Broker, tmp_path: Path
) -> None:
    laptop = enrol(broker.registry, "LAPTOP-1")
    await broker.files.load()
    append = ListAppend()
    async with (
        ingesting(broker, tmp_path, append) as ingest,
        mqtt_connection(broker.server.port, laptop) as client,
    ):
        broker.registry.revoke(laptop.agent)
        sent = body(report(laptop.agent, "r1"))
        await client.publish(f"{REPORTS_TOPIC}/{laptop.agent}", sent, qos=1)
        await until(lambda: ingest.stats.unauthorised == 1)
    assert not append.calls


async def test_poison_is_counted_kept_aside_answered_and_hurts_nobody(
    broker: Broker, tmp_path: Path
) -> None:
    laptop = enrol(broker.registry, "LAPTOP-1")
    await broker.files.load()
    append = ListAppend()
    good = body(report(laptop.agent, "r1"))
    poison = [b"", b"\xff", b"{}", gzip.compress(good)[:-4], b"[17]"]
    answers = []
    async with (
        ingesting(broker, tmp_path, append) as ingest,
        mqtt_connection(broker.server.port, laptop) as client,
    ):
        await client.subscribe(f"{ACKS_TOPIC}/{laptop.agent}", qos=1)
        for payload in [*poison, gzip.compress(good)]:
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


async def test_one_agents_junk_is_charged_and_leaves_the_queue_to_others(
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
        # What it may send at once, and what comes back in the meantime.
        assert 300 <= ingest.stats.reasons["unreadable"] < 400
        assert set(ingest.stats.reasons) == {"unreadable", "agent_rate"}


async def test_while_the_journal_fails_there_is_no_receipt_and_then_there_is(
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
        ingesting(broker, tmp_path, append, shared_group="ingest") as one,
        ingesting(
            broker, tmp_path, append, shared_group="ingest", username="second"
        ) as two,
    ):
        sending = [
            deliver(
                broker.server.port,
                who,
                {f"r{n}": report(who.agent, f"r{n}") for n in range(200)},
            )
            for who in laptops
        ]
        await asyncio.wait_for(asyncio.gather(*sending), 60)
        assert one.stats.accepted > 0
        assert two.stats.accepted > 0


async def test_a_broker_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    port = free_port()
    config = IngestConfig(
        mqtt=MqttConfig(port=port, tls=False, retry_max_s=0.5), aside=tmp_path
    )
    server = mosquitto(tmp_path)
    text = (tmp_path / "mosquitto.conf").read_text()
    (tmp_path / "mosquitto.conf").write_text(text.replace(str(server.port), str(port)))
    server._ready = lambda: True
    with opened_registry(tmp_path) as registry:
        async with MqttIngest(config, registry, ListAppend()) as ingest:
            await asyncio.sleep(0.3)
            assert not ingest.connected
            await asyncio.to_thread(server.start)
            try:
                await until(lambda: ingest.connected)
            finally:
                await asyncio.to_thread(server.stop)
            await until(lambda: not ingest.connected)


# paho leaves the socket of a failed handshake to the garbage collector, which warns.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("trusting", [True, False])
async def test_over_tls_only_a_broker_with_a_good_certificate_is_trusted(
    tmp_path: Path, trusting: bool
) -> None:
    tls = make_certificates(tmp_path / "tls")
    extra = (
        f"allow_anonymous true\nlistener {(port := free_port())} 127.0.0.1\n"
        f"certfile {tls.certificate}\nkeyfile {tls.private_key}\n"
    )
    mqtt = MqttConfig(port=port, ca_file=tls.authority if trusting else None)
    config = IngestConfig(mqtt=mqtt, aside=tmp_path)
    with running(mosquitto(tmp_path, extra)), opened_registry(tmp_path) as registry:
        async with MqttIngest(config, registry, ListAppend()) as ingest:
            await until(lambda: ingest.connected or ingest._failures.failing)
            assert ingest.connected == trusting
    # Here and now, not in some later test.
    gc.collect()


def test_passwords_are_written_as_mosquitto_passwd_writes_them(tmp_path: Path) -> None:
    path = tmp_path / "passwords"
    path.touch(mode=0o600)
    command = [program("mosquitto_passwd"), "-b", str(path), "agent-1", "hunter two"]
    subprocess.run(command, check=True, capture_output=True)
    user, _, stored = path.read_text().strip().partition(":")
    assert user == "agent-1"
    assert matches("hunter two", stored)
    assert not matches("hunter three", stored)
    ours = mosquitto_hash("hunter two")
    assert [len(part) for part in ours.split("$")] == [
        len(part) for part in stored.split("$")
    ]
    assert matches("hunter two", ours)
    assert not matches("hunter two", "$6$no$such")
