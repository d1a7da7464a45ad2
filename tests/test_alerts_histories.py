"""What must hold over every history: random faults, restarts and failing channels.

The whole of evaluation, suppression and standing runs in virtual time against the real
file; only the other end of the channel is played.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alerts.alert import Alert
from alerts.alert_store import AlertStore, CycleChanges
from alerts.cycle import CycleResult, run_cycle
from alerts.estate_index import EstateIndex
from alerts.evaluation.alert_states import AlertState
from alerts.notify.delivery import next_message
from alerts.outbox import OutboxEntry
from alerts.rule_files import Rules, load_rules
from alerts.window import Window
from collectors.batch import Batch, batch_samples
from collectors.estate.estate_model import Estate
from collectors.journal import Position
from collectors.server_measurements import CATALOGUE
from probes.wire.sample import Sample

START_MS = 1_777_888_800_000
STEP_MS = 15_000
MINUTE_MS = 60_000
NAMES = ("device_unreachable", "site_unreachable", "line_down", "monitor_cut_off")
USUAL = Rules([rule for rule in load_rules(CATALOGUE) if rule.id in NAMES])
# Without hold and without waiting for the end every race shows.
HASTY = Rules([r.model_copy(update={"hold": 0, "keep_for": 0}) for r in USUAL])
DEVICES = ("core", "a1", "a2", "b1", "b2")
ESTATE = Estate.model_validate(
    {
        "sites": [{"id": s, "name": s.upper()} for s in ("hall", "a", "b")],
        "devices": [
            {"id": "core", "site": "hall", "address": "10.0.0.1"},
            {"id": "a1", "site": "a", "address": "10.0.1.1", "parent": "core"},
            {"id": "a2", "site": "a", "address": "10.0.1.2", "parent": "a1"},
            {"id": "b1", "site": "b", "address": "10.0.2.1", "parent": "core"},
            {"id": "b2", "site": "b", "address": "10.0.2.2", "parent": "b1"},
        ],
        "lines": [
            {
                "id": "a-wan",
                "site": "a",
                "down_mbps": 100,
                "up_mbps": 100,
                "device": "core",
                "port": "Gi1",
                "far_end": True,
            }
        ],
    }
)
TOPOLOGY = EstateIndex(ESTATE)


class World:
    """The council, its poller, the engine and the other end of one channel."""

    def __init__(self, folder: Path, rules: Rules = USUAL) -> None:
        self.rules = rules
        self.path = folder / "alerts.sqlite"
        self.now_ms = START_MS
        self.broken: set[str] = set()
        self.polling = True
        self.channel = "takes"
        self.rows: list[Batch] = []
        self.arrived: list[tuple[str, str]] = []
        self.made: list[tuple[OutboxEntry, dict[str, AlertState]]] = []
        self.heard: dict[str, int] = {}
        self.states: dict[str, list[str]] = {}
        self.book: AlertStore | None = None
        self.start()

    def start(self) -> None:
        """As the engine does: standing from the book, the window from the rows."""
        if self.book is not None:
            self.book.close()
        self.book = AlertStore(self.path)
        self.standing = self.book.states()
        self.shown: dict[str, Alert] = self.book.open_alerts()
        self.window = Window(self.rules, CATALOGUE, self.now_ms)
        for batch in self.rows:
            if batch.received_ms > self.now_ms - 10 * MINUTE_MS:
                self.window.append(batch)

    def reachable(self, device: str) -> bool:
        path = {device, *TOPOLOGY.ancestors(device)}
        behind_line = device in ("a1", "a2") and "a-wan" in self.broken
        return not (path & self.broken) and not behind_line

    def poll(self) -> None:
        at = (self.now_ms - START_MS) // STEP_MS % (MINUTE_MS // STEP_MS)
        if not self.polling:
            return
        samples = []
        for n, device in enumerate(DEVICES):
            # Spread over the minute; the children of one site before their parents.
            if (len(DEVICES) - n) % 4 != at:
                continue
            site = TOPOLOGY.devices[device].site
            up = int(self.reachable(device))
            self.heard[device] = self.now_ms
            tags = {"device": device, "site": site, "role": "switch"}
            samples.append(Sample("device", tags, {"up": up}, self.now_ms))
        if at == 3 and self.reachable("core"):
            tags = {"line": "a-wan", "site": "a", "role": "primary"}
            up = int("a-wan" not in self.broken)
            samples.append(Sample("line", tags, {"up": up}, self.now_ms))
        for batch in batch_samples(samples, "poll", self.now_ms):
            self.rows.append(batch)
            self.window.append(batch)

    def step(self, dies: str = "") -> None:
        assert self.book is not None
        self.now_ms += STEP_MS
        self.poll()
        outcome = run_cycle(
            self.window,
            TOPOLOGY,
            self.rules,
            self.standing,
            self.shown,
            self.book.silences(self.now_ms),
            lambda alert: [("duty", self.now_ms, False)],
            self.now_ms,
        )
        if dies == "before":
            self.start()
            return
        self.book.write(_effect(outcome, self.now_ms), self.now_ms)
        for key, entry in outcome.changes.items():
            if entry is not None:
                self._remember(key, entry)
        self.made += [(post, dict(outcome.states)) for post in outcome.pages]
        for post in outcome.pages:
            self._was_confirmed(post.alert)
        if dies == "after":
            self.start()
            return
        self.standing = outcome.states
        for episode, alert in outcome.alerts.items():
            self.shown[episode] = alert
        for episode in outcome.dropped:
            self.shown.pop(episode, None)
        self.window.clear_changed()
        self.deliver()

    def deliver(self) -> None:
        assert self.book is not None
        while parcel := next_message(
            self.book.outbox.due("duty", self.now_ms), self.now_ms
        ):
            self.book.outbox.start_attempt(parcel)
            if self.channel == "fails":
                self.book.outbox.retry(parcel, "later", self.now_ms + MINUTE_MS)
            elif self.channel == "refuses":
                self.book.outbox.retry(
                    parcel, "never", self.now_ms + MINUTE_MS, refused=True
                )
            else:
                self.arrived += [(post.episode, post.kind) for post in parcel]
                self.book.outbox.delivered(parcel, self.now_ms)

    def heal(self) -> None:
        self.broken.clear()
        self.polling, self.channel = True, "takes"
        for _ in range(200 * MINUTE_MS // STEP_MS):
            self.step()
            if not any(entry.is_open for entry in self.standing.values()):
                break
        # What was refused is tried again after a minute.
        for _ in range(50):
            self.step()

    def _was_confirmed(self, alert: Alert) -> None:
        """The parents were measured after it began, or a period was waited."""
        if alert.rule != "device_unreachable":
            return
        waited = self.now_ms - alert.since_ms >= 90_000
        for above in TOPOLOGY.ancestors(alert.subject["device"]):
            assert waited or self.heard[above] >= alert.since_ms, (alert.key, above)

    def _remember(self, key: str, entry: AlertState) -> None:
        states = self.states.setdefault(entry.episode, [])
        if not states or states[-1] != entry.state:
            states.append(entry.state)
        assert entry.since_ms <= (entry.firing_ms or entry.since_ms)
        if entry.resolved_ms is not None and not entry.is_open:
            assert entry.resolved_ms >= entry.since_ms
        assert entry.newest_ms <= self.now_ms


def _effect(outcome: CycleResult, now_ms: int) -> CycleChanges:
    at = {"poll": Position(1, now_ms)}
    return CycleChanges(
        outcome.changes,
        outcome.alerts,
        outcome.pages,
        outcome.ended,
        outcome.dropped,
        now_ms,
        outcome.samples,
        at,
        at,
    )


@pytest.fixture
def fast_folder() -> Iterator[Path]:
    # The file is real; that every fsync reaches a disk is not what is tested here.
    shm = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else None) as folder:
        yield Path(folder)


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
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)
def test_over_any_history_pages_are_right_and_all_are_called_off(
    history: list[tuple[tuple[str, str], int]], rules: Rules, fast_folder: Path
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
        assert world.book is not None
        world.book.close()

    # Nothing is left standing once all is well.
    assert not [e for e in world.standing.values() if e.is_open]
    # What arrived arrived once; every page has its one resolution, and none without.
    told = Counter(world.arrived)
    assert all(count == 1 for count in told.values()), told
    pages = [episode for episode, kind in world.arrived if kind == "page"]
    over = [episode for episode, kind in world.arrived if kind == "resolution"]
    assert sorted(pages) == sorted(over)
    for episode in pages:
        assert world.arrived.index((episode, "page")) < world.arrived.index(
            (episode, "resolution")
        )
    # An episode only ever goes forwards.
    order = ["pending", "firing", "resolved"]
    for episode, states in world.states.items():
        assert states == sorted(set(states), key=order.index), (episode, states)
    # No consequence was paged while what explains it stood.
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
def test_one_cause_makes_one_page(broken: str, fast_folder: Path) -> None:
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
    fast_folder: Path,
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
    pause_steps: int, fast_folder: Path
) -> None:
    """The line is polled before the switches behind it: between the two polls they
    look as if they had stayed down."""
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


def test_a_page_that_waits_for_its_channel_is_followed_by_its_end(
    fast_folder: Path,
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


def test_a_fault_survives_a_restart_and_is_paged_once(fast_folder: Path) -> None:
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
    down_steps: int, fast_folder: Path
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
