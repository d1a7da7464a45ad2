"""One fault that traps and polls both report is one page, which polls end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from virtual_council import RULES, VirtualCouncil

from alerts.estate_index import EstateIndex
from alerts.evaluation.part_names import named_parts
from alerts.rule_files import Rules
from collectors.estate.estate_model import Estate

PARTS = [
    ("power_supply_failed", "PSU 2", "state", "PSU 1", "PSU 2"),
    # The same part under two names, as most devices have it.
    ("power_supply_failed", "2", "state", "Power supply 1", "Power supply 2"),
    (
        "power_supply_failed",
        "Sw1, PS2 Critical, RPS Not Present",
        "state",
        "Sw1, PS1 Normal",
        "Sw1, PS2 Critical, RPS Not Present",
    ),
    ("power_supply_failed", "", "state", "Power supply A", "Power supply B"),
    ("fan_failed", "FAN-2", "state", "Fan 1", "Fan 2"),
    ("fan_failed", "Chassis fan", "fanspeed", "PSU fan 1", "Chassis fan"),
    ("temperature", "Inlet", "temperature", "CPU temperature", "Inlet temperature"),
    ("temperature_high", "", "temperature", "Board", "Chassis"),
    ("sensor_failed", "Fan Sensor", "state", "Power Sensor", "Fan Sensor"),
    ("module_failed", "Slot 3", "state", "Module slot 2", "Module slot 3"),
    ("stack_member_lost", "", "state", "Stack member 1", "Stack member 2"),
]


@pytest.mark.parametrize("first", ["trap", "poll", "poll_long_before"])
@pytest.mark.parametrize(("event", "about", "kind", "well", "part"), PARTS)
def test_a_part_that_traps_and_is_polled_makes_one_page_that_polls_end(
    event: str, about: str, kind: str, well: str, part: str, first: str
) -> None:
    council = VirtualCouncil()
    council.poll({well: 0, part: 0}, 6, kind)
    if first == "trap":
        council.trap(event, about)
        council.wait(0.5)
    council.poll({well: 0, part: 2}, 1 if first == "poll" else 4, kind)
    if first != "trap":
        council.trap(event, about)
    council.poll({well: 0, part: 2}, 20, kind)
    assert len(council.pages) == 1, council.pages
    assert council.ended == []
    # The trap that ends it is lost.
    council.poll({well: 0, part: 0}, 10, kind)
    assert len(council.pages) == 1
    assert not [state for state in council.states.values() if state.is_open]
    paged = [e for e in council.ended if e.startswith(f"{council.pages[0]}@")]
    assert len(paged) == 1


def test_another_part_that_fails_later_is_a_page_of_its_own() -> None:
    council = VirtualCouncil()
    council.poll({"PSU 1": 0, "PSU 2": 0}, 6, "state")
    council.trap("power_supply_failed", "PSU 1")
    council.poll({"PSU 1": 2, "PSU 2": 0}, 30, "state")
    council.poll({"PSU 1": 2, "PSU 2": 2}, 5, "state")
    assert council.pages == [
        "power_supply_failed/about=PSU 1,device=d1",
        "sensor_critical/class=state,device=d1,sensor=PSU 2",
    ]


def test_a_part_that_fails_beside_one_in_doubt_is_not_buried_for_longer() -> None:
    """The trap does not say which: what fails within minutes is taken for the same."""
    council = VirtualCouncil()
    council.poll({"PSU 1": 0, "PSU 2": 0}, 6, "state")
    council.trap("power_supply_failed")
    council.poll({"PSU 1": 2, "PSU 2": 0}, 15, "state")
    council.poll({"PSU 1": 2, "PSU 2": 2}, 5, "state")
    assert len(council.pages) == 2
    assert council.pages[1].endswith("sensor=PSU 2")


def test_a_fan_does_not_join_a_power_supply() -> None:
    council = VirtualCouncil()
    council.poll({"PSU 1": 0, "Fan 1": 0}, 6, "state")
    council.trap("power_supply_failed", "PSU 1")
    council.poll({"PSU 1": 2, "Fan 1": 2}, 5, "state")
    assert sorted(council.pages) == [
        "power_supply_failed/about=PSU 1,device=d1",
        "sensor_critical/class=state,device=d1,sensor=Fan 1",
    ]


def test_a_council_that_makes_polled_parts_critical_is_paged_for_these() -> None:
    rules = Rules(
        [
            rule.model_copy(update={"severity": "critical"})
            if rule.id == "sensor_critical"
            else rule
            for rule in RULES
        ]
    )
    council = VirtualCouncil(rules)
    council.poll({"PSU 1": 0}, 6, "state")
    council.trap("power_supply_failed", "PSU 1")
    council.poll({"PSU 1": 2}, 10, "state")
    assert council.pages == ["sensor_critical/class=state,device=d1,sensor=PSU 1"]


UPS = EstateIndex(
    Estate.model_validate(
        {
            "sites": [{"id": "hall", "name": "Town Hall"}],
            "devices": [
                {"id": "d1", "site": "hall", "address": "10.0.0.1", "role": "ups"}
            ],
        }
    )
)


@pytest.mark.parametrize("trap", [True, False])
def test_a_ups_on_battery_is_one_page_whatever_of_it_reports_that(trap: bool) -> None:
    council = VirtualCouncil(estate_index=UPS)

    def poll(on_battery: int, minutes: int) -> None:
        for _ in range(minutes):
            council.put(
                "sensor",
                {"class": "state", "sensor": "Output"},
                {"severity": 2 * on_battery, "on_battery": on_battery},
            )
            council.sensor("Input", 2 * on_battery)
            council.sensor("Battery", 2 * on_battery)
            council.wait(1)

    poll(0, 6)
    if trap:
        council.trap("ups_on_battery")
    poll(1, 12)
    rule = "ups_on_battery" if trap else "ups_runs_on_battery"
    assert council.pages == [f"{rule}/device=d1"]
    poll(0, 8)
    assert not [state for state in council.states.values() if state.is_open]
    assert len(council.pages) == 1


@pytest.mark.parametrize("about", ["ap7", "AP-Library-7", "10.0.0.7"])
def test_an_access_point_that_its_controller_reports_and_that_is_polled_is_one_page(
    about: str,
) -> None:
    estate = {
        "sites": [{"id": "hall", "name": "Town Hall"}],
        "devices": [
            {"id": "d1", "site": "hall", "address": "10.0.0.1", "role": "controller"},
            {
                "id": "ap7",
                "name": "AP-LIBRARY-7",
                "site": "hall",
                "address": "10.0.0.7",
                "role": "access_point",
                "parent": "d1",
            },
        ],
    }
    council = VirtualCouncil(estate_index=EstateIndex(Estate.model_validate(estate)))
    for minute in range(20):
        council.put("device", {}, {"up": 1})
        council.put("device", {}, {"up": int(minute < 5)}, device="ap7")
        if minute == 5:
            council.trap("access_point_down", about)
        council.wait(1)
    assert council.pages == ["device_unreachable/device=ap7"]


@pytest.mark.parametrize(
    ("about", "names", "expected"),
    [
        ("PSU 1", ["PSU 1", "PSU 2"], {"PSU 1"}),
        ("psu-01", ["PSU 1", "PSU 11"], {"PSU 1"}),
        ("1", ["Power supply 1", "Power supply 2"], {"Power supply 1"}),
        ("Power Supply B", ["PS A", "PS B"], {"PS B"}),
        (
            "Switch 2 - Power Supply A",
            ["Sw1 PSU A", "Sw2 PSU A"],
            {"Sw2 PSU A"},
        ),
        ("FPC 0 fan", ["Fan 1"], set()),
        ("Inlet", ["Inlet temperature", "CPU temperature"], {"Inlet temperature"}),
        ("", ["PSU 1"], set()),
        ("PSU", ["Fan", "Board"], set()),
    ],
)
def test_parts_are_told_apart_by_words_numbers_and_letters(
    about: str, names: list[str], expected: set[str]
) -> None:
    assert named_parts(about, names) == expected


@given(st.text(max_size=20), st.lists(st.text(max_size=20), max_size=5))
def test_whatever_parts_are_called_their_own_name_is_the_best(
    about: str, names: list[str]
) -> None:
    named = named_parts(about, names)
    assert named <= set(names)
    words = {name for name in names if name == about and any(map(_is_plain, name))}
    assert words <= named


def _is_plain(letter: str) -> bool:
    return letter.isascii() and letter.isalnum()


def test_a_rule_that_a_council_disables_is_no_ones_other_part() -> None:
    rules = Rules([rule for rule in RULES if rule.id != "sensor_critical"])
    council = VirtualCouncil(rules)
    council.trap("power_supply_failed", "PSU 1")
    council.poll({"PSU 1": 2}, 5, "state")
    assert council.pages == ["power_supply_failed/about=PSU 1,device=d1"]
