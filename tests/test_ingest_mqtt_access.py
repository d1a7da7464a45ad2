"""Who may use a real mosquitto, as whom, and which broker the ingest trusts."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import aiomqtt
import pytest
from append_doubles import ListAppend
from ingest_council import (
    body,
    deliver,
    enrol,
    mqtt_connection,
    opened_registry,
    report,
)
from mqtt_broker import Broker, ingesting, running_broker
from services import free_port, mosquitto, program, running
from waiting import until

from collectors.ingest.certificate import make_certificates
from collectors.ingest.enrolment import EnrolmentService
from collectors.ingest.ingest_config import IngestConfig, MqttConfig
from collectors.ingest.mosquitto_hash import matches, mosquitto_hash
from collectors.ingest.mqtt_ingest import MqttIngest
from probes.wire.clock import wall_ms
from probes.wire.report import (
    ACKS_TOPIC,
    REPORTS_TOPIC,
    AgentCredential,
    Enrolment,
)

pytestmark = pytest.mark.service


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with running_broker(tmp_path) as broker:
        yield broker


async def test_an_agent_can_neither_publish_as_another_nor_read_its_receipts(
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
        # It may publish under its own name, and receives the reason for the refusal.
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
                payload = body(report(alice.agent, "r1"))
                await client.publish(f"{REPORTS_TOPIC}/{alice.agent}", payload, qos=1)
                async with asyncio.timeout(20):
                    message = await anext(client.messages)
        assert b"r1" in bytes(message.payload)


async def test_the_broker_accepts_enrolled_agents_and_rejects_revoked_ones(
    broker: Broker, tmp_path: Path
) -> None:
    port = broker.server.port

    async def listen_once_revoked() -> None:
        async with mqtt_connection(port, laptop) as client, asyncio.timeout(20):
            broker.registry.admin.revoke(laptop.agent, wall_ms(), "test")
            async for _ in client.messages:
                pass

    async with (
        broker.files,
        ingesting(broker, tmp_path, ListAppend()) as ingest,
    ):
        laptop = enrol(broker.registry, "LAPTOP-1")
        # The running broker accepts the new agent within a moment.
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


async def test_a_new_secret_reaches_the_broker_when_it_is_confirmed(
    broker: Broker, tmp_path: Path
) -> None:
    port, registry = broker.server.port, broker.registry

    async def lets_in(who: AgentCredential) -> bool:
        try:
            async with mqtt_connection(port, who):
                return True
        except aiomqtt.MqttError:
            return False

    async with broker.files, ingesting(broker, tmp_path, ListAppend()):
        service = EnrolmentService(registry, broker.files.wait_loaded, time.monotonic)
        token = registry.admin.make_token("depot", 1, 1, wall_ms())
        laptop = await service.enrol(Enrolment(token, "a"), "127.0.0.1", wall_ms())
        new = await service.renew(laptop.agent, laptop.secret, "", wall_ms())
        # Not confirmed: the answer may have been lost.
        assert await lets_in(laptop)
        await service.confirm(new.agent, new.secret, wall_ms())
        assert await lets_in(new)
        assert not await lets_in(laptop)
        waiting = {"r1": report(new.agent, "r1")}
        await asyncio.wait_for(deliver(port, new, waiting), 20)


async def test_reports_of_a_revoked_agent_are_refused_if_the_broker_still_lets_it_in(
    broker: Broker, tmp_path: Path
) -> None:
    laptop = enrol(broker.registry, "LAPTOP-1")
    await broker.files.load()
    append = ListAppend()
    async with (
        ingesting(broker, tmp_path, append) as ingest,
        mqtt_connection(broker.server.port, laptop) as client,
    ):
        broker.registry.admin.revoke(laptop.agent, wall_ms(), "test")
        sent = body(report(laptop.agent, "r1"))
        await client.publish(f"{REPORTS_TOPIC}/{laptop.agent}", sent, qos=1)
        await until(lambda: ingest.stats.unauthorised == 1)
    assert not append.calls


async def test_the_ingest_waits_for_a_broker_that_starts_later(tmp_path: Path) -> None:
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
    # Collect the socket now, not in a later test.
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
