"""Measures what one poll of a switch with 50 ports costs, up to its batches: CPU and
request packets.

The agent is a real snmpd in a network namespace with 25 veth pairs. Debian's
prometheus-snmp-exporter polls the same agent in the same run, with the usual walk of
the interfaces group and ifXTable. CPU is user and system time of the poller only.
`benchmarks.running_cost` measures all of Towpath.

    python -m benchmarks.poll
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.exporter_peer import is_installed, measure_exporter
from benchmarks.real_agent import (
    PORTS,
    USERS,
    bench_credential,
    create_ports,
    run_in_namespace,
    snmpd,
)
from collectors.batch import Batch
from collectors.estate import Device
from collectors.snmp import Credential, SnmpConfig
from collectors.snmp.polling.device_poll import DevicePoll, PollSettings
from collectors.snmp.polling.device_state import DeviceState
from collectors.snmp.polling.expected_ports import PortUses
from collectors.snmp.session.session import RetryPolicy
from collectors.snmp.session.sessions import Sessions
from probes.wire.clock import wall_ms

POLLS = 200
# Each figure, the peer's too, is the best of this many rounds, because other work on
# the machine can only make it worse.
ROUNDS = 3


def run() -> dict[str, float]:
    """The figures by name; names end in their unit."""
    figures = run_in_namespace("benchmarks.poll")
    for figure, value in figures.items():
        print(f"{figure:36} {value:>12,.3f}")
    return figures


def measure() -> dict[str, float]:
    """Inside the namespace: creates the ports, starts the agent, polls it."""
    create_ports()
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with snmpd(folder) as port:
            for _ in range(ROUNDS):
                for version in USERS:
                    measured = asyncio.run(_towpath(port, bench_credential(version)))
                    _best(figures, f"towpath_{version}", measured)
                if is_installed():
                    _best(figures, "snmp_exporter", measure_exporter(folder, port))
    if "snmp_exporter_cpu_ms" in figures:
        figures["cpu_to_snmp_exporter_ratio"] = (
            figures["towpath_v2c_cpu_ms"] / figures["snmp_exporter_cpu_ms"]
        )
    figures["v3_to_v2c_ratio"] = (
        figures["towpath_v3_cpu_ms"] / figures["towpath_v2c_cpu_ms"]
    )
    return figures


def _best(figures: dict[str, float], who: str, measured: dict[str, float]) -> None:
    for name, value in measured.items():
        figure = f"{who}_{name}"
        figures[figure] = min(figures.get(figure, value), value)


async def _towpath(port: int, own: Credential) -> dict[str, float]:
    # Polls run one after another, so the period is short.
    config = SnmpConfig(timeout_s=5.0, period_s=0.001)
    device = Device(id="bench", site="s", address="127.0.0.1", port=port)  # type: ignore[arg-type]
    async with Sessions() as sessions:
        session = sessions.open("127.0.0.1", port, own, RetryPolicy((5.0,)))
        settings = PollSettings(config, wall_ms)
        poll = DevicePoll(settings, device, PortUses(), session, DeviceState())
        rows: list[Batch] = []
        # Discovers the ports and, over some polls, how much the agent can handle.
        for _ in range(15):
            rows = (await poll.poll(0.0, _nothing)).batches
        assert len(rows[1]) >= PORTS
        before, packets = time.process_time(), session.counts.packets
        for _ in range(POLLS):
            await poll.poll(0.0, _nothing)
        spent = time.process_time() - before
        packets = session.counts.packets - packets
        poll.close()
    return {"cpu_ms": spent / POLLS * 1000, "packets": packets / POLLS}


def _nothing() -> None:
    pass


if __name__ == "__main__":
    if "--inside" in sys.argv:
        print(json.dumps(measure()))
    else:
        run()
