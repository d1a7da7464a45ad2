"""The agent's own publishers at the real doors: both sides of the wire contract."""

from __future__ import annotations

from pathlib import Path

import pytest
from append_doubles import ListAppend
from ingest_council import (
    as_spooled,
    door,
    opened_registry,
    registry_config,
    report,
    wall_ms,
)
from services import mosquitto, running
from waiting import until

from collectors.estate.estate_model import Estate, Reflector
from collectors.ingest.broker_files import BrokerFiles, mosquitto_text
from collectors.ingest.ingest_config import BrokerConfig, IngestConfig, MqttConfig
from collectors.ingest.mqtt_ingest import MqttIngest
from probes.agent.enrol import NotEnrolled, device_id, enrol
from probes.agent.publish_https import HttpsPublisher
from probes.agent.publish_mqtt import MqttPublisher
from probes.agent.report_delivery import CredentialRefused, Later, NotTaken
from probes.agent.server_connection import ServerConnection
from probes.agent.settings import Mqtt, Settings
from probes.agent.spool_rows import SpooledReport
from probes.wire.report import Enrolment


async def test_an_agent_enrols_reports_and_gets_its_policy_over_https(
    tmp_path: Path,
) -> None:
    estate = Estate(reflectors=(Reflector(id="hq", host="hq.example"),))
    async with door(tmp_path, estate=lambda: estate) as council:
        server = f"https://127.0.0.1:{council.ingest.port}"
        ca_file = str(council.certificates.authority)
        laptop = tmp_path / "laptop"
        laptop.mkdir()
        with pytest.raises(NotEnrolled, match="token is not known here"):
            await enrol(server, "wrong", laptop, ca_file, "test")
        token = council.registry.admin.make_token("depot", 1, 1, wall_ms())
        who = await enrol(server, token, laptop, ca_file, "test")
        assert who.home_site == "depot"
        async with ServerConnection(server, who, ca_file, "test") as way:
            publisher = HttpsPublisher(way)
            policy = await publisher.policy()
            assert policy is not None
            assert [reflector.id for reflector in policy.reflectors] == ["hq"]
            assert await publisher.policy() is None
            good, bad = report(who.agent, "r1"), report("other", "r2")
            receipt = await publisher.send([as_spooled(good), as_spooled(bad)])
            assert receipt.accepted == ("r1",)
            assert [refusal.id for refusal in receipt.refused] == ["r2"]
            with pytest.raises(NotTaken, match="JSON list of reports"):
                await publisher.send([SpooledReport("x", 0, b"{")])
            council.append.fault = OSError("full")
            with pytest.raises(Later, match="durable") as later:
                await publisher.send([as_spooled(report(who.agent, "r3"))])
            assert later.value.after_s is not None
            council.registry.admin.revoke(who.agent, wall_ms(), "test")
            with pytest.raises(CredentialRefused, match="enrolled"):
                await publisher.send([as_spooled(good)])


@pytest.mark.service
async def test_an_agent_reports_over_mqtt(tmp_path: Path) -> None:
    files = BrokerConfig(
        password_file=tmp_path / "passwords", acl_file=tmp_path / "acl"
    )
    secret = tmp_path / "own-password"
    append = ListAppend()
    with opened_registry(tmp_path) as registry:
        token = registry.admin.make_token("depot", 1, 1, wall_ms())
        device = device_id(tmp_path)
        who = registry.identities.enrol(Enrolment(token, device), wall_ms())
        server = mosquitto(tmp_path, mosquitto_text(files))
        mqtt = MqttConfig(port=server.port, tls=False, password_file=secret)
        config = IngestConfig(
            registry=registry_config(tmp_path), mqtt=mqtt, aside=tmp_path / "aside"
        )
        BrokerFiles(files, mqtt, registry).write()
        assert secret.stat().st_mode & 0o077 == 0
        settings = Settings(mqtt=Mqtt("127.0.0.1", server.port, False))
        with running(server):
            async with (
                MqttIngest(config, registry, append) as ingest,
                MqttPublisher(settings, who) as publisher,
            ):
                await until(lambda: ingest.connected)
                good, bad = report(who.agent, "r1"), report("other", "r2")
                receipt = await publisher.send([as_spooled(good), as_spooled(bad)])
                assert receipt.accepted == ("r1",)
                assert [refusal.id for refusal in receipt.refused] == ["r2"]
                with pytest.raises(NotTaken, match="JSON list of reports"):
                    await publisher.send([SpooledReport("x", 0, b"{")])
    assert len(append.rows()) == 2
