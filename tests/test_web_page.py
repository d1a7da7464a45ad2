"""The status page: what it says, to whom, and that it stands when others do not."""

from __future__ import annotations

import asyncio
import re
import socket
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import accessible
import council
import pytest
from starlette.testclient import TestClient
from store_doubles import AlertList, AnswerStore, MemoryStore

from alerts import rule_files as alert_rules
from alerts.alert import Alert
from alerts.suppression import Silence
from collectors.estate import Estate
from collectors.server_measurements import CATALOGUE
from collectors.store.query import Query
from collectors.store.query import check_query as check_query
from dashboards import figure_text
from dashboards.query_cache import QueryCache, rounded
from dashboards.web import PageError, StatusPage, WebConfig, page_queries, site_state

NOW_MS = 1_795_000_000_000 + 37 * 60_000
DARK = (NOW_MS - 9 * council.HOUR_MS, NOW_MS - 8 * council.HOUR_MS)
DOWN = {
    "dep-sw1": (NOW_MS - 42 * council.MINUTE_MS, NOW_MS + council.HOUR_MS),
    "dep-sw2": (NOW_MS - 41 * council.MINUTE_MS, NOW_MS + council.HOUR_MS),
}
CSS = Path(site_state.__file__).parents[1].joinpath("look.css").read_text()


def _store(until_ms: int = NOW_MS) -> MemoryStore:
    long = council.samples(
        NOW_MS - page_queries.DAY_MS, until_ms, 10 * council.MINUTE_MS, (DARK,), DOWN
    )
    fresh = council.samples(until_ms - council.HOUR_MS, until_ms, down=DOWN)
    return MemoryStore([*long, *fresh])


STORE = _store()


@contextmanager
def _client(
    store: Any = STORE,
    alerts: Any = None,
    estate: Estate | None = None,
    now_ms: int = NOW_MS,
    unwell: Callable[[int], Sequence[str]] = lambda now_ms: (),
    **config: Any,
) -> Iterator[TestClient]:
    source = AlertList(council.alerts(now_ms)) if alerts is None else alerts
    held = council.estate() if estate is None else estate
    page = StatusPage(
        WebConfig(**config),
        lambda: held,
        source,
        store,
        now_ms=lambda: now_ms,
        unwell=unwell,
    )
    with TestClient(page.app, base_url="http://localhost") as client:
        yield client


def _text(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def test_the_first_page_says_what_is_wrong_why_since_when_and_what_to_do() -> None:
    with _client() as client:
        text = _text(client.get("/").text)
    assert "2 sites have a problem (3 sites in all)." in text
    assert "Highways Depot is cut off: its line dep-wan is down" in text
    assert "Probable cause Moor Telecom's line" in text.replace("&#39;", "'")
    assert "for 42 min" in text
    assert "2 devices, about 20 laptops" in text
    assert "call Moor Telecom on 0800 000 000" in text


def test_what_a_cause_explains_is_folded_under_it_and_not_listed_apart() -> None:
    causes = site_state.causes(council.alerts(NOW_MS))
    assert [cause.alert.rule for cause in causes] == ["line_down", "line_full"]
    assert [a.subject["device"] for a in causes[0].explains] == ["dep-sw1", "dep-sw2"]


def test_an_alert_whose_cause_has_ended_stands_by_itself() -> None:
    alone = Alert("x", {"d": "1"}, "warning", "firing", 5, suppressed_by="gone/d=2")
    assert [cause.alert for cause in site_state.causes([alone])] == [alone]


def test_two_alerts_that_blame_each_other_are_both_still_shown() -> None:
    one = Alert("a", {}, "warning", "firing", 5, suppressed_by="b/")
    two = Alert("b", {}, "warning", "firing", 6, suppressed_by="a/")
    causes = site_state.causes([one, two])
    shown = {a.key for c in causes for a in (c.alert, *c.explains)}
    assert shown == {"a/", "b/"}


def test_the_site_that_needs_somebody_comes_first() -> None:
    with _client() as client:
        html = client.get("/").text
    table = html[html.index("Every site") :]
    assert (
        table.index("Highways Depot")
        < table.index("Central Library")
        < table.index("Town Hall")
    )


def test_a_sign_of_another_sites_cause_is_not_this_sites_trouble() -> None:
    alerts = council.alerts(NOW_MS)
    port = Alert(
        "port_down",
        {"device": "th-sw1", "port": "Te1/1/1"},
        "warning",
        "firing",
        NOW_MS - council.MINUTE_MS,
        site="town-hall",
        summary="Port of the depot's line is down",
        suppressed_by=alerts[0].key,
    )
    with _client(alerts=AlertList([*alerts, port])) as client:
        by_id = {
            each["id"]: each for each in client.get("/api/status.json").json()["sites"]
        }
    assert by_id["town-hall"]["state"] == "working"
    assert by_id["depot"]["state"] == "down"


def test_down_is_not_said_where_nothing_was_heard() -> None:
    with _client(
        store=_store(NOW_MS - 12 * council.MINUTE_MS), alerts=AlertList()
    ) as c:
        text = _text(c.get("/").text)
    assert "No device has been polled for over three minutes." in text
    assert "Last poll 12 min ago" in text
    assert "Down" not in text
    assert text.count("No data") >= 3
    assert "A missing figure does not mean that something is down." in text


@pytest.mark.parametrize("told", [True, False])
def test_no_site_is_down_while_towpath_itself_is_cut_off(told: bool) -> None:
    since = NOW_MS - 20 * council.MINUTE_MS
    away = {device.id: (since, NOW_MS) for device in council.estate().devices}
    store = MemoryStore(
        council.samples(NOW_MS - 30 * council.HOUR_MS, NOW_MS, down=away)
    )
    rule = Alert(
        "monitor_cut_off",
        {},
        "critical",
        "firing",
        since + council.MINUTE_MS,
        firing_ms=since + council.MINUTE_MS,
        summary="Towpath is cut off: none of the devices it polls answers",
    )
    with _client(store=store, alerts=AlertList([rule] if told else [])) as client:
        first, site = client.get("/").text, client.get("/sites/depot").text
        said = client.get("/api/status.json").json()
    assert {each["state"] for each in said["sites"]} == {"no data"}
    assert any("cut off" in sentence for sentence in said["blind"])
    assert "No device has been polled" not in _text(first)
    assert "Not answering" not in _text(site)
    # Its last half hours, too: one of them was seen in part, none was a fault.
    strips = re.findall(r"the last 24 hours.*?</svg>", site, re.DOTALL)
    assert strips
    assert not any(f"s-{kind}" in s for s in strips for kind in ("bad", "part"))


def test_one_site_that_answers_shows_that_the_others_are_down() -> None:
    away = {
        device.id: (NOW_MS - council.HOUR_MS, NOW_MS)
        for device in council.estate().devices
        if device.site != "library"
    }
    store = MemoryStore(
        council.samples(NOW_MS - 2 * council.HOUR_MS, NOW_MS, down=away)
    )
    with _client(store=store, alerts=AlertList()) as client:
        said = client.get("/api/status.json").json()
    states = {each["id"]: each["state"] for each in said["sites"]}
    assert states == {"town-hall": "down", "depot": "down", "library": "working"}


def test_a_device_that_was_asked_and_did_not_answer_is_not_answering() -> None:
    with _client() as client:
        text = _text(client.get("/sites/depot").text)
    assert "Not answering timeout" in text
    devices = text[text.index("Devices") : text.index("Ports that are busy")]
    assert "No data" not in devices


def test_what_devices_say_by_themselves_is_on_the_page_of_their_site() -> None:
    with _client() as client:
        said = _text(client.get("/sites/town-hall").text)
        elsewhere = _text(client.get("/sites/depot").text)
    said = said[said.index("Events from its devices") :]
    said = said[: said.index("Ports that are busy")]
    assert "TH switch 1" in said
    assert "power_supply_failed PS2" in said
    assert "Active" in said
    assert "link_down" not in said
    assert "Events from its devices" not in elsewhere


def test_a_store_that_is_away_leaves_alerts_and_says_so() -> None:
    store = AnswerStore(lambda query: [])
    store.broken = "connection refused"
    with _client(store=store) as client:
        for path in ("/", "/sites/depot", "/alerts"):
            answer = client.get(path)
            text = _text(answer.text)
            assert answer.status_code == 200
            assert "does not answer (connection refused)" in text
            assert "Highways Depot is cut off" in text


def test_alerts_that_cannot_be_read_leave_the_rest_and_are_said() -> None:
    with _client(alerts=AlertList(broken="database disk image is malformed")) as client:
        for path in ("/", "/alerts"):
            text = _text(client.get(path).text)
            assert "cannot be read (database disk image is malformed)" in text
            assert "Nothing known to be wrong" not in text or "does not see" in text


def test_planned_maintenance_is_said_while_it_lasts() -> None:
    silence = Silence(
        1, NOW_MS - 1000, NOW_MS + 60_000, site="depot", why="new line", planned=1
    )
    alerts = AlertList(council.alerts(NOW_MS), silences=[silence])
    with _client(alerts=alerts) as client:
        text = _text(client.get("/").text)
    assert "Planned maintenance for Highways Depot until" in text
    assert "new line" in text


def test_poor_calls_say_where_most_of_them_break() -> None:
    with _client() as client:
        text = _text(client.get("/").text).replace("&#39;", "'")
    assert re.search(r"Moor Broadband provider .{0,40}% mostly the provider's", text)
    assert re.search(r"Home place .{0,40}% mostly the Wi-Fi", text)


def test_groups_too_small_are_said_to_be_and_never_shown_as_zero() -> None:
    with _client() as client:
        text = _text(client.get("/sites/depot").text)
        first = _text(client.get("/").text)
    assert f"In Highways Depot {figure_text.HIDDEN}" in text
    assert figure_text.HIDDEN in first


def test_no_question_of_the_page_is_about_one_laptop_and_all_are_in_the_catalogue() -> (
    None
):
    store = AnswerStore(lambda query: [])
    with _client(store=store) as client:
        for path in ("/", "/sites/depot", "/alerts"):
            client.get(path)
    assert len(store.asked) >= 8
    for query in store.asked:
        check_query(query, CATALOGUE)
        assert not CATALOGUE.measurement(query.measurement).personal


def test_many_readers_of_one_page_are_one_question_to_the_store() -> None:
    store = AnswerStore(lambda query: [])

    async def read() -> None:
        answers = QueryCache(store, lambda: NOW_MS)
        query = page_queries.polls(rounded(NOW_MS))
        await asyncio.gather(*(answers.query(query) for _ in range(50)))
        await answers.query(query)

    asyncio.run(read())
    assert len(store.asked) == 1


def test_an_answer_is_asked_for_again_once_it_is_old() -> None:
    store = AnswerStore(lambda query: [])
    clock = [NOW_MS]

    async def read() -> None:
        answers = QueryCache(store, lambda: clock[0], keep_ms=1000)
        query = page_queries.polls(NOW_MS)
        await answers.query(query)
        clock[0] += 1001
        await answers.query(query)

    asyncio.run(read())
    assert len(store.asked) == 2


def test_a_store_that_never_answers_does_not_hold_the_page() -> None:
    class Stuck(AnswerStore):
        async def query(self, query: Query) -> list[Any]:
            await asyncio.Event().wait()
            return []

    async def read() -> tuple[Any, str]:
        answers = QueryCache(Stuck(lambda q: []), lambda: NOW_MS, timeout_s=0.05)
        return await answers.query(page_queries.polls(NOW_MS)), answers.failing

    rows, why = asyncio.run(read())
    assert rows is None
    assert why


def test_an_empty_estate_is_a_page_that_says_so() -> None:
    with _client(estate=Estate(), alerts=AlertList(), store=MemoryStore()) as client:
        text = _text(client.get("/").text)
    assert "No site is listed in the estate file yet." in text


@pytest.mark.parametrize("path", ["/sites/nowhere", "/nothing", "/reports/x.html"])
def test_an_address_that_is_not_there_is_a_404_in_words(path: str) -> None:
    with _client() as client:
        answer = client.get(path)
    assert answer.status_code == 404
    assert "Page not found" in answer.text


def test_names_of_estate_and_alerts_cannot_bring_markup_into_the_page() -> None:
    evil = "<script>alert(1)</script>"
    held = council.estate()
    sites = (held.sites[0].model_copy(update={"name": evil}), *held.sites[1:])
    estate = held.model_copy(update={"sites": sites})
    alerts = AlertList(
        [
            Alert(
                "r",
                {"device": evil},
                "critical",
                "firing",
                1,
                "town-hall",
                summary=evil,
            )
        ]
    )
    with _client(
        estate=estate, alerts=alerts, grafana_url="https://grafana.example"
    ) as client:
        for path in ("/", "/sites/town-hall", "/alerts", f"/sites/{evil}"):
            assert "<script>alert" not in client.get(path).text


def test_a_page_may_load_nothing_from_elsewhere_and_a_browser_is_told_so() -> None:
    with _client() as client:
        answer = client.get("/")
        status = client.get("/api/status.json")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy
    assert "frame-ancestors 'none'" in policy
    assert status.headers["x-content-type-options"] == "nosniff"
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', answer.text)


def test_a_name_the_page_is_not_called_by_is_refused() -> None:
    with _client() as client:
        answer = client.get("/", headers={"host": "evil.example"})
    assert answer.status_code == 400


def test_status_json_says_the_same_for_programs() -> None:
    with _client() as client:
        document = client.get("/api/status.json").json()
    assert document["version"] == 1
    assert {s["id"]: s["state"] for s in document["sites"]} == {
        "town-hall": "working",
        "library": "degraded",
        "depot": "down",
    }
    assert document["causes"][0]["key"] == "line_down/line=dep-wan"
    assert len(document["causes"][0]["explains"]) == 2


def test_health_is_that_it_serves_and_says_what_it_cannot_see() -> None:
    store = AnswerStore(lambda query: [])
    store.broken = "away"
    with _client(store=store) as client:
        answer = client.get("/healthz")
    assert answer.status_code == 200
    assert "away" in answer.json()["blind"][0]


def test_health_is_503_with_the_reasons_while_towpath_cannot_work() -> None:
    unwell = ["The disk of state is full: 12 kB are left."]
    with _client(unwell=lambda now_ms: unwell) as client:
        answer = client.get("/healthz")
        shown = client.get("/alerts").text
        status = client.get("/api/status.json").json()
    assert answer.status_code == 503
    assert answer.json()["unwell"] == unwell
    assert unwell[0] in shown
    assert accessible.findings(shown, CSS) == []
    assert status["unwell"] == unwell


def test_only_reports_of_the_folder_are_listed_and_opened(tmp_path: Path) -> None:
    folder = tmp_path / "reports"
    folder.mkdir()
    (tmp_path / "secret.html").write_text("secret")
    (folder / "site-2026-10.html").write_text("<p>report</p>")
    (folder / "site-2026-10.csv").write_text("a,b")
    (folder / "notes.txt").write_text("no")
    (folder / "link.html").symlink_to(tmp_path / "secret.html")
    with _client(reports=folder) as client:
        listed = client.get("/reports").text
        opened = client.get("/reports/site-2026-10.html")
        refused = [
            client.get(f"/reports/{name}").status_code
            for name in ("..%2Fsecret.html", "link.html", "notes.txt", "%00")
        ]
    assert "site-2026-10.html" in listed
    assert "site-2026-10.csv" in listed
    assert "notes.txt" not in listed
    assert "link.html" not in listed
    assert opened.text == "<p>report</p>"
    assert "sandbox" in opened.headers["content-security-policy"]
    assert "script-src" not in opened.headers["content-security-policy"]
    assert refused == [404, 404, 404, 404]


PATHS = (
    "/",
    "/sites/depot",
    "/sites/library",
    "/alerts",
    "/reports",
    "/catalogue",
    "/accessibility",
    "/nothing",
)


@pytest.mark.parametrize("path", PATHS)
def test_every_page_is_accessible_as_far_as_a_machine_can_tell(path: str) -> None:
    with _client(grafana_url="https://grafana.example") as client:
        assert accessible.findings(client.get(path).text, CSS) == []


@pytest.mark.parametrize("path", PATHS[:4])
def test_a_page_that_sees_nothing_is_accessible_too(path: str) -> None:
    with _client(store=MemoryStore(), alerts=AlertList(broken="gone")) as client:
        assert accessible.findings(client.get(path).text, CSS) == []


def test_the_check_of_accessibility_finds_what_is_wrong() -> None:
    bad = (
        '<html><head><title></title></head><body><h3 style="color:red">x</h3>'
        "<table><tr><td>1</td></tr></table><img src=x><svg></svg></body></html>"
    )
    found = " ".join(accessible.findings(bad, CSS.replace("#17212b", "#cccccc")))
    for sign in (
        "language",
        "title",
        "caption",
        "alt",
        "role=img",
        "style",
        "contrast",
    ):
        assert sign in found or (sign == "contrast" and "ink on page" in found)


def test_the_rules_that_mean_blindness_are_rules_there_are() -> None:
    known = {rule.id for rule in alert_rules.load_rules(CATALOGUE)}
    assert known >= site_state.BLIND_RULES


async def test_a_started_page_serves_and_a_left_one_has_gone() -> None:
    page = StatusPage(
        WebConfig(port=0), council.estate, AlertList(), MemoryStore(), lambda: NOW_MS
    )
    async with page:
        url = page.url + "/healthz"
        body = await asyncio.to_thread(lambda: urllib.request.urlopen(url).read())
        assert b'"ok":true' in body
    with pytest.raises(OSError, match="refused"):
        await asyncio.to_thread(lambda: urllib.request.urlopen(url))


def test_alerts_are_read_from_the_engines_file_and_a_missing_one_is_empty(
    tmp_path: Path,
) -> None:
    page = StatusPage(
        WebConfig(port=0),
        council.estate,
        tmp_path / "alerts.db",
        MemoryStore(),
        lambda: NOW_MS,
    )
    with TestClient(page.app, base_url="http://localhost") as client:
        text = _text(client.get("/alerts").text)
    assert "cannot be read" not in text
    assert not list(tmp_path.iterdir())


async def test_a_port_in_use_is_one_clear_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        page = StatusPage(
            WebConfig(port=port), council.estate, AlertList(), MemoryStore()
        )
        with pytest.raises(PageError, match=f":{port}: Address already in use"):
            async with page:
                pass
