"""The first page of a report: figures, home beside offices, worst sites, a map."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_month import october_content

from collectors.experience.good_quarter_hours import PARTS
from dashboards.report.parity import ParityFigures
from dashboards.report.promise_chart import PromisePart, promise_chart
from dashboards.report.report_data import ReportContent
from dashboards.report.report_html import render_html
from dashboards.report.report_summary import (
    headlines,
    promise_parts,
    tiles,
    worst_first,
    worst_sites,
)
from dashboards.report.site_map import far_sites, site_map

SHARE = st.floats(0, 1)


@pytest.fixture(scope="module")
def october() -> ReportContent:
    return october_content()


def _with_parity(content: ReportContent, *verdicts: str) -> ReportContent:
    figures = tuple(
        ParityFigures(part, "all", "all", 0.03, verdict, "why", 0.9, 0.95, -0.08, -0.02)
        if verdict != "cannot tell"
        else ParityFigures(part, "all", "all", 0.03, verdict, "not measured")
        for part, verdict in zip(PARTS, verdicts, strict=True)  # type: ignore[arg-type]
    )
    return replace(content, parity=figures)


def _placed(content: ReportContent, **places: tuple[float, float]) -> Any:
    return [
        replace(
            figures,
            site=figures.site.model_copy(
                update=dict(zip(("latitude", "longitude"), place, strict=True))
            ),
        )
        if (place := places.get(figures.site.id.replace("-", "_")))
        else figures
        for figures in content.sites
    ]


def test_the_first_sentence_and_figure_say_for_what_the_promise_is_kept(
    october: ReportContent,
) -> None:
    content = _with_parity(october, "kept", "cannot tell", "not kept")
    assert headlines(content)[0] == (
        "Equally good from anywhere: not kept for telephony; kept for systems access; "
        "cannot tell for bandwidth."
    )
    assert tiles(content)[0].figure == "Not kept"
    assert tiles(content)[0].note == "for 1 of 3 parts of the promise"


def test_without_a_figure_of_the_promise_nobody_is_told_that_it_is_kept(
    october: ReportContent,
) -> None:
    assert tiles(october)[0].figure == "Cannot tell"
    assert "Equally good" not in " ".join(headlines(october))


def test_home_is_drawn_beside_offices_with_its_interval_and_what_keeps_the_promise(
    october: ReportContent,
) -> None:
    parts = promise_parts(_with_parity(october, "not kept", "cannot tell", "kept"))
    assert [part.title for part in parts] == ["Systems access", "Telephony"]
    svg = promise_chart(parts, "Home")
    assert (
        "Systems access: 90.0% good at home (95% interval 87.0% to 93.0%), 95.0% in "
        "offices; the promise needs 92.0% at home: not kept." in svg
    )
    assert svg.count('class="limit"') == svg.count("whisker") == 2


def test_calls_stand_for_the_promise_without_an_interval_if_it_has_no_figure(
    october: ReportContent,
) -> None:
    (part,) = promise_parts(october)
    assert part.title == "Good test calls"
    assert part.low is part.high is part.least is None


@given(SHARE, SHARE, SHARE, SHARE, st.none() | SHARE)
def test_every_mark_of_the_promise_is_inside_its_drawing(
    office: float, home: float, one: float, other: float, least: float | None
) -> None:
    low, high = sorted((one, other))
    svg = promise_chart([PromisePart("P", office, home, low, high, least)], "T")
    places = [float(x) for x in re.findall(r'(?:cx|x1)="([\d.-]+)"', svg)]
    assert places
    assert all(150 <= x <= 624.1 for x in places)


def test_the_sites_that_were_reached_least_come_first_and_good_ones_are_not_named(
    october: ReportContent,
) -> None:
    ratios = [site.availability.open_ratio for site in worst_first(october.sites)]
    assert ratios == sorted(ratios)  # type: ignore[type-var]
    assert [site.site.id for site in worst_sites(october)] == ["depot"]
    html = render_html(october)
    table = html[html.index('aria-labelledby="availability"><table') :]
    assert table.index("Highways Depot") < table.index("Central Library")


def test_there_is_a_map_only_if_sites_have_coordinates(october: ReportContent) -> None:
    assert site_map(october.sites, "Map") == ""
    assert "<svg" in site_map(
        _placed(october, depot=(53.5, -2.2), library=(53.6, -2.3)), "Map"
    )
    assert 'class="chart map"' not in render_html(october)


def test_a_map_needs_nothing_from_elsewhere_and_says_what_it_shows(
    october: ReportContent,
) -> None:
    sites = _placed(october, depot=(53.5, -2.2), library=(53.6, -2.3))
    svg = site_map(sites, "Map")
    assert not re.search(r"https?://|href|<image|url\(", svg)
    assert "2 sites on the map: 1 always reached" in svg
    assert "1 site without coordinates" in svg
    assert "Highways Depot" in svg
    assert re.search(r"\d km</text>", svg)


@given(
    st.lists(
        st.tuples(st.floats(-90, 90), st.floats(-180, 180)), min_size=2, max_size=2
    )
)
def test_every_site_is_inside_the_map(
    october: ReportContent, places: list[tuple[float, float]]
) -> None:
    sites = _placed(october, depot=places[0], library=places[1])
    svg = site_map(sites, "Map")
    for x, y in re.findall(r'<circle class="\S+" cx="([\d.-]+)" cy="([\d.-]+)"', svg):
        assert 0 <= float(x) <= 340
        assert 0 <= float(y) <= 240
    assert "nan" not in svg


def test_a_site_whose_coordinates_are_far_off_does_not_make_the_others_one_spot(
    october: ReportContent,
) -> None:
    site = october.sites[0]
    places = [(53.8, -1.5), (53.81, -1.52), (53.79, -1.6), (53.8, -1.5)]
    far = [(53.8, 1.5), (-53.8, -1.5), (0.0, 0.0)]
    sites = [
        replace(
            site,
            site=site.site.model_copy(
                update={"id": f"s{n}", "latitude": y, "longitude": x}
            ),
        )
        for n, (y, x) in enumerate(places * 3 + far)
    ]
    assert [one.site.id for one in far_sites(sites)] == ["s12", "s13", "s14"]
    svg = site_map(sites, "Map")
    assert "12 sites on the map" in svg
    assert re.search(r"\b[12] km</text>", svg)


def test_names_in_sentences_of_the_first_page_are_shortened(
    october: ReportContent,
) -> None:
    depot = next(site for site in october.sites if site.site.id == "depot")
    long = depot.site.model_copy(update={"name": "L" * 300})
    others = [site for site in october.sites if site is not depot]
    content = replace(october, sites=(replace(depot, site=long), *others))
    assert any("LLL… was reachable least" in text for text in headlines(content))
    assert all("L" * 70 not in text for text in headlines(content))


def test_the_contract_that_must_be_decided_on_next_is_named_first(
    october: ReportContent,
) -> None:
    depot = next(site for site in october.sites if site.site.id == "depot")
    made = october.made.date()
    ends = (None, 400, 20, -9, 5)
    lines = tuple(
        replace(
            depot.lines[0],
            line=depot.lines[0].line.model_copy(
                update={
                    "id": f"line-{days}",
                    "contract_end": days and made + timedelta(days=days),
                    "notice_days": 5,
                }
            ),
        )
        for days in ends
    )
    content = replace(october, sites=(replace(depot, lines=lines),))
    [sentence] = [text for text in headlines(content) if "decision" in text]
    assert sentence.startswith("3 contracts need a decision, the first by 24 November")
    assert sentence.endswith(": line-5, line-20, line--9.")


def test_a_long_list_of_contracts_is_cut_to_a_few_names(october: ReportContent) -> None:
    depot = next(site for site in october.sites if site.site.id == "depot")
    lines = tuple(
        replace(depot.lines[0], line=depot.lines[0].line.model_copy(update={"id": id}))
        for id in ("a", "b", "c", "d", "e")
    )
    content = replace(october, sites=(replace(depot, lines=lines),))
    assert any("a, b, c and 2 more" in sentence for sentence in headlines(content))
