"""Laptops that enrol and then report over MQTT: the broker knows each of them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ingest_council import (
    Door as CouncilDoor,
)
from ingest_council import (
    as_spooled,
    door,
    opened_registry,
    registry_config,
    report,
    wall_ms,
)
from services import Server, mosquitto, running
from waiting import until

from collectors.ingest.broker_client import Login, check_login
from collectors.ingest.broker_files import CHECK_USER, BrokerFiles, mosquitto_text
from collectors.ingest.ingest_config import BrokerConfig, IngestConfig, MqttConfig
from collectors.ingest.mqtt_ingest import MqttIngest
from probes.agent.enrol import device_id, enrol
from probes.agent.publish_mqtt import LAST_BACK_S, MqttPublisher, refused_wait_s
from probes.agent.report_delivery import (
    LAST_DENIED_S,
    CredentialRefused,
    Later,
    denied_retry_s,
)
from probes.agent.settings import Mqtt, Settings
from probes.agent.spool_rows import SpooledReport
from probes.wire.report import AgentCredential, Enrolment

pytestmark = pytest.mark.service


class Council:
    """HTTPS, a broker and its files, wired as `towpath.run` does."""

    def __init__(
        self, https: CouncilDoor, mqtt: MqttIngest, broker: Server, files: BrokerFiles
    ) -> None:
        self.https, self.mqtt, self.broker, self.files = https, mqtt, broker, files

    @property
    def server(self) -> str:
        return f"https://127.0.0.1:{self.https.ingest.port}"

    @property
    def ca_file(self) -> str:
        return str(self.https.certificates.authority)

    def settings(self) -> Settings:
        at = Mqtt("127.0.0.1", self.broker.port, False)
        return Settings(transport="mqtt", mqtt=at, ack_s=10)


def broker_config(folder: Path, **settings: Any) -> BrokerConfig:
    return BrokerConfig(
        password_file=folder / "passwords",
        acl_file=folder / "acl",
        **{"pid_file": folder / "mosquitto.pid", "every_s": 0.2, **settings},
    )


def stopped_broker(folder: Path, config: BrokerConfig) -> tuple[Server, MqttConfig]:
    """A mosquitto that reads Towpath's files, and what Towpath needs to know of it."""
    server = mosquitto(folder / "broker", mosquitto_text(config))
    own = folder / "own-password"
    return server, MqttConfig(
        port=server.port, tls=False, password_file=own, retry_max_s=1
    )


@contextlib.asynccontextmanager
async def council(folder: Path, **settings: Any) -> AsyncIterator[Council]:
    """A council whose broker is not started yet."""
    config = broker_config(folder, **settings)
    broker, mqtt_config = stopped_broker(folder, config)
    files: list[BrokerFiles] = []

    async def wait_for_broker() -> bool:
        return await files[0].wait_loaded()

    async with door(folder, wait_for_broker=wait_for_broker) as https:
        files.append(BrokerFiles(config, mqtt_config, https.registry))
        ingest_config = IngestConfig(
            registry=registry_config(folder),
            mqtt=mqtt_config,
            aside=folder / "aside",
        )
        async with (
            files[0],
            MqttIngest(ingest_config, https.registry, https.append) as mqtt,
        ):
            try:
                yield Council(https, mqtt, broker, files[0])
            finally:
                await asyncio.to_thread(broker.stop)


async def loaded(files: BrokerFiles) -> None:
    """Waits until the broker has started and loaded its users."""
    await until(files.wait_loaded, "the broker to load its users", seconds=60)


async def started(council: Council) -> None:
    await asyncio.to_thread(council.broker.start)
    await until(lambda: council.mqtt.connected)


async def first_report(
    council: Council, folder: Path, token: str
) -> tuple[AgentCredential, int]:
    """Enrols a laptop and sends one report; how often that was refused first."""
    await asyncio.to_thread(folder.mkdir)
    who = await enrol(council.server, token, folder, council.ca_file, "test")
    made = report(who.agent, "r1")
    waiting = as_spooled(made)
    refusals = 0
    async with MqttPublisher(council.settings(), who, back_s=(1, 1)) as publisher:
        while True:
            try:
                receipt = await publisher.send([waiting])
            except CredentialRefused:
                refusals += 1
                await asyncio.sleep(0.5)
            except Later:
                await asyncio.sleep(0.5)
            else:
                assert receipt.accepted == ("r1",)
                return who, refusals


async def test_of_many_laptops_that_enrol_at_once_none_is_refused_by_the_broker(
    tmp_path: Path,
) -> None:
    async with council(tmp_path) as here:
        await started(here)
        token = here.https.registry.admin.make_token("depot", 100, 1, wall_ms())
        async with asyncio.timeout(120):
            results = await asyncio.gather(
                *(
                    first_report(here, tmp_path / f"laptop-{number}", token)
                    for number in range(60)
                )
            )
    assert [refusals for _, refusals in results] == [0] * 60
    told = {agent for _, agent, _ in here.https.append.rows()}
    assert told == {who.agent for who, _ in results}


async def test_laptops_that_enrol_while_the_broker_starts_all_report(
    tmp_path: Path,
) -> None:
    async with council(tmp_path) as here:
        token = here.https.registry.admin.make_token("depot", 100, 1, wall_ms())
        async with asyncio.timeout(120):
            living = [
                asyncio.create_task(
                    first_report(here, tmp_path / f"laptop-{number}", token)
                )
                for number in range(20)
            ]
            await started(here)
            results = await asyncio.gather(*living)
    assert len({who.agent for who, _ in results}) == 20


async def test_an_enrolment_is_answered_although_the_broker_is_away(
    tmp_path: Path,
) -> None:
    async with council(tmp_path) as here:
        token = here.https.registry.admin.make_token("depot", 1, 1, wall_ms())
        laptop = tmp_path / "laptop"
        await asyncio.to_thread(laptop.mkdir)
        who = await enrol(here.server, token, laptop, here.ca_file, "test")
        assert who.home_site == "depot"
        assert not await here.files.wait_loaded(0.1)


async def test_no_signal_ends_a_broker_that_is_just_starting(tmp_path: Path) -> None:
    config = broker_config(tmp_path, every_s=0.01)
    with opened_registry(tmp_path) as registry:
        token = registry.admin.make_token("depot", 1000, 1, wall_ms())
        stop = threading.Event()

        def enrol_on() -> None:
            number = 0
            while not stop.is_set():
                number += 1
                registry.identities.enrol(
                    Enrolment(token, f"device-{number % 300}"), wall_ms()
                )

        broker, mqtt = stopped_broker(tmp_path, config)
        async with BrokerFiles(config, mqtt, registry) as files:
            for _ in range(10):
                stop.clear()
                enrolling = asyncio.create_task(asyncio.to_thread(enrol_on))
                # Fails if the broker ends before it answers.
                await asyncio.to_thread(broker.start)
                stop.set()
                await enrolling
                await loaded(files)
                await asyncio.to_thread(broker.stop)


@contextlib.contextmanager
def ignoring_reloads(server: Server) -> Iterator[None]:
    """The broker is stopped for a moment, so that a reload comes late."""
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


async def test_a_broker_that_was_held_up_is_waited_for(tmp_path: Path) -> None:
    config = broker_config(tmp_path)
    with opened_registry(tmp_path) as registry:
        token = registry.admin.make_token("depot", 1, 1, wall_ms())
        broker, mqtt = stopped_broker(tmp_path, config)
        async with BrokerFiles(config, mqtt, registry) as files:
            with running(broker):
                await loaded(files)
                with ignoring_reloads(broker):
                    who = registry.identities.enrol(
                        Enrolment(token, "device"), wall_ms()
                    )
                    loading = asyncio.create_task(files.wait_loaded())
                    await asyncio.sleep(0.3)
                    assert not loading.done()
                assert await loading
                login = await check_login(mqtt, who.agent, who.secret)
                assert login is Login.ACCEPTED


async def test_a_broker_that_others_reload_is_known_to_have_loaded(
    tmp_path: Path,
) -> None:
    """As with a systemd path unit, or a broker in another container."""
    config = broker_config(tmp_path, pid_file=None)
    with opened_registry(tmp_path) as registry:
        broker, mqtt = stopped_broker(tmp_path, config)
        async with BrokerFiles(config, mqtt, registry) as files:
            with running(broker):
                registry.identities.enrol(
                    Enrolment(
                        registry.admin.make_token("depot", 1, 1, wall_ms()), "device"
                    ),
                    wall_ms(),
                )
                assert not await files.wait_loaded(1.0)
                os.kill(broker.pid, signal.SIGHUP)
                async with asyncio.timeout(60):
                    # A file that was written again meanwhile needs another reload.
                    while not await files.wait_loaded(0.5):
                        os.kill(broker.pid, signal.SIGHUP)


async def test_a_broker_with_other_users_is_logged_once(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config = broker_config(tmp_path, pid_file=None, every_s=0.01)
    with opened_registry(tmp_path) as registry:
        other = tmp_path / "other-users"
        other.touch(0o600)
        broker = mosquitto(
            tmp_path / "broker", f"allow_anonymous false\npassword_file {other}\n"
        )
        mqtt = MqttConfig(port=broker.port, tls=False, password_file=tmp_path / "own")
        with running(broker):
            async with BrokerFiles(config, mqtt, registry) as files:
                async with asyncio.timeout(60):
                    while files._refusals < 5:  # noqa: ASYNC110 - a counter
                        await asyncio.sleep(0.05)
    output = capfd.readouterr()
    assert (output.out + output.err).count("broker_users_not_loaded") == 1
    assert str(config.password_file) in output.out + output.err


async def test_the_user_of_the_check_can_neither_read_nor_forge_reports(
    tmp_path: Path,
) -> None:
    async with council(tmp_path) as here:
        await started(here)
        assert await here.files.wait_loaded()
        password = here.files._check_password
        who = AgentCredential(CHECK_USER, password)
        async with MqttPublisher(here.settings(), who) as publisher:
            made = report(CHECK_USER, "r1")
            forged = SpooledReport("r1", 0, msgspec.json.encode(made))
            sending = asyncio.create_task(publisher.send([forged]))
            await until(lambda: here.mqtt.stats.unauthorised > 0)
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sending
    assert not here.https.append.rows()


chances = st.floats(0, 1, exclude_max=True)


@given(st.integers(1, 100), chances)
def test_a_refused_laptop_comes_back_soon_and_then_ever_more_rarely(
    refusals: int, chance: float
) -> None:
    assert 5 <= denied_retry_s(1, chance) <= 15
    assert 0 < denied_retry_s(refusals, chance) <= 1.5 * LAST_DENIED_S
    assert denied_retry_s(refusals, chance) <= denied_retry_s(refusals + 1, chance)
    assert 1 <= refused_wait_s(1, chance) <= 4
    assert refused_wait_s(refusals, chance) <= refused_wait_s(refusals + 1, chance)
    assert refused_wait_s(refusals, chance) <= LAST_BACK_S


async def test_a_laptop_that_the_broker_refuses_at_first_gets_in_soon(
    tmp_path: Path,
) -> None:
    """Without an answer that waits: as if another process had enrolled it."""
    async with council(tmp_path, every_s=2) as here:
        await started(here)
        registry = here.https.registry
        folder = tmp_path / "laptop"
        await asyncio.to_thread(folder.mkdir)
        token = registry.admin.make_token("depot", 1, 1, wall_ms())
        who = AgentCredential("nobody-yet", "secret")
        async with asyncio.timeout(60):
            async with MqttPublisher(here.settings(), who) as publisher:
                with pytest.raises(CredentialRefused):
                    await publisher.send([SpooledReport("x", 0, b"{}")])
        who = registry.identities.enrol(Enrolment(token, device_id(folder)), wall_ms())
        made = report(who.agent, "r1")
        waiting = as_spooled(made)
        async with (
            asyncio.timeout(60),
            # A laptop that waits for the usual time after a refusal does not get in.
            MqttPublisher(here.settings(), who, back_s=(500, 600)) as publisher,
        ):
            while True:
                try:
                    receipt = await publisher.send([waiting])
                    break
                except CredentialRefused:
                    await asyncio.sleep(0.1)
        assert receipt.accepted == ("r1",)
