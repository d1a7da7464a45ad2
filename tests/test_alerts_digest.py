"""Limits and digests, and pages that are stale when they can be sent at last: the real
outbox and delivery in virtual time."""

from __future__ import annotations

import asyncio
import math
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from alert_histories import fast_folder  # noqa: F401 - a fixture
from delivering_world import MINUTE_MS, Arrival, DeliveringWorld
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alerts.notify.channel_settings import MessageLimit
from alerts.notify.email import EmailConfig
from alerts.notify.message_limit import MessageLimits
from alerts.outbox_entry import WaitingDelivery

MAIL: dict[str, Any] = {
    "kind": "email",
    "host": "mail",
    "sender": "towpath@council.example",
    "to": ["ada@council.example"],
    "limit": {"messages": 3, "minutes": 10},
}
HOOK: dict[str, Any] = {"kind": "webhook", "url": "https://desk.example"}


@pytest.fixture
def mail(fast_folder: Path) -> Iterator[DeliveringWorld]:  # noqa: F811
    world = DeliveringWorld(fast_folder, {"duty": MAIL})
    yield world
    world.close()


def reported(arrivals: Sequence[Arrival]) -> list[list[tuple[str, bool]]]:
    """The episodes of each message, and whether it reports them as over."""
    return [[(a.episode, a.is_over) for a in one.page.alerts] for one in arrivals]


async def test_more_than_the_limit_is_one_digest_that_names_causes_first(
    mail: DeliveringWorld,
) -> None:
    for n in range(3):
        mail.begin(f"early-{n}", site=f"s{n}")
        await mail.deliver()
    mail.end("early-0")
    for n in range(20):
        mail.begin(f"late-{n}", "warning", site=f"s{n}")
        await mail.deliver()
    mail.begin("worst", "critical", site="hall")
    await mail.wait(9 * MINUTE_MS)
    duty = mail.ends["duty"]
    assert len(duty.arrivals) == 3
    await mail.wait(2 * MINUTE_MS)
    digest = duty.arrivals[-1].page
    assert len(duty.arrivals) == 4
    assert digest.alerts[0].episode == "worst"
    assert [item.is_over for item in digest.alerts] == [False] * 21 + [True]
    assert digest.subject == (
        "PROBLEM (critical): worst is down (digest: and 20 more problems, 1 over)"
    )
    assert digest.text.startswith(
        "Digest of 22 notifications (21 problems, 1 over), held for up to 10 min"
    )
    assert digest.data["digest"] is True
    # What waits for a digest is not a failing channel.
    assert mail.store is not None
    assert mail.store.outbox.count_waiting(mail.now_ms) == {}


async def test_a_critical_problem_does_not_wait_behind_lesser_ones(
    mail: DeliveringWorld,
) -> None:
    for n in range(6):
        mail.begin(f"lesser-{n}", "warning", site=f"s{n}")
        await mail.deliver()
    mail.begin("lesser-6", "warning", site="s6")
    mail.begin("worst", "critical", site="hall")
    await mail.deliver()
    duty = mail.ends["duty"]
    assert reported(duty.arrivals) == [
        [("lesser-0", False)],
        [("lesser-1", False)],
        [("worst", False)],
    ]
    await mail.wait(11 * MINUTE_MS)
    assert [name for name, _ in reported(duty.arrivals)[-1]] == [
        f"lesser-{n}" for n in range(2, 7)
    ]


async def test_of_two_messages_that_are_due_the_critical_one_goes_first(
    mail: DeliveringWorld,
) -> None:
    mail.begin("lesser", "warning", site="s1")
    mail.begin("worst", "critical", site="hall")
    await mail.deliver()
    assert [one[0][0] for one in reported(mail.ends["duty"].arrivals)] == [
        "worst",
        "lesser",
    ]


async def test_what_is_held_is_not_overdue_and_its_failure_later_is(
    mail: DeliveringWorld,
) -> None:
    for n in range(5):
        mail.begin(f"e{n}", site=f"s{n}")
        await mail.deliver()
    await mail.wait(8 * MINUTE_MS)
    assert mail.store is not None
    outbox = mail.store.outbox
    assert outbox.count_waiting(mail.now_ms) == {"duty": WaitingDelivery(2, 0)}
    mail.ends["duty"].mood = "fails"
    await mail.wait(5 * MINUTE_MS)
    assert outbox.count_waiting(mail.now_ms) == {"duty": WaitingDelivery(2, 2)}


async def test_a_fault_that_begins_and_ends_while_held_is_one_message(
    mail: DeliveringWorld,
) -> None:
    for n in range(3):
        mail.begin(f"e{n}", site=f"s{n}")
        await mail.deliver()
    mail.begin("short")
    await mail.wait(MINUTE_MS)
    mail.end("short")
    await mail.wait(12 * MINUTE_MS)
    assert reported(mail.ends["duty"].arrivals)[3:] == [[("short", True)]]
    page = mail.ends["duty"].arrivals[-1].page
    assert page.subject == "RESOLVED: short is down"
    assert page.text.startswith("Held for 10 min to send you fewer messages.")
    assert "Lasted: 1 min" in page.text


async def test_the_limit_holds_over_a_kill(mail: DeliveringWorld) -> None:
    for n in range(3):
        mail.begin(f"e{n}", site=f"s{n}")
        await mail.deliver()
    mail.begin("held", site="x")
    await mail.deliver()
    mail._start()
    await mail.deliver()
    assert len(mail.ends["duty"].arrivals) == 3
    await mail.wait(11 * MINUTE_MS)
    assert reported(mail.ends["duty"].arrivals)[3:] == [[("held", False)]]


async def test_channels_of_one_person_share_the_limit_and_programs_have_none(
    fast_folder: Path,  # noqa: F811
) -> None:
    other = {**MAIL, "to": ["ADA@council.example", "bob@council.example"]}
    world = DeliveringWorld(fast_folder, {"duty": MAIL, "all": other, "desk": HOOK})
    for n in range(4):
        world.begin(f"e{n}", site=f"s{n}")
        await world.deliver()
    sent = {name: len(end.arrivals) for name, end in world.ends.items()}
    assert sent == {"duty": 2, "all": 1, "desk": 4}
    await world.wait(30 * MINUTE_MS)
    for name in ("duty", "all"):
        episodes = [e for m in reported(world.ends[name].arrivals) for e, _ in m]
        assert sorted(episodes) == ["e0", "e1", "e2", "e3"]
    world.close()


async def test_after_an_outage_what_is_over_is_one_message_and_what_lasts_another(
    fast_folder: Path,  # noqa: F811
) -> None:
    world = DeliveringWorld(fast_folder, {"desk": HOOK})
    desk = world.ends["desk"]
    desk.mood = "fails"
    world.begin("over")
    await world.wait(MINUTE_MS)
    world.begin("lasts")
    await world.wait(20 * MINUTE_MS)
    world.end("over")
    await world.wait(40 * MINUTE_MS)
    desk.mood = "takes"
    await world.wait(15 * MINUTE_MS)
    assert sorted(reported(desk.arrivals)) == [[("lasts", False)], [("over", True)]]
    [stale] = [one.page for one in desk.arrivals if one.page.kind == "resolution"]
    assert stale.subject.startswith("RESOLVED: over is down")
    assert "It was over before its beginning could be reported." in stale.text
    assert "Lasted: 21 min" in stale.text
    assert stale.data["alerts"][0]["over"] is True
    world.close()


async def test_a_message_that_is_too_large_is_split_until_it_fits(
    fast_folder: Path,  # noqa: F811
) -> None:
    world = DeliveringWorld(fast_folder, {"desk": HOOK})
    world.ends["desk"].mood = "small"
    for n in range(5):
        world.begin(f"e{n}")
    await world.deliver()
    assert sorted(reported(world.ends["desk"].arrivals)) == [
        [(f"e{n}", False)] for n in range(5)
    ]
    world.close()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("begin"), st.sampled_from(["critical", "warning"])),
        st.tuples(st.just("end"), st.integers(0, 20)),
        st.tuples(st.just("wait"), st.sampled_from([0, 1, 4, 12, 60])),
        st.tuples(
            st.just("mood"), st.sampled_from(["takes", "fails", "refuses", "dies"])
        ),
        st.tuples(st.just("mood"), st.sampled_from(["unsure", "small", "takes"])),
        st.tuples(st.just("restart"), st.just(0)),
    ),
    max_size=40,
)


@pytest.mark.parametrize("settings_of_channel", [MAIL, HOOK], ids=["mail", "hook"])
@given(steps=STEPS)
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_over_any_outage_nothing_is_lost_stale_or_more_than_the_limit(
    settings_of_channel: dict[str, Any],
    steps: list[tuple[str, Any]],
    fast_folder: Path,  # noqa: F811
) -> None:
    with tempfile.TemporaryDirectory(dir=fast_folder) as folder:
        world = DeliveringWorld(Path(folder), {"duty": settings_of_channel})
        asyncio.run(_live(world, steps))
        world.close()
    arrivals = world.ends["duty"].arrivals
    was_sure = all(how not in ("unsure", "dies") for what, how in steps)
    told = [item for message in reported(arrivals) for item in message]
    # Everything is reported, and its end, on the channel that reported it.
    assert {episode for episode, is_over in told if is_over} == world.ended
    assert world.ended == set(world.began)
    for message in arrivals:
        stale = {a.episode for a in message.page.alerts if not a.is_over}
        # Nothing is reported as a problem that is known to be over.
        assert not stale & message.ended
    if was_sure:
        # Once only: as a problem and then as over, or as over at once.
        assert len(told) == len(set(told))
    for episode in world.began:
        states = [is_over for told_episode, is_over in told if told_episode == episode]
        assert states == sorted(states)
    if settings_of_channel is MAIL and was_sure:
        times = [message.at_ms for message in arrivals]
        for first, fourth in zip(times, times[3:], strict=False):
            assert fourth - first >= 10 * MINUTE_MS


async def _live(world: DeliveringWorld, steps: list[tuple[str, Any]]) -> None:
    duty = world.ends["duty"]
    for what, how in steps:
        if what == "begin":
            number = len(world.began)
            world.begin(f"e{number}", how, site=f"s{number % 9}")
        elif what == "end":
            left = sorted(set(world.began) - world.ended)
            if left:
                world.end(left[how % len(left)])
        elif what == "wait":
            await world.wait(how * MINUTE_MS, every_ms=30_000)
        elif what == "mood":
            duty.mood = how
        else:
            world._start()
        await world.deliver()
    duty.mood = "takes"
    await world.wait(30 * MINUTE_MS, every_ms=30_000)
    for episode in sorted(set(world.began) - world.ended):
        world.end(episode)
    await world.wait(60 * MINUTE_MS, every_ms=30_000)


@given(
    sent=st.lists(st.integers(0, 3_600_000), max_size=40),
    messages=st.integers(1, 9),
    now_ms=st.integers(0, 3_600_000),
    critical=st.booleans(),
)
def test_the_next_message_never_makes_more_than_the_limit_in_any_span(
    sent: list[int], messages: int, now_ms: int, critical: bool
) -> None:
    config = EmailConfig(
        host="mail",
        sender="a@b.example",
        to=("c@d.example",),
        limit=MessageLimit(messages=messages, minutes=10),
    )
    limits = MessageLimits({"duty": config})
    past = [time_ms for time_ms in sent if time_ms <= now_ms]
    free_ms = limits.free_at_ms("duty", {"duty": past}, now_ms, critical)
    if not critical and messages > 1:
        # A quarter is kept for critical problems.
        messages -= math.ceil(messages / 4)
    assert free_ms >= now_ms
    within = [t for t in past if free_ms - 600_000 < t <= free_ms]
    assert len(within) < messages
    if free_ms > now_ms:
        # Not later than needed.
        assert len([t for t in past if free_ms - 600_001 < t]) >= messages
