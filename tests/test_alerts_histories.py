"""What must hold over every history: random faults, restarts and failing channels."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import pytest
from alert_histories import (
    DEVICES,
    HASTY,
    MINUTE_MS,
    STEP_MS,
    TOPOLOGY,
    USUAL,
    World,
    fast_folder,  # noqa: F401 - a fixture
)
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from alerts.alert import Alert
from alerts.evaluation.alert_states import AlertState
from alerts.rule_files import Rules

PLACES = st.sampled_from([*DEVICES, "a-wan"])
EVENTS = st.one_of(
    st.tuples(st.just("toggle"), PLACES),
    st.tuples(st.just("toggle"), PLACES),
    st.tuples(st.just("toggle"), PLACES),
    st.tuples(st.just("dies"), st.sampled_from(["before", "after"])),
    st.tuples(st.just("channel"), st.sampled_from(["takes", "fails", "refuses"])),
    st.tuples(st.just("polling"), st.sampled_from(["on", "off", "on"])),
)
HISTORIES = st.lists(st.tuples(EVENTS, st.integers(1, 40)), max_size=14)


@pytest.mark.parametrize("rules", [USUAL, HASTY], ids=["usual", "hasty"])
@given(history=HISTORIES)
# Core and a switch flap, and are well when Towpath is no longer cut off.
@example(
    history=[
        (("toggle", "core"), 1),
        (("toggle", "a1"), 1),
        (("toggle", "core"), 15),
        (("toggle", "core"), 5),
    ]
)
# Core fails while nothing is polled, and is polled after what is behind it.
@example(
    history=[(("polling", "off"), 9), (("toggle", "core"), 28), (("polling", "on"), 1)]
)
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)
def test_over_any_history_pages_are_right_and_every_page_is_resolved(
    history: list[tuple[tuple[str, str], int]],
    rules: Rules,
    fast_folder: Path,  # noqa: F811
) -> None:
    with tempfile.TemporaryDirectory(dir=fast_folder) as folder:
        world = World(Path(folder), rules)
        for _ in range(8):
            world.step()
        for (what, how), steps in history:
            if what == "toggle":
                world.broken ^= {how}
            elif what == "channel":
                world.channel = how
            elif what == "polling":
                world.polling = how == "on"
            for n in range(steps):
                world.step(dies=how if what == "dies" and n == steps - 1 else "")
        world.heal()
        assert world.store is not None
        world.store.close()

    # No alert stays open once every fault is mended.
    assert not [e for e in world.standing.values() if e.is_open]
    # Each message arrived once. Each page has one resolution, and no other arrived.
    arrivals = Counter(world.arrived)
    assert all(count == 1 for count in arrivals.values()), arrivals
    pages = [episode for episode, kind in world.arrived if kind == "page"]
    over = [episode for episode, kind in world.arrived if kind == "resolution"]
    assert sorted(pages) == sorted(over)
    for episode in pages:
        assert world.arrived.index((episode, "page")) < world.arrived.index(
            (episode, "resolution")
        )
    # The states of an episode only go forwards.
    order = ["pending", "firing", "resolved"]
    for episode, states in world.states.items():
        assert states == sorted(set(states), key=order.index), (episode, states)
    # No consequence was paged while its cause was open.
    for post, standing in world.made:
        _was_right(post.alert, standing)


def _was_right(alert: Alert, standing: dict[str, AlertState]) -> None:
    open_now = {key for key, entry in standing.items() if entry.is_open}
    causes = {"monitor_cut_off/"} if alert.rule != "line_down" else set()
    device = alert.subject.get("device", "")
    if alert.rule == "device_unreachable":
        causes |= {
            f"device_unreachable/device={above}" for above in TOPOLOGY.ancestors(device)
        }
        causes.add(f"site_unreachable/site={alert.site}")
    if alert.site == "a" and alert.rule != "line_down":
        causes.add("line_down/line=a-wan")
    if alert.rule == "site_unreachable":
        causes.add("device_unreachable/device=core")
    if alert.rule == "monitor_cut_off":
        causes = set()
    assert not causes & open_now, (alert.key, causes & open_now)


@pytest.mark.parametrize("broken", ["core", "a1", "b1", "a-wan"])
def test_one_cause_makes_one_page(
    broken: str,
    fast_folder: Path,  # noqa: F811
) -> None:
    world = World(fast_folder)
    for _ in range(20):
        world.step()
    world.broken.add(broken)
    for _ in range(40):
        world.step()
    pages = [post.alert.key for post, _ in world.made]
    expected = {
        "core": "monitor_cut_off/",
        "a1": "site_unreachable/site=a",
        "b1": "site_unreachable/site=b",
        "a-wan": "line_down/line=a-wan",
    }
    assert pages == [expected[broken]]
    world.heal()
    assert [kind for _, kind in world.arrived] == ["page", "resolution"]


def test_a_child_that_stays_down_after_its_parent_is_back_is_paged(
    fast_folder: Path,  # noqa: F811
) -> None:
    world = World(fast_folder)
    for _ in range(20):
        world.step()
    world.broken |= {"a-wan", "a2"}
    for _ in range(40):
        world.step()
    world.broken.remove("a-wan")
    for _ in range(60):
        world.step()
    assert [post.alert.key for post, _ in world.made] == [
        "line_down/line=a-wan",
        "device_unreachable/device=a2",
    ]


@pytest.mark.parametrize("pause_steps", [1, 2, 3, 4, 5, 6])
def test_children_that_come_back_with_their_parent_are_not_paged(
    pause_steps: int,
    fast_folder: Path,  # noqa: F811
) -> None:
    """The line is polled before the switches behind it. Between the two polls the
    switches still look down."""
    world = World(fast_folder, HASTY)
    for _ in range(20):
        world.step()
    world.broken.add("a-wan")
    for _ in range(20 + pause_steps):
        world.step()
    world.broken.remove("a-wan")
    for _ in range(40):
        world.step()
    assert {post.alert.rule for post, _ in world.made} == {"line_down"}


def test_a_page_that_waits_for_its_channel_is_followed_by_its_resolution(
    fast_folder: Path,  # noqa: F811
) -> None:
    world = World(fast_folder)
    for _ in range(8):
        world.step()
    world.channel = "fails"
    world.broken.add("a2")
    for _ in range(20):
        world.step()
    assert world.made
    assert not world.arrived
    world.broken.remove("a2")
    for _ in range(40):
        world.step()
    world.heal()
    assert [kind for _, kind in world.arrived] == ["page", "resolution"]


def test_a_fault_survives_a_restart_and_is_paged_once(
    fast_folder: Path,  # noqa: F811
) -> None:
    world = World(fast_folder)
    for _ in range(8):
        world.step()
    world.broken.add("a2")
    for n in range(60):
        world.step(dies=("before", "after", "")[n % 3])
    assert [post.alert.key for post, _ in world.made] == [
        "device_unreachable/device=a2"
    ]
    world.heal()
    assert [kind for _, kind in world.arrived] == ["page", "resolution"]


@pytest.mark.parametrize("down_steps", [6, 12, 20])
def test_a_fault_that_comes_and_goes_for_hours_makes_few_pages(
    down_steps: int,
    fast_folder: Path,  # noqa: F811
) -> None:
    world = World(fast_folder)
    for n in range(6 * 60 * MINUTE_MS // STEP_MS):
        if n % 40 == 0:
            world.broken.add("a2")
        if n % 40 == down_steps:
            world.broken.discard("a2")
        world.step()
    # 36 outages in six hours.
    assert len(world.made) <= 4
    world.heal()
    assert Counter(kind for _, kind in world.arrived)["resolution"] == len(world.made)
