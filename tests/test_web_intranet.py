"""The intranet: one view in words of staff, in every form, and nothing else in it."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import accessible
import axe
import council
import msgspec
import pytest
from browser import browser
from council_page import CSS, NOW_MS, page_client, page_text
from hypothesis import given
from hypothesis import strategies as st
from store_doubles import AlertList, MemoryStore

from alerts.alert import Alert
from alerts.silence import Silence, silence_of
from dashboards.web.intranet.notice_feeds import FeedPlace, atom, rss
from dashboards.web.intranet.staff_notices import StaffView, staff_view

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
LONDON = ZoneInfo("Europe/London")
ATOM = "{http://www.w3.org/2005/Atom}"
PLACE = FeedPlace("https://towpath.example", "Aird Council", LONDON)
VPN = Alert(
    "vpn_slow_everywhere",
    {"by": "all"},
    "warning",
    "firing",
    NOW_MS - 93 * MINUTE_MS,
    firing_ms=NOW_MS - 90 * MINUTE_MS,
    summary="rtt 240 ms over 12 laptops through vpn-a",
)


def view(
    *alerts: Alert, silences: tuple[Silence, ...] = (), complete: bool = True
) -> StaffView:
    return staff_view(alerts, silences, council.estate(), complete, NOW_MS)


def said(shown: StaffView) -> list[str]:
    return [notice.sentences(LONDON, NOW_MS) for notice in shown.notices]


def test_staff_read_what_they_notice_since_when_and_what_is_done() -> None:
    slow = "The VPN is slow for many of the council's staff, since 10:10."
    assert said(view(VPN)) == [f"{slow} We know about it."]
    handled = msgspec.structs.replace(
        VPN, acknowledged_ms=NOW_MS, acknowledged_by="Ada", acknowledged_why="ACL 4711"
    )
    assert said(view(handled)) == [f"{slow} We are working on it."]
    over = msgspec.structs.replace(VPN, state="resolved", resolved_ms=NOW_MS - 60_000)
    assert said(view(over)) == [
        "The VPN was slow for many of the council's staff, from 10:10 to 11:42. "
        "This is over."
    ]
    # A feed shows one notice that changes, not two.
    assert view(over).notices[0].id == view(VPN).notices[0].id
    brief = msgspec.structs.replace(VPN, state="resolved", resolved_ms=VPN.since_ms + 1)
    assert said(view(brief)) == [
        "The VPN was slow for many of the council's staff at 10:10, for less than a "
        "minute. This is over."
    ]
    yesterday = msgspec.structs.replace(VPN, since_ms=NOW_MS - DAY_MS)
    assert "since Tue 17 Nov, 11:43." in said(view(yesterday))[0]


def test_the_headline_never_says_more_than_is_known() -> None:
    assert view().headline == "Everything that we watch is working"
    assert view(complete=False).headline == "We cannot see everything at the moment"
    assert view(VPN).headline == "There is a problem"
    assert dict(view(VPN).services) == {
        "Working from home (VPN)": False,
        "Calls and meetings": True,
        "Microsoft 365": True,
        "Websites and services": True,
        "Offices": True,
    }


def test_planned_work_is_announced_and_what_fails_during_it_is_that() -> None:
    work = silence_of(
        {"site": "depot"}, NOW_MS, NOW_MS + HOUR_MS, "replace sw 10.3.0.1"
    )
    planned = msgspec.structs.replace(work, planned=1)
    down = Alert(
        "line_down",
        {"line": "dep-wan"},
        "critical",
        "firing",
        NOW_MS,
        site="depot",
        firing_ms=NOW_MS,
    )
    assert said(view(down)) == [
        "The line of Highways Depot is down, since 11:43. We know about it."
    ]
    assert said(view(down, silences=(planned,))) == [
        "Work on the network of Highways Depot is going on, from 11:43 to 12:43. "
        "There may be short breaks."
    ]
    # A silence by hand, or work on one device, is nothing for staff.
    narrow = msgspec.structs.replace(planned, device="dep-sw1")
    later = msgspec.structs.replace(
        planned, from_ms=NOW_MS + 8 * DAY_MS, until_ms=NOW_MS + 9 * DAY_MS
    )
    assert said(view(silences=(work, narrow, later))) == []


def test_several_alerts_that_mean_the_same_to_staff_are_one_notice() -> None:
    def gateway(name: str, since_ms: int, who: str = "") -> Alert:
        return Alert(
            "vpn_gateway_down",
            {"gateway": name},
            "critical",
            "firing",
            since_ms,
            firing_ms=since_ms,
            acknowledged_by=who,
        )

    [notice] = view(
        gateway("vpn-a", NOW_MS), gateway("vpn-b", NOW_MS - HOUR_MS, "Ada")
    ).notices
    assert (notice.since_ms, notice.changed_ms) == (NOW_MS - HOUR_MS, NOW_MS)
    assert notice.is_handled


SECRETS = re.compile(
    r"dep-|sw\d|Gi1|10\.\d|ETH2001|Moor Telecom|0800|line_down|laptops|\bms\b|ratio|Ada"
)


@pytest.mark.parametrize("form", ["", "/part", ".json", ".rss", ".atom"])
def test_no_form_names_a_device_a_line_a_figure_or_a_person(form: str) -> None:
    listed = [
        msgspec.structs.replace(alert, acknowledged_by="Ada", acknowledged_ms=NOW_MS)
        for alert in council.alerts(NOW_MS)
    ]
    with page_client(alerts=AlertList([*listed, VPN])) as client:
        answer = client.get(f"/intranet{form}")
    assert answer.status_code == 200
    assert "The line of Highways Depot is down" in answer.text
    text = re.sub(r"<style>.*?</style>", "", answer.text, flags=re.S)
    assert SECRETS.findall(text.replace("changed_at", "").replace("items", "")) == []


def test_the_same_notices_are_in_every_form() -> None:
    with page_client(alerts=AlertList([*council.alerts(NOW_MS), VPN])) as client:
        document = client.get("/intranet.json").json()
        sentences = [notice["sentences"] for notice in document["notices"]]
        assert len(sentences) >= 2
        assert document["language"] == "en-GB"
        feed = ET.fromstring(client.get("/intranet.atom").content)
        contents = [
            entry.findtext(f"{ATOM}content") for entry in feed.iter(f"{ATOM}entry")
        ]
        assert contents == sentences
        items = ET.fromstring(client.get("/intranet.rss").content).iter("item")
        assert [item.findtext("description") for item in items] == sentences
        for path in ("/intranet", "/intranet/part"):
            shown = page_text(client.get(path).text.replace("&#39;", "'"))
            for sentence in sentences:
                assert sentence in shown


def test_the_page_needs_no_script_and_only_named_websites_may_frame_it() -> None:
    hosts = ("https://intranet.example.gov.uk",)
    with page_client(intranet={"frame_hosts": hosts}) as client:
        answer = client.get("/intranet")
        policy = answer.headers["content-security-policy"]
        assert policy.endswith(f"frame-ancestors 'self' {hosts[0]}")
        assert "script" not in policy
        assert "<script" not in answer.text
        assert "style-src 'sha256-" in policy
        again = client.get(
            "/intranet", headers={"If-None-Match": answer.headers["etag"]}
        )
        assert again.status_code == 304
        # No other page may be framed.
        other = client.get("/").headers["content-security-policy"]
        assert "frame-ancestors 'none'" in other
    with (
        pytest.raises(ValueError, match="frame_hosts"),
        page_client(intranet={"frame_hosts": ("https://x/; script-src *",)}),
    ):
        pass


def test_the_pages_pass_the_accessibility_checks() -> None:
    with page_client(alerts=AlertList([*council.alerts(NOW_MS), VPN])) as client:
        page = client.get("/intranet").text
        part = client.get("/intranet/part").text
    # It has no header and no navigation to skip.
    others = [one for one in accessible.findings(page, CSS) if "<" not in one]
    assert [one for one in others if "skip" not in one] == []
    assert '<html lang="en-GB">' in page
    assert '<section class="towpath" lang="en-GB"' in part
    colours = [("#17212b", "#ffffff"), ("#0a5a8c", "#ffffff"), ("#e6ebf0", "#182029")]
    assert all(accessible.contrast(*pair) >= 4.5 for pair in colours)
    marks = ["#a8201a", "#0a5a8c", "#17663a", "#545f6b"]
    assert all(accessible.contrast(mark, "#ffffff") >= 3 for mark in marks)


def test_what_cannot_be_read_is_not_all_well() -> None:
    with page_client(store=MemoryStore(), alerts=AlertList(broken="gone")) as client:
        assert client.get("/intranet.json").json()["is_complete"] is False
        shown = page_text(client.get("/intranet").text)
    assert "We cannot see everything at the moment" in shown
    assert "working" not in shown


def test_who_has_not_signed_in_sees_it_only_if_the_settings_say_so(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    file = tmp_path_factory.mktemp("sign-in") / "sign-in.sqlite"
    for public, status in (((), 303), (("see-summary",), 200)):
        sign_in = {"local_users": True, "file": file, "public": public}
        with page_client(sign_in=sign_in) as client:
            answer = client.get("/intranet", follow_redirects=False)
            assert answer.status_code == status
            assert client.get("/", follow_redirects=False).status_code == 303


NAMES = st.text(min_size=1, max_size=20)


@given(name=NAMES, council_name=st.text(max_size=10))
def test_feeds_are_well_formed_whatever_a_site_is_called(
    name: str, council_name: str
) -> None:
    estate = council.estate()
    sites = [
        site.model_copy(update={"name": name + "\u202e</title>\x00"})
        for site in estate.sites
    ]
    down = Alert(
        "line_down", {"line": "x"}, "critical", "firing", NOW_MS, site="depot",
        firing_ms=NOW_MS,
    )  # fmt: skip
    shown = staff_view(
        [down, VPN], (), estate.model_copy(update={"sites": tuple(sites)}), True, NOW_MS
    )
    place = FeedPlace("https://towpath.example", council_name, LONDON)
    check_rss(ET.fromstring(rss(shown, place, NOW_MS)))
    check_atom(ET.fromstring(atom(shown, place, NOW_MS)))
    assert "\u202e" not in rss(shown, place, NOW_MS).decode()


def check_rss(root: ET.Element) -> None:
    """The structure that RSS 2.0 requires."""
    assert (root.tag, root.get("version")) == ("rss", "2.0")
    [channel] = root
    for name in ("title", "link", "description", "language"):
        assert len(channel.findall(name)) == 1
        assert channel.findtext(name)
    assert channel.findtext("language") == "en-gb"
    guids = []
    for item in channel.findall("item"):
        assert item.findtext("title")
        assert item.findtext("description")
        assert parsedate_to_datetime(item.findtext("pubDate") or "").tzinfo
        guid = item.find("guid")
        assert guid is not None
        assert guid.get("isPermaLink") == "false"
        guids.append(guid.text)
    assert len(set(guids)) == len(guids)


def check_atom(root: ET.Element) -> None:
    """The structure that RFC 4287 requires."""
    assert root.tag == f"{ATOM}feed"
    assert root.get("{http://www.w3.org/XML/1998/namespace}lang") == "en-GB"
    assert len(root.findall(f"{ATOM}author")) == 1
    assert [link.get("rel") for link in root.findall(f"{ATOM}link")] == [
        *("self", "alternate")
    ]
    ids = [root.findtext(f"{ATOM}id")]
    for one in (root, *root.findall(f"{ATOM}entry")):
        assert one.findtext(f"{ATOM}title")
        updated = datetime.fromisoformat(one.findtext(f"{ATOM}updated") or "")
        assert updated.tzinfo
        ids.append(one.findtext(f"{ATOM}id"))
    assert all(id and id.startswith("tag:towpath.example,2026:") for id in ids)
    assert len(set(ids)) == len(ids) - 1


def test_a_feed_without_notices_is_a_feed() -> None:
    check_rss(ET.fromstring(rss(view(), PLACE, NOW_MS)))
    check_atom(ET.fromstring(atom(view(), PLACE, NOW_MS)))


# What themes of intranets do to elements, and to all of a class.
FOREIGN_CSS = """
* { letter-spacing: 0.2em; text-transform: uppercase; }
h2 { color: #fff; font-size: 60px; position: absolute; }
h3, p { display: none; } li, strong { float: left; width: 40px; color: #eee; }
section { opacity: 0.1; height: 20px; overflow: hidden; }
.over, .problem, .planned { color: #fdd; font-size: 6px; }
"""
SIZES = """
[...document.querySelectorAll(".towpath :not(style)")].map((one) => {
  const style = getComputedStyle(one);
  const isPlain = style.float === "none" && style.textTransform === "none";
  const isShown = one.checkVisibility({ opacityProperty: true });
  return isPlain && isShown ? parseFloat(style.fontSize) : 0;
})
"""


@pytest.mark.service
def test_in_a_browser_it_can_be_read_light_dark_and_narrow(tmp_path: Path) -> None:
    listed = AlertList([*council.alerts(NOW_MS), VPN])
    with page_client(alerts=listed) as client, browser(tmp_path) as chromium:
        for form in ("", "/part"):
            html = client.get(f"/intranet{form}").text
            for width in (320, 900):
                for colours in ("light", "dark"):
                    chromium.width(width)
                    chromium.show(html, prefers_color_scheme=colours)
                    assert chromium.run("towpath.narrow()") == []
                    assert chromium.run("towpath.whole()")["found"] == []
                    assert chromium.run("towpath.selected()") >= 4.5
            if form:
                # The styles of the page that it is part of do not reach it.
                hostile = f"<style>{FOREIGN_CSS}</style><main><h1>x</h1>{html}</main>"
                chromium.show(f"<!doctype html><html lang=en><title>x</title>{hostile}")
                assert chromium.run("towpath.narrow()") == []
                assert chromium.run("towpath.whole()")["found"] == []
                sizes = chromium.run(SIZES)
                assert all(14 <= size <= 20 for size in sizes), sizes
            if not form:
                wrong, passed = axe.findings(chromium)
                assert wrong == []
                assert passed > 10
