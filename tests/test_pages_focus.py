"""Every page of the route table in a real Chromium, light, dark, in the system's
colours, on paper, at 100, 200 and 400 %: all that is to be read has its contrast, also
where the keyboard's focus is."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import axe
import council
import pytest
import test_web_rooms
import test_web_sites
from browser import Browser, browser
from council_fleet import agents, fleet_source
from council_page import CSS, NOW_MS, STORE, page_client
from hostile_council import EVILS, hostile_alerts, hostile_estate, hostile_store
from report_month import october_content
from signed_in_pages import SIGNED_IN_PAGES, signed_in_page
from store_doubles import AlertList, AnswerStore, MemoryStore
from test_agent_page import CSS as AGENT_CSS
from test_agent_page import SENT, TROUBLED
from test_agent_status import NOW_MS as AGENT_NOW_MS
from test_web_sites import many_sites
from whole_site import whole_site

from collectors.estate.estate_model import Reflector
from dashboards.report.report_html import render_html
from dashboards.web import visitor_recognition
from probes.diagnosis.is_it_me_page import page as agent_page
from probes.wire.sample import Sample

CHECKED = "/check after a check"
# Pages, and the route that each is of; without one, it is of no route.
PAGES = {
    "/": "/",
    "/sites/depot": "/sites/{site}",
    "/sites/library": "/sites/{site}",
    "/sites/town-hall": "/sites/{site}",
    "/sites/nowhere": "",
    "/ports": "/ports",
    "/rooms": "/rooms",
    "/rooms/chamber": "/rooms/{room}",
    "/teams": "/teams",
    "/search?q=th": "/search",
    "/devices/th-sw1": "/devices/{device}",
    "/devices/th-sw1/port?name=Te1/1/1&range=7d": "/devices/{device}/port",
    "/alerts": "/alerts",
    "/reports": "/reports",
    "the report": "/reports/{name}",
    "/catalogue": "/catalogue",
    "/accessibility": "/accessibility",
    "/fleet": "/fleet",
    "/check": "/check",
    CHECKED: "/check",
    "/intranet": "/intranet",
    "Is it me?": "",
    **{page: route for page, (route, _) in SIGNED_IN_PAGES.items()},
}
# Routes that show no page of their own, and why.
NO_PAGES = {
    "/intranet/part": "the same within /intranet",
    "/intranet.json": "JSON",
    "/intranet.rss": "a feed",
    "/intranet.atom": "a feed",
    "/api/status.json": "JSON",
    "/healthz": "JSON",
    "/static/{name}": "files",
    "/alerts/{action}/{key:path}": "leads to /act/{token}",
    "/sign-in/council": "leads to the council's sign-in",
    "/sign-in/answer": "leads on, or refuses as not_signed_in.html does",
}
SCHEMES = {
    "light": {"prefers_color_scheme": "light"},
    "dark": {"prefers_color_scheme": "dark"},
    "system colours": {"forced_colors": "active", "prefers_color_scheme": "light"},
    "dark system colours": {"forced_colors": "active", "prefers_color_scheme": "dark"},
}
# 320 is also 1280 at 400 %, and 640 at 200 %.
WIDTHS = (320, 640, 900, 1280)
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
    if page == CHECKED:
        return _with_result(_html("/check"))
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
    sheet = f"<style>{CSS}</style>"
    place = '<link rel="stylesheet" href="/static/look.css">'
    # The intranet's has its own inside.
    assert place in html or "<style>" in html
    html = re.sub(r"<script[^>]*></script>", "", html.replace(place, sheet))
    # On a busy machine the script would note in the middle that nobody answers it.
    html = html.replace('data-refresh="30"', 'data-refresh="3600"')
    return html.replace("</body>", f"<script>{script}</script></body>")


def _with_result(html: str) -> str:
    """The page /check as its script leaves it after a check."""
    icon = '<svg viewBox="0 0 16 16" aria-hidden="true"><path d="M0 0h9v9z"/></svg>'
    verdict = f'class="status warn">{icon} Perhaps: calls may not be good</h2>'
    row = (
        '<tr><th scope="row">Download</th><td>2.1 Mbit/s</td><td>at least 2.5</td></tr>'
    )
    for old, new in (
        ('id="check" hidden', 'id="check"'),
        ('class="panel" hidden></p>', 'class="panel">The check is done.</p>'),
        ('aria-labelledby="verdict" hidden', 'aria-labelledby="verdict"'),
        ('tabindex="-1"></h2>', f'tabindex="-1" {verdict}'),
        ('class="panel list"></ul>', 'class="panel list"><li>It is slow.</li></ul>'),
        ('<tbody id="figures">', f'<tbody id="figures">{row}'),
    ):
        assert old in html, old
        html = html.replace(old, new)
    return html


def test_every_page_of_the_route_table_is_looked_at(tmp_path: Path) -> None:
    with whole_site(tmp_path) as here:
        routes = here.routes("GET")
    assert routes == (set(PAGES.values()) - {""}) | set(NO_PAGES)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("chromium")) as found:
        yield found


@pytest.mark.parametrize("page", PAGES)
def test_a_page_can_be_read_at_each_zoom_in_each_scheme_with_the_focus_and_on_paper(
    chromium: Browser, page: str
) -> None:
    wrong: dict[str, list[str]] = {}
    chromium.width(WIDTHS[0])
    chromium.show(_html(page), **SCHEMES["light"])
    for width in WIDTHS:
        chromium.width(width)
        wrong[f"{width} wide"] = chromium.run("towpath.narrow()")
    wrong["axe"], passed = axe.findings(chromium)
    assert passed > 15
    # Each scheme at another zoom, so that all come together.
    for (scheme, features), width in zip(SCHEMES.items(), WIDTHS, strict=True):
        chromium.width(width)
        chromium.restyle(**features)
        whole = chromium.run("towpath.whole()")
        assert whole["read"] > 2
        focus, stops = chromium.focus_findings()
        assert stops >= 2 or page == "/intranet"
        wrong[scheme] = whole["found"] + focus
        if "system" not in scheme and page != "/intranet":
            selected = chromium.run("towpath.selected()")
            wrong[scheme] += [] if selected >= 4.5 else ["selected text"]
    # The focus stays somewhere in the page when it is printed.
    chromium.restyle("print", **SCHEMES["dark"])
    wrong["paper"] = chromium.run("towpath.whole()")["found"]
    white = "getComputedStyle(document.body).backgroundColor"
    assert chromium.run(white) in ("rgb(255, 255, 255)", "rgba(0, 0, 0, 0)")
    yellow = "getComputedStyle(document.activeElement).backgroundColor"
    assert chromium.run(yellow) != "rgb(255, 221, 0)"
    assert {what: found for what, found in wrong.items() if found} == {}


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
    chromium.restyle(**SCHEMES["dark system colours"])
    marks = "[...document.querySelectorAll('ul.sites svg')]"
    fills = f"[...new Set({marks}.map((mark) => getComputedStyle(mark).fill))]"
    assert chromium.run(fills) == [
        chromium.run("getComputedStyle(document.body).color")
    ]


def _many_ports() -> Iterator[Sample]:
    """A stack whose ports have long names, with as many neighbours, and sensors."""
    here = {"device": "th-sw1", "site": "town-hall"}
    for n in range(26):
        tags = here | {"port": f"TwentyFiveGigE8/0/{n + 1}"}
        state = {"state": n % 4, "up": int(n % 4 == 3), "expected_up": int(n % 4 == 0)}
        yield Sample("interface", tags, state | {"in_bps": 1e6 * n}, NOW_MS - 60_000)
        seen = {"remote_name": f"access-point-{n}", "remote_device": "th-sw2"}
        yield Sample("neighbour", tags | {"heard": f"h{n}"}, seen, NOW_MS - 60_000)
    for n in range(6):
        tags = here | {"class": "temperature", "sensor": f"Slot {n} inlet"}
        reading = {"value": 20.0, "severity": n % 3, "high": 60.0}
        yield Sample("sensor", tags, reading, NOW_MS - 60_000)


def test_pages_of_rare_states_can_be_read_too(
    chromium: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = AnswerStore(lambda query: [])
    broken.broken = "gone"
    pages = {}
    with page_client(store=MemoryStore(_many_ports())) as client:
        pages["many ports"] = client.get("/devices/th-sw1")
    with page_client(store=broken, alerts=AlertList(broken="gone")) as client:
        pages["nothing known"] = client.get("/devices/th-sw1")
        pages["405"] = client.post("/")
    monkeypatch.setattr(visitor_recognition, "WITHOUT_SIGN_IN", frozenset())
    with page_client() as client:
        pages["403"] = client.get("/")
    chromium.width(320)
    titles = set()
    for state, answer in pages.items():
        chromium.show(_whole_page(answer.text, ""), **SCHEMES["light"])
        assert chromium.run("towpath.narrow()") == [], state
        assert axe.findings(chromium)[0] == [], state
        titles.add(chromium.run("document.querySelector('h1').textContent"))
    assert len(titles) == 3


def test_no_name_turns_text_round_covers_or_hides_any_or_widens_a_page(
    chromium: Browser, tmp_path: Path
) -> None:
    laptops = fleet_source(tmp_path, agents(20, NOW_MS), NOW_MS, {"why": "x"})
    with page_client(
        hostile_store(),
        hostile_alerts(),
        hostile_estate(),
        laptops=laptops,
        peer="127.0.0.1",
        contact=f"ring{EVILS[2]}",
        title=f"Council{EVILS[0]}",
    ) as client:
        paths = [page for page in PAGES if page.startswith("/") and page != CHECKED]
        # The intranet has fixed words.
        pages = {path: client.get(path).text for path in paths if path != "/intranet"}
    for path, html in pages.items():
        chromium.width(320)
        chromium.show(_whole_page(html, ""), **SCHEMES["light"])
        text = chromium.run("document.body.innerText + document.title")
        assert "\\u202egnp.exe\\u200b\\u001b[31m" in text, path
        assert not re.search("[\u202a-\u202e\u200b\x1b]|[\u0335\u0489\u20e0]{9}", text)
        # On a large window it moves no state out of sight either.
        for width in (320, 1280):
            chromium.width(width)
            found = chromium.run("towpath.narrow()")
            wide = [one for one in found if "wide" in one or "scrolled" in one]
            assert wide == [], (path, width)


def test_the_check_finds_figures_that_vanish_when_their_table_has_the_focus(
    chromium: Browser,
) -> None:
    old = ":focus-visible { background: #ffdd00 !important; outline: 3px solid #000; }"
    html = _html("/").replace("</style>", f"{old}</style>", 1)
    html = html.replace('class="scroll', 'tabindex="0" class="scroll')
    chromium.show(html, **SCHEMES["dark"])
    found, _ = chromium.focus_findings()
    assert any("is 1." in result for result in found)
