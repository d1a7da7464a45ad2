"""What the command line does with boards and reports, and the exit codes it gives."""

from __future__ import annotations

import asyncio
import urllib.request
from pathlib import Path

import council
import pytest

from collectors.measurements import CATALOGUE
from collectors.store import StoreConfig, open_store
from dashboards.console import (
    dashboards_build,
    dashboards_check,
    dashboards_push,
    report_site,
    rules_export_grafana,
)
from dashboards.doubles import AnswerStore, MemoryStore
from dashboards.grafana import GrafanaConfig
from dashboards.report import Month
from dashboards.web import StatusPage, WebConfig

OCTOBER = Month(2026, 10)


def test_boards_are_built_checked_and_found_good(tmp_path: Path) -> None:
    said: list[str] = []
    assert dashboards_build(tmp_path, GrafanaConfig(), out=said.append) == 0
    assert dashboards_check(tmp_path, out=said.append) == 0
    assert dashboards_check(None, out=said.append) == 0
    assert any("monitor_blind" in each for each in said)


def test_a_board_that_was_spoilt_is_exit_code_1(tmp_path: Path) -> None:
    dashboards_build(tmp_path, GrafanaConfig(), out=lambda said: None)
    path = tmp_path / "dashboards/shared/towpath-site.json"
    path.write_text(path.read_text().replace('\\"up_bps\\"', '\\"ups_bps\\"'))
    said: list[str] = []
    assert dashboards_check(tmp_path, out=said.append) == 1
    assert "did you mean 'up_bps'?" in said[0]


def test_wrong_usage_is_exit_code_2(tmp_path: Path) -> None:
    said: list[str] = []
    estate, store = council.estate(), MemoryStore()
    assert dashboards_check(tmp_path / "none", out=said.append) == 2
    assert dashboards_push("http://x", "", GrafanaConfig(), out=said.append) == 2
    assert report_site("October", None, tmp_path, store, estate, out=said.append) == 2
    assert report_site("2026-10", "dep", tmp_path, store, estate, out=said.append) == 2
    assert "did you mean" in said[-1]
    (tmp_path / "file").write_text("")
    assert dashboards_build(tmp_path / "file", GrafanaConfig(), out=said.append) == 2


def test_a_grafana_that_is_not_there_is_exit_code_1() -> None:
    said: list[str] = []
    code = dashboards_push("http://127.0.0.1:1", "t", GrafanaConfig(), out=said.append)
    assert code == 1
    assert "cannot be reached" in said[0]


def test_rules_alone_can_be_exported(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    assert rules_export_grafana(path, GrafanaConfig(), out=lambda said: None) == 0
    assert "isPaused: true" in path.read_text()


def test_a_store_that_is_away_is_one_sentence_and_exit_code_1(tmp_path: Path) -> None:
    store = AnswerStore(lambda query: [])
    store.broken = "InfluxDB does not answer"
    said: list[str] = []
    code = report_site(
        "2026-10", None, tmp_path, store, council.estate(), out=said.append
    )
    assert code == 1
    assert said == ["no report was made: InfluxDB does not answer"]


def test_the_embedded_store_answers_the_report_and_the_page(tmp_path: Path) -> None:
    """No double: rows through the store's own files, as `towpath run` has them."""
    end_ms = OCTOBER.from_ms + 3 * 24 * council.HOUR_MS
    store = open_store(StoreConfig(folder=tmp_path / "store"), CATALOGUE)
    rows = council.samples(end_ms - 6 * council.HOUR_MS, end_ms, 5 * council.MINUTE_MS)
    fresh = council.samples(end_ms - 5 * council.MINUTE_MS, end_ms, council.MINUTE_MS)
    said: list[str] = []

    async def fill() -> None:
        async with store:
            await store.write(council.batches(rows))
            await store.write(council.batches(fresh, "fresh"))

    asyncio.run(fill())
    out = tmp_path / "out"
    code = report_site(
        "2026-10",
        None,
        out,
        store,
        council.estate(),
        council="Example",
        now_ms=end_ms,
        out=said.append,
    )
    assert code == 0, said
    html = (out / "site-2026-10.html").read_text()
    assert "Town Hall" in html
    assert "lib-wan" in html

    async def look() -> str:
        page = StatusPage(
            WebConfig(port=0),
            council.estate,
            tmp_path / "alerts.sqlite",
            store,
            lambda: end_ms,
            council="Example",
        )
        async with store, page:
            return await asyncio.to_thread(
                lambda: urllib.request.urlopen(page.url, timeout=20).read().decode()
            )

    text = asyncio.run(look())
    assert "does not answer" not in text
    assert "Example" in text
    assert text.count("Working") == 3


@pytest.mark.parametrize("month", ["2027-01"])
def test_a_month_to_come_is_exit_code_2(tmp_path: Path, month: str) -> None:
    said: list[str] = []
    code = report_site(
        month,
        None,
        tmp_path,
        MemoryStore(),
        council.estate(),
        now_ms=OCTOBER.to_ms,
        out=said.append,
    )
    assert code == 2
    assert "has not begun yet" in said[0]
