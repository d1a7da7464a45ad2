"""A link trap has its port polled at once, and the alert fires."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
import services
from waiting import until

from alerts.alert_access import open_alerts, start_positions
from alerts.alert_config import AlertConfig
from alerts.alert_engine import AlertEngine
from alerts.engine_inputs import EngineInputs
from alerts.rule_files import load_rules
from collectors.estate import Device, Estate, Site
from collectors.journal import Journal, JournalConfig, JournalReader
from collectors.server_measurements import CATALOGUE
from collectors.snmp import Credentials, Poller, SnmpConfig, credential
from collectors.snmp.traps import TrapReceiver, TrapsConfig
from towpath.demo.simulated_switches import SimulatedPort, SimulatedSwitch

pytestmark = pytest.mark.service


async def test_a_failed_link_fires_long_before_the_next_regular_poll(
    tmp_path: Path,
) -> None:
    program = services.program("snmptrap")
    ports = [SimulatedPort(7, "Gi1/0/7"), SimulatedPort(8, "Gi1/0/8")]
    switch = SimulatedSwitch("edge-1", ports)
    async with switch:
        device = Device.model_validate(
            {
                "id": "edge-1",
                "site": "hall",
                "address": "127.0.0.1",
                "port": switch.port_number,
                "uplink_ports": ["Gi1/0/7"],
            }
        )
        estate = Estate(sites=(Site(id="hall", name="Town Hall"),), devices=(device,))
        known = Credentials({"default": credential("d", {"community": "public"})})
        standing = tmp_path / "alerts.sqlite"
        # The next regular poll is in ten minutes, so only the trap can cause one
        # before.
        snmp = SnmpConfig(period_s=600)
        async with (
            Journal(JournalConfig(folder=tmp_path / "j"), "all", CATALOGUE) as journal,
            Poller(snmp, lambda: estate, known, journal) as poller,
            TrapReceiver(
                TrapsConfig(host="127.0.0.1", port=0),
                lambda: estate,
                known.values(),
                journal,
                poller,
            ) as receiver,
            JournalReader(tmp_path / "j", "alert", start_positions(standing)) as reader,
            AlertEngine(
                AlertConfig(standing=standing),
                load_rules(CATALOGUE),
                EngineInputs(reader, journal, lambda: estate),
                {},
            ),
        ):
            await until(lambda: poller.port_name("edge-1", 7) == "Gi1/0/7")
            await until(lambda: poller.stats.done >= 1)
            switch.take_down("Gi1/0/7")
            process = await asyncio.create_subprocess_exec(
                program,
                *("-v2c", "-c", "public", f"127.0.0.1:{receiver.inbox.port}", ""),
                *("1.3.6.1.6.3.1.1.5.3", "1.3.6.1.2.1.2.2.1.1.7", "i", "7"),
                env={"MIBS": ""},
            )
            await process.wait()
            sent_s = time.monotonic()

            def verdicts() -> list[str]:
                return [a.key for a in open_alerts(standing) if a.state == "firing"]

            key = "port_down/device=edge-1,port=Gi1/0/7"
            await until(lambda: key in verdicts())
            # Printed, not asserted: a busy machine may take longer than the intended 2
            # s.
            print(f"verdict {time.monotonic() - sent_s:.2f} s after the trap")
            assert poller.stats.done == 2

            # The second poll follows, for agents that answer from a cache.
            await until(lambda: poller.stats.done >= 3)
