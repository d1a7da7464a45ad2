"""Agents that misbehave: nothing hangs, nothing crashes, what is good is kept."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from bad_answers import (
    AnswersTheLastRequest,
    CounterAsText,
    Garbling,
    Huge,
    Lossy,
    Silent,
    Truncated,
    Twice,
)
from bad_walks import (
    Disorderly,
    EmptyWhenMuch,
    EndlessWalk,
    NoBulk,
    SameRowAgain,
    SilentWhenMuch,
    TooBig,
)

from collectors.snmp import credential
from collectors.snmp.polling.device_facts import DeviceFacts, poll_once
from collectors.snmp.session.agent_limits import AgentLimits
from collectors.snmp.session.device_session import MAX_ROWS, DeviceSession
from collectors.snmp.session.poll_budget import OctetAllowance, PollBudget
from collectors.snmp.session.session import Failed, RetryPolicy
from collectors.snmp.session.sessions import HAS_GUFO, Sessions
from probes.wire.failure import Outcome
from towpath.demo.simulated_switches import SimulatedSwitch

PUBLIC = credential("test", {"community": "public"})
HURRIED = RetryPolicy((0.3, 0.5))
IF_DESCR = "1.3.6.1.2.1.2.2.1.2"
LIBRARIES = [
    pytest.param(
        True, id="gufo", marks=pytest.mark.skipif(not HAS_GUFO, reason="no wheel")
    ),
    pytest.param(False, id="python"),
]


async def walked(
    switch: SimulatedSwitch, prefer_gufo: bool = True, base: str = IF_DESCR
) -> tuple[dict[str, object], AgentLimits]:
    limits = AgentLimits()
    async with switch, Sessions(prefer_gufo) as sessions:
        session = sessions.open("127.0.0.1", switch.port_number, PUBLIC, HURRIED)
        try:
            snmp = DeviceSession(session, PollBudget(60), limits)
            return dict(await snmp.walk(base)), limits
        finally:
            session.close()


async def facts_of(switch: SimulatedSwitch, budget_s: float = 60.0) -> DeviceFacts:
    async with switch:
        return await poll_once(
            "127.0.0.1",
            switch.port_number,
            PUBLIC,
            retry_policy=HURRIED,
            budget_s=budget_s,
        )


@pytest.mark.parametrize("prefer_gufo", LIBRARIES)
@pytest.mark.parametrize(
    "kind", [SimulatedSwitch, TooBig, NoBulk, SilentWhenMuch, EmptyWhenMuch]
)
async def test_a_walk_is_whole_however_little_the_agent_stands(
    kind: type[SimulatedSwitch], prefer_gufo: bool
) -> None:
    rows, limits = await walked(kind("a", 30), prefer_gufo)
    assert len(rows) == 30
    assert rows[f"{IF_DESCR}.30"] == b"Gi1/0/30"
    if kind is not SimulatedSwitch:
        assert limits.repetitions < 25


def test_long_values_in_one_column_shorten_its_pages_alone() -> None:
    limits = AgentLimits()
    limits.walk_succeeded(page_rows=25, rows=60)
    limits.page_failed("1.3.6.1.2.1.17.7.1.4.2.1.4", 25)
    assert limits.page_rows("1.3.6.1.2.1.17.7.1.4.2.1.4") == 12
    assert limits.page_rows(IF_DESCR) == 25


def test_a_page_that_was_never_answered_is_not_requested_of_other_columns() -> None:
    limits = AgentLimits()
    limits.page_failed(IF_DESCR, 25)
    assert limits.page_rows("1.3.6.1.2.1.17.7.1.4.2.1.4") == 12


@pytest.mark.parametrize("prefer_gufo", LIBRARIES)
async def test_a_walk_at_the_end_of_the_agents_view_ends(prefer_gufo: bool) -> None:
    # The last column of all; behind it there is only endOfMibView.
    last = "1.3.6.1.2.1.31.1.5"
    rows, limits = await walked(SimulatedSwitch("a", 3), prefer_gufo, last)
    assert list(rows) == [f"{last}.0"]
    assert limits.repetitions == 25


@pytest.mark.parametrize("prefer_gufo", LIBRARIES)
async def test_a_walk_that_comes_back_ends(prefer_gufo: bool) -> None:
    rows, _ = await walked(SameRowAgain("a", 3), prefer_gufo)
    assert len(rows) <= 1


async def test_a_walk_that_never_ends_is_ended() -> None:
    rows, _ = await walked(EndlessWalk("a", 3))
    assert len(rows) <= MAX_ROWS + 25


async def test_a_walk_that_never_ends_is_ended_by_the_devices_time() -> None:
    async with EndlessWalk("a", 3) as switch, Sessions() as sessions:
        session = sessions.open("127.0.0.1", switch.port_number, PUBLIC, HURRIED)
        with pytest.raises(Failed) as caught:
            await DeviceSession(session, PollBudget(0.05)).walk(IF_DESCR)
        session.close()
    assert caught.value.outcome is Outcome.BUDGET_SPENT


async def test_rows_out_of_order_end_the_walk_not_the_poller() -> None:
    rows, _ = await walked(Disorderly("a", 30))
    assert len(rows) <= 30


FLOODED = Path(__file__).with_name("flooded_poller.py")


@pytest.mark.parametrize(
    ("library", "kind", "budget_s", "most_mb"),
    [
        # Without a bound the texts would be 75 MB and more.
        ("gufo", "rows", 3, 100),
        ("gufo", "texts", 20, 50),
        ("gufo", "long-texts", 20, 50),
        ("python", "long-texts", 20, 50),
    ],
)
def test_an_agent_that_never_stops_fills_no_memory(
    library: str, kind: str, budget_s: int, most_mb: int
) -> None:
    if library == "gufo" and not HAS_GUFO:
        pytest.skip("no wheel of gufo-snmp")
    command = [sys.executable, str(FLOODED), library, kind, str(budget_s)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert float(ended.stdout.splitlines()[-1]) < most_mb


async def test_what_a_device_may_send_in_all_is_bounded() -> None:
    budget = PollBudget(60, OctetAllowance(1000))
    budget.count([7, b"x" * 400], [IF_DESCR] * 20)
    with pytest.raises(Failed) as caught:
        budget.count([b"x" * 400, "1.3.6.1"])
    assert caught.value.outcome is Outcome.BUDGET_SPENT
    assert budget.full
    # Fresh time brings no fresh octets.
    with pytest.raises(Failed):
        budget.at_most(1.0).check()


async def test_gets_are_halved_until_they_fit_and_the_size_is_learnt() -> None:
    limits = AgentLimits()
    oids = [f"{IF_DESCR}.{n}" for n in range(1, 31)]
    async with TooBig("a", 30) as switch, Sessions() as sessions:
        session = sessions.open("127.0.0.1", switch.port_number, PUBLIC, HURRIED)
        values = await DeviceSession(session, PollBudget(60), limits).get_all(oids)
        first = session.counts.packets
        again = await DeviceSession(session, PollBudget(60), limits).get_all(oids)
        second = session.counts.packets - first
        session.close()
    assert {oid: v for oid, v in values.items() if oid in oids} == {
        oid: v for oid, v in again.items() if oid in oids
    }
    assert len([oid for oid in values if oid in oids]) == 30
    assert limits.varbinds <= TooBig.limit
    assert second <= 12


async def test_a_large_get_that_is_dropped_is_sent_in_pieces() -> None:
    oids = [f"{IF_DESCR}.{n}" for n in range(1, 31)]
    async with SilentWhenMuch("a", 30) as switch, Sessions() as sessions:
        session = sessions.open(
            "127.0.0.1", switch.port_number, PUBLIC, RetryPolicy((0.2,))
        )
        values = await DeviceSession(session, PollBudget(60)).get_all(oids)
        session.close()
    assert len([oid for oid in values if oid in oids]) == 30


@pytest.mark.parametrize("kind", [TooBig, NoBulk, Twice, EmptyWhenMuch])
async def test_everything_is_read_from_a_difficult_agent(
    kind: type[SimulatedSwitch],
) -> None:
    facts = await facts_of(kind("difficult", 8))
    assert facts.ok
    assert facts.identity is not None
    assert facts.identity.sys_name == "difficult"
    assert [port.name for port in facts.ports] == [f"Gi1/0/{n}" for n in range(1, 9)]
    assert all(port.speed_bps == 1_000_000_000 for port in facts.ports)


async def test_lost_requests_are_sent_again() -> None:
    facts = await facts_of(Lossy("lossy", 8))
    assert facts.ok
    assert len(facts.ports) == 8


async def test_a_description_longer_than_any_buffer_hides_nothing_else() -> None:
    facts = await facts_of(Huge("huge", 3))
    assert facts.identity is not None
    assert facts.identity.sys_name == "huge"
    assert len(facts.ports) == 3


async def test_silence_is_a_timeout() -> None:
    switch = Silent("silent", 3)
    facts = await facts_of(switch)
    assert facts.outcome is Outcome.TIMEOUT
    # Two requests, one small one, and the question whether the device is there.
    assert switch.received == 4


async def test_answers_cut_off_are_bad_answers() -> None:
    facts = await facts_of(Truncated("cut", 3))
    assert facts.outcome is Outcome.BAD_ANSWER


async def test_an_answer_to_another_request_is_not_taken_for_ours() -> None:
    facts = await facts_of(AnswersTheLastRequest("late", 3), budget_s=3.0)
    assert not facts.ok
    assert facts.ports == []


async def test_a_counter_given_as_text_spoils_only_itself() -> None:
    facts = await facts_of(CounterAsText("odd", 3))
    assert facts.ok
    assert len(facts.ports) == 3


@pytest.mark.parametrize("seed", range(0, 2500, 100))
async def test_garbled_answers_never_end_in_anything_but_an_outcome(seed: int) -> None:
    switch = Garbling("garbled", 3)
    switch.seed = seed
    async with switch:
        facts = await poll_once(
            "127.0.0.1",
            switch.port_number,
            PUBLIC,
            retry_policy=RetryPolicy((0.05, 0.05)),
            budget_s=1.0,
        )
    assert facts.outcome in (
        Outcome.OK,
        Outcome.TIMEOUT,
        Outcome.AUTH_FAILED,
        Outcome.BAD_ANSWER,
        Outcome.BUDGET_SPENT,
    )


async def test_an_answer_from_another_address_is_not_taken() -> None:
    """A connected socket receives only from its agent."""
    import asyncio

    loop = asyncio.get_running_loop()
    helper = SimulatedSwitch("elsewhere", 3)

    class Relay(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            for answer in helper.answer(data):
                other.sendto(answer, addr)

    other, _ = await loop.create_datagram_endpoint(
        asyncio.DatagramProtocol, local_addr=("127.0.0.2", 0)
    )
    relay, _ = await loop.create_datagram_endpoint(Relay, local_addr=("127.0.0.1", 0))
    port = relay.get_extra_info("sockname")[1]
    facts = await poll_once("127.0.0.1", port, PUBLIC, retry_policy=RetryPolicy((0.2,)))
    other.close()
    relay.close()
    assert helper.requests > 0
    assert facts.outcome is Outcome.TIMEOUT
