"""A UPS or PDU that gives no power is named as the cause, with how sure that is."""

from __future__ import annotations

from typing import Any

import pytest
from virtual_council import VirtualCouncil

from alerts.alert import Alert
from alerts.estate_index import EstateIndex
from collectors.estate.estate_model import Estate

FAILED = "power_feed_failed/device=pdu"


def council(*devices: dict[str, Any]) -> VirtualCouncil:
    estate = {
        "sites": [{"id": site, "name": site.title()} for site in ("hall", "depot")],
        "devices": [
            {"site": "hall", "address": f"10.0.0.{n}", **device}
            for n, device in enumerate(({"id": "core"}, *devices), 1)
        ],
    }
    return VirtualCouncil(estate_index=EstateIndex(Estate.model_validate(estate)))


def fed(id: str, parent: str = "core", *feeds: str, **more: Any) -> dict[str, Any]:
    return {"id": id, "parent": parent, "powered_by": feeds or ("pdu",), **more}


def pdu(parent: str | None = "core", **more: Any) -> dict[str, Any]:
    return {"id": "pdu", "role": "other", "parent": parent, **more}


def run(council: VirtualCouncil, dark: set[str], minutes: int = 9) -> None:
    polled = [d.id for d in council.estate_index.devices.values() if d.poll]
    for _ in range(minutes):
        for n, device in enumerate(polled):
            # Polls are spread over the minute.
            if n % 4 == 0 and n:
                council.wait(0.25)
            council.put("device", {}, {"up": int(device not in dark)}, device=device)
        council.wait(1 - 0.25 * ((len(polled) - 1) // 4))


def page_of(council: VirtualCouncil, key: str) -> Alert:
    [alert] = [alert for alert in council.shown.values() if alert.key == key]
    return alert


@pytest.mark.parametrize(
    ("devices", "dark", "sure"),
    [
        pytest.param(
            [pdu(), fed("sw1"), fed("sw2")],
            {"pdu", "sw1", "sw2"},
            "Sure: neither it nor anything",
            id="it is silent too",
        ),
        pytest.param(
            [pdu(), fed("sw1"), {"id": "other", "parent": "core"}],
            {"pdu", "sw1"},
            "Sure: neither it nor anything",
            id="it powers one device",
        ),
        pytest.param(
            [pdu(poll=False), fed("sw1"), fed("sw2")],
            {"sw1", "sw2"},
            "Likely: devices that have nothing else in common",
            id="it is not polled",
        ),
        pytest.param(
            [pdu("sw1"), fed("sw1"), fed("sw2")],
            {"pdu", "sw1", "sw2"},
            "Likely: devices that have nothing else in common",
            id="it is reached through what it powers",
        ),
        pytest.param(
            [pdu(), fed("sw1"), fed("sw2")],
            {"sw1", "sw2"},
            "Likely its output is off",
            id="it answers and its output is off",
        ),
        pytest.param(
            [pdu(), fed("sw1"), fed("ap", "sw1", "poe"), {"id": "poe"}],
            {"pdu", "sw1", "ap"},
            "Sure: neither it nor anything",
            id="something behind what it powers",
        ),
        pytest.param(
            [pdu(site="depot"), fed("sw1", site="depot"), fed("sw2", site="depot")],
            {"pdu", "sw1", "sw2"},
            "Sure: neither it nor anything",
            id="it powers all of a site",
        ),
    ],
)
def test_what_gives_no_power_is_the_one_page(
    devices: list[dict[str, Any]], dark: set[str], sure: str
) -> None:
    there = council(*devices)
    run(there, set(), 4)
    run(there, dark)
    assert there.pages == [FAILED]
    page = page_of(there, FAILED)
    assert page.sure.startswith(sure), page.sure
    assert page.domain == "device:pdu"
    assert page.site == there.estate_index.devices["pdu"].site
    run(there, set(), 8)
    assert there.pages == [FAILED]
    assert [e.partition("@")[0] for e in there.ended] == [FAILED]
    assert not [state for state in there.states.values() if state.is_open]


@pytest.mark.parametrize("polled", [True, False], ids=["polled", "not polled"])
@pytest.mark.parametrize(
    "feeds",
    [
        pytest.param((("pdu",), ("pdu",), ("b",), ("b",)), id="of its own"),
        pytest.param((("pdu", "b"), ("pdu", "b")), id="in common"),
        pytest.param((("pdu",), ("pdu", "b"), ("pdu", "b"), ("b",)), id="some of each"),
    ],
)
def test_two_feeds_that_fail_together_are_one_page(
    polled: bool, feeds: tuple[tuple[str, ...], ...]
) -> None:
    switches = [fed(f"sw{n}", "core", *these) for n, these in enumerate(feeds)]
    b = {"id": "b", "role": "other", "parent": "core", "poll": polled}
    there = council(pdu(poll=polled), b, *switches)
    run(there, set(), 4)
    run(there, {d.id for d in there.estate_index.estate.devices if d.id != "core"})
    assert there.pages == ["site_power_failed/site=hall"]
    page = page_of(there, "site_power_failed/site=hall")
    assert page.summary == "Hall: 2 UPSs or PDUs have lost their power together"
    assert [seen.text for seen in page.evidence] == ["b, pdu: one soon after the other"]
    run(there, set(), 8)
    assert len(there.ended) == 1
    assert not [state for state in there.states.values() if state.is_open]


@pytest.mark.parametrize("later", [0, 4])
def test_two_ups_on_battery_are_one_page(later: int) -> None:
    there = council(*({"id": id, "role": "ups", "parent": "core"} for id in "ab"))
    tags = {"class": "charge", "sensor": "Battery"}
    for minute in range(12):
        for id, since in (("a", 3), ("b", 3 + later)):
            state = {"on_battery": int(minute >= since)}
            there.put("sensor", tags, state, device=id)
        run(there, set(), 1)
    assert len(there.pages) == 1
    assert there.states["ups_runs_on_battery/device=b"].suppressed_by == (
        "site_power_failed/site=hall"
    )


@pytest.mark.parametrize(
    ("devices", "dark", "paged"),
    [
        pytest.param(
            [pdu(), fed("sw1"), fed("sw2")],
            {"sw1"},
            ["device_unreachable/device=sw1"],
            id="another device that it powers answers",
        ),
        pytest.param(
            [pdu(), fed("sw1"), fed("sw2"), fed("sw3")],
            {"sw1", "sw2"},
            ["device_unreachable/device=sw1", "device_unreachable/device=sw2"],
            id="two fail and the third that it powers answers",
        ),
        pytest.param(
            [pdu(), fed("sw1", "core", "pdu", "pdu2"), {"id": "pdu2"}],
            {"pdu"},
            ["device_unreachable/device=pdu"],
            id="the other feed goes on",
        ),
        pytest.param(
            [pdu(), fed("sw1", "core", "pdu", "pdu2"), fed("sw2"), {"id": "pdu2"}],
            {"pdu", "sw1", "sw2"},
            ["device_unreachable/device=sw1", FAILED],
            id="one with another feed fails beside it",
        ),
        pytest.param(
            [{"id": "edge", "parent": "core"}, pdu("edge"), fed("sw1", "edge")],
            {"edge", "pdu", "sw1"},
            ["device_unreachable/device=edge"],
            id="what is above them has failed",
        ),
        pytest.param(
            [
                fed("router", site="depot"),
                pdu("router", site="depot"),
                fed("sw1", "router", site="depot"),
            ],
            {"router", "pdu", "sw1"},
            ["site_unreachable/site=depot"],
            id="the line of its site is cut, for all that is known",
        ),
    ],
)
def test_what_another_fault_explains_is_no_failure_of_its_power(
    devices: list[dict[str, Any]], dark: set[str], paged: list[str]
) -> None:
    there = council(*devices)
    run(there, set(), 4)
    run(there, dark)
    assert sorted(there.pages) == sorted(paged)


def test_a_ups_behind_the_switch_that_it_powers_is_named_as_a_doubt() -> None:
    there = council(pdu("sw1"), fed("sw1"))
    run(there, set(), 4)
    run(there, {"pdu", "sw1"})
    assert there.pages == ["device_unreachable/device=sw1"]
    page = page_of(there, "device_unreachable/device=sw1")
    assert page.sure.startswith("Not certain: it or its power has failed")
    assert any("pdu, which powers it" in seen.text for seen in page.evidence)


def test_a_ups_that_ran_empty_and_then_is_silent_is_still_the_power_failure() -> None:
    there = council(pdu(), fed("sw1"), fed("sw2"))
    run(there, set(), 4)
    tags = {"class": "state", "sensor": "Output"}
    for _ in range(4):
        there.put("sensor", tags, {"on_battery": 1}, device="pdu")
        run(there, set(), 1)
    run(there, {"pdu", "sw1", "sw2"})
    assert there.pages == ["ups_runs_on_battery/device=pdu"]


def test_one_switch_that_failed_long_before_does_not_hide_its_feed() -> None:
    there = council(pdu(poll=False), fed("sw1"), fed("sw2"), fed("sw3"))
    run(there, set(), 4)
    run(there, {"sw1"}, 15)
    run(there, {"sw1", "sw2", "sw3"})
    assert there.pages == ["device_unreachable/device=sw1", FAILED]


def test_nobody_waits_for_what_a_ups_measures_that_does_not_answer_either() -> None:
    ups = {"id": "ups", "role": "ups", "parent": "core"}
    edge = {"id": "edge", "parent": None}
    there = council(edge, ups, {"id": "other", "parent": "edge"})
    for _ in range(3):
        tags = {"class": "state", "sensor": "Output"}
        there.put("sensor", tags, {"on_battery": 0}, device="ups")
        run(there, set(), 5)
    run(there, {"core", "ups"}, 3)
    assert there.pages == ["device_unreachable/device=core"]
