"""Rows of `site` have the states that the status page shows, or there are none."""

from __future__ import annotations

from pathlib import Path

import council
import pytest
from append_doubles import ListAppend
from council_page import NOW_MS, STORE, page_client
from store_doubles import AlertList, MemoryStore
from waiting import until

from collectors.estate import Estate, EstateFile, Site
from collectors.server_measurements import CATALOGUE
from collectors.store.query import Query, Row
from dashboards.query_cache import QueryCache
from dashboards.web import SiteRows
from dashboards.web.page_views import Alerts, Views
from dashboards.web.site_rows import STATES, URGENCIES
from probes.wire.catalogue import check_sample
from probes.wire.sample import Sample


class BrokenStore(MemoryStore):
    async def query(self, query: Query) -> list[Row]:
        raise ConnectionError("the store is down")


async def recorded(
    store: MemoryStore = STORE,
    alerts: Alerts | None = None,
    estate: Estate | None = None,
) -> dict[str, Sample]:
    """By site: the row of one minute."""
    append = ListAppend()
    views = Views(
        lambda: council.estate() if estate is None else estate,
        AlertList(council.alerts(NOW_MS)) if alerts is None else alerts,
        QueryCache(store, lambda: NOW_MS),
        lambda: NOW_MS,
    )
    await SiteRows(views, append).record()
    samples = [sample for batch in append.batches for sample in batch.samples()]
    return {sample.tags["site"]: check_sample(sample, CATALOGUE) for sample in samples}


async def test_each_site_has_the_word_of_the_page() -> None:
    rows = await recorded()
    with page_client() as client:
        sites = client.get("/api/status.json").json()["sites"]
        page = client.get("/").text
    assert rows.keys() == {site["id"] for site in sites}
    words = {site["id"]: site["state"] for site in sites}
    words = {id: word.replace("trouble", "problem") for id, word in words.items()}
    shown = {id: str(row.fields["state_text"]) for id, row in rows.items()}
    assert {id: word.lower() for id, word in shown.items()} == words
    assert len(set(shown.values())) >= 3
    for site in sites:
        row = rows[site["id"]]
        assert row.fields["state"] == STATES[shown[site["id"]]]
        assert row.fields["name"] == site["name"]
        assert shown[site["id"]] in page
        assert row.fields.get("why", "") == site["why"]


async def test_urgency_is_the_order_of_the_page() -> None:
    rows = await recorded()
    with page_client() as client:
        sites = client.get("/api/status.json").json()["sites"]
    urgencies = [int(rows[site["id"]].fields["urgency"]) for site in sites]
    assert urgencies == sorted(urgencies, reverse=True)
    assert len(set(urgencies)) >= 3
    assert URGENCIES.keys() == STATES.keys()


async def test_a_row_has_the_figures_of_the_site() -> None:
    rows = await recorded()
    depot, library = rows["depot"].fields, rows["library"].fields
    assert (depot["state"], depot["devices"], depot["devices_up"]) == (3, 2, 0)
    # Three alerts fire there; the line explains both devices.
    assert depot["alerts_firing"] == 1
    assert library["busiest_line"] == "lib-wan"
    assert 0.5 < float(library["busiest_line_use_ratio"]) < 1.5
    assert 0.0 <= float(rows["town-hall"].fields["call_poor_ratio"]) <= 1.0
    assert "latitude" not in depot


async def test_a_site_with_coordinates_has_them_in_its_rows() -> None:
    site = Site(id="pier", name="The Pier", latitude=52.6, longitude=-1.1)
    rows = await recorded(estate=Estate(sites=(site,)), alerts=AlertList())
    fields = rows["pier"].fields
    assert (fields["latitude"], fields["longitude"]) == (52.6, -1.1)
    assert (fields["state"], fields["state_text"]) == (5, "Not monitored")


async def test_nothing_is_written_while_the_state_is_not_known() -> None:
    assert await recorded(BrokenStore()) == {}
    assert await recorded(alerts=AlertList(broken="the file is locked")) == {}


async def test_without_polls_a_site_has_no_data_which_is_a_state() -> None:
    rows = await recorded(MemoryStore(), AlertList())
    assert {row.fields["state_text"] for row in rows.values()} == {"No data"}


async def test_rows_are_written_each_period_and_go_on_after_a_failure() -> None:
    append = ListAppend()
    append.fault = OSError("the disk is full")
    views = Views(
        council.estate, AlertList(), QueryCache(STORE, lambda: NOW_MS), lambda: NOW_MS
    )
    async with SiteRows(views, append, 0.01):
        await until(lambda: append.calls >= 2, "two tries")
        append.fault = None
        await until(lambda: len(append.batches) >= 2, "two rows")


@pytest.mark.parametrize(
    ("keys", "error"),
    [
        ("latitude = 91.0\nlongitude = 0.5", "latitude"),
        ("latitude = 52.6", "both `latitude` and `longitude`"),
    ],
)
def test_coordinates_that_are_no_place_are_refused(
    tmp_path: Path, keys: str, error: str
) -> None:
    path = tmp_path / "estate.toml"
    path.write_text(f'[[sites]]\nid = "pier"\nname = "The Pier"\n{keys}\n')
    with pytest.raises(ValueError, match=error):
        EstateFile(path)
