"""Lost packets cost time, and nothing that is on the device, in virtual time."""

from __future__ import annotations

import random

import pytest
from secured_agent import USER
from test_snmp_slow_agents import (
    CONFIG,
    PORTS,
    PUBLIC,
    SlowlyPolled,
    findings_of,
    ports_of,
)
from virtual_time import run_virtually

from collectors.snmp.session import oids
from collectors.snmp.session.agent_limits import AgentLimits
from collectors.snmp.session.answer_time import AnswerTime
from collectors.snmp.session.credentials import Credential


class Lossy(SlowlyPolled):
    """Loses that part of the requests, and those that ask for one of `ignored`."""

    def __init__(
        self,
        delay_s: float,
        loss: float,
        credential: Credential = PUBLIC,
        ignored: bytes = b"",
        ports: int = PORTS,
        seed: int = 1,
    ) -> None:
        super().__init__(delay_s, credential, ports=ports)
        self.ignored, self.times_ignored = ignored, 0
        lost, receive = random.Random(seed), self.switch.datagram_received

        def receive_some(data: bytes, addr: tuple[str, int]) -> None:
            ignores = bool(self.ignored) and self.ignored in data
            self.times_ignored += ignores
            if lost.random() >= loss and not ignores:
                receive(data, addr)

        self.switch.datagram_received = receive_some  # type: ignore[method-assign]

    @property
    def limits(self) -> AgentLimits:
        return self._poll._state.limits


@pytest.mark.parametrize("user", [PUBLIC, USER], ids=["2c", "3"])
@pytest.mark.parametrize(
    ("delay_s", "loss", "polls"),
    [(0.0, 0.25, 8), (1.7, 0.1, 9), (1.7, 0.25, 20), (2.5, 0.1, 12), (4.0, 0.1, 16)],
)
def test_all_ports_behind_a_lossy_line_have_64_bit_rates(
    delay_s: float, loss: float, polls: int, user: Credential
) -> None:
    async def main() -> None:
        lossy, with_rates = Lossy(delay_s, loss, user), set()
        for _ in range(polls):
            result = await lossy.poll()
            assert "counters_32_bit" not in findings_of(result.batches)
            assert lossy.took_s <= CONFIG.budget_s
            with_rates |= ports_of(result.batches, with_rates=True)
        assert len(with_rates) == PORTS
        # Loss does not look like an agent that can be asked little at once.
        assert lossy.limits.varbinds >= 20

    run_virtually(main())


@pytest.mark.parametrize(
    ("delay_s", "seed"), [(4.0, 5), (4.0, 8), (5.0, 1), (5.0, 4), (6.0, 4), (8.0, 1)]
)
def test_a_very_slow_agent_behind_a_very_lossy_line_is_learnt_to_the_end(
    delay_s: float, seed: int
) -> None:
    async def main() -> None:
        lossy, with_rates = Lossy(delay_s, 0.25, USER, seed=seed), set()
        for _ in range(34):
            result = await lossy.poll()
            with_rates |= ports_of(result.batches, with_rates=True)
        assert lossy._poll.is_learnt
        assert len(with_rates) == PORTS
        assert lossy.limits.varbinds >= 20
        assert not lossy.limits.refused

    run_virtually(main())


def test_a_column_lost_while_the_tables_were_read_comes_some_polls_later() -> None:
    async def main() -> None:
        octets = oids_bytes(oids.IF_HC_IN_OCTETS)
        lossy = Lossy(0.0, 0.0, ignored=octets)
        result = await lossy.poll()
        assert "counters_32_bit" in findings_of(result.batches)
        lossy.ignored = b""
        for _ in range(10):
            result = await lossy.poll()
        assert "counters_32_bit" not in findings_of(result.batches)
        assert len(ports_of(result.batches, with_rates=True)) == PORTS

    run_virtually(main())


def test_a_column_that_the_agent_never_answers_is_asked_for_only_a_few_times() -> None:
    async def main() -> None:
        lossy = Lossy(0.0, 0.0, ignored=oids_bytes(oids.IF_HC_IN_OCTETS))
        await lossy.poll()
        lossy.times_ignored = 0
        for _ in range(40):
            await lossy.poll()
        assert lossy.times_ignored == 3

    run_virtually(main())


def test_a_slow_agent_gets_ahead_in_every_poll_however_short_the_period_is() -> None:
    async def main() -> None:
        slow = SlowlyPolled(4.0, ports=8)
        learnt = []
        for _ in range(60):
            await slow._poll.poll(0.0, lambda: None, 12.0)
            learnt.append(slow._poll.is_learnt)
        assert learnt[-1]

    run_virtually(main())


def test_one_large_get_without_an_answer_is_loss_and_two_are_a_limit() -> None:
    limits = AgentLimits(varbinds=40, answered=40)
    limits.get_failed(40, is_silent=True)
    assert limits.varbinds == 40
    limits.get_succeeded()
    limits.get_failed(40, is_silent=True)
    assert limits.varbinds == 40
    limits.get_failed(40, is_silent=True)
    assert limits.varbinds == 20
    # What the agent says is true at once; so is silence about more than ever.
    said, first = AgentLimits(varbinds=40, answered=40), AgentLimits(varbinds=40)
    said.get_failed(40)
    first.get_failed(40, is_silent=True)
    assert said.varbinds == first.varbinds == 20


def test_a_small_get_without_an_answer_is_no_limit_of_a_lossy_agent() -> None:
    limits = AgentLimits(varbinds=40)
    for _ in range(9):
        limits.get_failed(10, is_silent=True, is_lossy=True)
    assert limits.varbinds == 40
    # Without other losses it is one, when it happens twice.
    limits.get_failed(10, is_silent=True)
    assert limits.varbinds == 40
    limits.get_failed(10, is_silent=True)
    assert limits.varbinds == 5


def test_one_lost_packet_is_no_lossy_line_and_two_of_a_dozen_are() -> None:
    time = AnswerTime()
    time.record(0.1, lost=1)
    assert not time.is_lossy
    for _ in range(10):
        time.record(0.1)
    time.record(0.1, lost=1)
    time.record(0.1, lost=1)
    assert time.is_lossy
    for _ in range(20):
        time.record(0.1)
    assert not time.is_lossy


def oids_bytes(oid: str) -> bytes:
    """The encoded OID, all arcs of which are below 128."""
    arcs = [*map(int, oid.split("."))]
    return bytes([arcs[0] * 40 + arcs[1], *arcs[2:]])
