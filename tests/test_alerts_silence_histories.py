"""What must hold over every history of faults, silences and acknowledgements."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
from collections import Counter
from pathlib import Path

import msgspec
import pytest
from alert_files import ALERT, NOW_MS, file_with
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
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from waiting import wait_until

from alerts.acknowledgement import acknowledge
from alerts.alert_access import (
    add_silence,
    end_silence,
    list_silences,
    open_alerts,
)
from alerts.rule_files import Rules
from alerts.silence import Silence
from alerts.silence_coverage import SilenceCoverage

SCOPES = st.sampled_from(
    [
        {"site": "a"},
        {"site": "b"},
        {"device": "a1"},
        {"device": "core"},
        {"line": "a-wan"},
        {"rule": "device_unreachable"},
        {"site": "a", "rule": "site_unreachable"},
    ]
)
EVENTS = st.one_of(
    st.tuples(st.just("toggle"), st.sampled_from([*DEVICES, "a-wan"])),
    st.tuples(st.just("toggle"), st.sampled_from([*DEVICES, "a-wan"])),
    st.tuples(st.just("silence"), SCOPES, st.integers(0, 8), st.integers(1, 15)),
    st.tuples(st.just("silence"), SCOPES, st.integers(0, 8), st.integers(1, 15)),
    st.tuples(st.just("end a silence"), st.integers(1, 6)),
    st.tuples(st.just("acknowledge"), st.integers(0, 5)),
    st.tuples(st.just("dies"), st.sampled_from(["before", "after"])),
    st.tuples(st.just("channel"), st.sampled_from(["takes", "fails", "refuses"])),
)
HISTORIES = st.lists(st.tuples(EVENTS, st.integers(1, 40)), max_size=12)


class SilencedWorld(World):
    """Checks at each step that nobody is paged for what is silenced."""

    checked = 0

    def step(self, dies: str = "") -> None:
        super().step(dies)
        assert self.store is not None
        silences = self.store.silences(self.now_ms)
        coverage = SilenceCoverage(silences, self.rules, TOPOLOGY, self.now_ms)
        for entry, standing in self.made[self.checked :]:
            assert coverage.covering(standing[entry.alert.key]) == [], entry.alert.key
        self.checked = len(self.made)

    def act(self, what: str, *how: object) -> None:
        match (what, *how):
            case ("toggle", str(place)):
                self.broken ^= {place}
            case ("channel", str(state)):
                self.channel = state
            case ("silence", dict(scope), int(begins), int(lasts)):
                from_ms = self.now_ms + begins * MINUTE_MS
                until_ms = from_ms + lasts * MINUTE_MS
                wanted = Silence(0, from_ms, until_ms, why="works")
                add_silence(self.path, msgspec.structs.replace(wanted, **scope))
            case ("end a silence", int(number)):
                end_silence(self.path, number, self.now_ms, "ada")
            case ("acknowledge", int(n)):
                alerts = open_alerts(self.path)
                if alerts:
                    key = alerts[n % len(alerts)].key
                    acknowledge(self.path, key, "ada", "on it", self.now_ms)


def _live(
    world: World, history: list[tuple[tuple[object, ...], int]], ignored: set[str]
) -> None:
    for _ in range(8):
        world.step()
    for (what, *how), steps in history:
        if isinstance(world, SilencedWorld):
            world.act(str(what), *how)
        elif what == "toggle":
            world.broken ^= {str(how[0])}
        dies = str(how[0]) if what == "dies" and what not in ignored else ""
        for n in range(steps):
            world.step(dies if n == steps - 1 else "")


@pytest.mark.parametrize("rules", [USUAL, HASTY], ids=["usual", "hasty"])
@given(history=HISTORIES)
@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)
def test_silences_hold_back_pages_and_nothing_else_and_lose_none(
    history: list[tuple[tuple[object, ...], int]],
    rules: Rules,
    fast_folder: Path,  # noqa: F811
) -> None:
    with tempfile.TemporaryDirectory(dir=fast_folder) as folder:
        (Path(folder) / "plain").mkdir()
        world = SilencedWorld(Path(folder), rules)
        plain = World(Path(folder) / "plain", rules)
        _live(world, history, set())
        _live(plain, history, {"dies"})
        # Measuring goes on: every alert has the same states as without silences.
        assert world.states == plain.states
        # When all silences are over, whoever is needed has been paged.
        world.channel = "takes"
        until_ms = max((s.until_ms for s in list_silences(world.path, 0)), default=0)
        until_ms = max(until_ms, world.now_ms) + 12 * MINUTE_MS
        for _ in range((until_ms - world.now_ms) // STEP_MS):
            world.step()
        for key, state in world.standing.items():
            if state.state == "firing" and not state.suppressed_by:
                assert state.paged_ms is not None or state.clear_ms is not None, key
                assert state.silenced_until_ms == 0
        world.heal()
        assert world.store is not None
        assert plain.store is not None
        world.store.close()
        plain.store.close()
    # Silenced or acknowledged meanwhile: every page has its end, on its channel.
    arrivals = Counter(world.arrived)
    assert all(count == 1 for count in arrivals.values()), arrivals
    pages = sorted(episode for episode, kind in world.arrived if kind == "page")
    assert pages == sorted(e for e, kind in world.arrived if kind == "resolution")


def _minutes(world: World, minutes: int) -> None:
    for _ in range(minutes * MINUTE_MS // STEP_MS):
        world.step()


def test_a_fault_that_outlasts_its_maintenance_is_paged_when_that_ends(
    fast_folder: Path,  # noqa: F811
) -> None:
    world = SilencedWorld(fast_folder)
    _minutes(world, 5)
    world.act("silence", {"site": "b"}, 1, 20)
    _minutes(world, 2)
    world.broken.add("b1")
    _minutes(world, 18)
    assert world.arrived == []
    _minutes(world, 5)
    assert [post.alert.rule for post, _ in world.made] == ["site_unreachable"]
    [state] = [s for s in world.standing.values() if s.rule == "site_unreachable"]
    assert state.paged_ms is not None
    assert state.paged_ms - state.since_ms >= 17 * MINUTE_MS
    world.heal()
    assert [kind for _, kind in world.arrived] == ["page", "resolution"]


def test_a_fault_that_is_over_before_its_maintenance_ends_pages_nobody(
    fast_folder: Path,  # noqa: F811
) -> None:
    world = SilencedWorld(fast_folder)
    _minutes(world, 5)
    world.act("silence", {"line": "a-wan"}, 0, 30)
    world.broken.add("a-wan")
    _minutes(world, 10)
    world.broken.clear()
    _minutes(world, 40)
    assert world.arrived == []
    # It is in the record all the same.
    rules = {episode.partition("/")[0] for episode in world.states}
    assert {"line_down", "site_unreachable"} <= rules


def test_a_fault_from_before_the_maintenance_still_gets_its_end_in_it(
    fast_folder: Path,  # noqa: F811
) -> None:
    world = SilencedWorld(fast_folder)
    _minutes(world, 5)
    world.broken.add("b1")
    _minutes(world, 6)
    world.act("silence", {"site": "b"}, 0, 60)
    world.broken.clear()
    _minutes(world, 20)
    assert [kind for _, kind in world.arrived] == ["page", "resolution"]


ACKNOWLEDGING = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    sys.path.insert(0, sys.argv[1])
    from alert_files import NOW_MS
    from alerts.acknowledgement import acknowledge_by_link
    from alerts.action_link import ActionLink, SignedLink
    for n in range(int(sys.argv[3])):
        episode = f"device_unreachable/device=core-{n}@{NOW_MS - 60_000}"
        link = ActionLink(1, "acknowledge", episode, NOW_MS * 2, "duty")
        acknowledge_by_link(
            Path(sys.argv[2]), SignedLink(link, f"mark {n}"), "ada", "", NOW_MS
        )
    """
)


@pytest.mark.parametrize("after", [1, 7, 20])
def test_a_kill_while_acknowledging_leaves_all_of_it_or_nothing(
    tmp_path: Path, after: int
) -> None:
    count = 2000
    alerts = [
        msgspec.structs.replace(ALERT, subject={"device": f"core-{n}"})
        for n in range(count)
    ]
    path = file_with(tmp_path, *alerts)
    tests = str(Path(__file__).parent)
    process = subprocess.Popen(
        [sys.executable, "-c", ACKNOWLEDGING, tests, str(path), str(count)]
    )

    def recorded() -> set[int]:
        with sqlite3.connect(path, timeout=30) as db:
            episodes = [row[0] for row in db.execute("SELECT episode FROM ack")]
        db.close()
        return {int(e.partition("core-")[2].partition("@")[0]) for e in episodes}

    wait_until(lambda: len(recorded()) >= after, "some acknowledgements", 60, 0.001)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done = recorded()
    with sqlite3.connect(path) as db:
        used = {row[0] for row in db.execute("SELECT nonce FROM used_link")}
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()
    assert used == {f"mark {n}" for n in done}
    assert done == set(range(len(done)))
    assert len(done) < count
    # What was not recorded can be acknowledged by the next.
    rest = acknowledge(path, alerts[len(done)].key, "bob", "", NOW_MS)
    assert rest.is_new
