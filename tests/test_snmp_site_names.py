"""Selectors of boards show the name of a site and hold its id."""

from __future__ import annotations

import pytest
from grafana_asks import value_of
from hypothesis import given
from hypothesis import strategies as st
from polled_switches import PUBLIC, QUICK, RowSink, polling
from virtual_time import in_virtual_time
from waiting import until

from collectors.estate import Device, Estate, Site
from collectors.sharing.estate_share import WholeEstate
from collectors.snmp.polling.site_names import site_names
from dashboards.grafana.board import sites

IDS = st.from_regex(r"\A[a-z0-9][a-z0-9._-]{0,20}\Z")


def _estate(*sites: Site) -> Estate:
    device = Device(id="a", site=sites[0].id, address="192.0.2.1")  # type: ignore[arg-type]
    unpolled = device.model_copy(update={"id": "b", "poll": False})
    return Estate(sites=sites, devices=(device, unpolled))


def test_each_site_has_a_row_whether_or_not_it_has_devices() -> None:
    estate = _estate(Site(id="hall", name="Town hall"), Site(id="shed", name="Shed"))
    [batch] = site_names(estate, 5)
    assert [(row.tags, row.fields) for row in batch.samples()] == [
        (
            {"site": "hall", "label": "Town hall (hall)", "site_id": "hall"},
            {"called": "Town hall", "devices": 1},
        ),
        (
            {"site": "shed", "label": "Shed (shed)", "site_id": "shed"},
            {"called": "Shed", "devices": 0},
        ),
    ]


@given(IDS, st.text(min_size=1).filter(lambda name: "\n" not in name))
def test_a_selector_finds_the_id_of_any_name(id: str, name: str) -> None:
    [batch] = site_names(_estate(Site(id=id, name=name)), 5)
    [row] = batch.samples()
    assert value_of(sites(), row.tags["label"]) == id


def test_an_estate_without_sites_has_no_names() -> None:
    assert site_names(Estate(), 5) == []


@pytest.mark.parametrize(
    ("poller", "own"), [("", "hall"), ("depot", "depot"), ("elsewhere", "hall")]
)
def test_a_site_with_a_poller_of_its_own_is_named_by_that_one(
    poller: str, own: str
) -> None:
    depot = Site(id="depot", name="Depot", poller="depot")
    estate = _estate(Site(id="hall", name="Town hall"), depot)
    share = WholeEstate(poller)
    share.set_estate(estate)
    [batch] = site_names(estate, 5, share.speaks_for)
    assert batch.tag("site") == [own]


@in_virtual_time
async def test_the_poller_reports_the_sites_with_its_own_figures() -> None:
    estate = Estate(sites=(Site(id="hall", name="Town hall"),))
    async with polling(estate, QUICK, PUBLIC, report_s=0.05) as (sink, _):
        await until(lambda: bool(_names(sink)))
    assert _names(sink)[0] == {"called": "Town hall", "devices": 0}


def _names(sink: RowSink) -> list[dict[str, object]]:
    return list(sink.rows("site_name", site="hall", label="Town hall (hall)"))
