"""A large estate is learnt without a poll of it being cut short, in virtual time.

Some of its devices are dead, and their first poll waits for all its tries.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

import pytest
from polled_switches import PUBLIC, RowSink
from virtual_time import MemorySession, VirtualLoop, in_virtual_time

from collectors.estate import Device, Estate, Site
from collectors.ping import Pinger
from collectors.snmp import Poller, SnmpConfig
from collectors.snmp.polling import poll_run
from collectors.snmp.polling.reading_slots import ReadingSlots
from collectors.snmp.session.credentials import Credential
from collectors.snmp.session.session import RetryPolicy
from collectors.snmp.session.sessions import Sessions
from towpath.demo.simulated_switches import SimulatedSwitch

DEVICES, PERIOD_S = 120, 12.0
# A poll costs 3 answers and learning a device 18: all polls are half of what the
# machine can do, and learning is six times as much as it can do in ten seconds.
ANSWER_S = 0.02
_DEAD = frozenset(f"127.0.0.{n}" for n in range(10, DEVICES, 10))


class _Costly(SimulatedSwitch):
    """Each answer keeps the machine busy, so that everything else waits."""

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        if not self.cut_off:
            loop.pass_time(ANSWER_S)
        super().datagram_received(data, addr)


class _Unlimited(ReadingSlots):
    def has_room(self, share: float = 1.0, is_slow: bool = False) -> bool:
        return True


async def _learn(monkeypatch: pytest.MonkeyPatch, slots: type[ReadingSlots]) -> Poller:
    """The poller of a large estate, when everything is learnt."""
    now_s = asyncio.get_running_loop().time

    def open_session(
        self: Sessions,
        address: str,
        port: int,
        credential: Credential,
        retry_policy: RetryPolicy,
    ) -> MemorySession:
        switch = _Costly(address, 4, monotonic_s=now_s)
        switch.cut_off = address in _DEAD
        return MemorySession(switch, credential, retry_policy)

    monkeypatch.setattr(Sessions, "open", open_session)
    monkeypatch.setattr(poll_run, "ReadingSlots", slots)
    devices = tuple(
        Device(id=f"d{n}", site="s", address=f"127.0.0.{n + 1}", port=1)  # type: ignore[arg-type]
        for n in range(DEVICES)
    )
    estate = Estate(sites=(Site(id="s", name="S"),), devices=devices)
    config = SnmpConfig(period_s=PERIOD_S, ping_s=0)
    async with Poller(
        config, lambda: estate, PUBLIC, RowSink(), pinger=Pinger(0)
    ) as poller:
        while poller.stats.learnt < DEVICES - len(_DEAD):  # noqa: ASYNC110 - nothing signals it
            await asyncio.sleep(1)
    return poller


@in_virtual_time
async def test_learning_takes_no_time_from_polls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stats = (await _learn(monkeypatch, ReadingSlots)).stats
    assert stats.skipped == 0
    assert set(stats.by_outcome) == {"ok", "timeout"}
    assert stats.by_outcome["timeout"] > len(_DEAD)


@in_virtual_time
async def test_without_a_limit_polls_would_be_cut_short(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stats = (await _learn(monkeypatch, _Unlimited)).stats
    assert stats.by_outcome["budget_spent"] > 0


def test_fewer_tables_are_read_at_once_while_polls_start_late() -> None:
    slots = ReadingSlots(8)
    with ExitStack() as stack:
        for _ in range(8):
            assert slots.has_room()
            stack.enter_context(slots.take())
        assert not slots.has_room()
    # Ten that share a phase are late together: that is one late moment.
    for _ in range(10):
        slots.record_start(late_ms=900)
    with ExitStack() as stack:
        for _ in range(4):
            assert slots.has_room()
            stack.enter_context(slots.take())
        assert not slots.has_room(0.9)
    for _ in range(30):
        slots.record_start(late_ms=900)
    with slots.take():
        assert not slots.has_room()
    for _ in range(1_000):
        slots.record_start(late_ms=2)
    with slots.take(), slots.take():
        assert slots.has_room()
        assert slots.has_room(0.5)


def test_slow_devices_have_more_slots_of_their_own_and_a_limit_too() -> None:
    slots = ReadingSlots(8)
    with ExitStack() as stack:
        for _ in range(8 * 16):
            assert slots.has_room(is_slow=True)
            stack.enter_context(slots.take(is_slow=True))
        assert not slots.has_room(is_slow=True)
        assert slots.has_room()
        for _ in range(100):
            slots.record_start(late_ms=900)
    with ExitStack() as stack:
        for _ in range(16):
            stack.enter_context(slots.take(is_slow=True))
        assert not slots.has_room(is_slow=True)
