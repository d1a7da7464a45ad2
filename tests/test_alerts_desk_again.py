"""What begins again soon after its end goes on in its ticket."""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mail_server import ALERT
from service_desk_servers import DESKS
from test_alerts_service_desk import Rig, begun, ended

from alerts.notify import build_page
from probes.wire.clock import wall_ms


@pytest.fixture(params=sorted(DESKS))
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(request.param, tmp_path)
    with rig.server:
        yield rig


async def test_what_begins_again_goes_on_in_its_ticket(rig: Rig) -> None:
    channel = rig.channel()
    await channel.notify(begun("e1"))
    await channel.notify(ended("e1"))
    rig.desk.index()
    # Sent again, also by another process: nothing is done twice.
    for each in (channel, channel, rig.channel()):
        await each.notify(begun("e2", follows="e1"))
    assert len(rig.desk.tickets) == 1
    assert not rig.desk.is_resolved()
    assert len(rig.desk.all_notes()) == 2
    assert "It was over, and has begun again." in rig.desk.all_notes()[1]
    more = msgspec.structs.replace(ALERT, affected={"devices": 9}, follows="e1")
    page = build_page([more], "page", ["e2"], wall_ms())
    await rig.channel().refresh(page, {"e2": ALERT})
    await rig.channel().notify(ended("e2", follows="e1"))
    assert rig.desk.is_resolved()
    assert len(rig.desk.all_notes()) == 4


async def test_what_begins_again_while_a_person_holds_its_ticket_is_a_note(
    rig: Rig,
) -> None:
    channel = rig.channel()
    await channel.notify(begun("e1"))
    rig.desk.start_work()
    await channel.notify(ended("e1"))
    await channel.notify(begun("e2", follows="e1"))
    await channel.notify(ended("e2", follows="e1"))
    assert len(rig.desk.tickets) == 1
    assert not rig.desk.is_resolved()
    assert len(rig.desk.all_notes()) == 3


async def test_a_ticket_that_a_person_took_and_closed_is_not_opened_again(
    rig: Rig,
) -> None:
    channel = rig.channel()
    await channel.notify(begun("e1"))
    await channel.notify(ended("e1"))
    rig.desk.assign()
    for _ in range(2):
        await channel.notify(begun("e2", follows="e1"))
    assert rig.desk.titles() == [ALERT.summary] * 2
    assert rig.desk.is_resolved()
    assert re.search(r"Ticket \S+ about it is closed\.", repr(rig.desk.tickets[1]))


async def test_what_a_person_closed_after_it_began_again_stays_closed(
    rig: Rig,
) -> None:
    channel = rig.channel()
    await channel.notify(begun("e1"))
    await channel.notify(ended("e1"))
    await channel.notify(begun("e2", follows="e1"))
    # A person resolves it without taking it; then it is sent again as a reminder.
    await channel.notify(ended("e1"))
    await channel.notify(begun("e2", follows="e1", reminder=1))
    assert len(rig.desk.tickets) == 1
    assert rig.desk.is_resolved()


# What a person does while the alert lasts, and after its end.
ROUNDS = st.lists(
    st.tuples(
        st.sampled_from(["", "", "start_work"]), st.sampled_from(["", "", "assign"])
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=6)
@given(ROUNDS)
def test_one_thread_is_one_ticket_unless_people_close_it(
    rounds: list[tuple[str, str]],
) -> None:
    async def run(rig: Rig) -> None:
        held = False
        for n, (during, after) in enumerate(rounds):
            follows = "e0" if n else ""
            await rig.channel().notify(begun(f"e{n}", follows=follows))
            assert len(rig.desk.tickets) == 1
            # Whoever holds a ticket finds it as it was.
            assert not rig.desk.is_resolved()
            if during:
                rig.desk.start_work()
                held = True
            await rig.channel().notify(ended(f"e{n}", follows=follows))
            assert rig.desk.is_resolved() != held
            if after:
                rig.desk.assign()
                break
        was_resolved = rig.desk.is_resolved()
        await rig.channel().notify(begun("again", follows="e0"))
        taken = rounds[n][1] and was_resolved
        assert len(rig.desk.tickets) == (2 if taken else 1)
        assert rig.desk.is_resolved() == bool(taken)

    with tempfile.TemporaryDirectory() as folder:
        rig = Rig("servicenow", Path(folder))
        with rig.server:
            asyncio.run(run(rig))
