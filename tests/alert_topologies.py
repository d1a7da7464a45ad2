"""Random networks in virtual time: what is dead, what is polled when, what is paged.

Which device is reached is decided here by walking the network, without the code under
test. Evaluation, suppression, alert file and outbox are the real ones.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from hypothesis import strategies as st

from alerts.alert import Alert
from alerts.alert_store import AlertStore, CycleChanges
from alerts.cycle import run_cycle
from alerts.estate_index import EstateIndex
from alerts.evaluation.alert_states import AlertState
from alerts.notify.delivery import next_message
from alerts.rule_files import Rules, load_rules
from alerts.window import Window
from collectors.batch import batch_samples
from collectors.estate.estate_model import Estate
from collectors.journal import Position
from collectors.server_measurements import CATALOGUE
from collectors.topology import Link, TopologyGraph
from probes.wire.sample import Sample

START_MS = 1_777_888_800_000
STEP_MS, MINUTE_MS = 15_000, 60_000
NAMES = ("device_unreachable", "site_unreachable", "monitor_cut_off")
RULES = Rules([rule for rule in load_rules(CATALOGUE) if rule.id in NAMES])
# Without `hold` only the order of measurements keeps a child from being paged first.
HASTY = Rules([rule.model_copy(update={"hold": 0}) for rule in RULES])
# Towpath's machine is plugged into this device.
FIRST = "d0"


@dataclasses.dataclass(frozen=True)
class Network:
    """`links`: all cables. `heard`: whether LLDP reports them; if not, the estate's
    parents (one or several of each device) are all that is known, and there are no
    other cables. `order`: in which quarter of a minute each device is polled."""

    sites: dict[str, str]
    parents: dict[str, tuple[str, ...]]
    links: frozenset[tuple[str, str]]
    heard: bool
    order: dict[str, int]

    @property
    def index(self) -> EstateIndex:
        estate = Estate.model_validate(
            {
                "sites": [{"id": s, "name": s} for s in sorted({*self.sites.values()})],
                "devices": [
                    {
                        "id": id,
                        "site": site,
                        "address": f"10.0.0.{n}",
                        "parents": () if self.heard else self.parents.get(id, ()),
                    }
                    for n, (id, site) in enumerate(self.sites.items(), 1)
                ],
            }
        )
        links = tuple(Link(a, b, (("", ""),), True) for a, b in sorted(self.links))
        return EstateIndex(
            estate, topology=TopologyGraph(links=links if self.heard else ())
        )

    def reached(self, dead: set[str]) -> set[str]:
        reached = [FIRST] if FIRST not in dead else []
        for device in reached:
            for a, b in self.links:
                if device in (a, b):
                    other = b if device == a else a
                    if other not in dead and other not in reached:
                        reached.append(other)
        return set(reached)


@st.composite
def networks(draw: st.DrawFn) -> Network:
    count = draw(st.integers(4, 9))
    ids = [f"d{n}" for n in range(count)]
    parents = {}
    for n in range(1, count):
        above = st.sampled_from(ids[max(0, n - 4) : n])
        parents[ids[n]] = tuple(
            draw(st.lists(above, min_size=1, max_size=2, unique=True))
        )
    links = {
        (min(id, parent), max(id, parent))
        for id, above_it in parents.items()
        for parent in above_it
    }
    heard = draw(st.booleans())
    if heard:
        ways = st.tuples(st.sampled_from(ids), st.sampled_from(ids))
        for a, b in draw(st.lists(ways, max_size=4)):
            if a != b:
                links.add((min(a, b), max(a, b)))
    # A site is a branch of the tree, or the place where its branch begins.
    sites = {FIRST: "s0"}
    for n, id in enumerate(ids[1:], 1):
        sites[id] = draw(st.sampled_from([sites[parents[id][0]], f"s{n}"]))
    order = {id: draw(st.integers(0, 3)) for id in ids}
    return Network(sites, parents, frozenset(links), heard, order)


class NetworkRun:
    """The engine over one network. `pages` and `ends` are what arrived, in order."""

    def __init__(self, network: Network, folder: Path, rules: Rules = RULES) -> None:
        self.network, self.index, self.rules = network, network.index, rules
        self.now_ms = START_MS
        self.window = Window(rules, CATALOGUE, START_MS)
        self.store = AlertStore(folder / "alerts.sqlite")
        self.states: dict[str, AlertState] = {}
        self.shown: dict[str, Alert] = {}
        self.recorded: set[str] = set()
        self.polled_ms: dict[str, int] = {}
        self.arrived: list[tuple[str, str]] = []
        self.pages: list[tuple[Alert, int, dict[str, int]]] = []

    def run(
        self,
        minutes: int,
        dead: set[str],
        missing: frozenset[tuple[str, int]] = frozenset(),
    ) -> None:
        for _ in range(minutes * MINUTE_MS // STEP_MS):
            self._step(dead, missing)

    def _step(self, dead: set[str], missing: frozenset[tuple[str, int]]) -> None:
        self.now_ms += STEP_MS
        steps = (self.now_ms - START_MS) // STEP_MS
        minute, quarter = divmod(steps, MINUTE_MS // STEP_MS)
        reached = self.network.reached(dead)
        samples = []
        for device, site in self.network.sites.items():
            if (
                self.network.order[device] == quarter
                and (device, minute) not in missing
            ):
                self.polled_ms[device] = self.now_ms
                tags = {"device": device, "site": site, "role": "switch"}
                up = int(device in reached)
                samples.append(Sample("device", tags, {"up": up}, self.now_ms))
        for batch in batch_samples(samples, "poll", self.now_ms):
            self.window.append(batch)
        result = run_cycle(
            self.window,
            self.index,
            self.rules,
            self.states,
            self.shown,
            [],
            lambda alert: [("duty", self.now_ms, False)],
            self.now_ms,
        )
        at = {"poll": Position(1, self.now_ms)}
        self.store.write(
            CycleChanges(
                result.changes,
                result.alerts,
                result.pages,
                result.ended,
                result.dropped,
                self.now_ms,
                result.samples,
                at,
                at,
            ),
            self.now_ms,
        )
        self.recorded |= {
            sample.tags["subject"]
            for sample in result.samples
            if sample.measurement == "alert"
        }
        self.pages += [
            (page.alert, self.now_ms, dict(self.polled_ms)) for page in result.pages
        ]
        self.states = result.states
        self.shown = result.still_open(self.shown)
        self.window.clear_changed()
        while message := next_message(
            self.store.outbox.due("duty", self.now_ms), self.now_ms
        ):
            self.store.outbox.start_attempt(message)
            self.store.outbox.delivered(message, self.now_ms)
            self.arrived += [(entry.episode, entry.kind) for entry in message]
