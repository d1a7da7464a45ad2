"""An exported rule fires in Grafana when Towpath's own fires.

Both are evaluated on the same generated rows, as they arrive: Towpath's engine from the
rows, and Grafana's pipeline by asking a real InfluxDB, every 30 seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import services
import stores
from grafana_alerting import GrafanaAlertRule, Labels
from grafana_asks import Influx, ask_all
from grafana_files import RULES, grafana_alerting
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
from rule_series import Arrival, generate_rows
from served_influx import TOKEN, served

from alerts.rule import Rule
from collectors.batch import batch_samples
from collectors.server_measurements import CATALOGUE
from collectors.store.influx_store import InfluxStore
from collectors.store.query import Store
from dashboards.grafana.grafana_rules import (
    INTERVAL_MS,
    WATCHDOG_UID,
    why_unsupported,
)
from probes.wire.sample import Sample

SOAK = pytest.mark.soak

EXPORTED = [r for r in RULES if not why_unsupported(r) and is_compared(r)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influx]:
    folder = tmp_path_factory.mktemp("influx")
    with services.running(services.influxd(folder)) as running:
        yield Influx(running)


def exported(rule: Rule, target: int) -> dict[str, Any]:
    """The rule as that version of Grafana reads it: older ones ignore three keys."""
    [found] = [
        candidate
        for group in grafana_alerting(target=target)["groups"]
        for candidate in group["rules"]
        if candidate["labels"].get("rule") == rule.id
    ]
    if target < 12:
        del found["missing_series_evals_to_resolve"]
        found.pop("keepFiringFor", None)
        for node in found["data"]:
            for condition in node["model"].get("conditions", ()):
                del condition["unloadEvaluator"]
    return dict(found)


async def compare_on_influxdb(
    server: Influx,
    database: str,
    rules: Sequence[Rule],
    minutes: int,
    seed: int,
    target: int = 12,
) -> Comparison:
    connection = stores.connection(server.server)
    async with InfluxStore(connection, database, CATALOGUE) as store:

        async def ask(queries: Sequence[str]) -> list[Any]:
            return server.ask_all(queries, database)

        return await compare(store, ask, rules, minutes, seed, target)


async def compare(
    store: Store,
    ask: Callable[[Sequence[str]], Awaitable[list[Any]]],
    rules: Sequence[Rule],
    minutes: int,
    seed: int,
    target: int = 12,
) -> Comparison:
    end_ms = START_MS + minutes * MINUTE_MS
    arrivals = generate_rows(rules, START_MS, end_ms, seed)
    arrivals += [
        Arrival(Sample("self_poll", {"process": "poll"}, {"cut_off": 0}, at), at)
        for at in range(START_MS, end_ms, MINUTE_MS)
    ]
    arrivals.sort(key=lambda row: row.received_ms)
    engine = Engine([with_hold_in_for(rule) for rule in rules])
    original = Engine(rules)
    grafana = {
        rule.id: GrafanaAlertRule(exported(rule, target), INTERVAL_MS) for rule in rules
    }
    comparison = Comparison()
    watch = Watch(comparison)
    for now_ms in range(START_MS + OFFSET_MS, end_ms, INTERVAL_MS):
        for moment_ms in (now_ms - 20_000, now_ms - 10_000, now_ms):
            received = []
            while arrivals and arrivals[0].received_ms <= moment_ms:
                received.append(arrivals.pop(0))
            samples = [row.sample for row in received]
            for row in received:
                for one_engine in (engine, original):
                    one_engine.append([row.sample], row.received_ms)
            if samples:
                await store.write(batch_samples(samples, "test", moment_ms))
            for sample in samples:
                watch.note(sample)
            for one_engine in (engine, original):
                one_engine.evaluate(moment_ms)
        asked = [(rule.id, ref) for rule in rules for ref in grafana[rule.id].queries]
        texts = [grafana[name].query(ref, now_ms) for name, ref in asked]
        answers = dict(zip(asked, await ask(texts), strict=True))
        for rule in rules:
            grafana[rule.id].evaluate(
                now_ms,
                {ref: answers[rule.id, ref] for ref in grafana[rule.id].queries},
            )
            watch.compare(rule, engine, original, states_in(grafana), now_ms)
    return comparison


def states_in(rules: Mapping[str, GrafanaAlertRule]) -> OtherEngine:
    def state(rule: Rule, subject: dict[str, str]) -> tuple[bool, bool, str]:
        grafana = rules[rule.id]
        labels = _labels_of(grafana, subject)
        instances = [grafana.instances[label] for label in labels]
        waits = any(instance.state != "Normal" for instance in instances)
        return bool(labels & grafana.firing), waits, str(instances)

    return state


def _labels_of(grafana: GrafanaAlertRule, subject: dict[str, str]) -> set[Labels]:
    return {labels for labels in grafana.instances if subject.items() <= labels}


@pytest.mark.service
@pytest.mark.parametrize("seed", [1, *(pytest.param(n, marks=SOAK) for n in (2, 3))])
@pytest.mark.parametrize("period_s", [60, 300])
async def test_exported_rules_fire_when_towpaths_do(
    server: Influx, period_s: int, seed: int
) -> None:
    rules = [
        rule
        for rule in EXPORTED
        if CATALOGUE.measurement(rule.measurement).period_s == period_s
    ]
    minutes = {60: 75, 300: 280}[period_s]
    database = f"t{period_s}x{seed}"
    comparison = await compare_on_influxdb(server, database, rules, minutes, seed)
    assert comparison.wrong == []
    # What fires there, fires here as the rule is written, too.
    assert comparison.alone == []
    assert comparison.fired == {rule.id for rule in rules}
    assert comparison.excused < comparison.compared / 5


@pytest.mark.service
@pytest.mark.parametrize("period_s", [60, pytest.param(300, marks=SOAK)])
async def test_in_an_older_grafana_nothing_fires_that_does_not_fire_here(
    server: Influx, period_s: int
) -> None:
    rules = [
        rule
        for rule in EXPORTED
        if CATALOGUE.measurement(rule.measurement).period_s == period_s
    ]
    minutes = {60: 75, 300: 280}[period_s]
    comparison = await compare_on_influxdb(
        server, f"older{period_s}", rules, minutes, seed=1, target=9
    )
    assert comparison.alone == []
    # What differs is that an alert ends earlier there.
    assert [wrong for wrong in comparison.wrong if wrong.startswith("new ")] == []
    assert comparison.wrong


async def test_exported_rules_fire_when_towpaths_do_on_the_embedded_store(
    tmp_path: Path,
) -> None:
    rules = [rule for rule in EXPORTED if rule.measurement in ("line", "vpn_gateway")]
    async with served(tmp_path, CATALOGUE) as store:

        async def ask(queries: Sequence[str]) -> list[Any]:
            return await asyncio.to_thread(
                ask_all, store.url, TOKEN, queries, "towpath"
            )

        comparison = await compare(store, ask, rules, 20, seed=1)
    assert comparison.wrong == []
    assert {"line_down", "vpn_gateway_down"} <= comparison.fired


@pytest.mark.service
@pytest.mark.parametrize("database", ["stops", "stopped"])
async def test_the_watch_on_towpath_fires_when_it_stops(
    server: Influx, database: str
) -> None:
    [watch] = [
        rule
        for group in grafana_alerting(target=9)["groups"]
        for rule in group["rules"]
        if rule["uid"] == WATCHDOG_UID
    ]
    grafana = GrafanaAlertRule(watch, INTERVAL_MS)
    stops_ms = START_MS + 20 * MINUTE_MS
    rows = [
        Sample("self_journal", {"process": "all"}, {"bytes": 1}, at)
        for at in range(START_MS - 60 * MINUTE_MS, stops_ms, MINUTE_MS)
        if database == "stops" or at < START_MS - 30 * MINUTE_MS
    ]
    connection = stores.connection(server.server)
    async with InfluxStore(connection, database, CATALOGUE) as store:
        await store.write(batch_samples(rows, "test", START_MS))
    fired = []
    for now_ms in range(START_MS + OFFSET_MS, stops_ms + 20 * MINUTE_MS, INTERVAL_MS):
        [answer] = server.ask_all([grafana.query("A", now_ms)], database)
        grafana.evaluate(now_ms, {"A": answer})
        if grafana.firing:
            fired.append(now_ms)
    if database == "stops":
        assert stops_ms + 6 * MINUTE_MS < fired[0] < stops_ms + 8 * MINUTE_MS
    else:
        assert fired[0] < START_MS + 3 * MINUTE_MS


def test_every_exported_rule_is_compared() -> None:
    periods = {CATALOGUE.measurement(r.measurement).period_s for r in EXPORTED}
    assert periods == {60, 300}
    assert len(EXPORTED) >= 20
