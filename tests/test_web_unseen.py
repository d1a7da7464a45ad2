"""The status page if devices, the store or the alerts cannot be seen: no guesses."""

from __future__ import annotations

import re

import accessible
import council
import msgspec
import pytest
from council_page import CSS, NOW_MS, page_client, page_store, page_text
from store_doubles import AlertList, AnswerStore, MemoryStore

from alerts import rule_files as alert_rules
from alerts.alert import Alert
from collectors.server_measurements import CATALOGUE
from dashboards.web import site_state
from probes.wire.sample import Sample


def test_no_site_is_shown_down_if_no_device_was_polled() -> None:
    with page_client(
        store=page_store(NOW_MS - 12 * council.MINUTE_MS), alerts=AlertList()
    ) as client:
        html = client.get("/").text
    text = page_text(html)
    assert "No device has been polled for over three minutes." in text
    assert "Last poll 12 min ago" in text
    assert not re.search(r"</svg>(Down|Problem)</span>", html)
    assert text.count("No data") >= 3
    assert "A missing figure does not mean that something is down." in text


def without_answered(sample: Sample, from_ms: int) -> Sample:
    if sample.measurement != "device" or sample.time_ms < from_ms:
        return sample
    kept = {name: v for name, v in sample.fields.items() if name != "answered"}
    return msgspec.structs.replace(sample, fields=kept)


@pytest.mark.parametrize("is_alert_firing", [True, False])
def test_no_site_is_shown_down_while_towpath_itself_is_cut_off(
    is_alert_firing: bool,
) -> None:
    since = NOW_MS - 20 * council.MINUTE_MS
    away = {device.id: (since, NOW_MS) for device in council.estate().devices}
    store = MemoryStore(
        # As the poller does from the first minute after which it knows; before that
        # only the alert tells.
        without_answered(sample, since + 2 * council.MINUTE_MS * is_alert_firing)
        for sample in council.samples(NOW_MS - 30 * council.HOUR_MS, NOW_MS, down=away)
    )
    alert = Alert(
        "monitor_cut_off",
        {},
        "critical",
        "firing",
        since + council.MINUTE_MS,
        firing_ms=since + council.MINUTE_MS,
        summary="Towpath is cut off: none of the devices it polls answers",
    )
    with page_client(
        store=store, alerts=AlertList([alert] if is_alert_firing else [])
    ) as client:
        first, site = client.get("/").text, client.get("/sites/depot").text
        status = client.get("/api/status.json").json()
    assert {entry["state"] for entry in status["sites"]} == {"no data"}
    assert any("cut off" in sentence for sentence in status["blind"])
    assert "No device has been polled" not in page_text(first)
    assert "Not answering" not in page_text(site)
    # No half hour of its last day is a fault, not even the one observed in part.
    strips = re.findall(r"the last 24 hours.*?</svg>", site, re.DOTALL)
    assert strips
    assert not any(f"s-{kind}" in s for s in strips for kind in ("bad", "part"))


def test_if_one_site_answers_the_others_are_shown_down() -> None:
    away = {
        device.id: (NOW_MS - council.HOUR_MS, NOW_MS)
        for device in council.estate().devices
        if device.site != "library"
    }
    store = MemoryStore(
        council.samples(NOW_MS - 2 * council.HOUR_MS, NOW_MS, down=away)
    )
    with page_client(store=store, alerts=AlertList()) as client:
        status = client.get("/api/status.json").json()
    states = {site["id"]: site["state"] for site in status["sites"]}
    assert states == {"town-hall": "down", "depot": "down", "library": "working"}


def test_a_device_that_did_not_answer_its_polls_is_shown_as_not_answering() -> None:
    with page_client() as client:
        text = page_text(client.get("/sites/depot").text)
    assert "Not answering timeout" in text
    devices = text[text.index("Devices") : text.index("Ports that are busy")]
    assert "No data" not in devices


def test_if_the_store_does_not_answer_the_page_says_so_and_still_shows_alerts() -> None:
    store = AnswerStore(lambda query: [])
    store.broken = "connection refused"
    with page_client(store=store) as client:
        for path in ("/", "/sites/depot", "/alerts"):
            answer = client.get(path)
            text = page_text(answer.text)
            assert answer.status_code == 200
            assert "does not answer (connection refused)" in text
            assert "Highways Depot is cut off" in text


def test_if_alerts_cannot_be_read_the_page_says_so_and_shows_the_rest() -> None:
    with page_client(
        alerts=AlertList(broken="database disk image is malformed")
    ) as client:
        for path in ("/", "/alerts"):
            text = page_text(client.get(path).text)
            assert "cannot be read (database disk image is malformed)" in text
            assert "Nothing known to be wrong" not in text or "does not see" in text


def test_health_is_200_and_lists_what_towpath_cannot_see() -> None:
    store = AnswerStore(lambda query: [])
    store.broken = "away"
    with page_client(store=store) as client:
        answer = client.get("/healthz")
    assert answer.status_code == 200
    assert "away" in answer.json()["blind"][0]


def test_health_is_503_with_the_reasons_while_towpath_cannot_work() -> None:
    unwell = ["The disk of state is full: 12 kB are left."]
    with page_client(unwell=lambda now_ms: unwell) as client:
        answer = client.get("/healthz")
        shown = client.get("/alerts").text
        status = client.get("/api/status.json").json()
    assert answer.status_code == 503
    assert answer.json()["unwell"] == unwell
    assert unwell[0] in shown
    assert accessible.findings(shown, CSS) == []
    assert status["unwell"] == unwell


def test_the_rules_that_mean_towpath_sees_nothing_exist() -> None:
    known = {rule.id for rule in alert_rules.load_rules(CATALOGUE)}
    assert known >= site_state.BLIND_RULES
