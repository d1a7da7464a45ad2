"""The status page: causes, the state of each site, events, maintenance and calls."""

from __future__ import annotations

import re

import council
from council_page import NOW_MS, page_client, page_text
from store_doubles import AlertList, MemoryStore

from alerts.alert import Alert
from alerts.silence import Silence
from collectors.estate import Estate
from dashboards import figure_text
from dashboards.web import site_state


def test_the_first_page_shows_the_fault_its_cause_its_start_and_what_to_do() -> None:
    with page_client() as client:
        text = page_text(client.get("/").text)
    assert "2 sites have a problem (3 sites in all)." in text
    assert "Highways Depot is cut off: its line dep-wan is down" in text
    assert "Probable cause Moor Telecom's line" in text.replace("&#39;", "'")
    assert "for 42 min" in text
    assert "2 devices, about 20 laptops" in text
    assert "call Moor Telecom on 0800 000 000" in text


def test_alerts_that_a_cause_explains_are_listed_under_it_only() -> None:
    causes = site_state.causes(council.alerts(NOW_MS))
    assert [cause.alert.rule for cause in causes] == ["line_down", "line_full"]
    assert [a.subject["device"] for a in causes[0].explains] == ["dep-sw1", "dep-sw2"]


def test_an_alert_whose_cause_has_ended_is_listed_by_itself() -> None:
    alone = Alert("x", {"d": "1"}, "warning", "firing", 5, suppressed_by="gone/d=2")
    assert [cause.alert for cause in site_state.causes([alone])] == [alone]


def test_two_alerts_that_each_name_the_other_as_cause_are_both_shown() -> None:
    first = Alert("a", {}, "warning", "firing", 5, suppressed_by="b/")
    second = Alert("b", {}, "warning", "firing", 6, suppressed_by="a/")
    causes = site_state.causes([first, second])
    shown = {alert.key for cause in causes for alert in (cause.alert, *cause.explains)}
    assert shown == {"a/", "b/"}


def test_the_site_in_the_worst_state_comes_first() -> None:
    with page_client() as client:
        html = client.get("/").text
    table = html[html.index("Every site") :]
    assert (
        table.index("Highways Depot")
        < table.index("Central Library")
        < table.index("Town Hall")
    )


def test_an_alert_caused_at_another_site_does_not_make_this_site_degraded() -> None:
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
    with page_client(alerts=AlertList([*alerts, port])) as client:
        status = client.get("/api/status.json").json()
    by_id = {site["id"]: site for site in status["sites"]}
    assert by_id["town-hall"]["state"] == "working"
    assert by_id["depot"]["state"] == "down"


def test_events_that_devices_send_are_on_the_page_of_their_site() -> None:
    with page_client() as client:
        town_hall = page_text(client.get("/sites/town-hall").text)
        depot = page_text(client.get("/sites/depot").text)
    events = town_hall[town_hall.index("Events from its devices") :]
    events = events[: events.index("Ports that are busy")]
    assert "TH switch 1" in events
    assert "power_supply_failed PS2" in events
    assert "Active" in events
    assert "link_down" not in events
    assert "Events from its devices" not in depot


def test_planned_maintenance_is_shown_while_it_lasts() -> None:
    silence = Silence(
        1, NOW_MS - 1000, NOW_MS + 60_000, site="depot", why="new line", planned=1
    )
    alerts = AlertList(council.alerts(NOW_MS), silences=[silence])
    with page_client(alerts=alerts) as client:
        text = page_text(client.get("/").text)
    assert "Planned maintenance for Highways Depot until" in text
    assert "new line" in text


def test_poor_calls_are_shown_with_their_most_frequent_cause() -> None:
    with page_client() as client:
        text = page_text(client.get("/").text).replace("&#39;", "'")
    assert re.search(
        r"Moor Broadband provider .{0,40}% of about 25 tests mostly the provider's",
        text,
    )
    assert re.search(r"Home place .{0,40}% of about 55 tests mostly the Wi-Fi", text)


def test_a_group_with_too_few_laptops_is_hidden_and_not_shown_as_zero() -> None:
    with page_client() as client:
        text = page_text(client.get("/sites/depot").text)
        first = page_text(client.get("/").text)
    assert f"In Highways Depot {figure_text.HIDDEN}" in text
    assert figure_text.HIDDEN in first


def test_the_page_of_an_empty_estate_says_that_no_site_is_listed() -> None:
    with page_client(
        estate=Estate(), alerts=AlertList(), store=MemoryStore()
    ) as client:
        text = page_text(client.get("/").text)
    assert "No site is listed in the estate file yet." in text


def test_status_json_has_the_same_states_and_causes_as_the_page() -> None:
    with page_client() as client:
        document = client.get("/api/status.json").json()
    assert document["version"] == 1
    assert {s["id"]: s["state"] for s in document["sites"]} == {
        "town-hall": "working",
        "library": "degraded",
        "depot": "down",
    }
    assert document["causes"][0]["key"] == "line_down/line=dep-wan"
    assert len(document["causes"][0]["explains"]) == 2
