"""The topology is kept up to date while Towpath runs."""

from __future__ import annotations

import asyncio

from topology_estates import batches, estate, reports
from virtual_time import in_virtual_time

from collectors.batch import Batch, check_batch
from collectors.server_measurements import CATALOGUE
from collectors.snmp import SnmpConfig
from collectors.snmp.polling.poller import Poller
from collectors.snmp.session.credentials import Credentials, credential
from collectors.store.query import Query, Row
from collectors.topology import (
    DeviceNeighbour,
    TopologyView,
)
from collectors.topology.neighbour_records import from_batch
from probes.wire.clock import wall_ms
from towpath.demo.simulated_switches import (
    SimulatedNeighbour,
    SimulatedPort,
    SimulatedSwitch,
)


class UnreachableStore:
    async def write(self, batches: list[Batch]) -> None:
        raise OSError("away")

    async def query(self, query: Query) -> list[Row]:
        raise OSError("away")


async def test_discovered_parents_come_and_go_while_running() -> None:
    here = estate("router", "core", line_on="router")
    now_ms = 1_000_000_000

    def clock() -> int:
        return now_ms

    view = TopologyView(lambda: here, UnreachableStore(), clock, settle_s=0.0)
    async with view:
        first = view.estate()
        assert first is here
        for batch in batches("core", [reports("core", "Te1", "router", "1")], now_ms):
            view.add(batch)
        whole = view.estate()
        assert whole.device("core").parent == "router"
        assert view.estate() is whole
        assert view.uplinks("core") == ("Te1",)
        # The same report changes nothing; a silent neighbour is remembered for a day.
        for batch in batches("core", [reports("core", "Te1", "router", "1")], now_ms):
            view.add(batch)
        assert view.estate() is whole
        now_ms += 86_000_000
        for batch in batches("core", [], now_ms):
            view.add(batch)
        assert view.estate().device("core").parent == "router"
        now_ms += 1_000_000
        view.add(batches("router", [], now_ms)[0])
        assert view.estate().device("core").parent is None


async def test_two_neighbours_on_one_port_are_both_remembered() -> None:
    """An unmanaged switch forwards their LLDP frames."""
    here = estate("router", "a", "b", line_on="router")
    view = TopologyView(lambda: here, now_ms=lambda: 5_000, settle_s=0.0)
    for time_ms, others in ((1_000, "ab"), (2_000, "a")):
        neighbours = [reports("router", "1", other, "9") for other in others]
        for batch in batches("router", neighbours, time_ms):
            view.add(batch)
    assert set(view.graph().parents) == {"a", "b"}


async def test_in_a_thread_the_last_graph_holds_until_the_new_one_is_built() -> None:
    here = estate("router", "core", line_on="router")
    view = TopologyView(lambda: here, settle_s=0.0, in_thread=True)
    async with view:
        assert view.uplinks("core") == ()
        for batch in batches("core", [reports("core", "Te1", "router", "1")], now()):
            view.add(batch)
        assert view.uplinks("core") == ()
        for _ in range(500):
            await asyncio.sleep(0.01)
            if view.uplinks("core"):
                break
        assert view.uplinks("core") == ("Te1",)
        assert view.find_device(reports("core", "Te1", "ROUTER")) == "router"
        assert view.find_device(reports("core", "Te1", "stranger")) is None


def now() -> int:
    return wall_ms()


async def test_a_new_neighbour_replaces_the_old_one_on_its_port() -> None:
    here = estate("router", "old", "core", line_on="router")
    view = TopologyView(lambda: here, now_ms=lambda: 5_000, settle_s=0.0)
    for time_ms, other in ((1_000, "old"), (2_000, "router")):
        for batch in batches("core", [reports("core", "Te1", other, "1")], time_ms):
            view.add(batch)
    assert [(link.a, link.b) for link in view.graph().links] == [("core", "router")]


class BatchList:
    def __init__(self) -> None:
        self.batches: list[Batch] = []

    async def append(self, *batches: Batch) -> None:
        self.batches += batches


@in_virtual_time
async def test_a_poll_reports_neighbours_and_the_uplink_port() -> None:
    ports = [SimulatedPort(n, f"Gi1/0/{n}") for n in range(1, 4)]
    ports[1].neighbour = SimulatedNeighbour("router.example.org", "ge0", "router")
    ports[0].neighbour = SimulatedNeighbour("access", "7", "telephone")
    ports[2].neighbour = SimulatedNeighbour("phone-17", "1", "telephone")
    kept = BatchList()
    async with SimulatedSwitch("core", ports) as switch:
        here = estate(
            {"id": "router", "poll": False},
            # It announces itself as a telephone, but the estate has it as a switch.
            {"id": "access", "poll": False},
            {"id": "core", "address": "127.0.0.1", "port": switch.port_number},
            line_on="router",
        )
        public = credential("default", {"community": "public"})
        config = SnmpConfig(period_s=0.4, timeout_s=0.5, neighbours_s=0.3)
        async with Poller(config, lambda: here, Credentials({"default": public}), kept):
            for _ in range(200):
                whys = [
                    why
                    for batch in kept.batches
                    if batch.measurement == "interface"
                    for why in batch.field("expected_why")
                ]
                if "uplink" in whys:
                    break
                await asyncio.sleep(0.05)
    assert "uplink" in whys
    neighbours = {
        (record.port, record.remote_name)
        for batch in kept.batches
        for _, record in from_batch(check_batch(batch, CATALOGUE))
        if isinstance(record, DeviceNeighbour)
    }
    assert neighbours == {
        ("Gi1/0/1", "access"),
        ("Gi1/0/2", "router.example.org"),
    }
    ids = {
        device
        for batch in kept.batches
        if batch.measurement == "neighbour"
        for device in batch.field("remote_device")
    }
    assert ids == {"access", "router"}
