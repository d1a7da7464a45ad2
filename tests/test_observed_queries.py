"""What was observed of an estate, asked of a store with few queries."""

from __future__ import annotations

from estate_polls import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    S_MS,
    SITES,
    START_MS,
    down_ms,
    estate_polls,
    seen_ms,
    store_of,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboards.observed import Periods, observe
from dashboards.observed.poll_history import Poll, cut_off, site_pieces
from dashboards.observed.time_spans import length, without


@settings(max_examples=20, deadline=None)
@given(
    cuts=st.lists(st.tuples(st.integers(0, 700), st.integers(3, 300)), max_size=2),
    faults=st.lists(
        st.tuples(
            st.sampled_from(sorted(SITES)), st.integers(0, 700), st.integers(1, 400)
        ),
        max_size=4,
    ),
    gaps=st.lists(st.tuples(st.integers(0, 700), st.integers(1, 200)), max_size=2),
)
async def test_a_store_gives_with_few_queries_what_its_polls_show(
    cuts: list[tuple[int, int]],
    faults: list[tuple[str, int, int]],
    gaps: list[tuple[int, int]],
) -> None:
    """Minutes in which the monitor is cut off, a device is down, nothing is polled."""
    minutes = 700
    polls = [
        Poll(
            minute * MINUTE_MS + n * 11 * S_MS,
            device,
            not any(a <= minute < a + length for a, length in cuts)
            and not any(d == device and a <= minute < a + m for d, a, m in faults),
        )
        for minute in range(minutes)
        if not any(a <= minute < a + length for a, length in gaps)
        for n, device in enumerate(SITES)
    ]
    span = START_MS, START_MS + minutes * MINUTE_MS
    observed = await observe(store_of(polls).query, span, Periods(MINUTE_MS))
    at = Periods(MINUTE_MS).at
    whole = cut_off(polls, SITES, at)
    for site in "abc":
        own = [poll for poll in polls if SITES[poll.device] == site]
        exact = site_pieces(own, at)
        down = [p[:2] for p in exact if not p.up]
        seen = [p[:2] for p in exact]
        pieces = observed.sites.get(site, [])
        # To a minute at each end of whatever happened.
        margin = 2 * MINUTE_MS * (len(cuts) + len(faults) + len(gaps) + 1)
        assert abs(down_ms(pieces) - length(without(down, whole))) <= margin
        assert abs(seen_ms(pieces) - length(without(seen, whole))) <= margin


async def test_a_quiet_month_is_counted_by_days_and_an_outage_by_polls() -> None:
    minutes = 3 * 1440
    polls = [
        Poll(m * MINUTE_MS + n * 11 * S_MS, d, not (d == "b1" and 2000 <= m < 2090))
        for m in range(minutes)
        for n, d in enumerate(SITES)
    ]
    store = store_of(polls)
    span = START_MS, START_MS + 3 * DAY_MS
    observed = await observe(store.query, span, Periods(MINUTE_MS))
    assert down_ms(observed.sites["b"]) == 90 * MINUTE_MS
    assert down_ms(observed.sites["a"]) == 0
    assert observed.cut_off == []
    assert length(piece[:2] for piece in observed.sites["a"]) == 3 * DAY_MS
    assert store.rows < 400


async def test_the_hours_of_days_with_outages_are_asked_for_together() -> None:
    """Each device is down on another day, so no two days have the same devices."""
    days, every_ms = 40, 15 * MINUTE_MS
    polls = [
        Poll(at, device, (at // DAY_MS) % len(SITES) != n or at % DAY_MS > HOUR_MS)
        for n, device in enumerate(SITES)
        for at in range(0, days * DAY_MS, every_ms)
    ]
    store = store_of(polls)
    span = START_MS, START_MS + days * DAY_MS
    observed = await observe(store.query, span, Periods(every_ms))
    assert observed.cut_off == []
    by_hour = [query for query in store.asked if query.every_ms == HOUR_MS]
    assert [len(query.selections) for query in by_hour] == [days]
    # Of each day the hours of one device.
    assert len(await store.query(by_hour[0])) == days * 24


async def test_of_a_cut_off_the_polls_at_its_ends_are_read() -> None:
    """One device answers only now and then, all day."""
    polls = estate_polls([(10 * 3600, 15 * 3600)], 24 * 60)
    polls = [
        poll._replace(up=poll.up and (poll.device != "a2" or n % 3 > 0))
        for n, poll in enumerate(polls)
    ]
    store = store_of(polls)
    span = START_MS, START_MS + DAY_MS
    observed = await observe(store.query, span, Periods(MINUTE_MS))
    [(begin, end)] = observed.cut_off
    assert abs(begin - START_MS - 10 * HOUR_MS) <= MINUTE_MS
    assert abs(end - START_MS - 15 * HOUR_MS) <= MINUTE_MS
    read = [query for query in store.asked if query.every_ms not in (DAY_MS, HOUR_MS)]
    rows = [row for query in read for row in await store.query(query)]
    of_others = [row for row in rows if row.tags["device"] != "a2"]
    assert 0 < len(of_others) < 20 * len(SITES)
