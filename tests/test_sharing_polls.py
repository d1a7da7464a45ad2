"""What becomes of the polls of devices that change hands, in virtual time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from polled_switches import PUBLIC, RowSink, device, estate, polling
from virtual_time import MemorySession, in_virtual_time
from waiting import until

from collectors.estate import Device, Estate, Site
from collectors.estate.estate_model import VpnGateway
from collectors.ping import Pinger
from collectors.snmp import Poller, SnmpConfig
from collectors.snmp.polling.device_state import DeviceStates
from collectors.snmp.polling.learnt_hand_over import LearntHandOver
from collectors.snmp.polling.poll_schedule import overdue_waits_s
from collectors.snmp.session.sessions import Sessions
from towpath.demo.simulated_switches import SimulatedSwitch

PERIOD_S, DEVICES, DAY_MS = 60.0, 20, 86_400_000


class SwitchedShare:
    """All of the estate, or nothing."""

    def __init__(self) -> None:
        self.name, self.changes, self.is_held = "a", 0, False
        self.on_change: Callable[[], Awaitable[None]] | None = None

    async def set(self, is_held: bool) -> None:
        self.is_held = is_held
        self.changes += 1
        assert self.on_change is not None
        await self.on_change()

    def set_estate(self, estate: Estate) -> None:
        pass

    def holds(self, device: Device) -> bool:
        return self.is_held

    def holds_gateway(self, gateway: VpnGateway) -> bool:
        return self.is_held

    def speaks_for(self, site: Site) -> bool:
        return self.is_held

    async def wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class NothingLearnt:
    def __init__(self) -> None:
        self.published: Counter[str] = Counter()

    async def fetch(self, device: str) -> bytes | None:
        return None

    async def publish(self, device: str, body: bytes) -> bool:
        self.published[device] += 1
        return True


async def _polls(monkeypatch, held_s: float, lost_s: float, times: int) -> Counter[str]:
    """How often each device was polled by a poller that had them so long each time."""
    loop = asyncio.get_running_loop()
    devices = tuple(
        Device(id=f"switch-{n}", site="s", address=f"127.0.0.{n + 1}")  # type: ignore[arg-type]
        for n in range(DEVICES)
    )
    estate = Estate(sites=(Site(id="s", name="S"),), devices=devices)

    def connect(_: object, host: str, *rest) -> MemorySession:
        switch = SimulatedSwitch(host, 1, monotonic_s=loop.time)
        return MemorySession(switch, *rest[1:])

    monkeypatch.setattr(Sessions, "open", connect)
    config = SnmpConfig(period_s=PERIOD_S, ping_s=0)
    sink, share = RowSink(), SwitchedShare()
    async with Poller(
        config,
        lambda: estate,
        PUBLIC,
        sink,
        pinger=Pinger(0),
        share=share,
        learnt=NothingLearnt(),
    ):
        for _ in range(times):
            await share.set(True)
            await asyncio.sleep(held_s)
            await share.set(False)
            await asyncio.sleep(lost_s)
    return Counter(
        sample.tags["device"]
        for sample in sink.samples
        if sample.measurement == "device"
    )


@in_virtual_time
async def test_a_poller_that_never_has_its_devices_for_a_period_polls_all_in_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Always the same part of the period: by their phases alone, the same devices.
    polls = await _polls(monkeypatch, 15.0, PERIOD_S - 15.0, 10)
    assert len(polls) == DEVICES
    # A quarter of ten periods.
    assert max(polls.values()) <= 4


@in_virtual_time
async def test_devices_that_come_back_within_a_period_keep_their_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    polls = await _polls(monkeypatch, 3 * PERIOD_S - 1.0, 1.0, 2)
    assert set(polls) == {f"switch-{n}" for n in range(DEVICES)}
    assert set(polls.values()) <= {5, 6}


async def test_what_was_learnt_stays_in_the_bucket_although_nothing_new_is() -> None:
    store, now_ms = NothingLearnt(), 0
    hand_over = LearntHandOver(DeviceStates(None), store, lambda: now_ms)
    for day in range(60):
        now_ms = day * DAY_MS
        hand_over.note("a")
        hand_over.note("b")
        await hand_over.publish()
    # It keeps them for 30 days.
    assert min(store.published.values()) >= 60 // 7
    hand_over.note("a")
    now_ms += 7 * DAY_MS
    hand_over.note("a")
    hand_over.keep_only({"b"})
    before = store.published["a"]
    await hand_over.publish()
    assert store.published["a"] == before


@in_virtual_time
async def test_a_device_that_leaves_the_estate_is_forgotten() -> None:
    async with SimulatedSwitch("a", 1) as a, SimulatedSwitch("b", 1) as b:
        known = estate(device("a", a), device("b", b))
        async with polling(lambda: known) as (_, poller):
            await until(lambda: len(poller._polled_s) == 2, "two devices")
            known = estate(device("b", b))
            await until(lambda: set(poller._polled_s) == {"b"}, "one device")


@given(st.dictionaries(st.text(max_size=3), st.floats(0, 1000)), st.floats(1, 300))
def test_overdue_devices_come_longest_ago_first_within_a_period(polled_s, period_s):
    waits_s = overdue_waits_s(polled_s, 1000.0, period_s)
    assert waits_s.keys() == {
        id for id, at_s in polled_s.items() if 1000.0 - at_s > period_s
    }
    in_order = sorted(waits_s, key=waits_s.__getitem__)
    assert [polled_s[id] for id in in_order] == sorted(polled_s[id] for id in waits_s)
    assert all(0 <= wait_s < period_s for wait_s in waits_s.values())
