"""What must hold over random networks, faults and orders of polls (one root fault wakes
one person once, and nothing is lost)."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from alert_topologies import (
    FIRST,
    HASTY,
    MINUTE_MS,
    RULES,
    Network,
    NetworkRun,
    networks,
)
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from alerts.rule_files import Rules

SETTINGS = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
DEVICES = st.integers(0, 8).map(lambda n: f"d{n}")
MISSING = st.frozensets(st.tuples(DEVICES, st.integers(3, 8)), max_size=4)
# Two polls and the time to settle: nobody waits longer for what may explain an alert.
_WAIT_MS = 150_000


@contextmanager
def running(network: Network, rules: Rules = RULES) -> Iterator[NetworkRun]:
    shm = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else None) as folder:
        run = NetworkRun(network, Path(folder), rules)
        try:
            yield run
        finally:
            run.store.close()


def expected_names(network: Network, dead: str) -> set[str]:
    """What a page for that one dead device may name: the device, its site if all of
    it is dark, Towpath's own network if nothing answers."""
    dark = network.sites.keys() - network.reached({dead})
    site = network.sites[dead]
    whole = {id for id, place in network.sites.items() if place == site}
    names = {f"device_unreachable/device={dead}"}
    if len(whole) > 1 and whole <= dark:
        names.add(f"site_unreachable/site={site}")
    if dead == FIRST:
        names = {"monitor_cut_off/"}
    return names


@given(network=networks(), dead=DEVICES)
@SETTINGS
def test_one_dead_device_is_one_page_that_names_it(network: Network, dead: str) -> None:
    assume(dead in network.sites)
    with running(network) as run:
        run.run(3, set())
        run.run(8, {dead})
        run.run(10, set())
    keys = [alert.key for alert, _, _ in run.pages]
    assert len(keys) == 1
    assert keys[0] in expected_names(network, dead)
    assert [kind for _, kind in run.arrived] == ["page", "resolution"]


@given(
    network=networks(), dead=st.sets(DEVICES, min_size=1, max_size=3), missing=MISSING
)
@SETTINGS
def test_nothing_is_lost_whatever_fails_together(
    network: Network, dead: set[str], missing: frozenset[tuple[str, int]]
) -> None:
    dead = dead & network.sites.keys()
    with running(network) as run:
        run.run(3, set())
        run.run(9, dead, missing)
        # Measuring goes on: whatever does not answer has its alert, paged or not.
        dark = network.sites.keys() - network.reached(dead)
        for device in dark:
            state = run.states[f"device_unreachable/device={device}"]
            assert state.state == "firing"
            # A person was woken for it, or for what explains it.
            cause = run.states[state.suppressed_by or state.key]
            assert cause.is_open
            assert cause.paged_ms is not None
            assert f"device={device}" in run.recorded
        run.run(12, set())
    assert not [state for state in run.states.values() if state.is_open]
    arrivals = Counter(run.arrived)
    assert all(count == 1 for count in arrivals.values())
    pages = [episode for episode, kind in run.arrived if kind == "page"]
    ends = [episode for episode, kind in run.arrived if kind == "resolution"]
    assert sorted(pages) == sorted(ends)
    # Each fault wakes at most once, and only dead devices do.
    assert len(pages) <= max(1, len(dead))
    assert bool(pages) == bool(dark)


@pytest.mark.parametrize("rules", [RULES, HASTY], ids=["usual", "hasty"])
@given(
    network=networks(), dead=st.sets(DEVICES, min_size=1, max_size=2), missing=MISSING
)
@SETTINGS
def test_what_is_on_the_way_is_measured_before_anybody_is_woken(
    network: Network,
    dead: set[str],
    missing: frozenset[tuple[str, int]],
    rules: Rules,
) -> None:
    with running(network, rules) as run:
        run.run(3, set())
        run.run(8, dead & network.sites.keys(), missing)
    for alert, now_ms, polled_ms in run.pages:
        device = alert.subject.get("device", "")
        beside = {
            other
            for pair in network.links
            for other in pair
            if device in pair and other != device
        }
        # Those that were known not to answer need no further poll.
        answered = beside - {
            state.subject["device"]
            for state in run.states.values()
            if state.is_open and "device" in state.subject
        }
        waited = now_ms - alert.since_ms >= _WAIT_MS
        late = {other for other in answered if polled_ms.get(other, 0) < alert.since_ms}
        assert waited or not late, (alert.key, late)
        assert now_ms - alert.since_ms < 10 * MINUTE_MS


@given(network=networks(), dead=DEVICES, back=st.integers(1, 3))
@SETTINGS
def test_a_fault_that_comes_and_goes_never_leaves_a_page_without_its_end(
    network: Network, dead: str, back: int
) -> None:
    assume(dead in network.sites)
    with running(network) as run:
        run.run(3, set())
        for _ in range(3):
            run.run(3, {dead})
            run.run(back, set())
        # A flapping alert stays open until it has been quiet for long enough.
        run.run(70, set())
    assert not [state for state in run.states.values() if state.is_open]
    pages = [episode for episode, kind in run.arrived if kind == "page"]
    ends = [episode for episode, kind in run.arrived if kind == "resolution"]
    assert sorted(pages) == sorted(ends)
