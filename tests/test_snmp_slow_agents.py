"""Agents that need seconds for an answer get their ports too, in virtual time."""

from __future__ import annotations

import asyncio

import pytest
from secured_agent import USER, SecuredSwitch
from virtual_time import MemorySession, run_virtually

from collectors.batch import Batch
from collectors.estate import Device
from collectors.snmp import SnmpConfig, credential
from collectors.snmp.polling.device_poll import DevicePoll, PollResult, PollSettings
from collectors.snmp.polling.device_state import DeviceState
from collectors.snmp.polling.expected_ports import PortUses
from collectors.snmp.session.credentials import Credential
from collectors.snmp.session.oids import SYS_UP_TIME
from collectors.snmp.session.session import RetryPolicy
from collectors.snmp.session.sessions import HAS_GUFO, Sessions
from probes.wire.failure import Outcome

PUBLIC = credential("test", {"community": "public"})
CONFIG = SnmpConfig()
RETRY_POLICY = RetryPolicy.with_backoff(CONFIG.timeout_s, CONFIG.tries)
PORTS = 50
DEVICE = Device(id="slow", site="s", address="127.0.0.1")  # type: ignore[arg-type]


class SlowSwitch(SecuredSwitch):
    """Answers after `delay_s`; one request after the other if `one_by_one`."""

    delay_s = 0.0
    one_by_one = False
    _free_at_s = 0.0

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        loop = asyncio.get_running_loop()
        if self.cut_off:
            return
        begins_s = max(loop.time(), self._free_at_s if self.one_by_one else 0.0)
        self._free_at_s = begins_s + self.delay_s
        loop.call_at(self._free_at_s, super().datagram_received, data, addr)


class SlowlyPolled:
    """A slow switch, and its polls."""

    def __init__(
        self,
        delay_s: float,
        credential: Credential = PUBLIC,
        one_by_one: bool = False,
        ports: int = PORTS,
    ) -> None:
        self._clock = asyncio.get_running_loop().time
        self.switch = SlowSwitch("slow", ports, monotonic_s=self._clock)
        self.switch.delay_s, self.switch.one_by_one = delay_s, one_by_one
        self.took_s = 0.0
        self.session = MemorySession(self.switch, credential, RETRY_POLICY)
        settings = PollSettings(
            CONFIG, lambda: int(self._clock() * 1000), monotonic_s=self._clock
        )
        self._poll = DevicePoll(
            settings, DEVICE, PortUses(), self.session, DeviceState()
        )

    async def poll(self) -> PollResult:
        """One poll, and the rest of the period."""
        began_s = self._clock()
        result = await self._poll.poll(0.0, lambda: None)
        self.took_s = self._clock() - began_s
        await asyncio.sleep(max(0.0, CONFIG.period_s - self.took_s))
        return result


def ports_of(batches: list[Batch], with_rates: bool = False) -> set[str]:
    return {
        str(port)
        for batch in batches
        if batch.measurement == "interface"
        for port, in_bps in zip(batch.tag("port"), batch.field("in_bps"), strict=True)
        if in_bps is not None or not with_rates
    }


def findings_of(batches: list[Batch]) -> set[str]:
    return {
        str(finding)
        for batch in batches
        if batch.measurement == "finding"
        for finding, active in zip(
            batch.tag("finding"), batch.field("active"), strict=True
        )
        if active
    }


def field_of(batches: list[Batch], name: str) -> object:
    [row] = [batch for batch in batches if batch.measurement == "device"]
    return row.field(name)[0]


@pytest.mark.parametrize("user", [PUBLIC, USER], ids=["2c", "3"])
@pytest.mark.parametrize("one_by_one", [False, True])
@pytest.mark.parametrize(
    ("delay_s", "most_polls"), [(0.5, 3), (1.7, 5), (3.0, 8), (6.0, 18)]
)
def test_all_ports_of_a_slow_agent_have_rates_after_some_polls(
    delay_s: float, most_polls: int, one_by_one: bool, user: Credential
) -> None:
    async def main() -> None:
        with_rates: set[str] = set()
        slow = SlowlyPolled(delay_s, user, one_by_one)
        for n in range(most_polls):
            result = await slow.poll()
            # The first poll does not know how slow the agent is. One that works off
            # all copies of a request may need longer than that waits.
            assert result.outcome is Outcome.OK or (n == 0 and one_by_one)
            # No poll takes longer than a poll may take.
            assert slow.took_s <= CONFIG.budget_s
            ports = ports_of(result.batches)
            findings = findings_of(result.batches)
            if result.up and len(ports) < PORTS:
                # A count of these ports would be too low.
                assert findings & {"tables_unfinished", "ports_in_turn"}
                assert field_of(result.batches, "ports_up") is None
            elif result.up:
                assert field_of(result.batches, "ports_up") == PORTS
            with_rates |= ports_of(result.batches, with_rates=True)
        assert len(with_rates) == PORTS

    run_virtually(main())


@pytest.mark.parametrize("user", [PUBLIC, USER], ids=["2c", "3"])
def test_an_answer_that_comes_after_the_retry_is_used(user: Credential) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        slow = SlowlyPolled(0.0, user)
        # Knows the engine.
        await slow.session.get([SYS_UP_TIME])
        slow.switch.delay_s = 1.7
        began_s = loop.time()
        assert await slow.session.get([SYS_UP_TIME, SYS_UP_TIME])
        assert loop.time() - began_s == pytest.approx(1.7)
        assert slow.session.counts.retries == 1
        # The next request is not sent twice.
        assert await slow.session.get([SYS_UP_TIME, SYS_UP_TIME])
        assert slow.session.counts.retries == 1

    run_virtually(main())


def test_a_slow_agent_that_was_off_is_polled_when_it_is_back() -> None:
    async def main() -> None:
        slow = SlowlyPolled(6.0)
        slow.switch.cut_off = True
        assert (await slow.poll()).outcome is Outcome.TIMEOUT
        assert (await slow.poll()).outcome is Outcome.TIMEOUT
        slow.switch.cut_off = False
        assert (await slow.poll()).outcome is Outcome.OK

    run_virtually(main())


def test_a_restart_while_the_tables_are_read_starts_the_reading_again() -> None:
    async def main() -> None:
        slow = SlowlyPolled(3.0)
        await slow.poll()
        await slow.poll()
        for port in slow.switch.ports:
            port.name = f"new-{port.name}"
        slow.switch.rebuild()
        slow.switch.restart()
        for _ in range(9):
            result = await slow.poll()
        ports = ports_of(result.batches)
        assert len(ports) == PORTS
        assert all(port.startswith("new-") for port in ports)

    run_virtually(main())


def test_a_slow_agent_that_falls_silent_goes_on_where_it_stopped() -> None:
    async def main() -> None:
        slow = SlowlyPolled(3.0)
        await slow.poll()
        slow.switch.cut_off = True
        assert (await slow.poll()).outcome is Outcome.TIMEOUT
        slow.switch.cut_off = False
        for _ in range(6):
            result = await slow.poll()
        assert len(ports_of(result.batches)) == PORTS

    run_virtually(main())


def test_a_silent_device_is_down_whatever_the_time_for_a_poll_is() -> None:
    async def main() -> None:
        slow = SlowlyPolled(6.0)
        await slow.poll()
        slow.switch.cut_off = True
        result = await slow.poll()
        assert result.outcome is Outcome.TIMEOUT
        assert slow.took_s <= CONFIG.budget_s + 2 * CONFIG.timeout_s

    run_virtually(main())


def test_a_fast_agent_is_as_fast_as_before() -> None:
    async def main() -> None:
        fast = SlowlyPolled(0.0)
        first = await fast.poll()
        second = await fast.poll()
        assert first.packets <= 60
        assert second.packets <= 14
        assert not findings_of(first.batches)

    run_virtually(main())


@pytest.mark.parametrize("prefer_gufo", [False, True])
async def test_a_slow_agent_is_not_sent_every_request_twice(prefer_gufo: bool) -> None:
    if prefer_gufo and not HAS_GUFO:
        pytest.skip("no wheel of gufo-snmp")
    switch = SlowSwitch("slow", 2)
    async with switch, Sessions(prefer_gufo) as sessions:
        session = sessions.open(
            "127.0.0.1", switch.port_number, PUBLIC, RetryPolicy((0.2, 5.0))
        )
        for _ in range(3):
            assert await session.get([SYS_UP_TIME])
        switch.delay_s = 0.4
        for _ in range(4):
            assert await session.get([SYS_UP_TIME])
        session.close()
    assert session.counts.retries < 4
