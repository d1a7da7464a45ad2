"""An exported rule fires in Prometheus when Towpath's own fires.

Both are evaluated on the same generated rows as they arrive: Towpath's engine from the
rows, and Prometheus's own (`promtool test rules`) on what scrapes of Towpath's window
hold, every 30 seconds.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
import yaml
from grafana_files import RULES
from promtool import STEP_S, Alerts, Labels, alerts_at, check_rules
from rule_engines import (
    MINUTE_MS,
    OFFSET_MS,
    START_MS,
    Comparison,
    Engine,
    OtherEngine,
    Watch,
    is_compared,
    with_hold_in_for,
)
from rule_series import Arrival, generate_rows, table_of

from alerts.prometheus.prometheus_rules import prometheus_document, why_not_prometheus
from alerts.prometheus.window_metrics import window_families
from alerts.rule import Rule
from alerts.window import current_ms
from collectors.server_measurements import CATALOGUE
from probes.wire.sample import Sample

EXPORTED = [rule for rule in RULES if not why_not_prometheus(rule)]
OF_ONE_ROW = [r for r in EXPORTED if r.across == "any" and is_compared(r)]
OF_ALL_ROWS = [rule for rule in EXPORTED if rule.across == "all"]


def takes_long(rule: Rule) -> bool:
    """Whether a rule looks back over hours: its rows are generated for longer."""
    return any(condition.over > 60 * MINUTE_MS for condition in rule.when)


def without_shared_fields(rules: Sequence[Rule]) -> list[list[Rule]]:
    """Rules in parts in which no two compare the same field: each needs rows of its
    own."""
    parts: list[tuple[set[object], list[Rule]]] = []
    for rule in rules:
        keys = {(table_of(rule), condition.field) for condition in rule.when}
        for used, part in parts:
            if not used & keys:
                used |= keys
                part.append(rule)
                break
        else:
            parts.append((set(keys), [rule]))
    return [part for _, part in parts]


def in_time(arrivals: Sequence[Arrival]) -> list[Arrival]:
    """Late rows, but none so late that the row before it is no longer current when it
    arrives: for Prometheus that is a gap."""

    def latest_ms(sample: Sample) -> int:
        declared = CATALOGUE.measurement(sample.measurement)
        gap_ms = (declared.period_s + STEP_S) * 1000
        return sample.time_ms + current_ms(declared) - gap_ms

    rows = [
        Arrival(row.sample, min(row.received_ms, latest_ms(row.sample)))
        for row in arrivals
    ]
    return sorted(rows, key=lambda row: (row.received_ms, row.sample.time_ms))


def scraped(engine: Engine, now_ms: int) -> dict[str, float]:
    """What a scrape holds: name with labels → value."""
    values = {}
    for family in window_families(engine.window, now_ms, of_towpath=True):
        for sample in family.samples:
            labels = ", ".join(f'{k}="{v}"' for k, v in sample.labels.items() if v)
            values[f"{sample.name}{{{labels}}}"] = sample.value
    return values


class Scrapes:
    """The values of every series at each step."""

    def __init__(self) -> None:
        self.series: dict[str, list[float | None]] = {}
        self._steps = 0

    def add(self, values: Mapping[str, float]) -> None:
        for name in values:
            self.series.setdefault(name, [None] * self._steps)
        for name, column in self.series.items():
            column.append(values.get(name))
        self._steps += 1


def steps(end_ms: int) -> Iterator[int]:
    return iter(range(START_MS + OFFSET_MS, end_ms, STEP_S * 1000))


def feed(
    engines: Sequence[Engine], arrivals: list[Arrival], now_ms: int
) -> list[Sample]:
    """Everything that arrives until `now_ms`, evaluated every ten seconds."""
    fed = []
    for moment_ms in range(now_ms - 20_000, now_ms + 1, 10_000):
        while arrivals and arrivals[0].received_ms <= moment_ms:
            row = arrivals.pop(0)
            fed.append(row.sample)
            for engine in engines:
                engine.append([row.sample], row.received_ms)
        for engine in engines:
            engine.evaluate(moment_ms)
    return fed


def compare(
    rules: Sequence[Rule], arrivals: list[Arrival], end_ms: int, folder: Path
) -> Comparison:
    engine = Engine([with_hold_in_for(rule) for rule in rules])
    original = Engine(rules)
    scrapes = Scrapes()
    moments = []
    for now_ms in steps(end_ms):
        samples = feed([engine, original], arrivals, now_ms)
        scrapes.add(scraped(original, now_ms))
        moments.append((now_ms, samples, dict(engine.states), dict(original.states)))
    text, _ = prometheus_document(rules)
    comparison = Comparison()
    watch = Watch(comparison, lag_ms=STEP_S * 1000, ends_without_rows=True)
    for (now_ms, samples, states, plain), alerts in zip(
        moments, alerts_at(text, scrapes.series, folder), strict=True
    ):
        engine.states, original.states = states, plain
        for sample in samples:
            watch.note(sample)
        there = states_in(alerts)
        for rule in rules:
            watch.compare(rule, engine, original, there, now_ms)
    return comparison


def states_in(alerts: Alerts) -> OtherEngine:
    def state(rule: Rule, subject: dict[str, str]) -> tuple[bool, bool, str]:
        def among(found: Mapping[str, set[Labels]]) -> bool:
            labels = found.get(rule.id, ())
            return any(subject.items() <= set(one) for one in labels)

        fires, waits = among(alerts.firing), among(alerts.pending)
        return fires, waits, "firing" if fires else "pending" if waits else "nothing"

    return state


@pytest.mark.service
@pytest.mark.parametrize(
    ("period_s", "seed", "minutes", "hours"),
    [
        (60, 1, 75, 5),
        (300, 2, 110, 5),
        pytest.param(60, 1, 150, 7, marks=pytest.mark.soak),
        pytest.param(300, 2, 400, 7, marks=pytest.mark.soak),
    ],
)
def test_exported_rules_fire_when_towpaths_do(
    period_s: int, seed: int, minutes: int, hours: int, tmp_path: Path
) -> None:
    rules = [
        rule
        for rule in OF_ONE_ROW
        if CATALOGUE.measurement(rule.measurement).period_s == period_s
    ]
    quick = [rule for rule in rules if not takes_long(rule)]
    slow = [rule for rule in rules if takes_long(rule)]
    parts = [*without_shared_fields(quick), *without_shared_fields(slow)]
    for n, part in enumerate(parts):
        folder = tmp_path / str(n)
        folder.mkdir()
        lasts = hours * 60 if takes_long(part[0]) else minutes
        end_ms = START_MS + lasts * MINUTE_MS
        arrivals = in_time(generate_rows(part, START_MS, end_ms, seed))
        comparison = compare(part, arrivals, end_ms, folder)
        assert comparison.wrong == []
        # What fires there, fires here as the rule is written, too.
        assert comparison.alone == []
        assert comparison.fired == {rule.id for rule in part}
        assert comparison.excused < comparison.compared / 4


def rows_of_sites(seed: int, end_ms: int) -> list[Arrival]:
    """Devices of which all, some or none answer, for minutes at a time."""
    chance = random.Random(seed)
    down_until = {}
    rows = []
    for minute, time_ms in enumerate(range(START_MS, end_ms, MINUTE_MS)):
        for site in ("site-s1", "site-s2"):
            fault = chance.choice(["one", "site", "site", "all"])
            lasts = chance.choice([1, 3, 4, 5, 8])
            if minute > 3 and minute % 60 == 4:
                hit = {"one": [f"{site}-0"], "none": []}.get(
                    fault,
                    [
                        f"{at}-{n}"
                        for at in {"site": [site]}.get(fault, ["site-s1", "site-s2"])
                        for n in range(3)
                    ],
                )
                down_until.update(dict.fromkeys(hit, minute + lasts))
        for site in ("site-s1", "site-s2"):
            for n in range(3):
                device = f"{site}-{n}"
                tags = {"device": device, "site": site, "role": "switch"}
                up = int(down_until.get(device, 0) <= minute)
                row = Sample("device", tags, {"up": up}, time_ms + n * 4_000)
                rows.append(Arrival(row, row.time_ms + 3_000))
    return sorted(rows, key=lambda row: row.received_ms)


@pytest.mark.service
@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.soak)])
def test_rules_about_all_devices_fire_when_towpaths_do(
    seed: int, tmp_path: Path
) -> None:
    end_ms = START_MS + 400 * MINUTE_MS
    engine = Engine([with_hold_in_for(rule) for rule in OF_ALL_ROWS])
    arrivals = rows_of_sites(seed, end_ms)
    scrapes = Scrapes()
    ours: list[set[tuple[str, str]]] = []
    for now_ms in steps(end_ms):
        feed([engine], arrivals, now_ms)
        scrapes.add(scraped(engine, now_ms))
        ours.append(
            {
                (state.rule, state.subject.get("site", ""))
                for state in engine.states.values()
                if state.state == "firing" and not state.flapping
            }
        )
    text, _ = prometheus_document(OF_ALL_ROWS)
    theirs = [
        {
            (rule.id, dict(labels).get("site", ""))
            for rule in OF_ALL_ROWS
            for labels in alerts.firing.get(rule.id, ())
        }
        for alerts in alerts_at(text, scrapes.series, tmp_path)
    ]
    flapped = {
        (state.rule, state.subject.get("site", ""))
        for state in engine.states.values()
        if state.flapping
    }
    assert not flapped
    assert {name for fired in ours for name, _ in fired} >= {"site_unreachable"}
    for before, now, there in zip(ours, ours[1:], theirs[1:], strict=False):
        # A scrape may be as old as the time between two of them.
        assert now & before <= there <= now | before


@pytest.mark.service
def test_promtool_finds_nothing_wrong_with_the_file(tmp_path: Path) -> None:
    text, _ = prometheus_document(RULES)
    assert "SUCCESS" in check_rules(text, tmp_path)


def test_every_rule_is_exported_or_has_a_reason() -> None:
    text, unsupported = prometheus_document(RULES)
    exported = {
        rule["alert"]
        for group in yaml.safe_load(text)["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }
    assert exported - {"towpath_stopped"} == {rule.id for rule in EXPORTED}
    assert {omitted.rule for omitted in unsupported} == {r.id for r in RULES} - exported


def test_every_exported_rule_is_compared() -> None:
    periods = {CATALOGUE.measurement(r.measurement).period_s for r in OF_ONE_ROW}
    assert periods == {60, 300}
    assert len(EXPORTED) >= 45
    assert len(OF_ONE_ROW) + len(OF_ALL_ROWS) >= len(EXPORTED) - 6
