"""The first minutes with real devices page nobody, and later faults of them do."""

from __future__ import annotations

import asyncio
import csv
from collections.abc import Sequence
from pathlib import Path

import pytest
import services
from recorded_agents import Recorded

from alerts.baseline_keeper import BaselineKeeper
from alerts.cycle import run_cycle
from alerts.estate_index import EstateIndex
from alerts.evaluation.alert_states import AlertState
from alerts.rule_files import load_rules
from alerts.window import Window
from collectors.batch import Batch
from collectors.estate.estate_model import Device, Estate
from collectors.server_measurements import CATALOGUE
from collectors.snmp import credential
from collectors.snmp.polling.device_health import HealthReader
from collectors.snmp.polling.device_poll import DevicePoll, PollSettings
from collectors.snmp.polling.device_state import DeviceState
from collectors.snmp.polling.expected_ports import PortUses
from collectors.snmp.polling.reading_slots import ReadingSlots
from collectors.snmp.profiles import load
from collectors.snmp.session.session import RetryPolicy
from collectors.snmp.session.sessions import Sessions
from collectors.snmp.snmp_config import SnmpConfig

START_MS = 1_777_888_800_000
MINUTE_MS = 60_000
# The corpus calls some roles otherwise than the estate.
ROLES = {"wireless": "access_point"}
KNOWN = ("switch", "router", "firewall", "access_point", "ups", "environment")
# Read by discovery, then every five minutes.
SLOW = ("sensor", "storage", "wireless", "inventory")


async def poll_devices(files: Sequence[Path]) -> dict[str, tuple[str, list[Batch]]]:
    """Device → its role and the rows of its first poll, as the poller makes them."""
    with services.corpus("index.csv").open(encoding="utf-8") as index:
        classes = {row["name"]: row["class"] for row in csv.DictReader(index)}
    public = credential("test", {"community": "public"})
    config, profiles = SnmpConfig(), load(None)
    polled: dict[str, tuple[str, list[Batch]]] = {}
    slots = asyncio.Semaphore(4)

    async def poll(number: int, file: Path, sessions: Sessions) -> None:
        role = ROLES.get(classes[file.stem], classes[file.stem])
        role = role if role in KNOWN else "other"
        async with slots, Recorded(file) as agent:
            device = Device.model_validate(
                {
                    "id": f"d{number}",
                    "site": "hall",
                    "address": "127.0.0.1",
                    "port": agent.port_number,
                    "role": role,
                }
            )
            session = sessions.open(
                "127.0.0.1",
                agent.port_number,
                public,
                RetryPolicy.with_backoff(1.0, 3),
            )
            health = HealthReader(profiles, ReadingSlots())
            poll = DevicePoll(
                PollSettings(config, lambda: START_MS),
                device,
                PortUses(),
                session,
                DeviceState(),
                health,
            )
            result = await poll.poll(0.0, lambda: None)
            poll.close()
            polled[device.id] = role, result.batches

    async with Sessions() as sessions:
        await asyncio.gather(
            *(poll(number, file, sessions) for number, file in enumerate(files))
        )
    return polled


class FirstStart:
    """The rules from the first row on, with the same rows every minute."""

    def __init__(self, polled: dict[str, tuple[str, list[Batch]]]) -> None:
        self.estate_index = EstateIndex(
            Estate.model_validate(
                {
                    "sites": [{"id": "hall", "name": "Town Hall"}],
                    "devices": [
                        {
                            "id": device,
                            "site": "hall",
                            "role": role,
                            "address": f"10.0.{number // 250}.{1 + number % 250}",
                        }
                        for number, (device, (role, _)) in enumerate(polled.items())
                    ],
                }
            )
        )
        self.rules = load_rules(CATALOGUE)
        self.window = Window(self.rules, CATALOGUE, START_MS)
        self.keeper = BaselineKeeper(30 * MINUTE_MS)
        self.states: dict[str, AlertState] = {}
        self.pages: list[str] = []
        self.baseline: set[str] = set()

    def start_again(self, now_ms: int) -> None:
        """As after a restart: an empty window, and what the alert file keeps."""
        known = dict(self.keeper._known)
        self.window = Window(self.rules, CATALOGUE, now_ms)
        self.keeper = BaselineKeeper(30 * MINUTE_MS)
        self.keeper.load(known)

    def run_minutes(
        self, polled: dict[str, tuple[str, list[Batch]]], minutes: range
    ) -> None:
        rows = [batch for _, batches in polled.values() for batch in batches]
        fast = [batch for batch in rows if batch.measurement not in SLOW]
        for minute in minutes:
            batches = rows if minute % 5 == 0 else fast
            self.run(batches, START_MS + minute * MINUTE_MS)

    def run(self, batches: Sequence[Batch], now_ms: int) -> None:
        for batch in batches:
            columns = ([now_ms] * len(batch), *batch.columns[1:])
            moved = Batch(batch.source, now_ms, batch.schema, columns)
            self.keeper.append(self.window, moved)
        for at_ms in (now_ms + 1_000, now_ms + 31_000):
            learning = self.keeper.learning(self.window, self.estate_index, {}, at_ms)
            cycle = run_cycle(
                self.window,
                self.estate_index,
                self.rules,
                self.states,
                {},
                [],
                lambda _: [("duty", 0, False)],
                at_ms,
                learning,
            )
            self.window.clear_changed(learning.settled)
            self.keeper.written(learning)
            self.states = cycle.states
            self.pages += [page.alert.key for page in cycle.pages]
            self.baseline |= {key for key, part in cycle.baseline.items() if part}


@pytest.mark.corpus
def test_recorded_devices_page_nobody_when_first_seen_and_their_later_faults_do() -> (
    None
):
    folder = services.corpus("recordings")
    files = sorted(folder.glob("*.snmprec"))[::12]
    # A router with unused WAN ports, and a firewall with tunnels that are down.
    files += [folder / f"{name}.snmprec" for name in ("pepwave", "fortigate_vm01")]
    polled = asyncio.run(poll_devices(files))
    first_start = FirstStart(polled)
    first_start.run_minutes(polled, range(40))
    assert first_start.pages == []
    listed = {key.partition("/")[0] for key in first_start.baseline}
    assert {"sensor_critical", "sensor_warning", "device_finding"} <= listed

    # The baseline hides nothing that begins later: what was well fails in each of them.
    failed = []
    for device, (role, _) in polled.items():
        tags = {"device": device, "site": "hall", "role": role}
        failed.append(_device_row(tags, up=0))
    for minute in (40, 41, 42):
        first_start.run(failed, START_MS + minute * MINUTE_MS)
    paged = {key for key in first_start.pages if key.startswith("device_unreachable/")}
    cut_off = "monitor_cut_off/" in first_start.pages
    assert cut_off or len(paged) == len(polled)


@pytest.mark.soak
@pytest.mark.corpus
@pytest.mark.parametrize("again_at", [7, 45], ids=["while new", "when known"])
def test_no_recorded_device_pages_anybody_at_a_first_or_a_second_start(
    again_at: int,
) -> None:
    polled = asyncio.run(poll_devices(sorted(services.corpus("recordings").glob("*"))))
    first_start = FirstStart(polled)
    first_start.run_minutes(polled, range(again_at))
    first_start.start_again(START_MS + again_at * MINUTE_MS)
    first_start.run_minutes(polled, range(again_at, again_at + 45))
    assert first_start.pages == []


def _device_row(tags: dict[str, str], up: int) -> Batch:
    from collectors.batch import batch_samples
    from probes.wire.sample import Sample

    sample = Sample("device", tags, {"up": up, "outcome": "timeout"}, START_MS)
    [batch] = batch_samples([sample], "poll", START_MS)
    return batch
