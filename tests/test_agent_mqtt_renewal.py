"""A laptop that reports over MQTT gets a new secret: the broker knows it in time."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from ingest_council import as_spooled, report
from test_ingest_new_laptops import council, first_report, started

from probes.agent.credential_renewal import CredentialRenewal
from probes.agent.enrol import read_credential
from probes.agent.publish_mqtt import MqttPublisher
from probes.agent.report_delivery import CredentialRefused, Later
from probes.agent.server_connection import ServerConnection
from probes.wire.clock import wall_ms

pytestmark = pytest.mark.service


async def test_a_laptop_on_mqtt_gets_a_new_secret_and_loses_nothing(
    tmp_path: Path,
) -> None:
    async with council(tmp_path) as here:
        await started(here)
        token = here.https.registry.admin.make_token("depot", 1, 1, wall_ms())
        old, _ = await first_report(here, tmp_path / "laptop", token)
        known = read_credential(tmp_path / "laptop")
        publisher = MqttPublisher(here.settings(), known, back_s=(1, 1))
        link = ServerConnection(here.server, known, here.ca_file, "test")
        async with publisher, link, asyncio.timeout(60):
            assert await receipt_of(publisher, old.agent, "r2")
            later_ms = wall_ms() + 31 * 86_400_000
            await CredentialRenewal(
                tmp_path / "laptop",
                known,
                "",
                link,
                publisher.use_credential,
                lambda: later_ms,
            ).run(30)
            new = read_credential(tmp_path / "laptop")
            assert new.secret != old.secret
            assert not new.unconfirmed
            assert await receipt_of(publisher, old.agent, "r3")
            # A start of the broker: the old secret is of no use any more.
            await asyncio.to_thread(here.broker.stop)
            await started(here)
            assert await receipt_of(publisher, old.agent, "r4")
        assert here.https.registry.verify(old.agent, old.secret) is None


async def receipt_of(publisher: MqttPublisher, agent: str, id: str) -> bool:
    """Sends a report as an agent does, until it is in a receipt."""
    made = report(agent, id)
    waiting = as_spooled(made)
    while True:
        try:
            return (await publisher.send([waiting])).accepted == (id,)
        except (CredentialRefused, Later):
            await asyncio.sleep(0.5)
