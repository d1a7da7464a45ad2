"""`towpath compare calls` shows on a terminal what the report has of test calls and
Microsoft's record."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from unittest import mock

import pytest
from report_group_rows import OCTOBER
from test_report_recorded_calls import month
from typer.testing import CliRunner

from collectors.batch import batch_samples
from collectors.server_measurements import CATALOGUE
from collectors.store.parquet_store import EmbeddedStore
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
