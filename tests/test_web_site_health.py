"""A site's page: parts, batteries, Wi-Fi and ports; what needs a person comes first."""

from __future__ import annotations

import re
from typing import Any

import accessible
import council
from council_page import CSS, NOW_MS
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient
from store_doubles import AlertList, MemoryStore

from collectors.estate import Device, Estate
from collectors.store.query import Row
from dashboards import figure_text
from dashboards.web import StatusPage, WebConfig
from dashboards.web.health import health, kind_of, reading
from dashboards.web.ports import ports
from probes.wire.sample import Sample

AT_MS = NOW_MS - 30_000
DEVICES = {"th-sw1": "switch", "th-ups": "ups", "th-ap": "access_point"}


def _sample(measurement: str, device: str, fields: Any, **tags: str) -> Sample:
    own = {"device": device, "site": "town-hall", "role": DEVICES[device]}
    return Sample(measurement, {**own, **tags}, fields, AT_MS)


def _sensor(device: str, kind: str, name: str, **fields: Any) -> Sample:
    return _sample("sensor", device, fields, **{"class": kind, "sensor": name})


SENSORS = [
    _sensor("th-sw1", "state", "Fan 2", value=3.0, state="failed", severity=2),
    _sensor("th-sw1", "state", "Power supply 1", value=1.0, state="ok", severity=0),
    _sensor("th-sw1", "temperature", "Intake", value=41.5, severity=0, high=45.0),
    _sensor("th-ups", "state", "Output", value=3.0, state="onBattery", severity=2),
    _sensor("th-ups", "charge", "Battery charge", value=62.0, severity=0, low=10.0),
    _sensor("th-ups", "runtime", "Left", value=4.0, severity=2, low=5.0),
    _sensor("th-ups", "load", "Load", value=84.0, severity=1, high=80.0),
]
OTHERS = [
    _sample(
        "inventory",
        "th-sw1",
        {"vendor": "Example", "hardware": "EX-48", "os": "exos", "version": "1.2"},
    ),
    _sample(
        "wireless", "th-ap", {"value": 7.0}, **{"class": "clients", "radio": "R 1"}
    ),
    _sample(
        "wireless", "th-ap", {"value": 5.0}, **{"class": "clients", "radio": "R 2"}
    ),
    _sample(
        "wireless", "th-ap", {"value": 11.0}, **{"class": "clients", "radio": "WLAN 1"}
    ),
    _sample(
        "finding",
        "th-sw1",
        {"active": 1, "text": "two ports have no name of their own"},
        finding="ports_unnamed",
    ),
    _sample("finding", "th-sw1", {"active": 0, "text": "it is over"}, finding="other"),
]


def _port(name: str, **fields: Any) -> Sample:
    told = {
        "in_bps": 2e6,
        "out_bps": 1e6,
        "in_use_ratio": 0.002,
        "out_use_ratio": 0.001,
    }
    held = {"speed_bps": 1e9, "up": 1, "expected_up": 0, **told, **fields}
    return _sample("interface", "th-sw1", held, port=name)


PORTS = [
    *(_port(f"quiet{n}") for n in range(12)),
    _port("busy", in_use_ratio=0.7, in_bps=7e8),
    _port("faulty", in_errors_per_s=3.0),
]
DOWN = [
    _sample(
        "interface",
        "th-sw1",
        {"up": 0, "expected_up": 1, "expected_why": "uplink"},
        port="gone",
    ),
    _sample("interface", "th-sw1", {"up": 0, "expected_up": 0}, port="empty"),
]


def _site(samples: list[Sample]) -> str:
    estate = Estate(
        sites=council.estate().sites,
        devices=tuple(
            Device.model_validate(
                {
                    "id": id,
                    "name": f"The {id}",
                    "site": "town-hall",
                    "role": role,
                    "address": f"10.9.0.{n}",
                }
            )
            for n, (id, role) in enumerate(DEVICES.items(), 1)
        ),
    )
    page = StatusPage(
        WebConfig(), lambda: estate, AlertList(), MemoryStore(samples), lambda: NOW_MS
    )
    with TestClient(page.app, base_url="http://localhost") as client:
        answer = client.get("/sites/town-hall")
    assert answer.status_code == 200
    assert accessible.findings(answer.text, CSS) == []
    return " ".join(re.sub(r"<[^>]+>", " ", answer.text).split())


def _after(text: str, start: str, end: str) -> str:
    return text[text.index(start) : text.index(end)]


def test_failed_parts_are_listed_worst_first_and_well_ones_only_counted() -> None:
    text = _site([*SENSORS, *OTHERS])
    parts = _after(text, "Parts, power and temperature", "Battery power")
    assert "4 parts with a problem" in parts
    assert parts.index("Fan 2") < parts.index("Load")
    assert "Critical failed" in parts
    assert "Power supply 1" not in parts
    assert "3 of 7 readings are within limits." in parts
    assert "Intake of The th-sw1, 41.5 °C (at most 45 °C)" in parts


def test_the_warmest_reading_is_shown_if_no_device_has_a_limit() -> None:
    warm = [
        _sensor("th-sw1", "temperature", "Intake", value=31.0),
        _sensor("th-sw1", "temperature", "Outlet", value=38.0),
    ]
    assert "Warmest: Outlet of The th-sw1, 38 °C." in _site(warm)


def test_a_ups_on_battery_is_shown_with_its_runtime() -> None:
    text = _after(_site(SENSORS), "Runtime left", "Ports that are busy")
    assert "The th-ups Output: on battery 62% 4 min 84%" in text


def test_a_device_is_shown_with_its_identity_wifi_clients_and_findings() -> None:
    text = _site([*SENSORS, *OTHERS])
    assert "Example EX-48, exos 1.2" in text
    assert "Wi-Fi clients" in text
    # Radios and networks count the same people.
    assert " 12 " in _after(text, "The th-ap", "Parts, power and temperature")
    assert "The th-sw1 : two ports have no name of their own" in text
    assert "it is over" not in text


def test_a_site_whose_devices_report_none_of_it_has_no_empty_section() -> None:
    text = _site(PORTS)
    assert "Parts, power and temperature" not in text
    assert "Wi-Fi clients" not in text


def test_a_port_has_the_description_that_it_was_given_last() -> None:
    at_ms = AT_MS - 120_000
    old = [
        Sample(row.measurement, {**row.tags, "description": "old"}, row.fields, at_ms)
        for row in PORTS
    ]
    new = [
        Sample(
            row.measurement,
            {**row.tags, "description": f"<i>{row.tags['port']} end</i>"},
            row.fields,
            row.time_ms,
        )
        for row in PORTS
    ]
    text = _after(_site([*old, *new]), "Ports that are busy", "Calls")
    assert "busy &lt;i&gt;busy end&lt;/i&gt; The th-sw1" in text
    assert "quiet3 (&lt;i&gt;quiet3 end&lt;/i&gt;) of The th-sw1" in text
    assert "old" not in text


def test_ports_in_trouble_come_first_and_quiet_ones_are_one_line() -> None:
    text = _site([*PORTS, *DOWN])
    text = _after(text, "Ports that are busy", "Calls")
    shown, folded = text.split("12 quiet ports")
    assert shown.index("gone") < shown.index("faulty") < shown.index("busy ", 200)
    assert "Down, expected up" in shown
    assert "3.00 per second" in shown
    assert "quiet3" not in shown
    assert "quiet3 of The th-sw1: 2 Mbit/s received, 1 Mbit/s sent" in folded
    assert "1 port has no link, as expected." in folded


def test_a_site_with_only_quiet_ports_shows_them_in_one_line() -> None:
    text = _site(PORTS[:3])
    assert "No port was above 5% use" in text
    assert "3 quiet ports" in text


def test_a_store_that_is_down_does_not_mean_healthy_parts() -> None:
    assert health(None, None, None, None).known is False


def test_readings_are_in_the_unit_of_their_class() -> None:
    assert reading("temperature", 24.5) == "24.5 °C"
    assert reading("charge", 93.0) == "93%"
    assert reading("fanspeed", 12600.0) == "12,600 rpm"
    assert reading("state", 2.0, "batteryNeedsReplacing") == "battery needs replacing"
    assert reading("voltage", None) == figure_text.NOTHING


def test_the_maker_is_not_shown_twice() -> None:
    row = Row(
        None, {"device": "a"}, {"vendor_last": "APC", "hardware_last": "APC 3000"}
    )
    assert kind_of(row) == "APC 3000"


_VALUES = st.one_of(
    st.integers(-(2**40), 2**40),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
)
_ROWS = st.lists(
    st.builds(
        Row,
        st.none(),
        st.fixed_dictionaries(
            {
                "device": st.sampled_from(["a", "b"]),
                "class": st.sampled_from(["state", "charge", "clients", "ap-count"]),
                "sensor": st.text(max_size=5),
                "radio": st.text(max_size=5),
            }
        ),
        st.dictionaries(
            st.sampled_from(
                [
                    "value_last",
                    "state_last",
                    "severity_last",
                    "up_last",
                    "expected_up_last",
                    "expected_why_last",
                    "in_use_ratio_p95",
                    "in_errors_per_s_mean",
                ]
            ),
            _VALUES,
        ),
    ),
    max_size=8,
)


@given(_ROWS)
def test_every_row_a_store_may_give_is_shown_or_counted(rows: list[Row]) -> None:
    shown = health(rows, rows, rows, rows)
    assert shown.judged <= len(rows)
    listed = ports(rows)
    count = len(listed.shown) + listed.more + len(listed.quiet) + listed.unused
    assert count == len(rows)
