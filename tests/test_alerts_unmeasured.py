"""A page waits for what may explain it to be measured, but not for what never is."""

from __future__ import annotations

import pytest
from virtual_council import MINUTE_MS, VirtualCouncil

from alerts.estate_index import EstateIndex
from collectors.estate.estate_model import Estate
from collectors.topology import Link, TopologyGraph

DEVICES = [
    {"id": id, "site": "hall", "address": f"10.0.0.{n}"}
    for n, id in enumerate(("d1", "beside", "above"), 1)
]
ESTATE = {"sites": [{"id": "hall", "name": "Town Hall"}], "devices": DEVICES}
LINKS = (Link("d1", "beside", (("1", "1"),), True), Link("above", "d1", (), True))


def seconds_to_page(measured: dict[str, range]) -> float:
    """From the first poll that fails to the page. `measured`: device → in which minutes
    it is polled; the fault begins in minute 14."""
    index = EstateIndex(
        Estate.model_validate(ESTATE), topology=TopologyGraph(links=LINKS)
    )
    council = VirtualCouncil(estate_index=index)
    failed_ms = 0
    for minute in range(20):
        # The others are polled just before, so the page must wait for their next poll.
        for device, minutes in measured.items():
            if minute in minutes:
                council.put("device", {}, {"up": 1}, device=device)
        council.wait(0.25)
        council.put("device", {}, {"up": int(minute < 14)})
        failed_ms = failed_ms or (council.now_ms if minute == 14 else 0)
        for _ in range(3):
            council.wait(0.25)
            if council.pages:
                assert council.pages == ["device_unreachable/device=d1"]
                return (council.now_ms - failed_ms) / 1000
    raise AssertionError("no page")


ALWAYS = range(99)


@pytest.mark.parametrize(
    ("beside", "longest_s"),
    [
        pytest.param(ALWAYS, 105, id="polled"),
        pytest.param(range(0), 105, id="never polled"),
        pytest.param(range(3), 105, id="polled long ago"),
        pytest.param(range(14), 165, id="a poll is missing"),
    ],
)
def test_nobody_waits_for_a_neighbour_that_is_never_polled(
    beside: range, longest_s: int
) -> None:
    seconds = seconds_to_page({"above": ALWAYS, "beside": beside})
    assert 90 <= seconds <= longest_s
    if longest_s > 120:
        # One that is polled, and whose poll is missing, is waited for.
        assert seconds >= 2 * MINUTE_MS / 1000
