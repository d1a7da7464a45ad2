"""Pages of devices and ports, with the embedded store alone: who has no Grafana sees
traffic. Names that devices made up lead to their pages, whatever is in them."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

import pytest
from council import estate as council_estate
from council_page import NOW_MS, STORE, page_client, page_text
from hypothesis import given, settings
from hypothesis import strategies as st
from store_doubles import AlertList, AnswerStore, MemoryStore

from alerts.silence import silence_of
from collectors.estate import Device
from collectors.store.query import Row
from dashboards import figure_text
from dashboards.web import device_page_lists, device_ports
from dashboards.web.device_pages import port_link
from dashboards.web.site_state import DeviceNow
from probes.wire.sample import Sample

HOSTILE = [
    "",
    " ",
    "..",
    "../../alerts",
    "Gi1/0/1 uplink",
    "a?b#c&name=x%2F",
    "kcab\u202e txet",
    '"><script>alert(1)</script>',
    "x" * 200,
    "Ŵ ☃ 漢字",
]


def _store(ports: list[str], description: str = "") -> MemoryStore:
    def rows() -> Iterator[Sample]:
        for index, port in enumerate(ports, 1):
            for minute in range(30):
                tags = {"device": "th-sw1", "site": "town-hall", "port": port}
                if description:
                    tags["description"] = description
                fields = {"in_bps": 94_200_000.0, "out_bps": 1e6, "state": 3, "up": 1}
                more = {"expected_up": 0, "if_index": index, "in_use_ratio": 0.09}
                at = NOW_MS - (minute + 1) * 60_000
                yield Sample("interface", tags, fields | more, at)

    return MemoryStore(rows())


def test_every_device_of_a_site_has_a_page_with_what_it_is_and_does() -> None:
    with page_client() as client:
        site = client.get("/sites/town-hall").text
        pages = re.findall(r'href="(/devices/[a-z0-9-]+)"', site)
        assert sorted(set(pages)) == [f"/devices/th-sw{n}" for n in (1, 2, 3)]
        text = page_text(client.get("/devices/th-sw1").text)
    for part in (
        "TH switch 1",
        "Address 10.1.0.1",
        "Make and model example EX-48",
        "Serial number SN0000",
        "Last poll 10 s ago, took 12 ms, 9 requests, none of them sent again",
        "Te1/1/1",
        "core-1",
        "Inlet temperature",
        "power_supply_failed PS2",
        "Gi1/0/1 has only 32-bit counters",
    ):
        assert part in text, part


@pytest.mark.parametrize("shown", ["", "24h", "7d", "30d", "%00", "9" * 5000])
def test_a_port_shows_its_traffic_errors_and_discards_in_each_range(shown: str) -> None:
    with page_client() as client:
        answer = client.get(port_link("th-sw1", "Te1/1/1") + f"&range={shown}")
    text = page_text(answer.text)
    assert answer.status_code == 200
    label = {"7d": "7 days", "30d": "30 days"}.get(shown, "24 hours")
    for title in ("Traffic", "Errors", "Discards"):
        assert f"{title}, last {label}" in text
    assert re.search(r"Received \d\.\d Gbit/s", text)
    assert "th-wan of Northern Fibre" in text
    # Nothing that only shows figures again is a stop of the Tab key.
    assert "tabindex" not in answer.text.partition("<main")[2].partition(">")[2]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_port_of_any_name_is_reached_from_its_device(name: str) -> None:
    with page_client(store=_store([name], "to <b>core</b> \u202e")) as client:
        device = client.get("/devices/th-sw1").text
        (link,) = set(re.findall(r'href="(/devices/th-sw1/port\?[^"]*)"', device))
        page = client.get(html.unescape(link))
    assert page.status_code == 200
    assert "94 Mbit/s" in page.text
    for text in (device, page.text):
        assert "<script>alert" not in text
        assert "<b>core" not in text
        assert "\u202e" not in text


def test_a_device_or_port_that_is_not_there_is_not_one_that_is_not_known() -> None:
    with page_client() as client:
        device = client.get("/devices/th-sw9")
        port = client.get(port_link("th-sw1", "Gi9/9"))
    assert device.status_code == port.status_code == 404
    assert "has had no port called" in port.text
    broken = AnswerStore(lambda query: [])
    broken.broken = "gone"
    with page_client(store=broken) as client:
        for path in ("/devices/th-sw1", port_link("th-sw1", "Gi9/9")):
            page = client.get(path)
            assert page.status_code == 200
            assert "Not known: the store does not answer" in page.text


def test_who_may_not_see_devices_finds_and_sees_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from dashboards.web import visitor_recognition
    from dashboards.web.visitors import Right

    rights = visitor_recognition.WITHOUT_SIGN_IN - {Right.SEE_DEVICES}
    monkeypatch.setattr(visitor_recognition, "WITHOUT_SIGN_IN", rights)
    with page_client() as client:
        site = client.get("/sites/town-hall").text
        found = page_text(client.get("/search?q=10.1.0").text)
        pages = [client.get(p) for p in ("/devices/th-sw1", port_link("th-sw1", "x"))]
    assert "10.1.0.1" not in site
    assert "/devices/" not in site
    assert "Nothing was found" in found
    assert [page.status_code for page in pages] == [403, 403]


def test_the_search_finds_sites_devices_addresses_and_ports_by_description() -> None:
    with page_client(store=_store(["Gi1/0/7"], "CCTV (gate) 50%/2")) as client:

        def found(text: str) -> str:
            page = client.get("/search", params={"q": text})
            assert page.status_code == 200
            return page_text(page.text)

        assert "Central Library" in found("central LIB")
        assert "LIB switch 2" in found("10.2.0.2")
        for text in ("cctv (gate)", "50%/2", "gi1/0/7"):
            assert "Gi1/0/7 of TH switch 1: CCTV (gate) 50%/2" in found(text)
        for nothing in ("(((", ".*", "a\\", "x" * 5000, "\x00(x", "'; DROP"):
            assert "Nothing was found" in found(nothing)
        for short in ("", "x", "   "):
            assert "Search for" in found(short)


def test_what_is_not_measured_is_said_with_its_reason() -> None:
    estate = council_estate()
    device = estate.device("th-sw1")

    def missing(**changes: bool) -> str:
        changed = device.model_copy(update=changes)
        now = DeviceNow(changed, "ok", "Answering", NOW_MS, "ok")
        return " ".join(device_page_lists.not_measured(now, [], [], [], {"x": 1}))

    assert missing(poll=False).startswith("Nothing: the estate has poll = false")
    assert "only pinged" in missing(snmp=False)
    for part in ("Ports: it has", "Temperature", "LLDP or CDP may be off", "Ping: no"):
        assert part in missing()
    with page_client(alerts=AlertList()) as client:
        assert "What is not measured" not in client.get("/devices/th-sw1").text


@given(st.lists(st.text(max_size=12), unique=True, max_size=8))
@settings(max_examples=60)
def test_ports_are_in_the_devices_order_and_each_is_there_once(
    names: list[str],
) -> None:
    rows = [
        Row(
            None,
            {"device": "d", "port": name},
            {"in_bps_p95": 1.0, "if_index_last": -at, "state_last": at % 4},
        )
        for at, name in enumerate(names)
    ]
    ports = device_ports.device_ports(rows, {}, ())
    assert [port.now.port for port in ports] == names[::-1]
    unordered = [Row(None, row.tags, {"in_bps_p95": 1.0}) for row in rows]
    without = device_ports.device_ports(unordered, {}, ())
    assert sorted(port.now.port for port in without) == sorted(names)


def test_the_address_of_a_powering_device_that_is_not_polled_still_leads_to_it() -> (
    None
):
    estate = council_estate()
    ups = Device(id="th-ups", site="town-hall", address="10.1.0.9", poll=False)  # type: ignore[arg-type]
    changed = estate.model_copy(update={"devices": (*estate.devices, ups)})
    with page_client(estate=changed, store=STORE) as client:
        text = page_text(client.get("/devices/th-ups").text)
    assert "Nothing: the estate has poll = false for this device." in text


def _port_days(port: str, up_days: list[int], days: int) -> Iterator[Sample]:
    """A port that is down now and was up so many days ago."""
    tags = {"device": "th-sw1", "site": "town-hall", "port": port}
    for ago in range(days):
        up = int(ago in up_days)
        fields = {"up": up, "state": 3 if up else 1, "expected_up": 0}
        yield Sample("interface", tags, fields, NOW_MS - ago * 86_400_000 - 60_000)


def test_a_port_that_is_down_says_since_when_and_unused_ones_are_found() -> None:
    rows = [
        *_port_days("Gi1/0/1", [0], 31),
        *_port_days("Gi1/0/2", [3], 31),
        *_port_days("Gi1/0/3", [], 31),
        *_port_days("Gi1/0/4", [], 5),
    ]
    device = council_estate().device("th-sw1")
    alive = {"up": 1, "readable": 1, "outcome": "ok"}
    tags = {"device": device.id, "site": device.site, "role": device.role}
    rows.append(Sample("device", tags, alive, NOW_MS - 30_000))
    with page_client(store=MemoryStore(rows), alerts=AlertList()) as client:
        text = page_text(client.get("/devices/th-sw1").text)
        unused = page_text(client.get("/devices/th-sw1?show=unused").text)
        down = page_text(client.get("/devices/th-sw1?show=down&range=7d").text)
        odd = client.get("/devices/th-sw1?show=%00x&q=zz&page=-1")
    day = figure_text.short_day(NOW_MS - 3 * 86_400_000)
    assert f"Gi1/0/2 Down last up {day}" in text
    assert "Gi1/0/3 Down not up in 30 days" in text
    assert "Gi1/0/4 Down not up in 5 days" in text
    assert "1 port of this kind (not up in 30 days)" in unused
    assert "Gi1/0/3" in unused
    assert "3 ports of this kind (down)" in down
    assert odd.status_code == 200
    assert "No port is like that" in odd.text


def test_ports_of_a_device_that_does_not_answer_are_not_shown_as_up() -> None:
    store = _store(["Gi1/0/1"])
    with page_client(store=store, alerts=AlertList()) as client:
        text = page_text(client.get("/devices/th-sw1").text)
    assert "Not known (was: up)" in text
    assert "its ports are shown as they were before" in text


def test_the_ranges_of_a_devices_page_keep_the_filter_of_its_ports() -> None:
    store = MemoryStore([*_port_days("Te1", [0], 2), *_port_days("Te2", [], 2)])
    with page_client(store=store) as client:
        page = client.get("/devices/th-sw1?q=Te1&show=up&range=7d")
    links = [html.unescape(link) for link in re.findall(r'href="(\?[^"]*)"', page.text)]
    assert "?q=Te1&show=up#about" in links
    assert "?q=Te1&show=up&range=30d#about" in links
    assert "?q=Te1&show=down&range=7d#ports" in links


def test_an_alert_leads_to_its_device_and_port_for_who_may_see_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from dashboards.web import visitor_recognition
    from dashboards.web.visitors import Right

    line = next(one for one in council_estate().lines if one.site == "depot")
    link = html.escape(port_link(line.device, line.port))
    with page_client() as client:
        assert f'href="{link}"' in client.get("/alerts").text
    rights = visitor_recognition.WITHOUT_SIGN_IN - {Right.SEE_DEVICES}
    monkeypatch.setattr(visitor_recognition, "WITHOUT_SIGN_IN", rights)
    with page_client() as client:
        assert "/devices/" not in client.get("/alerts").text


def test_a_page_shows_the_maintenance_of_its_own_place_only() -> None:
    scopes = [
        {"device": "th-sw1"},
        {"device": "th-sw2"},
        {"site": "town-hall"},
        {"site": "depot"},
        {"rule": "port_down"},
    ]
    until_ms = NOW_MS + 3_600_000
    silences = [
        silence_of(scope, NOW_MS - 1000, until_ms, f"why{n}")
        for n, scope in enumerate(scopes)
    ]
    alerts = AlertList(silences=silences)

    def whys(path: str) -> set[str]:
        return set(re.findall(r"why\d", client.get(path).text))

    with page_client(alerts=alerts) as client:
        assert whys("/devices/th-sw1") == {"why0", "why2", "why4"}
        assert whys("/sites/town-hall") == {"why0", "why1", "why2", "why4"}
        assert whys("/sites/depot") == {"why3", "why4"}
        assert len(whys("/")) == 5


def test_the_search_finds_what_is_seen_on_a_port_and_mac_addresses() -> None:
    at_ms = NOW_MS - 60_000
    here = {"device": "th-sw1", "site": "town-hall"}
    seen = {"remote_name": "AP Chamber", "remote_chassis": "00:1a:2b:3c:4d:5e"}
    rows = [
        Sample(
            "neighbour",
            here | {"port": "Gi1/0/7", "heard": "x"},
            seen | {"remote_address": "10.9.9.9"},
            at_ms,
        ),
        Sample("neighbour", {"device": "gone", "port": "1", "heard": "x"}, seen, at_ms),
        Sample("identity", here, {"chassis": "00:de:ad:be:ef:01"}, at_ms),
    ]
    with page_client(store=MemoryStore(rows)) as client:

        def found(text: str) -> str:
            return page_text(client.get("/search", params={"q": text}).text)

        seen_there = "AP Chamber 00:1a:2b:3c:4d:5e, 10.9.9.9 on Gi1/0/7 of TH switch 1"
        for text in ("chamber", "10.9.9", "001A.2B3C.4D5E", "00-1a-2b", "001a2b3c"):
            assert found(text).count(seen_there) == 1, text
        assert "TH switch 1" in found("00de.adbe.ef01")
        for text in ("3c4d5e", "1a2b", "00:1a:2b:3c:4d:5f", "dead"):
            assert "Nothing was found" in found(text), text


def test_the_neighbours_of_a_port_are_in_natural_order_and_lead_to_their_pages() -> (
    None
):
    here = {"device": "th-sw1", "site": "town-hall", "port": "Gi1/0/1"}
    seen = [
        Sample(
            "neighbour",
            here | {"heard": f"h{n}"},
            {"remote_name": f"AP {n}", "remote_device": {2: "th-sw2"}.get(n, "other")},
            NOW_MS - 60_000,
        )
        for n in (10, 2)
    ]
    ports = _store(["Gi1/0/1"])
    rows = [*ports._samples, *seen]
    with page_client(store=MemoryStore(rows)) as client:
        page = client.get("/devices/th-sw1").text
    row = page.partition("of its minutes")[2].partition("</tbody>")[0]
    assert page_text(row).endswith("AP 2 , AP 10")
    assert '<a href="/devices/th-sw2">AP 2</a>, AP 10' in row
