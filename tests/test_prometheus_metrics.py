"""What Prometheus can scrape of the network, and the command that writes its rules."""

from __future__ import annotations

import asyncio
import urllib.request
from pathlib import Path

import pytest
import services
import yaml
from grafana_files import RULES
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

from alerts.prometheus.prometheus_rules import FILE_NAME, prometheus_document
from alerts.prometheus.window_metrics import WindowMetrics, window_families
from alerts.rule_files import load_rules
from alerts.window import FORGET_MS, Window
from collectors.batch import batch_samples
from collectors.self_metrics import families
from collectors.server_measurements import CATALOGUE
from probes.wire.sample import Sample
from towpath.cli import app
from towpath.config import ROLES
from towpath.metrics import MetricsConfig, MetricsServer
from towpath.readiness import Readiness

START_MS = 1_790_553_600_000
LINE = {"line": "l1", "site": "depot", "role": "primary", "supplier": "Acme"}


async def scrape(window: Window, now_ms: int) -> dict[tuple[str, str], float]:
    """(name, line or process) → value, over HTTP."""
    port = services.free_port()
    config = MetricsConfig(port=port, rows=True)
    async with WindowMetrics(lambda: window, lambda: now_ms) as rows:
        with MetricsServer(config, ROLES, Readiness([], lambda: now_ms), rows):

            def get() -> str:
                url = f"http://127.0.0.1:{port}/metrics"
                with urllib.request.urlopen(url, timeout=30) as answer:
                    return str(answer.read(), "utf-8")

            text = await asyncio.to_thread(get)
    return {
        (sample.name, sample.labels.get("line") or sample.labels.get("process", "")): (
            sample.value
        )
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def window_of(*deliveries: list[Sample]) -> Window:
    window = Window(load_rules(CATALOGUE), CATALOGUE, START_MS)
    for samples in deliveries:
        for batch in batch_samples(samples, "test", samples[-1].time_ms):
            window.append(batch)
    return window


async def test_a_value_is_there_as_long_as_its_row_is_current() -> None:
    window = window_of(
        [Sample("line", LINE, {"up": 1, "down_use_ratio": 0.5}, START_MS)]
    )
    fresh = await scrape(window, START_MS + 100_000)
    assert fresh["towpath_line_up", "l1"] == 1
    assert fresh["towpath_line_down_use_ratio", "l1"] == 0.5
    assert fresh["towpath_line_row_age_s", "l1"] == 100
    old = await scrape(window, START_MS + 200_000)
    assert ("towpath_line_up", "l1") not in old
    assert old["towpath_line_row_age_s", "l1"] == 200
    assert await scrape(window, START_MS + FORGET_MS) == {}


async def test_a_row_without_a_field_has_an_age_and_no_value() -> None:
    window = window_of(
        [
            Sample("line", LINE, {"up": 1}, START_MS),
            Sample("line", LINE, {"down_use_ratio": 0.5}, START_MS + 60_000),
        ]
    )
    scraped = await scrape(window, START_MS + 70_000)
    assert ("towpath_line_up", "l1") not in scraped
    assert scraped["towpath_line_row_age_s", "l1"] == 10


async def test_figures_of_a_window_are_those_that_rules_compare() -> None:
    rows = [
        [Sample("line", LINE, {"in_errors_per_s": n}, START_MS + n * 60_000)]
        for n in range(13)
    ]
    scraped = await scrape(window_of(*rows), START_MS + 13 * 60_000)
    assert scraped["towpath_line_in_errors_per_s_mean_15m", "l1"] == 6


async def test_each_process_exposes_its_own_figures_so_rows_have_none() -> None:
    row = Sample("self_poll", {"process": "poll"}, {"late_p99_ms": 9}, START_MS)
    scraped = await scrape(window_of([row]), START_MS)
    assert ("towpath_self_poll_late_p99_ms", "poll") not in scraped
    assert scraped["towpath_self_poll_row_age_s", "poll"] == 0


def test_no_metric_is_exposed_twice() -> None:
    """Rows, and the figures of a process, with a row of every measurement of rules."""
    window = Window(load_rules(CATALOGUE), CATALOGUE, START_MS)
    samples = []
    for declared, fields, _ in window.needed_fields():
        tags = {tag.name: "x" for tag in declared.tags}
        all_fields = {
            field.name: "x" if field.type == "str" else 1 for field in declared.fields
        }
        assert set(fields) <= set(all_fields)
        samples.append(Sample(declared.name, tags, all_fields, START_MS))
    for batch in batch_samples(samples, "test", START_MS):
        window.append(batch)
    families_of_both = [
        *families([s for s in samples if s.measurement.startswith("self_")], CATALOGUE),
        *window_families(window, START_MS),
    ]
    names = [family.name for family in families_of_both]
    assert len(set(names)) == len(names)
    assert len(names) > 100


def test_the_command_writes_the_rules_and_reports_the_others(tmp_path: Path) -> None:
    command = ["rules", "export", "prometheus", "--out", str(tmp_path / "new")]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0
    text = (tmp_path / "new" / FILE_NAME).read_text()
    assert text == prometheus_document(RULES)[0]
    assert yaml.safe_load(text)["groups"]
    assert "not for Prometheus: rule ups_on_battery: a device reports" in done.output


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["prometeus"], "did you mean 'prometheus'?"),
        (["prometheus", "--grafana", "12"], "--grafana is the version of Grafana"),
    ],
)
def test_the_command_refuses_what_it_does_not_know(
    words: list[str], answer: str, tmp_path: Path
) -> None:
    done = CliRunner().invoke(app, ["rules", "export", *words, "--out", str(tmp_path)])
    assert done.exit_code == 2
    assert answer in " ".join(done.output.split())
    assert not list(tmp_path.iterdir())


def test_a_councils_own_variant_for_a_site_is_a_rule_of_its_own(tmp_path: Path) -> None:
    own = tmp_path / "rules.yaml"
    own.write_text(
        "overrides:\n"
        "  - {rule: line_full_down, threshold: 0.95, clear: 0.9, sites: [depot]}\n"
    )
    text, _ = prometheus_document(load_rules(CATALOGUE, own))
    rules = {
        rule["record"]: rule["expr"]
        for group in yaml.safe_load(text)["groups"]
        for rule in group["rules"]
        if "record" in rule
    }
    variants = [rules["towpath:line_full_down"], rules["towpath:line_full_down:2"]]
    assert sorted('site="depot"' in variant for variant in variants) == [False, True]
    assert sorted('site!="depot"' in variant for variant in variants) == [False, True]
