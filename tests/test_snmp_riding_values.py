"""What is read with every poll rides in the last request of the ports, if it is short
and comes quickly."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded_agents import Recorded
from test_snmp_request_plan import (
    CREDENTIALS,
    ENGINE,
    MOST,
    SCALARS,
    answers,
    columns_of,
    message_octets,
)

from collectors.batch import Batch
from collectors.estate import Device
from collectors.snmp import SnmpConfig, credential
from collectors.snmp.polling import request_plan
from collectors.snmp.polling.device_health import HealthReader
from collectors.snmp.polling.device_poll import DevicePoll, PollSettings
from collectors.snmp.polling.device_state import DeviceState
from collectors.snmp.polling.expected_ports import PortUses
from collectors.snmp.polling.reading_slots import ReadingSlots
from collectors.snmp.polling.request_plan import NO_RESERVE, Plan, Reserve
from collectors.snmp.polling.riding_values import RidingValues
from collectors.snmp.profiles import load
from collectors.snmp.session import oids
from collectors.snmp.session.session import RetryPolicy
from collectors.snmp.session.sessions import Sessions
from collectors.snmp.tables.interfaces import Port

CONFIG = SnmpConfig()
# ifIndex, ifDescr, ifAdminStatus, ifOperStatus, ifInOctets, ifOutOctets
PORT = ((1, 2, "{}"), (2, 4, "ge{}"), (7, 2, 1), (8, 2, 1), (10, 65, 9), (16, 65, 9))
LOAD = "1.3.6.1.2.1.25.3.3.1.2"


def packed(ports: int, reserve: Reserve, who: str = "community") -> Plan:
    columns = columns_of(ports, 1, 2**20, "ge")
    own = [Port(if_index=n, key=f"p{n}", stable=True) for n in range(1, ports + 1)]
    plans = request_plan.port_plans(own, columns, SCALARS)
    room = request_plan.answer_octets(CREDENTIALS[who], ENGINE)
    return request_plan.pack(plans, columns, SCALARS, room, 80, reserve=reserve)


@given(
    st.integers(1, 60),
    st.sampled_from(sorted(CREDENTIALS)),
    st.integers(0, 300),
    st.integers(0, 12),
)
def test_the_last_answer_of_a_poll_leaves_room_for_what_rides(
    ports: int, who: str, octets: int, varbinds: int
) -> None:
    plan = packed(ports, Reserve(octets, varbinds), who)
    *_, last = answers(plan)
    riders = plan.slow if plan.slow_per_poll else (last,)
    columns = columns_of(ports, 1, 2**20, "ge")
    for asked in riders:
        size = message_octets(asked, columns, CREDENTIALS[who])
        assert size + plan.reserve.octets <= MOST
        assert len(asked) + plan.reserve.varbinds <= 80
    assert plan.reserve in (NO_RESERVE, Reserve(octets, varbinds))


def test_ports_that_fill_their_last_request_leave_room_in_that_of_the_names() -> None:
    plan = packed(10, Reserve(100, 3))
    assert (len(plan.fast), plan.slow_per_poll) == (2, 1)
    assert plan.reserve == Reserve(100, 3)


def test_what_needs_much_room_has_a_request_of_its_own() -> None:
    known = {f"{LOAD}.{n}": 17 for n in range(196_608, 196_628)}
    assert RidingValues(known).oids == ()
    assert len(RidingValues(dict(list(known.items())[:5])).oids) == 5


class PolledPorts:
    """A device with seven ports and two processors, polled every minute."""

    def __init__(self, folder: Path) -> None:
        rows = [
            (f"1.3.6.1.2.1.2.2.1.{column}.{n}", f"{tag}|{str(value).format(n)}")
            for column, tag, value in PORT
            for n in range(1, 8)
        ]
        rows += [("1.3.6.1.2.1.1.3.0", "67|100"), ("1.3.6.1.2.1.2.1.0", "2|7")]
        rows += [(f"{LOAD}.{n}", "66|17") for n in (1, 2)]
        rows += [(f"1.3.6.1.2.1.25.3.3.1.1.{n}", "6|0.0") for n in (1, 2)]
        self.file = folder / "ports.snmprec"
        self.file.write_text("\n".join(f"{oid}|{rest}" for oid, rest in rows))
        self.now_s = 1_000_000.0

    async def __aenter__(self) -> PolledPorts:
        self.sessions = await Sessions().__aenter__()
        self.agent = await Recorded(self.file).__aenter__()
        session = self.sessions.open(
            "127.0.0.1",
            self.agent.port_number,
            credential("test", {"community": "public"}),
            RetryPolicy((1.0, 2.0)),
        )
        self.health = HealthReader(load(), ReadingSlots(), lambda: self.now_s)
        self._poll = DevicePoll(
            PollSettings(
                CONFIG, lambda: int(self.now_s * 1000), monotonic_s=lambda: self.now_s
            ),
            Device(id="d", site="s", address="127.0.0.1"),  # type: ignore[arg-type]
            PortUses(),
            session,
            DeviceState(),
            self.health,
        )
        return self

    async def __aexit__(self, *gone: object) -> None:
        self._poll.close()
        await self.agent.__aexit__(None, None, None)
        await self.sessions.__aexit__(None, None, None)

    async def poll(self) -> tuple[int, dict[str, Batch]]:
        """One poll, a minute after the last: its packets and its rows."""
        result = await self._poll.poll(0.0, lambda: None)
        self.now_s += 60
        return result.packets, {batch.measurement: batch for batch in result.batches}


async def test_the_processors_cost_no_request_of_their_own(tmp_path: Path) -> None:
    async with PolledPorts(tmp_path) as device:
        await device.poll()
        own, rows = await device.poll()
        assert rows["processor"].field("use_ratio") == [0.17, 0.17]
        riding, rows = await device.poll()
        assert rows["processor"].field("use_ratio") == [0.17, 0.17]
        assert len(rows["interface"]) == 7
        assert riding == own - 1


@pytest.mark.parametrize("took_s", [None, 3.0], ids=["failed", "slow"])
async def test_after_a_request_that_took_long_they_have_one_of_their_own_again(
    tmp_path: Path, took_s: float | None
) -> None:
    async with PolledPorts(tmp_path) as device:
        await device.poll()
        await device.poll()
        riding = device.health.start_riding()
        assert riding.oids == (f"{LOAD}.1", f"{LOAD}.2")
        riding.was_sent, riding.took_s = True, took_s
        device.health.end_riding(riding)
        own, rows = await device.poll()
        assert rows["processor"].field("use_ratio") == [0.17, 0.17]
        # That one came quickly.
        riding_again, _ = await device.poll()
        assert riding_again == own - 1


def test_a_value_that_the_ports_request_too_does_not_ride() -> None:
    riding = RidingValues({f"{oids.IF_OPER_STATUS}.1": 1})
    assert not riding.is_apart_from((f"{oids.IF_OPER_STATUS}.1",))
