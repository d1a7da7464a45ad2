"""What a view hides costs few requests, and hides nothing else."""

from __future__ import annotations

import asyncio

import pytest
from test_snmp_slow_agents import (
    CONFIG,
    DEVICE,
    PUBLIC,
    RETRY_POLICY,
    field_of,
    ports_of,
)
from virtual_time import MemorySession, run_virtually

from collectors.snmp.polling.device_poll import DevicePoll, PollSettings
from collectors.snmp.polling.device_state import DeviceState
from collectors.snmp.polling.expected_ports import PortUses
from collectors.snmp.session import oids
from collectors.snmp.session.session import Failed
from probes.wire.failure import Outcome
from towpath.demo import snmp_messages
from towpath.demo.simulated_switches import SimulatedSwitch

PORTS = 50
NO_ACCESS, AUTHORIZATION_ERROR = 6, 16
# With everything in view it is 42 and 12.
MOST_AT_FIRST, MOST_LATER = 100, 14
HIDDEN = [
    oids.SYS_UP_TIME,
    oids.IF_NUMBER,
    oids.IF_TABLE_LAST_CHANGE,
    oids.SYS_OBJECT_ID,
    oids.IF_ALIAS,
    oids.IF_NAME,
    oids.IF_HC_IN_OCTETS,
    oids.IF_HIGH_SPEED,
    f"{oids.IF_ALIAS}.7",
    f"{oids.IF_OUT_ERRORS}.50",
]


class HidingSwitch(SimulatedSwitch):
    """Answers a GET of something hidden with `status`: with an error-index if
    `indexed`, and not at all if `status` is 0. Walks leave it out."""

    hidden = ""
    status = snmp_messages.GEN_ERR
    indexed = True
    received = 0

    def rebuild(self) -> None:
        super().rebuild()
        arcs = tuple(map(int, self.hidden.split("."))) if self.hidden else (0,)
        self._rows = [row for row in self._rows if row[: len(arcs)] != arcs]

    def reply(self, request: snmp_messages.SnmpRequest) -> bytes | None:
        self.received += 1
        if request.kind == snmp_messages.GET:
            for at, name in enumerate(request.names, 1):
                oid = ".".join(map(str, snmp_messages.arcs_of(name)))
                if oid == self.hidden or oid.startswith(f"{self.hidden}."):
                    if not self.status:
                        return None
                    return self._refuse(request, self.status, at * self.indexed)
        return super().reply(request)


async def requests_of_polls(switch: HidingSwitch, polls: int) -> list[int]:
    """How many requests each poll costs; all must find all ports."""
    clock = asyncio.get_running_loop().time
    requests: list[int] = []
    session = MemorySession(switch, PUBLIC, RETRY_POLICY)
    settings = PollSettings(CONFIG, lambda: int(clock() * 1000), monotonic_s=clock)
    poll = DevicePoll(settings, DEVICE, PortUses(), session, DeviceState())
    for _ in range(polls):
        before = switch.received
        result = await poll.poll(0.0, lambda: None)
        assert result.outcome is Outcome.OK
        assert len(ports_of(result.batches)) == PORTS
        restarted = field_of(result.batches, "restarted")
        # Without sysUpTime nobody knows.
        assert restarted == (None if switch.hidden == oids.SYS_UP_TIME else 0)
        requests.append(switch.received - before)
        await asyncio.sleep(60)
    return requests


def hiding(hidden: str, status: int, indexed: bool = True) -> HidingSwitch:
    clock = asyncio.get_running_loop().time
    switch = HidingSwitch("a", PORTS, monotonic_s=clock)
    switch.hidden, switch.status, switch.indexed = hidden, status, indexed
    switch.rebuild()
    return switch


@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("indexed", [True, False])
@pytest.mark.parametrize(
    "status", [snmp_messages.NO_SUCH_NAME, snmp_messages.GEN_ERR, NO_ACCESS]
)
def test_a_hidden_value_costs_few_requests(
    hidden: str, status: int, indexed: bool
) -> None:
    async def main() -> None:
        first, *later = await requests_of_polls(hiding(hidden, status, indexed), 3)
        assert first <= MOST_AT_FIRST
        assert max(later) <= MOST_LATER

    run_virtually(main())


def test_an_error_that_names_one_hidden_value_hides_no_other() -> None:
    async def main() -> None:
        await requests_of_polls(hiding(oids.SYS_OBJECT_ID, AUTHORIZATION_ERROR), 2)

    run_virtually(main())


def test_an_agent_that_lets_a_credential_read_nothing_refuses_it() -> None:
    async def main() -> None:
        switch = hiding("1", AUTHORIZATION_ERROR, indexed=False)
        session = MemorySession(switch, PUBLIC, RETRY_POLICY)
        with pytest.raises(Failed, match="read nothing") as caught:
            await session.get([oids.SYS_UP_TIME])
        assert caught.value.outcome is Outcome.AUTH_FAILED

    run_virtually(main())


def test_a_get_that_is_dropped_because_of_one_value_is_made_without_it() -> None:
    async def main() -> None:
        first, *later = await requests_of_polls(hiding(f"{oids.IF_ALIAS}.7", 0), 3)
        assert first <= MOST_AT_FIRST
        assert max(later) <= MOST_LATER

    run_virtually(main())
