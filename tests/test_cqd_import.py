"""Exports of Microsoft's Call Quality Dashboard become rows of sites."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stores import embedded
from typer.testing import CliRunner

from collectors.calls.cqd_rows import CqdRows, MixedSteps, cqd_rows
from collectors.calls.cqd_sheet import CqdCount, CqdRefused, CqdSheet, read_cqd
from collectors.calls.sheet_numbers import NumberStyle
from collectors.journal import JournalReader
from collectors.server_measurements import CATALOGUE
from collectors.store.query import Pick, Query, Row
from towpath.cli import app

TODAY = date(2026, 11, 20)
SITES = {"Town Hall": "hall", "Annexe": "hall", "Library": "library"}
HEADINGS = (
    "Second Building Name,Date,Audio Stream Count,Audio Good Stream Count,"
    "Audio Poor Stream Count,Audio Unclassified Stream Count"
)


def sheet(*lines: str, headings: str = HEADINGS) -> CqdSheet:
    return read_cqd("\n".join((headings, *lines)).encode())


def rows(counts: CqdSheet, known: Mapping[str, str] = {}) -> CqdRows:
    return cqd_rows(
        counts.counts,
        lambda count: SITES.get(count.place, ""),
        known,  # type: ignore[arg-type]
        10,
        TODAY,
    )


def one_count(found: CqdSheet) -> CqdCount:
    [count] = found.counts
    return count


def test_a_row_has_what_the_dashboard_counted() -> None:
    found = rows(sheet("Town Hall,2026-10-05,1000,720,80,200"))
    [sample] = found.samples
    assert sample.tags == {"site": "hall", "media": "audio", "step": "day"}
    assert sample.time_ms == 1_791_158_400_000
    assert sample.fields == {
        "streams": 1000,
        "unclassified_ratio": 0.2,
        "classified": 800,
        "poor_ratio": 0.1,
    }


@pytest.mark.parametrize(
    "raw",
    [
        HEADINGS.replace(",", ";").encode()
        + b"\nTown Hall;05/10/2026;1,000;720;80;200\nX;25/10/2026;0;0;0;0",
        "Measures.Audio Poor Stream Count\tAllStreams.Date\tAllStreams.Second Building "
        "Name\tMeasures.Audio Unclassified Stream Count\tMeasures.Audio Stream Count\n"
        "80\t2026-10-05T00:00:00\tTown Hall\t200\t1000\n".encode("utf-16"),
        b"\xef\xbb\xbfDate,Building,Audio Good,Audio Poor,Audio Unclassified\n"
        b'"Monday, October 5, 2026",Town Hall,720.0,80,200\nTotal,,720,80,200\n',
        b"Date,Second Building Name,First Building Name,Audio Good Stream Count,Audio "
        b"Poor Stream Count,Audio Unclassified Stream Count\n"
        b"10/5/2026 12:00:00 AM,Town Hall,,720,80,200\n10/25/2026,,,1,1,1\n",
        "CQD[Second Building Name];CQD[Date];Sum of Audio Good Stream Count;Sum of "
        "Audio Poor Stream Count;Sum of Audio Unclassified Stream Count;Audio Poor "
        "Percentage\nTown Hall;05.10.2026;720,00;80;200;10,00 %\n"
        "Total;;1.720;80;200;4,44 %\n\n"
        '"Applied filters:\nDate is on or after 13.10.2026"\n'.encode("utf-16"),
    ],
    ids=["semicolons", "powershell", "power bi", "american", "decimal comma"],
)
def test_columns_are_found_by_name_in_any_order_delimiter_and_encoding(
    raw: bytes,
) -> None:
    count = one_count(read_cqd(raw, None if b"25" in raw else "dmy"))
    assert (count.place, count.day, count.step) == (
        "Town Hall",
        date(2026, 10, 5),
        "day",
    )
    assert (count.good, count.poor, count.unclassified) == (720, 80, 200)


@pytest.mark.parametrize(
    ("cells", "read"),
    [
        (("1,234,567", "8"), (1_234_567, 8)),
        (("1.234", "8,00"), (1234, 8)),
        (("720.000", "8,50 %"), (720_000, None)),
        (("720.000", "8"), (None, 8)),
        (("1 234", "1'234"), (1234, 1234)),
        (("-3", "1e5"), (None, None)),
        (("720.5", "x"), (None, None)),
    ],
)
def test_numbers_are_read_as_the_sheet_writes_them_and_never_guessed(
    cells: tuple[str, ...], read: tuple[int | None, ...]
) -> None:
    style = NumberStyle(cells)
    assert tuple(style.whole(cell) for cell in cells) == read


@pytest.mark.parametrize(
    ("heading", "cells"),
    [
        ("Month Year", "2026-10"),
        ("Month Year", "October 2026"),
        ("Month Year", "2026-10-01"),
        ("Month,Year", "10,2026"),
        ("Month,Year", "Oct,2026"),
    ],
)
def test_a_month_is_read_in_the_forms_that_exports_have(
    heading: str, cells: str
) -> None:
    found = sheet(
        f"Hall,{cells},9,1",
        headings=f"Building,{heading},VBSS Good Stream Count,VBSS Poor Stream Count",
    )
    count = one_count(found)
    assert (count.day, count.step) == (date(2026, 10, 1), "month")
    assert count.media == "screen_sharing"


@pytest.mark.parametrize(
    ("headings", "sentence"),
    [
        ("Device,Address", "its columns (Device, Address) lack a building or subnet"),
        ("Building Name,Audio Poor Stream Count", "lack a time, such as Date"),
        (
            "Building Name,Date,Audio Poor Stream Count,Audio Good Steam Count",
            "lack counts, such as Audio Good Stream Count and Audio Poor Stream Count; "
            "did you mean 'Audio Good Stream Count'?",
        ),
        ("", "lack a building"),
        (
            "Name des zweiten Gebäudes,Datum",
            "such as Second Building Name; if they are in another language, export it "
            "in English",
        ),
    ],
)
def test_a_wrong_sheet_is_refused_in_one_sentence(headings: str, sentence: str) -> None:
    with pytest.raises(CqdRefused) as refused:
        sheet("a,b", headings=headings)
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_date_that_could_be_two_days_is_not_guessed() -> None:
    found = sheet("Town Hall,05/10/2026,1000,720,80,200")
    assert not found.counts
    assert "--dates dmy or --dates mdy" in found.remarks[0]
    raw = f"{HEADINGS}\nTown Hall,05/10/2026,1000,720,80,200".encode()
    assert one_count(read_cqd(raw, "mdy")).day == date(2026, 5, 10)
    with pytest.raises(CqdRefused, match="others with the month"):
        sheet("Town Hall,25/10/2026,1,1,0,0", "Town Hall,10/25/2026,1,1,0,0")


def test_a_row_that_cannot_be_read_is_named_and_the_others_count() -> None:
    found = sheet(
        "Town Hall,2026-10-05,1000,720,80,200",
        "Town Hall,yesterday,1000,720,80,200",
        "Town Hall,2026-10-06,1000,many,80,200",
    )
    assert len(found.counts) == 1
    assert found.remarks == (
        "line 3: expected a date such as 2026-10-31, not 'yesterday'",
        "line 4: expected a number of streams, not 'many'",
    )


def test_all_buildings_of_a_site_are_added_before_small_ones_are_left_out() -> None:
    found = rows(
        sheet(
            "Town Hall,2026-10-05,200,190,10,0",
            "Annexe,2026-10-05,100,90,10,0",
            "Library,2026-10-05,299,299,0,0",
            "Moon Base,2026-10-05,900,900,0,0",
        )
    )
    assert [sample.fields["streams"] for sample in found.samples] == [300]
    assert (found.small, found.unplaced) == (1, ("Moon Base",))


def test_a_row_of_few_people_is_left_out_whatever_they_streamed() -> None:
    headings = f"{HEADINGS},User Count"
    line = "Town Hall,2026-10-05,1000,720,80,200"
    assert rows(sheet(f"{line},9", headings=headings)).small == 1
    assert rows(sheet(f"{line},10", headings=headings)).samples


def test_a_month_needs_the_streams_of_a_month() -> None:
    headings = HEADINGS.replace("Date", "Month Year")
    assert rows(sheet("Town Hall,2026-10,5999,5999,0,0", headings=headings)).small == 1
    assert rows(sheet("Town Hall,2026-10,6000,6000,0,0", headings=headings)).samples


def test_only_days_and_months_that_are_over_and_kept_count() -> None:
    found = rows(
        sheet(
            "Town Hall,2026-11-18,1000,1000,0,0",
            "Town Hall,2026-11-19,1000,1000,0,0",
            "Town Hall,2025-10-01,1000,1000,0,0",
        )
    )
    assert len(found.samples) == 1
    assert (found.not_over, found.too_old) == (1, 1)
    headings = HEADINGS.replace("Date", "Month Year")
    running = rows(sheet("Town Hall,2026-11,9000,9000,0,0", headings=headings))
    assert (running.samples, running.not_over) == ((), 1)


def test_a_month_is_never_kept_beside_its_days() -> None:
    days = rows(sheet("Town Hall,2026-10-05,1000,720,80,200"))
    assert days.steps == {"2026-10": "day"}
    month = sheet(
        "Town Hall,2026-10,9000,9000,0,0",
        headings=HEADINGS.replace("Date", "Month Year"),
    )
    with pytest.raises(MixedSteps, match="2026-10 is already imported by day"):
        rows(month, dict(days.steps))


@given(st.binary(max_size=200), st.booleans())
def test_no_file_is_a_crash(raw: bytes, has_headings: bool) -> None:
    with contextlib.suppress(CqdRefused):
        read_cqd(HEADINGS.encode() * has_headings + b"\n" + raw)


@given(st.lists(st.tuples(*[st.integers(0, 2000)] * 3), max_size=6))
def test_every_row_shown_has_enough_streams_and_shares_of_them(
    counts: list[tuple[int, int, int]],
) -> None:
    found = rows(sheet(*(f"Town Hall,2026-10-05,0,{g},{p},{u}" for g, p, u in counts)))
    for sample in found.samples:
        assert sample.fields["streams"] == sum(map(sum, counts))
        assert sample.fields["streams"] >= 300
        assert 0 <= float(sample.fields.get("poor_ratio", 0)) <= 1


SETTINGS = 'council = "Example"\nstate = "{0}/state"\nestate = "{0}/estate.toml"\n'
ESTATE = (
    '[[sites]]\nid = "hall"\nname = "Town Hall"\n'
    '[[sites]]\nid = "library"\nname = "Library"\nsubnets = ["10.2.0.0/16"]\n'
)


@pytest.fixture
def council(tmp_path: Path) -> Path:
    (tmp_path / "towpath.toml").write_text(SETTINGS.format(tmp_path))
    (tmp_path / "estate.toml").write_text(ESTATE)
    (tmp_path / "state").mkdir()
    lines = "Town Hall,2026-10-05,1000,720,80,200"
    (tmp_path / "days.csv").write_text(f"{HEADINGS}\n{lines}\n")
    return tmp_path


def run(council: Path, name: str) -> tuple[int, str]:
    arguments = ["import", "cqd", str(council / name)]
    result = CliRunner().invoke(app, [*arguments, "-c", str(council / "towpath.toml")])
    return result.exit_code, result.output


def test_two_imports_of_a_file_are_one_in_the_store(council: Path) -> None:
    for _ in range(2):
        assert run(council, "days.csv") == (0, "imported 1 row of 1 site\n")

    async def stored() -> list[Row]:
        async with embedded(council / "store", CATALOGUE) as store:
            folder = council / "state" / "journal"
            async with JournalReader(folder, "look") as reader:
                while (chunk := await reader.read(wait_s=0.0)) is not None:
                    await store.write(chunk.batches)
            return await store.query(
                Query(
                    "cqd_streams",
                    (Pick("streams", "sum"), Pick("poor_ratio", "mean")),
                    1_791_072_000_000,
                    1_793_491_200_000,
                    (),
                    ("site", "step"),
                )
            )

    [row] = asyncio.run(stored())
    assert row.tags == {"site": "hall", "step": "day"}
    assert row.values == {"streams_sum": 1000, "poor_ratio_mean": 0.1}


def test_subnets_are_found_by_the_sites_networks(council: Path) -> None:
    headings = HEADINGS.replace("Second Building Name", "Second Subnet")
    (council / "nets.csv").write_text(
        f"{headings}\n10.2.3.0,2026-10-05,1000,720,80,200\n"
        "10.9.0.0,2026-10-05,1000,720,80,200\n"
    )
    code, output = run(council, "nets.csv")
    assert code == 0
    assert "at no site of the estate, left out: 10.9.0.0" in output


def test_nothing_is_imported_beside_the_records_of_calls(council: Path) -> None:
    with (council / "towpath.toml").open("a") as settings:
        id = "5b0c7e1e-3a0d-4f52-9d3c-0a8f6f2f9d11"
        settings.write(
            f'[calls]\nenabled = true\ntenant = "{id}"\nclient_id = "{id}"\n'
            'certificate = "/etc/towpath/calls.pem"\n'
        )
    code, output = run(council, "days.csv")
    assert code == 1
    assert "calls.enabled reads every call already" in " ".join(output.split())
