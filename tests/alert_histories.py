"""A small council in virtual time, for tests of long histories of alerts.

Evaluation, suppression and the alert file are the real ones. Only the other end of the
channel is simulated.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from alerts.alert import Alert
from alerts.alert_store import AlertStore, CycleChanges
from alerts.cycle import CycleResult, run_cycle
from alerts.estate_index import EstateIndex
from alerts.evaluation.alert_states import AlertState
from alerts.notify.delivery import next_message
from alerts.outbox_entry import OutboxEntry
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
# Without `hold` and `keep_for` every race shows.
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
    """The council, its poller, the engine and the receiver of one channel."""

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
        self.polled_ms: dict[str, int] = {}
        self.states: dict[str, list[str]] = {}
        self.store: AlertStore | None = None
        self.start()

    def start(self) -> None:
        """Start as the engine does: states from the file, the window from the rows."""
        if self.store is not None:
            self.store.close()
        self.store = AlertStore(self.path)
        self.standing = self.store.states()
        self.shown: dict[str, Alert] = self.store.open_alerts()
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
            self.polled_ms[device] = self.now_ms
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
        assert self.store is not None
        self.now_ms += STEP_MS
        self.poll()
        outcome = run_cycle(
            self.window,
            TOPOLOGY,
            self.rules,
            self.standing,
            self.shown,
            self.store.silences(self.now_ms),
            lambda alert: [("duty", self.now_ms, False)],
            self.now_ms,
        )
        if dies == "before":
            self.start()
            return
        self.store.write(_effect(outcome, self.now_ms), self.now_ms)
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
        assert self.store is not None
        while message := next_message(
            self.store.outbox.due("duty", self.now_ms), self.now_ms
        ):
            self.store.outbox.start_attempt(message)
            if self.channel == "fails":
                self.store.outbox.retry(message, "later", self.now_ms + MINUTE_MS)
            elif self.channel == "refuses":
                self.store.outbox.retry(
                    message, "never", self.now_ms + MINUTE_MS, refused=True
                )
            else:
                for post in message:
                    self.arrived.append((post.episode, post.kind))
                    if post.end is not None:
                        self.arrived.append((post.episode, "resolution"))
                self.store.outbox.delivered(message, self.now_ms)

    def heal(self) -> None:
        self.broken.clear()
        self.polling, self.channel = True, "takes"
        for _ in range(200 * MINUTE_MS // STEP_MS):
            self.step()
            if not any(entry.is_open for entry in self.standing.values()):
                break
        # Refused messages are tried again after a minute.
        for _ in range(50):
            self.step()

    def _was_confirmed(self, alert: Alert) -> None:
        """Check that the parents were measured since it began, or a period passed."""
        if alert.rule != "device_unreachable":
            return
        waited = self.now_ms - alert.since_ms >= 90_000
        for above in TOPOLOGY.ancestors(alert.subject["device"]):
            assert waited or self.polled_ms[above] >= alert.since_ms, (alert.key, above)

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
    # The file is real, in memory: these tests need no fsync to reach a disk.
    shm = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else None) as folder:
        yield Path(folder)
