"""Pollers that share the estate over a real NATS server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from nats_servers import NatsServer, running_cluster, running_nats
from polled_switches import PUBLIC, QUICK, RowSink, device, estate, numbers
from replicated_alerts import Machine, MemoryLog
from structlog.testing import capture_logs
from test_check import Folder
from waiting import until, wait_until

from alerts.standby.standby_config import StandbyConfig
from alerts.standby.standby_machine import StandbyMachine
from collectors.estate import Device, Estate, Site
from collectors.estate.estate_model import VpnGateway
from collectors.nats.nats_config import NatsConfig
from collectors.nats.nats_connection import NatsConnection
from collectors.sharing.estate_share import shared_devices
from collectors.sharing.learnt_bucket import LearntBucket
from collectors.sharing.nats_share import NatsShare
from collectors.sharing.poller_presence import (
    SHARED,
    WHOLE,
    PollerPresence,
    Presence,
    overlap_sentences,
    present_pollers,
)
from collectors.sharing.share_thread import ShareThread
from collectors.snmp import Poller
from towpath.alert_role import alert_lease
from towpath.demo.simulated_switches import SimulatedSwitch

LEASE_S = 2.0
# A machine that is too busy to renew it in time would be too busy for any.
LONG_LEASE_S = 5.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    with running_nats(tmp_path_factory.mktemp("nats")) as server:
        yield server


def _estate(count: int = 60) -> Estate:
    sites = (Site(id="town-hall", name="Town hall"), Site(id="depot", name="Depot"))
    devices = tuple(
        Device(
            id=f"switch-{n}",
            site="depot" if n % 6 == 0 else "town-hall",
            address=f"10.0.0.{n + 1}",  # type: ignore[arg-type]
        )
        for n in range(count)
    )
    gateways = tuple(
        VpnGateway(id=f"vpn-{n}", site=None if n else "depot", host="10.1.0.1")
        for n in range(4)
    )
    return Estate(sites=sites, devices=devices, vpn_gateways=gateways)


@contextlib.asynccontextmanager
async def _sharing(
    server: NatsServer, prefix: str, name: str, estate: Estate, near: str = ""
) -> AsyncIterator[NatsShare]:
    config = NatsConfig(servers=(server.url,), prefix=prefix)
    async with NatsConnection(config, name) as connection:
        share = NatsShare(connection, name, (near,) if near else (), LEASE_S)
        async with share:
            share.share(shared_devices(estate))
            yield share


def _held(estate: Estate, *shares: NatsShare | ShareThread) -> list[set[str]]:
    return [
        {d.id for d in estate.devices if share.holds(d)}
        | {g.id for g in estate.vpn_gateways if share.holds_gateway(g)}
        for share in shares
    ]


def _are_shared(estate: Estate, *shares: NatsShare | ShareThread) -> bool:
    """True if every device and every gateway is held once."""
    held = _held(estate, *shares)
    total = len(estate.devices) + len(estate.vpn_gateways)
    assert sum(map(len, held)) <= total
    return sum(map(len, held)) == total


async def test_pollers_share_the_estate_and_take_over_from_one_that_leaves(server):
    council = _estate()
    async with (
        _sharing(server, "leaving", "a", council) as a,
        _sharing(server, "leaving", "b", council, "depot") as b,
    ):
        async with _sharing(server, "leaving", "c", council) as c:
            await until(
                lambda: c.pollers == 3 and _are_shared(council, a, b, c), "three shares"
            )
            held = _held(council, a, b, c)
            assert all(10 <= len(devices) <= 26 for devices in held), held
            near = {d.id for d in council.devices if d.site == "depot"}
            assert near | {"vpn-0"} <= held[1]
            # One of them, whichever, says what the sites are called.
            sites = (*council.sites, Site(id="quay", name="Quay", poller="quay"))
            spoken = [[s.id for s in sites if p.speaks_for(s)] for p in (a, b, c)]
            assert sorted(spoken) == [[], [], ["town-hall", "depot"]]
        # It left in order, so nobody waits for its lease.
        await until(lambda: _are_shared(council, a, b), "two shares", LEASE_S / 2)


async def test_without_nats_a_poller_stops_and_comes_back_with_a_new_lease(
    tmp_path_factory: pytest.TempPathFactory,
):
    council = _estate()
    with running_nats(tmp_path_factory.mktemp("nats")) as server:
        async with (
            _sharing(server, "lost", "a", council) as a,
            _sharing(server, "lost", "b", council) as b,
        ):
            await until(
                lambda: a.pollers == 2 and _are_shared(council, a, b), "two shares"
            )
            server.kill()
            await asyncio.sleep(LEASE_S)
            assert _held(council, a, b) == [set(), set()]
            server.start()
            await until(lambda: _are_shared(council, a, b), "two shares again", 15)


async def test_a_poller_that_is_busy_keeps_its_lease(server: NatsServer):
    config = NatsConfig(servers=(server.url,), prefix="busy")
    async with ShareThread(config, "a", (), LONG_LEASE_S) as share:
        share.set_estate(_estate())
        await until(lambda: share.held == 64, "the whole estate")
        changes, until_s = share.changes, share.deadline_s + 0.5
        # Nothing else runs on this loop until the lease has been renewed.
        wait_until(lambda: share.deadline_s > until_s, "renewals")
        assert (share.held, share.changes) == (64, changes)


async def test_a_busy_machine_keeps_its_lease_on_the_alerts_and_its_log_says_whose(
    server: NatsServer, tmp_path: Path
):
    # The log of alerts is in memory: the lease alone says whether it may evaluate.
    alerts, leases, told = Machine(tmp_path, "hall", MemoryLog(), []), [], []
    standby = StandbyConfig(enabled=True, name="hall", lease_s=LONG_LEASE_S)
    config = NatsConfig(servers=(server.url,), prefix="alerts")

    def make_lease():
        leases.append(alert_lease(config, standby))
        return leases[-1]

    async def note() -> None:
        told.append(machine.is_active)

    with capture_logs() as logs:
        machine = StandbyMachine(alerts.replica, make_lease, note, note)
        async with machine:
            assert machine.sample("alert+hall", 0).fields["attended"] == 0
            await until(lambda: machine.is_active, "the alerts")
            alone = {"active": 1, "attended": 1, "machines": 1}
            assert machine.sample("alert+hall", 0).fields == alone
            # Nothing else runs on this loop until the lease has been renewed.
            [lease] = leases
            changes, until_s = lease.changes, lease.deadline_s + 0.5
            wait_until(lambda: lease.deadline_s > until_s, "renewals")
            assert (lease.changes, machine.is_active, told) == (changes, True, [False])
    alerts.close()
    changed = [entry for entry in logs if entry["event"] == "alert_lease_changed"]
    assert [(entry["machine"], entry["held"]) for entry in changed] == [
        ("hall", 1),
        ("hall", 0),
    ]
    assert not {"devices_shared", "lease_lost"} & {entry["event"] for entry in logs}


async def test_a_poller_stops_polling_before_it_says_that_it_has(server: NatsServer):
    council, stopped = _estate(), asyncio.Event()
    config = NatsConfig(servers=(server.url,), prefix="stopping")
    async with ShareThread(config, "a", (), LONG_LEASE_S) as a:
        a.set_estate(council)
        await until(lambda: a.held == 64, "the whole estate")
        a.on_change = stopped.wait
        async with ShareThread(config, "b", (), LONG_LEASE_S) as b:
            b.set_estate(council)
            await until(lambda: a.held < 64, "less for the first")
            assert b.held == 0
            # What it keeps it does not lose, however long it takes to stop the rest.
            kept, until_s = a.held, a.deadline_s + 0.5
            await until(lambda: a.deadline_s > until_s, "renewals meanwhile")
            assert (a.held, b.held) == (kept, 0)
            stopped.set()
            await until(lambda: a.held + b.held == 64, "two shares")


def test_pollers_that_poll_the_same_are_reported_and_others_are_not():
    whole, shared = Presence("a", WHOLE), Presence("b", SHARED)
    depot = Presence("c", "depot")
    assert overlap_sentences([whole, depot]) == []
    # A site's own poller may be called so.
    named = [Presence("b", "shared"), Presence("c", "whole")]
    assert overlap_sentences([whole, *named]) == []
    assert overlap_sentences([shared, Presence("a", SHARED), depot]) == []
    assert overlap_sentences([Presence(m, SHARED, m) for m in "ab"]) == []
    [twice] = overlap_sentences([Presence(m, SHARED, "hall") for m in "ab"])
    assert twice.startswith("2 pollers that share have the name 'hall', on a and b: ")
    assert overlap_sentences([shared, whole]) == [
        "pollers without snmp.share run on a, and with it on b: devices are polled "
        "several times; expected snmp.share = true for all of them"
    ]
    [two, sites] = overlap_sentences([Presence("b", WHOLE), whole, depot, depot])
    assert two.startswith("pollers without snmp.share run on a and b: devices")
    assert sites.startswith("pollers with snmp.poller = 'depot' run on c and c: each")


async def test_two_pollers_that_do_not_share_say_so_and_check_does(
    server: NatsServer, tmp_path: Path
):
    folder = Folder(tmp_path)
    nats = f'[journal]\nkind = "nats"\n\n[nats]\nservers = ["{server.url}"]\n'
    folder.change("[web]", f"{nats}\n[web]")
    config = NatsConfig(servers=(server.url,))
    async with (
        NatsConnection(config, "present") as connection,
        PollerPresence(connection, "a", WHOLE, tmp_path / "a"),
    ):
        await until_present(connection, 1)
        assert "snmp.share" not in str(await asyncio.to_thread(folder.found))
        with capture_logs() as logs:
            async with PollerPresence(connection, "b", WHOLE, tmp_path / "b"):
                await until(lambda: logs, "a warning")
                _, misleading = await asyncio.to_thread(folder.found)
        assert logs[0]["event"] == "pollers_overlap"
        assert logs[0]["error"] in misleading
        await until_present(connection, 1)


async def until_present(connection: NatsConnection, count: int) -> None:
    async def are_present() -> bool:
        return len(await present_pollers(connection)) == count

    await until(are_present, f"{count} pollers")


@pytest.mark.soak
async def test_with_the_servers_leader_killed_each_device_has_one_poller_again(
    tmp_path_factory: pytest.TempPathFactory,
):
    council = _estate()
    with running_cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        config = NatsConfig(servers=cluster.urls, replicas=3)
        async with contextlib.AsyncExitStack() as stack:
            shares = [ShareThread(config, name, (), LEASE_S) for name in "abc"]
            for share in shares:
                await stack.enter_async_context(share)
                share.set_estate(council)

            def are_shared() -> bool:
                return _are_shared(council, *shares)

            await until(are_shared, "three shares")
            deadline_s = max(share.deadline_s for share in shares)
            (await asyncio.to_thread(cluster.leader)).kill()
            await until(
                lambda: are_shared() and min(s.deadline_s for s in shares) > deadline_s,
                "three shares, renewed without that server",
            )


async def _poll_packets(connection: NatsConnection, known: Estate, file: Path) -> float:
    """The packets of the first poll of a poller whose own state is in `file`."""
    settings = QUICK.model_copy(update={"state_file": file, "neighbours_s": 600.0})
    sink, store = RowSink(), LearntBucket(connection)
    async with Poller(settings, lambda: known, PUBLIC, sink, learnt=store):
        await until(lambda: len(sink.rows("device")) >= 3, "polls")
    return numbers(sink.rows("device"), "packets")[0]


async def test_a_poller_that_takes_over_knows_the_device_as_if_it_had_only_restarted(
    server: NatsServer, tmp_path: Path
):
    config = NatsConfig(servers=(server.url,), prefix="learning")
    async with (
        SimulatedSwitch("a.switch", 48) as switch,
        NatsConnection(config, "learnt") as connection,
    ):
        known = estate(device("a.switch", switch))
        packets = [
            await _poll_packets(connection, known, tmp_path / f"{name}.json")
            for name in "aab"
        ]
    learning, restarted, taking_over = packets
    assert taking_over == restarted < learning, packets
