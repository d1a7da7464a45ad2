"""Towpath's engine beside another one, on the same generated rows as they arrive."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from rule_series import SUBJECTS, subjects_of, table_of, tags_of

from alerts.estate_index import EstateIndex
from alerts.evaluation.alert_states import AlertState
from alerts.evaluation.rule_evaluation import evaluate
from alerts.rule import Rule
from alerts.rule_files import Rules
from alerts.window import Window, reach_ms
from collectors.batch import batch_samples
from collectors.estate.estate_model import Estate
from collectors.server_measurements import CATALOGUE
from probes.wire.sample import Sample

START_MS = 1_790_553_600_000
MINUTE_MS = 60_000
# Evaluations are at these seconds, when every row that is on time has arrived.
OFFSET_MS = 7_000
# A rule that waits for hours, or whose rows are further apart, would take hours of
# generated rows to fire. It is exported in the same way as those that are compared.
LONGEST_WAIT_MS, COMPARED_PERIODS_S = 3_600_000, frozenset({60, 300})
OtherEngine = Callable[[Rule, dict[str, str]], tuple[bool, bool, str]]
"""Rule and subject → whether it fires there, whether it waits to, and its state."""
ESTATE = EstateIndex(
    Estate.model_validate(
        {
            "sites": [{"id": f"site-{s}", "name": s} for s in SUBJECTS],
            "devices": [
                {"id": s, "site": f"site-{s}", "address": f"10.0.0.{n}"}
                for n, s in enumerate(SUBJECTS, 1)
            ],
            "lines": [
                {
                    "id": s,
                    "site": f"site-{s}",
                    "down_mbps": 100,
                    "up_mbps": 100,
                    "device": s,
                    "port": f"Gi{n}",
                }
                for n, s in enumerate(SUBJECTS)
            ],
            "rooms": [{"id": s, "site": f"site-{s}", "devices": [s]} for s in SUBJECTS],
            "teams": [{"id": s} for s in SUBJECTS],
            "vpn_gateways": [
                {"id": s, "host": f"{s}.example", "site": f"site-{s}"} for s in SUBJECTS
            ],
        }
    )
)


def with_hold_in_for(rule: Rule) -> Rule:
    """As it is exported: others have no time between firing and the notification."""
    return rule.model_copy(update={"lasts": rule.page_after_ms, "hold": 0})


def is_compared(rule: Rule) -> bool:
    """Whether the generated rows are long enough to make the rule fire."""
    period_s = CATALOGUE.measurement(rule.measurement).period_s
    return period_s in COMPARED_PERIODS_S and rule.lasts <= LONGEST_WAIT_MS


@dataclass
class Engine:
    """Towpath's engine, fed with rows as they arrive."""

    rules: Sequence[Rule]
    states: dict[str, AlertState] = field(default_factory=dict)
    newest_ms: dict[tuple[str, str], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.window = Window(Rules(list(self.rules)), CATALOGUE, START_MS)

    def append(self, samples: Sequence[Sample], received_ms: int) -> None:
        for batch in batch_samples(samples, "test", received_ms):
            self.window.append(batch)

    def evaluate(self, now_ms: int) -> None:
        for key, state in evaluate(self.window, ESTATE, self.states, now_ms).items():
            if state is None:
                self.states.pop(key, None)
            else:
                self.states[key] = state
        self.window.clear_changed()

    def find(self, rule: Rule, subject: dict[str, str]) -> AlertState | None:
        for state in self.states.values():
            if state.rule == rule.id and state.subject == subject and state.is_open:
                return state
        return None


@dataclass
class Comparison:
    """Each rule and subject at each evaluation."""

    compared: int = 0
    excused: int = 0
    fired: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)
    alone: list[str] = field(default_factory=list)


class Watch:
    """Compares, but for what `DIFFERENCES` in the exported file names. `lag_ms`: how
    much later the other engine may see a row. `ends_without_rows`: what recovers while
    its rows stop may end there."""

    def __init__(
        self,
        comparison: Comparison,
        lag_ms: int = 0,
        ends_without_rows: bool = False,
    ) -> None:
        self.comparison, self._lag_ms = comparison, lag_ms
        self._ends_without_rows = ends_without_rows
        self._newest_ms: dict[tuple[str, frozenset[tuple[str, str]]], int] = {}
        self._excused: set[tuple[str, str]] = set()
        self._past: dict[tuple[str, str], list[tuple[int, bool]]] = {}

    def note(self, sample: Sample) -> None:
        key = (sample.measurement, frozenset(sample.tags.items()))
        self._newest_ms[key] = max(self._newest_ms.get(key, 0), sample.time_ms)

    def compare(
        self,
        rule: Rule,
        engine: Engine,
        original: Engine,
        other: OtherEngine,
        now_ms: int,
    ) -> None:
        for name in subjects_of(table_of(rule)):
            tags = tags_of(table_of(rule), name)
            subject = {tag: tags[tag] for tag in rule.subject}
            state = engine.find(rule, subject)
            is_firing = state is not None and state.state == "firing"
            fires, waits, shown = other(rule, subject)
            past = self._past.setdefault((rule.id, name), [])
            past.append((now_ms, is_firing))
            idle = state is None and not (fires or waits)
            key = (rule.measurement, frozenset(tags.items()))
            silent_ms = now_ms - self._newest_ms.get(key, now_ms)
            if idle:
                self._excused.discard((rule.id, name))
            elif state is not None and self._may_differ(rule, state, silent_ms):
                self._excused.add((rule.id, name))
            if (rule.id, name) in self._excused:
                self.comparison.excused += 1
                continue
            self.comparison.compared += 1
            if is_firing:
                self.comparison.fired.add(rule.id)
            # The other engine sees a late row when it arrives, and Towpath counts from
            # its time.
            lag_ms = self._lag_ms
            if name == "late":
                declared = CATALOGUE.measurement(rule.measurement)
                lag_ms += (declared.lateness_s + declared.period_s) * 1000
            recent = {firing for at, firing in past if at >= now_ms - lag_ms}
            if fires not in recent:
                minute = (now_ms - START_MS) / MINUTE_MS
                kind = "new " if fires else ""
                self.comparison.wrong.append(
                    f"{kind}{rule.id} {name} at {minute:.2f}: Towpath {state}, there "
                    f"{shown}"
                )
            alert = original.find(rule, subject)
            if fires and name != "late" and (alert is None or alert.state != "firing"):
                self.comparison.alone.append(f"{rule.id} {name} at {now_ms}")

    def _may_differ(self, rule: Rule, state: AlertState, silent_ms: int) -> bool:
        if state.flapping:
            return True
        if silent_ms <= reach_ms(rule, CATALOGUE):
            return False
        return state.state == "pending" or (
            self._ends_without_rows and state.clear_ms is not None
        )
