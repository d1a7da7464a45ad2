"""Every page in a real Chromium, light, dark, in the system's colours and on paper: all
that is to be read has its contrast, also where the keyboard's focus is."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import axe
import council
import pytest
import test_web_rooms
import test_web_sites
from browser import Browser, browser
from council_fleet import agents, fleet_source
from council_page import CSS, NOW_MS, STORE, page_client
from report_month import october_content
from signed_in_pages import SIGNED_IN_PAGES, signed_in_page
from store_doubles import AlertList, MemoryStore
from test_agent_page import CSS as AGENT_CSS
from test_agent_page import SENT, TROUBLED
from test_agent_status import NOW_MS as AGENT_NOW_MS
from test_web_sites import many_sites

from collectors.estate.estate_model import Reflector
from dashboards.report.report_html import render_html
from probes.diagnosis.is_it_me_page import page as agent_page

PAGES = [
    *("/rooms/chamber", "/teams"),
    *("/", "/sites/depot", "/sites/library", "/sites/town-hall"),
    *("/alerts", "/reports", "/catalogue", "/accessibility", "/sites/nowhere"),
    "/fleet",
    *(
        "/devices/th-sw1",
        "/devices/th-sw1/port?name=Te1/1/1&range=7d",
        "/search?q=th",
        "/check",
    ),
    *("the report", "Is it me?"),
    *SIGNED_IN_PAGES,
]
SCHEMES = {
    "light": {"prefers_color_scheme": "light"},
    "dark": {"prefers_color_scheme": "dark"},
    "system colours": {"forced_colors": "active", "prefers_color_scheme": "light"},
    "dark system colours": {"forced_colors": "active", "prefers_color_scheme": "dark"},
}
pytestmark = pytest.mark.service


REFLECTOR = Reflector(id="hq", host="hq.example", ndt7_url="https://hq.example")
# An event that begins soon, in a room that was down an hour before.
_ROOMS = MemoryStore(
    [
        *test_web_rooms.rows({50: 0, 5: 3, 2: 3, 1: 3}, 10),
        *council.samples(NOW_MS - 5 * council.MINUTE_MS, NOW_MS),
    ]
)


@cache
def _html(page: str) -> str:
    if page == "the report":
        return render_html(october_content(), "Borough of Example")
    if page == "Is it me?":
        return agent_page(TROUBLED, SENT, AGENT_NOW_MS, AGENT_CSS)
    if page in SIGNED_IN_PAGES:
        return _whole_page(signed_in_page(page), "")
    with (
        tempfile.TemporaryDirectory() as folder,
        page_client(
            store=_ROOMS if page.startswith(("/rooms", "/teams")) else STORE,
            estate=test_web_rooms.estate(reflectors=(REFLECTOR,)),
            laptops=fleet_source(
                Path(folder), agents(120, NOW_MS), NOW_MS, {"why": "x"}
            ),
            peer="127.0.0.1",
            grafana_url="https://grafana.example",
            contact="ring 1234",
        ) as client,
    ):
        html = client.get(page).text
        script = client.get("/static/refresh.js").text
    return _whole_page(html, script)


def _whole_page(html: str, script: str) -> str:
    """The page with its style and script inside."""
    sheet, place = (
        f"<style>{CSS}</style>",
        '<link rel="stylesheet" href="/static/look.css">',
    )
    assert place in html
    html = re.sub(r"<script[^>]*></script>", "", html.replace(place, sheet))
    return html.replace("</body>", f"<script>{script}</script></body>")


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("chromium")) as found:
        yield found


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("page", PAGES)
def test_everything_can_be_read_with_and_without_the_focus_in_it(
    chromium: Browser, page: str, scheme: str
) -> None:
    chromium.show(_html(page), **SCHEMES[scheme])
    whole = chromium.run("towpath.whole()")
    assert whole["found"] == []
    assert whole["read"] > 5
    found, count = chromium.focus_findings()
    assert found == []
    assert count >= 2


@pytest.mark.parametrize("page", PAGES)
def test_axe_finds_nothing_and_nothing_is_cut_or_scrolled_sideways(
    chromium: Browser, page: str
) -> None:
    # 320 is also 1280 at 400 %, and 640 at 200 %.
    found = {}
    for width in (320, 640, 900, 1280):
        chromium.width(width)
        if width == 320:
            chromium.show(_html(page), **SCHEMES["light"])
        found[width] = chromium.run("towpath.narrow()")
    wrong, passed = axe.findings(chromium)
    assert found == {width: [] for width in found}
    assert wrong == []
    assert passed > 30


@pytest.mark.parametrize(("width", "most"), [(1280, 1024), (1920, 800)])
def test_all_of_two_hundred_sites_are_on_one_screen(
    chromium: Browser, width: int, most: int
) -> None:
    with page_client(
        store=test_web_sites.STORE, alerts=AlertList(), estate=many_sites()
    ) as client:
        html = client.get("/").text
    chromium.width(width)
    chromium.show(_whole_page(html, ""), **SCHEMES["light"])
    tiles = "[...document.querySelectorAll('ul.sites a')]"
    assert chromium.run(f"{tiles}.length") == 200
    tall = (
        f"(() => {{ const boxes = {tiles}.map((tile) => tile.getBoundingClientRect());"
        " return Math.max(...boxes.map((box) => box.bottom))"
        " - Math.min(...boxes.map((box) => box.top)); })()"
    )
    assert chromium.run(tall) <= most
    assert chromium.run("towpath.narrow()") == []


def test_a_long_or_hostile_name_neither_turns_text_round_nor_widens_a_page(
    chromium: Browser,
) -> None:
    evil = "-a-very-long-name\u202egnp.exe\u200b\x1b[31m" + "W" * 200
    made = council.estate()

    def named(part: Any) -> Any:
        return part.model_copy(update={"name": part.name + evil})

    estate = made.model_copy(
        update={
            "sites": tuple(map(named, made.sites)),
            "devices": tuple(map(named, made.devices)),
            "rooms": (named(test_web_rooms.ROOM),),
        }
    )
    chromium.width(320)
    for path in ("/", "/sites/depot", "/devices/dep-sw1", "/rooms/chamber"):
        with page_client(estate=estate) as client:
            html = client.get(path).text
        chromium.show(_whole_page(html, ""), **SCHEMES["light"])
        text = chromium.run("document.body.innerText + document.title")
        assert "\\u202egnp.exe\\u200b\\u001b[31m" in text
        assert not re.search("[\u202a-\u202e\u200b\x1b]", text)
        assert chromium.run("document.documentElement.scrollWidth") == 320, path
        # On a large window it moves no state out of sight either.
        chromium.width(1280)
        assert chromium.run("document.documentElement.scrollWidth") == 1280, path
        wide = "[...document.querySelectorAll('.scroll')].map(e => e.scrollWidth)"
        assert max(chromium.run(wide), default=0) < 1280, path
        chromium.width(320)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("page", PAGES)
def test_selected_text_can_be_read(chromium: Browser, page: str, scheme: str) -> None:
    chromium.show(_html(page), **SCHEMES[scheme])
    assert chromium.run("towpath.selected()") >= 4.5


@pytest.mark.parametrize("page", PAGES)
def test_paper_is_light_also_when_a_dark_page_with_the_focus_in_it_is_printed(
    chromium: Browser, page: str
) -> None:
    chromium.show(_html(page), **SCHEMES["dark"])
    chromium.press_tab()
    chromium.press_tab()
    chromium.call(
        "Emulation.setEmulatedMedia",
        media="print",
        features=[
            {"name": "prefers-color-scheme", "value": "dark"},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ],
    )
    whole = chromium.run("towpath.whole()")
    assert whole["found"] == []
    white = "getComputedStyle(document.body).backgroundColor"
    assert chromium.run(white) in ("rgb(255, 255, 255)", "rgba(0, 0, 0, 0)")
    yellow = "getComputedStyle(document.activeElement).backgroundColor"
    assert chromium.run(yellow) != "rgb(255, 221, 0)"


def test_the_check_finds_figures_that_vanish_when_their_table_has_the_focus(
    chromium: Browser,
) -> None:
    old = ":focus-visible { background: #ffdd00 !important; outline: 3px solid #000; }"
    html = _html("/").replace("</style>", f"{old}</style>", 1)
    html = html.replace('class="scroll', 'tabindex="0" class="scroll')
    chromium.show(html, **SCHEMES["dark"])
    found, _ = chromium.focus_findings()
    assert any("is 1." in result for result in found)
