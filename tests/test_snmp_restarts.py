"""A device that restarted is said to have, however many polls it did not answer."""

from __future__ import annotations

from collections.abc import Sequence

from eventful import Clock, EventfulSwitch, Meter
from hypothesis import given, settings
from hypothesis import strategies as st
from virtual_time import run_virtually

from collectors.estate import Device
from collectors.snmp import SnmpConfig, credential
from collectors.snmp.polling.device_poll import DevicePoll, PollSettings
from collectors.snmp.polling.device_state import DeviceState
from collectors.snmp.polling.expected_ports import PortUses
from collectors.snmp.session.session import RetryPolicy
from collectors.snmp.session.sessions import Sessions
from probes.wire.sample import Value

PERIOD_S = 60.0
CONFIG = SnmpConfig(period_s=PERIOD_S, timeout_s=0.2, tries=1, neighbours_s=1e9)
Row = dict[str, Value]


async def device_rows(silences: Sequence[tuple[int, float | None]]) -> list[Row]:
    """The device's rows of a run: two polls that are answered, and then for each of
    `silences` as many as it says that are not, and two that are. The device restarts
    so many seconds after the last answer; None: it does not."""
    clock = Clock()
    switch = EventfulSwitch(clock, [Meter(clock, 1, "Gi1", 10**9)])
    rows: list[Row] = []
    async with switch, Sessions(prefer_gufo=False) as sessions:
        session = sessions.open(
            "127.0.0.1",
            switch.port_number,
            credential("test", {"community": "public"}),
            RetryPolicy((CONFIG.timeout_s,)),
        )
        place = Device.model_validate(
            {"id": "a", "site": "s", "address": "127.0.0.1", "port": switch.port_number}
        )
        shared = PollSettings(CONFIG, lambda: int(clock() * 1000), monotonic_s=clock)
        poll = DevicePoll(shared, place, PortUses(), session, DeviceState())

        async def pass_period(restart_s: float | None = None) -> None:
            if restart_s is not None:
                clock.now_s += restart_s
                switch.restart()
            clock.now_s += PERIOD_S - (restart_s or 0.0)
            polled = await poll.poll(0.0, lambda: None)
            rows.extend(
                dict(sample.fields)
                for batch in polled.batches
                if batch.measurement == "device"
                for sample in batch.samples()
            )

        for _ in range(2):
            await pass_period()
        for silent, restart_s in silences:
            switch.lose = 1.0
            for period in range(silent):
                at_s = None if restart_s is None else restart_s - period * PERIOD_S
                due = at_s is not None and 0 <= at_s < PERIOD_S
                await pass_period(at_s if due else None)
            switch.lose = 0.0
            at_s = None if restart_s is None else restart_s - silent * PERIOD_S
            await pass_period(at_s if at_s is not None and at_s >= 0 else None)
            await pass_period()
        poll.close()
    return rows


def restarts(rows: list[Row]) -> list[Value]:
    """What each answered poll says of a restart."""
    return [row["restarted"] for row in rows if row["up"]]


SILENCES = st.sampled_from([0, 1, 3]).flatmap(
    lambda silent: st.tuples(
        st.just(silent),
        st.none() | st.floats(1.0, (silent + 1) * PERIOD_S - 1.0),
    )
)


@settings(max_examples=20, deadline=None)
@given(silences=st.lists(SILENCES, min_size=1, max_size=2))
def test_every_restart_is_told_once_by_the_next_answer(
    silences: list[tuple[int, float | None]],
) -> None:
    rows = run_virtually(device_rows(silences))
    told = [flag for _, at_s in silences for flag in (int(at_s is not None), 0)]
    assert restarts(rows) == [0, 0, *told]
    assert sum(not row["up"] for row in rows) == sum(silent for silent, _ in silences)


def test_a_device_that_was_silent_and_ran_on_did_not_restart() -> None:
    assert restarts(run_virtually(device_rows([(10, None)]))) == [0, 0, 0, 0]


def test_a_device_back_after_one_two_or_ten_polls_has_restarted() -> None:
    rows = run_virtually(device_rows([(1, 30.0), (2, 90.0), (10, 540.0)]))
    assert restarts(rows) == [0, 0, 1, 0, 1, 0, 1, 0]
