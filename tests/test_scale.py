"""What a large installation needs, and the simulation of it: nothing is lost or made
up, nothing arrives before it was made, and the page is what the script prints."""

from __future__ import annotations

import dataclasses
import random

import pytest
from documents import text_of
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.scale import BEGIN, END, sized
from benchmarks.scale_model import Clock, Parcel, Speed, Station
from benchmarks.scale_needs import (
    DARK,
    LAPTOPS,
    SWITCHES,
    first_bottleneck,
    needs,
    page_part,
    read_costs,
)
from benchmarks.scale_run import Estate, Events, Installation

COSTS = read_costs()
SMALL = Estate(1_200, 3_000, pollers=2, ingests=1, writers=2, parcel=20)

spans = st.none() | st.tuples(st.floats(0, 300), st.floats(0, 300)).map(
    lambda span: (min(span), max(span))
)
happenings = st.builds(
    Events,
    laptops_at_s=st.none() | st.floats(0, 300),
    laptops_within_s=st.floats(1, 60),
    line_down=spans,
    line_share=st.floats(0.1, 0.5),
    writer_down=spans,
    store_down=spans,
)


@settings(max_examples=25, deadline=None)
@given(happenings, st.integers(0, 1_000), st.integers(20, 2_000))
def test_every_batch_is_stored_waiting_or_lost_at_any_time(
    events: Events, seed: int, most_in_ingest: int
) -> None:
    estate = dataclasses.replace(SMALL, most_in_ingest=most_in_ingest)
    # So small a journal that outages fill it.
    costs = COSTS | {"journal": COSTS["journal"] | {"max_bytes": 50_000}}
    installation = Installation(costs, estate, events, seed)
    for until_s in (50.0, 150.0, 400.0):
        # Nothing arrives before it was made, or is due in the past: both raise.
        installation.run(until_s)
        accounted = installation.stored.count + installation.waiting
        assert installation.made == accounted + installation.lost_polls


@settings(max_examples=10, deadline=None)
@given(happenings, st.integers(0, 1_000))
def test_after_the_last_outage_everything_arrives(events: Events, seed: int) -> None:
    events = dataclasses.replace(events, made_until_s=300.0)
    installation = Installation(COSTS, SMALL, events, seed)
    installation.run(3_000.0)
    assert installation.waiting == installation.lost_polls == 0
    assert installation.stored.count == installation.alerted.count == installation.made


def test_the_same_seed_is_the_same_run() -> None:
    def lags(seed: int) -> list[float | None]:
        installation = Installation(COSTS, SMALL, Events(), seed)
        installation.run(300.0)
        return [installation.stored.percentile_s(percent) for percent in (10, 50, 99)]

    assert lags(3) == lags(3) != lags(4)


def test_a_killed_station_does_its_work_again_in_order() -> None:
    clock, done = Clock(), list[int]()
    speed = Speed(most_rows=2, group_s=1.0)

    def deliver(now_s: float, parcels: list[Parcel]) -> None:
        done.extend(parcel.shard for parcel in parcels)

    station = Station("writer", clock, speed, deliver)
    for number in range(3):
        station.offer(0.0, Parcel("poll", 1, 1, 0.0, number))
    clock.run(0.5)
    station.set_down(0.5, True)
    clock.run(5.0)
    assert (done, station.held) == ([], 3)
    station.set_down(5.0, False)
    clock.run(10.0)
    assert (done, station.held) == ([0, 1, 2], 0)


def test_a_queue_is_as_long_as_theory_says() -> None:
    """A server that is busy for 80 % of the time, with services of the same length and
    arrivals at random (M/D/1): a mean wait of 0.8 / (2 * 0.2) services."""
    clock, waits, chance = Clock(), list[float](), random.Random(1)

    def deliver(now_s: float, parcels: list[Parcel]) -> None:
        waits.extend(now_s - parcel.made_s - 1.0 for parcel in parcels)

    station = Station("one", clock, Speed(batch_s={"poll": 1.0}), deliver)
    at_s = 0.0
    for number in range(20_000):
        at_s += chance.expovariate(0.8)
        parcel = Parcel("poll", 1, 1, at_s, number)
        clock.at(at_s, lambda now_s, parcel=parcel: station.offer(now_s, parcel))
    clock.run(at_s + 1_000)
    assert sum(waits) / len(waits) == pytest.approx(2.0, rel=0.15)


def test_laptops_that_are_turned_away_come_again() -> None:
    busy = dataclasses.replace(SMALL, most_in_ingest=40)
    events = Events(laptops_at_s=60.0, laptops_within_s=1.0, made_until_s=120.0)
    installation = Installation(COSTS, busy, events)
    installation.run(1_500.0)
    assert installation.ingest.turned_away > 0
    assert installation.stored.count == installation.made
    first = installation.first_late()
    assert first is not None
    assert first[0] == "ingest"


def test_twice_the_estate_needs_twice_of_all_that_grows() -> None:
    one, two = needs(COSTS, 5_000, 7_000), needs(COSTS, 10_000, 14_000)
    for once, twice in zip(one, two, strict=True):
        if once.resource != "memory":
            assert twice.amount == pytest.approx(2 * once.amount)


def test_enough_processes_are_none_that_is_too_busy() -> None:
    estate = sized(COSTS, SWITCHES[-1], LAPTOPS[-1])
    found = {need.resource: need for need in needs(COSTS, SWITCHES[-1], LAPTOPS[-1])}
    assert found["poll"].amount / estate.pollers <= COSTS["machine"]["busiest"]
    assert found["ingest"].amount / estate.ingests <= COSTS["machine"]["busiest"]
    smallest = needs(COSTS, SWITCHES[0], LAPTOPS[0])
    assert first_bottleneck(smallest, of_process=True).share < 0.1


def test_the_page_is_what_the_script_prints_from_the_measured_costs() -> None:
    shown = text_of("docs/scale.md").partition(BEGIN)[2].partition(END)[0]
    assert page_part(COSTS) in shown


def test_the_text_divides_the_network_where_one_alert_process_is_too_busy() -> None:
    most = {
        need.resource: COSTS["machine"]["busiest"] / need.amount
        for need in needs(COSTS, 1, 0)
        if need.resource in ("alert", DARK)
    }
    usual, dark = (int(most[name]) // 1000 for name in ("alert", DARK))
    assert f"{usual},000 switches, or {dark},000 if" in text_of("docs/scale.md")
