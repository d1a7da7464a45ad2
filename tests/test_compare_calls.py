"""`towpath compare calls` shows on a terminal what the report has of test calls and
Microsoft's record."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from append_doubles import ListAppend
from report_group_rows import COUNCIL, OCTOBER, october_ms
from test_report_recorded_calls import month
from typer.testing import CliRunner

from collectors.batch import batch_samples, check_batch
from collectors.calls.agreement_keeper import AgreementKeeper
from collectors.server_measurements import CATALOGUE
from collectors.store.parquet_store import EmbeddedStore
from collectors.store.query import Pick, Query
from towpath.cli import app
from towpath.commands import compare_calls


async def _fill(folder: Path) -> None:
    async with EmbeddedStore(folder, CATALOGUE) as store:
        await store.write(batch_samples(list(month()), "test", 0))


@pytest.fixture
def council(tmp_path: Path) -> Path:
    (tmp_path / "estate.toml").write_text('[[sites]]\nid = "library"\nname = "L"\n')
    file = tmp_path / "towpath.toml"
    file.write_text(
        'state = "state"\nestate = "estate.toml"\n[store]\nfolder = "store"\n'
    )
    return file


def _run(file: Path, *words: str) -> str:
    with mock.patch.object(compare_calls, "wall_ms", return_value=OCTOBER.to_ms):
        result = CliRunner().invoke(app, ["compare", "calls", "-c", str(file), *words])
    assert result.exit_code == 0, result.output
    return result.output


async def _days(folder: Path, day: int) -> tuple[dict[tuple[str, str], Any], bool]:
    """The sums of all days, worked out at noon of a day of the month, and again."""
    async with EmbeddedStore(folder, CATALOGUE) as store:
        now_ms, append = october_ms(day, 13), ListAppend()
        keeper = AgreementKeeper(store, append, lambda: COUNCIL, lambda: now_ms)
        await keeper.look()
        for batch in append.batches:
            assert check_batch(batch, CATALOGUE) is batch
        await store.write(append.batches)
        again = await keeper.look()
        picks = ("both", "record_only", "tests_only", "neither", "hours", "in_record")
        picked = [Pick(name, "sum") for name in picks]
        picked += [Pick("seen_ratio", "mean"), Pick("state", "last")]
        by = ("by", "group")
        asked = Query("probe_agreement", tuple(picked), 0, OCTOBER.to_ms, (), by)
        rows = await store.query(asked)
    return {(row.tags["by"], row.tags["group"]): row.values for row in rows}, again


def test_each_day_has_a_row_of_every_group_that_both_sides_have(council: Path) -> None:
    store = council.parent / "store"
    asyncio.run(_fill(store))
    rows, again = asyncio.run(_days(store, 8))
    library = rows["site", "library"]
    counts = [library[f"{name}_sum"] for name in ("both", "record_only", "tests_only")]
    assert (counts, library["neither_sum"], again) == ([3, 3, 3], 15, 0)
    assert (library["seen_ratio_mean"], library["state_last"]) == (0.5, "measured")
    assert rows["provider", "BT"]["state_last"] == "too few"
    assert rows["connection", "wired"]["state_last"] == "not measured"
    assert rows["all", "all"]["state_last"] == "no record"
    # A week later the same days are worked out again, and replace their rows.
    later, _ = asyncio.run(_days(store, 12))
    assert later["site", "library"] == library


def test_hours_are_listed_by_which_side_was_poor(council: Path) -> None:
    asyncio.run(_fill(council.parent / "store"))
    lines = {line.split("  ")[0]: line for line in _run(council).splitlines()}
    assert lines["Sites"].split()[1:] == ["measured", "3", "3", "3", "15", "50%", "75%"]
    assert "not measured" in lines["Connections"]
    told = json.loads(_run(council, "--json", "--days", "27"))
    [library] = [one for one in told["groups"] if one["group"] == "library"]
    assert (library["both"], library["seen_of_recorded_ratio"]) == (3, 0.5)
    assert (library["state"], told["days"]) == ("measured", 27)


def test_without_a_record_every_kind_says_so(council: Path) -> None:
    assert _run(council).count("no record") == 5
