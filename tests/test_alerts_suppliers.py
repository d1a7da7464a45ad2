"""An outage of a supplier, found from the sites and lines that fail together."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_alerts_domains import index
from virtual_council import VirtualCouncil

TEME, WYE = ("a", "b", "c"), ("e", "f", "g")
BOTH = "z"
HALL = ("gate", "hub", "spur")
OUTAGE = "supplier_outage/supplier="


def council() -> VirtualCouncil:
    """Each site has two devices and a line that is measured from inside; `z` has a line
    of either supplier."""
    devices = {"gate": ("hall", ""), "hub": ("hall", "gate")}
    lines: list[dict[str, Any]] = []
    for site in (*TEME, *WYE, BOTH):
        devices[f"{site}-router"] = (site, "spur" if site == "c" else "hub")
        devices[f"{site}-switch"] = (site, f"{site}-router")
        suppliers = {"teme": (*TEME, BOTH), "wye": (*WYE, BOTH)}
        lines += [
            {
                "id": f"{site}-{supplier}",
                "site": site,
                "device": f"{site}-router",
                "port": supplier,
                "supplier": supplier,
            }
            for supplier, sites in suppliers.items()
            if site in sites
        ]
    devices["spur"] = ("hall", "hub")
    return VirtualCouncil(estate_index=index(devices, [], lines))


def poll(
    council: VirtualCouncil,
    minutes: int,
    dark: Collection[str],
    lines: Mapping[str, int] | None = None,
) -> None:
    """`dark`: sites, or single devices, that do not answer. `lines`: line → up."""
    for _ in range(minutes):
        for n, device in enumerate(council.estate_index.devices):
            place = device if device in HALL else device[0]
            up = not {device, place} & set(dark)
            council.put("device", {}, {"up": int(up)}, device)
            if n % 4 == 3:
                council.wait(0.25)
        for line, up in (lines or {}).items():
            known = council.estate_index.lines[line]
            tags = {"line": line, "role": "primary", "supplier": known.supplier}
            council.put("line", tags, {"up": up}, known.device)
        council.wait(0.25)


def test_a_site_whose_suppliers_have_both_failed_is_no_page_of_its_own() -> None:
    run = council()
    poll(run, 3, ())
    poll(run, 45, TEME)
    poll(run, 12, (*TEME, *WYE, BOTH))
    assert run.pages == [f"{OUTAGE}teme", f"{OUTAGE}wye"]
    poll(run, 12, ())
    assert len(run.pages) == 2
    assert not any(state.is_open for state in run.states.values())


def test_a_site_with_one_supplier_that_has_not_failed_is_paged() -> None:
    run = council()
    poll(run, 3, ())
    poll(run, 8, TEME)
    poll(run, 8, (*TEME, BOTH))
    assert run.pages == [f"{OUTAGE}teme", f"site_unreachable/site={BOTH}"]


@pytest.mark.parametrize("dark", [8, 40])
def test_a_line_that_nobody_could_measure_failed_with_its_supplier(dark: int) -> None:
    """Its site was dark for as long as its other line was down as well."""
    run = council()
    poll(run, 3, ())
    poll(run, 20, TEME)
    poll(run, dark, (*TEME, *WYE, BOTH))
    poll(run, 15, TEME, {f"{BOTH}-teme": 0, f"{BOTH}-wye": 1})
    assert run.pages == [f"{OUTAGE}teme", f"{OUTAGE}wye"]


def test_a_line_that_fails_long_after_its_supplier_did_is_paged() -> None:
    run = council()
    poll(run, 3, (), {f"{BOTH}-teme": 1})
    poll(run, 40, TEME, {f"{BOTH}-teme": 1})
    poll(run, 5, TEME, {f"{BOTH}-teme": 0})
    assert run.pages == [f"{OUTAGE}teme", f"line_down/line={BOTH}-teme"]


def test_two_dark_sites_wait_while_a_third_of_their_supplier_may_go_dark() -> None:
    run = council()
    poll(run, 12, ())
    poll(run, 2, "ab")
    # So far only one of its devices was found not to answer; the other is late.
    late = "c-switch"
    for _ in range(1):
        for device in run.estate_index.devices:
            up = not (device[0] in "abc" and device not in HALL)
            if device != late:
                run.put("device", {}, {"up": int(up)}, device)
        run.wait(1)
    assert run.pages == []
    poll(run, 4, TEME)
    assert run.pages == [f"{OUTAGE}teme"]


def test_two_dark_sites_do_not_wait_for_a_dead_device_of_a_third() -> None:
    run = council()
    poll(run, 12, ())
    poll(run, 5, ("a", "b", "c-switch"))
    assert set(run.pages) == {
        "site_unreachable/site=a",
        "site_unreachable/site=b",
        "device_unreachable/device=c-switch",
    }


def test_an_outage_that_began_while_a_hub_was_dead_is_one_page_after_it() -> None:
    run = council()
    poll(run, 12, ())
    every = (*TEME, *WYE, BOTH)
    # What is behind the hub does not answer either.
    poll(run, 8, ("hub", "spur", *every))
    # The spur is found to answer later than the hub: so is what is behind it alone.
    poll(run, 10, TEME)
    assert run.pages == ["device_unreachable/device=hub", f"{OUTAGE}teme"]


@settings(max_examples=4)
@given(st.integers(16, 40), st.integers(5, 20), st.integers(0, 12), st.booleans())
def test_two_outages_are_two_pages_with_their_ends_whatever_their_order(
    alone: int, both: int, second_lasts: int, first_is_mended_first: bool
) -> None:
    run = council()
    poll(run, 3, ())
    poll(run, alone, TEME, {f"{BOTH}-teme": 0, f"{BOTH}-wye": 1})
    poll(run, both, (*TEME, *WYE, BOTH))
    left = WYE if first_is_mended_first else TEME
    down = "wye" if first_is_mended_first else "teme"
    lines = {f"{BOTH}-teme": int(down != "teme"), f"{BOTH}-wye": int(down != "wye")}
    poll(run, second_lasts, left, lines)
    poll(run, 14, (), {f"{BOTH}-teme": 1, f"{BOTH}-wye": 1})
    assert run.pages == [f"{OUTAGE}teme", f"{OUTAGE}wye"]
    assert {episode.partition("@")[0] for episode in run.ended} == set(run.pages)
