"""The demo's own broker keeps the same rules as mosquitto does."""

from __future__ import annotations

import asyncio
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
from services import free_port
from waiting import until

from collectors.ingest.demo_broker import DemoBroker, Users
from collectors.ingest.ingest_config import IngestConfig, MqttConfig
from collectors.ingest.mqtt_ingest import MqttIngest
from probes.wire.report import ACKS_TOPIC, REPORTS_TOPIC, AgentCredential


async def test_the_demo_runs_on_a_broker_in_python(tmp_path: Path) -> None:
    port = free_port()
    secret = tmp_path / "own-password"
    secret.write_text("own")
    mqtt = MqttConfig(port=port, tls=False, password_file=secret)
    append = ListAppend()
    with opened_registry(tmp_path) as registry:
        alice, mallory = enrol(registry, "ALICE"), enrol(registry, "MALLORY")
        async with (
            DemoBroker(port, Users(registry, mqtt.username, "own")),
            MqttIngest(
                IngestConfig(mqtt=mqtt, aside=tmp_path), registry, append
            ) as ingest,
        ):
            await until(lambda: ingest.connected)
            for wrong in (
                AgentCredential(alice.agent, "x"),
                AgentCredential("nobody", "x"),
            ):
                with pytest.raises(aiomqtt.MqttError):
                    async with mqtt_connection(port, wrong):
                        pass
            async with mqtt_connection(port, mallory) as evil:
                forged = body(report(alice.agent, "forged"))
                await evil.publish(f"{REPORTS_TOPIC}/{alice.agent}", forged, qos=0)
                await evil.subscribe(f"{ACKS_TOPIC}/{alice.agent}")
                waiting = {f"r{n}": report(alice.agent, f"r{n}") for n in range(5)}
                await asyncio.wait_for(deliver(port, alice, waiting), 20)
                assert len(evil.messages) == 0
        assert ingest.stats.accepted == 5
