"""The first page with many sites: counts, filter, groups, tiles, history and pages."""

from __future__ import annotations

import re
from functools import cache
from html import unescape
from urllib.parse import urlencode

import accessible
import pytest
from council_page import CSS, NOW_MS, page_client, page_text
from hypothesis import given, settings
from hypothesis import strategies as st
from store_doubles import AlertList, MemoryStore

from collectors.estate import Device, Estate, Site
from dashboards.web import history_marks, site_filter
from dashboards.web.list_page import list_page, page_number
from dashboards.web.site_filter import SiteFilter
from dashboards.web.site_rows import URGENCIES
from dashboards.web.site_state import SiteNow
from probes.wire.sample import Sample

KINDS = ("Library", "School", "Depot", "")
DISTRICTS = ("North", "Süd & \u202eeast", "")
HOUR_MS = 3_600_000


@cache
def many_sites(count: int = 200) -> Estate:
    sites = tuple(
        Site(
            id=f"site-{n:03d}",
            name=f"St Mary's Primary {n}",
            kind=KINDS[n % 4],
            district=DISTRICTS[n % 3],
        )
        for n in range(count)
    )
    devices = tuple(
        Device(
            id=f"{site.id}-sw", site=site.id, address=f"10.9.{n // 250}.{n % 250 + 1}"
        )  # type: ignore[arg-type]
        for n, site in enumerate(sites)
    )
    return Estate(sites=sites, devices=devices)


def many_rows(count: int = 200) -> MemoryStore:
    """One site in 40 is down, and was so for the last of 24 hours."""

    def rows() -> list[Sample]:
        found = []
        for n in range(count):
            tags = {"device": f"site-{n:03d}-sw", "site": f"site-{n:03d}"}
            up = int(n % 40 != 7)
            fields: dict[str, int | str] = {"up": up, "answered": up}
            fields["outcome"] = "ok" if up else "timeout"
            found.append(Sample("device", tags, fields, NOW_MS - 30_000))
            for hour in range(20):
                urgency = 5 if hour == 0 and not up else 0
                found.append(
                    Sample(
                        "site",
                        {"site": f"site-{n:03d}"},
                        {"urgency": urgency},
                        NOW_MS - hour * HOUR_MS - 1000,
                    )
                )
        return found

    return MemoryStore(rows())


STORE = many_rows()


def _client():  # type: ignore[no-untyped-def]
    return page_client(store=STORE, alerts=AlertList(), estate=many_sites())


def test_two_hundred_sites_are_tiles_with_name_state_and_link_in_their_groups() -> None:
    with _client() as client:
        html = client.get("/").text
    tiles = re.findall(
        r'<li><a class="(\w+)" href="/sites/(site-\d+)"><svg.*?</svg><span>(.*?)'
        r' <span class="word">([^<]+)</span>',
        html,
    )
    assert len({site for _, site, _, _ in tiles}) == 200
    assert {(level, word) for level, _, _, word in tiles} == {
        ("bad", "Down"),
        ("ok", "Working"),
    }
    text = page_text(html)
    assert "5 Down" in text
    assert "195 Working" in text
    assert [name for name in ("North 67", "District not listed 66") if name in text]
    # The table has the most urgent of them, and links to the others.
    assert html.count('<td role="cell" data-label="State">') == 25
    assert "page 1 of 8" in text
    assert re.search(r"19 working, 0 degraded, 1 with a problem or down, 4 not", html)


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        ({"state": "down"}, 5),
        ({"kind": "Depot"}, 50),
        ({"district": "Süd & \u202eeast"}, 67),
        ({"q": "PRIMARY 19"}, 12),
        ({"q": "mary 199", "kind": "", "by": "kind", "page": "9"}, 1),
        ({"q": "' OR 1=1 --"}, 0),
        ({"q": "<script>alert(1)</script>"}, 0),
        ({"state": "\x00", "page": "-1"}, 0),
        ({"q": "x" * 5000, "page": "9" * 400}, 0),
        ({"kind": "\u202e", "by": "__class__"}, 0),
        ({"page": "٣", "by": "district"}, 200),
    ],
)
def test_the_form_finds_the_sites_that_it_names(
    wanted: dict[str, str], count: int
) -> None:
    with _client() as client:
        answer = client.get(f"/?{urlencode(wanted)}")
    assert answer.status_code == 200
    assert "<script>alert" not in answer.text
    assert "\u202e" not in re.sub(r'value="[^"]*"', "", answer.text)
    found = set(re.findall(r'<li><a class="\w+" href="/sites/(site-\d+)"', answer.text))
    assert len(found) == count
    if count == 0:
        assert "No site is like that." in answer.text


def test_a_district_of_any_name_can_be_chosen_in_the_form() -> None:
    with _client() as client:
        options = re.findall(r'<option value="([^"]+)"', client.get("/").text)
    assert set(DISTRICTS) - {""} <= {unescape(option) for option in options}


def test_a_site_without_a_name_is_listed_by_its_id() -> None:
    sites = tuple(Site(id=f"s-{n}", name=" " * n) for n in range(14))
    with page_client(
        store=MemoryStore(), alerts=AlertList(), estate=Estate(sites=sites)
    ) as client:
        for path in ("/", "/sites/s-3", "/search?q=s-"):
            html = client.get(path).text
            assert accessible.findings(html, CSS) == []
            assert ">s-3<" in re.sub(r"\s+<", "<", html)


def test_each_page_of_the_table_keeps_what_the_form_says() -> None:
    seen: list[str] = []
    with _client() as client:
        link: str | None = "/?kind=School&q=mary"
        while link is not None:
            html = client.get(link.partition("#")[0]).text
            table = html[html.index("<table") :]
            table = table[: table.index("</table>")]
            seen += re.findall(r'href="/sites/(site-\d+)"', table)
            more = re.search(r'href="([^"]+)" rel="next"', html)
            link = more[1].replace("&amp;", "&") if more else None
    assert len(seen) == len(set(seen)) == 50


def test_a_sites_page_has_a_bar_of_ninety_days_by_the_worst_state() -> None:
    day_ms = 24 * HOUR_MS
    today_ms = NOW_MS // day_ms * day_ms
    states = {0: "Working", 1: "Degraded", 2: "Down", 89: "Problem", 90: "Down"}
    rows = [
        Sample(
            "site",
            {"site": "town-hall"},
            {"urgency": URGENCIES[word], "word": word},
            at_ms,
        )
        for ago, word in states.items()
        for at_ms in (today_ms - ago * day_ms, today_ms - ago * day_ms + 1)
    ]
    with page_client(MemoryStore(rows)) as client:
        page = client.get("/sites/town-hall").text
        without = client.get("/sites/depot").text
    counts = "Of 90 intervals: 1 working, 1 degraded, 2 with a problem or down, 86 not"
    assert counts in page
    assert accessible.findings(page, CSS) == []
    assert "No state of this site is recorded yet" in without


def test_a_history_without_rows_is_not_known_and_is_not_shown_as_down() -> None:
    span = (0, 4 * HOUR_MS)
    assert history_marks.state_marks([], span, HOUR_MS) == {}
    assert history_marks.answer_marks([], span, HOUR_MS) == {}


_sites = st.lists(
    st.builds(
        SiteNow,
        st.builds(
            Site,
            id=st.from_regex(r"[a-z0-9]{1,6}", fullmatch=True),
            name=st.text(max_size=20),
            district=st.sampled_from(DISTRICTS),
            kind=st.sampled_from(KINDS),
        ),
        st.just("ok"),
        st.sampled_from(list(site_filter.STATES)),
        *(st.just(x) for x in ("", (), (), (), None)),
    ),
    max_size=30,
)


@given(_sites, st.text(max_size=6), st.sampled_from(["", "district", "kind"]))
@settings(max_examples=80)
def test_every_site_that_matches_is_in_one_group_and_counted_once(
    sites: list[SiteNow], text: str, by: str
) -> None:
    found = site_filter.matching(sites, SiteFilter(text=text))
    listed = [site for _, group in site_filter.grouped(found, by) for site in group]
    assert sorted(map(id, listed)) == sorted(map(id, found))
    assert sum(n for _, _, n in site_filter.state_counts(sites)) == len(sites)
    for word, _, count in site_filter.state_counts(sites):
        wanted = SiteFilter(state=word.upper())
        assert len(site_filter.matching(sites, wanted)) == count


@given(st.lists(st.integers()), st.text(max_size=8), st.integers(1, 9))
def test_the_pages_of_any_list_hold_each_entry_once(
    entries: list[int], page: str, per_page: int
) -> None:
    shown = list_page(entries, page_number(page), per_page)
    every = [
        entry
        for number in range(1, shown.pages + 1)
        for entry in list_page(entries, number, per_page).entries
    ]
    assert every == entries
    assert 1 <= shown.page <= shown.pages
