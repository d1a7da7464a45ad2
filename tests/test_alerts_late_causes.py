"""Whoever was paged with the wrong cause learns the right one, once, in that thread."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from late_cause_world import KillableCouncil
from virtual_council import MINUTE_MS

from alerts.estate_index import EstateIndex
from alerts.notify.email import compose_message
from alerts.notify.routing import FollowUp
from alerts.silence import Silence
from collectors.estate.estate_model import Estate
from collectors.topology import Link, TopologyGraph

DEVICES = ("core", "edge", "room")
ESTATE = Estate.model_validate(
    {
        "sites": [{"id": "hall", "name": "Town Hall"}],
        "devices": [
            {"id": id, "site": "hall", "address": f"10.0.0.{n}"}
            for n, id in enumerate(DEVICES, 1)
        ],
    }
)
LINKS = TopologyGraph(links=(Link("core", "edge", (("Gi7", "Gi1"),), True),))
UNKNOWN, KNOWN = EstateIndex(ESTATE), EstateIndex(ESTATE, topology=LINKS)
PLAN = FollowUp(((15 * MINUTE_MS, "boss"),), 0)
Build = Callable[..., KillableCouncil]


@pytest.fixture
def build() -> Iterator[Build]:
    shm = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else None) as folder:
        built: list[KillableCouncil] = []

        def make(**more: object) -> KillableCouncil:
            made = KillableCouncil(Path(folder), UNKNOWN, **more)  # type: ignore[arg-type]
            built.append(made)
            return made

        yield make
        for made in built:
            if made.store is not None:
                made.store.close()


def minutes(
    council: KillableCouncil,
    count: int,
    dark: set[str],
    shut: bool = False,
    dies: Callable[[int], str] = lambda _: "",
) -> None:
    """Polls all, every minute. `shut`: whether core's port to edge is shut."""
    for minute in range(count):
        for device in DEVICES:
            council.device(device, int(device not in dark))
        port = {"admin": 2} if shut else {"admin": 1, "up": int("edge" not in dark)}
        role = UNKNOWN.devices["core"].role
        tags = {"device": "core", "site": "hall", "role": role, "port": "Gi7"}
        council.put("interface", tags, port)
        for quarter in range(4):
            council.step(dies(4 * minute + quarter))


def test_a_cause_that_becomes_known_late_is_one_short_update_in_the_same_thread(
    build: Build,
) -> None:
    council = build()
    minutes(council, 3, set())
    minutes(council, 4, {"edge"}, shut=True)
    assert council.kinds() == ["page"]
    # LLDP is read only now: the port that leads to it was shut.
    council.estate_index = KNOWN
    minutes(council, 8, {"edge"}, shut=True)
    assert council.kinds() == ["page", "update"]
    page, update = (page for _, page in council.arrived)
    assert update.subject.startswith("PROBLEM (critical, update): edge")
    assert "shut by an administrator" in update.text
    assert "shut by an administrator" not in page.text
    assert update.text.startswith("The cause is known now. Nothing else has failed.")
    assert update.thread == page.thread
    assert update.id != page.id
    mail = compose_message(update, "towpath@council.example", ("duty@x.example",))
    assert mail["In-Reply-To"] == f"<{page.id}@council.example>"
    assert mail["Importance"] is None
    minutes(council, 8, set())
    assert council.kinds() == ["page", "update", "resolution"]
    assert council.arrived[-1][1].thread == page.thread


def test_a_cause_that_comes_and_goes_is_reported_once_at_most(build: Build) -> None:
    council = build()
    minutes(council, 3, set())
    minutes(council, 4, {"edge"}, shut=True)
    for n in range(6):
        council.estate_index = (KNOWN, UNKNOWN)[n % 2]
        minutes(council, 2, {"edge"}, shut=True)
    assert council.kinds() == ["page", "update"]


def test_a_cause_that_is_seen_for_less_than_a_minute_is_not_reported(
    build: Build,
) -> None:
    council = build()
    minutes(council, 3, set())
    minutes(council, 4, {"edge"}, shut=True)
    for _ in range(4):
        council.estate_index = KNOWN
        minutes(council, 1, {"edge"}, shut=True)
        council.estate_index = UNKNOWN
        minutes(council, 2, {"edge"}, shut=True)
    assert council.kinds() == ["page"]


def test_what_mends_it_is_not_reported_as_its_cause(build: Build) -> None:
    council = build()
    council.estate_index = KNOWN
    minutes(council, 3, set())
    minutes(council, 4, {"edge"}, shut=True)
    minutes(council, 8, set())
    assert council.kinds() == ["page", "resolution"]
    assert "shut by an administrator" in council.arrived[0][1].text


def test_a_page_that_is_still_to_be_sent_names_the_new_cause_itself(
    build: Build,
) -> None:
    council = build()
    assert council.store is not None
    deliver, council._deliver = council._deliver, lambda dies: None  # type: ignore[method-assign]
    minutes(council, 3, set())
    minutes(council, 4, {"edge"}, shut=True)
    council.estate_index = KNOWN
    minutes(council, 4, {"edge"}, shut=True)
    council._deliver = deliver  # type: ignore[method-assign]
    minutes(council, 2, {"edge"}, shut=True)
    assert council.kinds() == ["page"]
    assert "shut by an administrator" in council.arrived[0][1].text


KILLS = st.lists(
    st.sampled_from(["", "", "before", "after", "delivered"]), min_size=60, max_size=60
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(KILLS)
def test_whenever_it_is_killed_the_update_comes_once_and_the_end_too(
    kills: list[str],
) -> None:
    shm = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else None) as folder:
        council = KillableCouncil(Path(folder), UNKNOWN)
        minutes(council, 3, set())
        minutes(council, 4, {"edge"}, shut=True)
        council.estate_index = KNOWN
        minutes(council, 15, {"edge"}, shut=True, dies=lambda n: kills[n])
        minutes(council, 10, set())
        assert council.store is not None
        council.store.close()
    # What was sent again, because nobody knew whether it had arrived, has the same id.
    ids = list(dict.fromkeys(page.id for _, page in council.arrived))
    kinds = [id.rpartition("-")[2] for id in ids]
    assert kinds == ["page", "update", "resolution"]


def test_a_supplier_that_is_found_late_is_one_update_for_all_lines_paged_before(
    build: Build,
) -> None:
    sites = [f"s{n}" for n in range(6)]
    estate = {
        "sites": [{"id": site, "name": site} for site in sites],
        "devices": [{"id": "hub", "site": "s0", "address": "10.0.0.1"}],
        "lines": [
            {
                "id": f"{site}-wan",
                "site": site,
                "device": "hub",
                "port": f"Gi{n}",
                "far_end": True,
                "supplier": "Teme",
                "down_mbps": 10,
                "up_mbps": 10,
            }
            for n, site in enumerate(sites)
        ],
    }
    council = build()
    council.estate_index = EstateIndex(Estate.model_validate(estate))

    def run(count: int, down: set[str]) -> None:
        for _ in range(count):
            council.device("hub", 1)
            for site in sites:
                council.line(f"{site}-wan", int(site not in down))
            for _ in range(4):
                council.step()

    run(3, set())
    # The first line is alone for so long that nobody suspects its supplier.
    run(4, {"s0"})
    assert council.kinds() == ["page"]
    run(2, {"s0", "s1", "s2", "s3"})
    run(10, {"s0", "s1", "s2", "s3"})
    updates = [page for _, page in council.arrived if page.kind == "update"]
    assert len(updates) == 1, council.subjects()
    assert "Teme: 4 lines have failed together" in updates[0].text
    assert updates[0].thread == council.arrived[0][1].thread
    assert council.kinds().count("page") == 1
    run(10, set())
    assert council.kinds()[-1] == "resolution"
    assert not council.open_alerts()


UPS_ESTATE = {
    "sites": [{"id": "hall", "name": "Town Hall"}],
    "devices": [{"id": "ups", "site": "hall", "address": "10.0.0.9", "role": "ups"}],
}
POLLED, REPORTED = "ups_runs_on_battery/device=ups", "ups_on_battery/device=ups"


def ups_minutes(
    council: KillableCouncil,
    count: int,
    on_battery: int,
    trap: bool = False,
    dies: Callable[[int], str] = lambda _: "",
) -> None:
    tags = {"device": "ups", "site": "hall", "role": "ups"}
    for minute in range(count):
        if trap and minute == 0:
            event = {**tags, "event": "ups_on_battery", "about": ""}
            fields = {"active": 1, "count": 1, "level": 4, "text": "On battery"}
            council.put("event", event, fields)
        sensor = {**tags, "class": "state", "sensor": "Output"}
        council.put("sensor", sensor, {"on_battery": on_battery})
        for quarter in range(4):
            council.step(dies(4 * minute + quarter))


def joined(build: Build, **more: object) -> KillableCouncil:
    """Polls find a UPS on battery, and its trap comes after the page."""
    council = build(follow_up=PLAN, **more)
    council.estate_index = EstateIndex(Estate.model_validate(UPS_ESTATE))
    ups_minutes(council, 6, 0)
    ups_minutes(council, 4, 1)
    ups_minutes(council, 3, 1, trap=True)
    [page] = [
        state
        for state in council.states.values()
        if state.rule.endswith("runs_on_battery")
    ]
    [cause] = [state for state in council.states.values() if state.key == REPORTED]
    assert cause.joins == page.episode
    assert page.suppressed_by == REPORTED
    return council


def test_what_nobody_acknowledges_goes_further_although_its_cause_joined_its_page(
    build: Build,
) -> None:
    council = joined(build)
    ups_minutes(council, 20, 1)
    assert council.kinds("boss") == ["page"]
    # The same domain explains it as before: there is nothing to update.
    assert council.kinds() == ["page"]
    ups_minutes(council, 10, 0)
    assert council.kinds() == ["page", "resolution"]
    assert council.kinds("boss") == ["page", "resolution"]


@pytest.mark.parametrize(
    ("key", "when"), [(POLLED, "before"), (POLLED, "after"), (REPORTED, "after")]
)
def test_who_acknowledges_a_page_or_its_late_cause_handles_both(
    build: Build, key: str, when: str
) -> None:
    # A further channel has the page of the cause, and nothing else.
    routes = {"ups_on_battery": ("duty", "supplier")}
    if when == "after":
        council = joined(build, routes=routes)
        council.acknowledge(key)
    else:
        council = build(follow_up=PLAN, routes=routes)
        council.estate_index = EstateIndex(Estate.model_validate(UPS_ESTATE))
        ups_minutes(council, 6, 0)
        ups_minutes(council, 4, 1)
        council.acknowledge(key)
        ups_minutes(council, 3, 1, trap=True)
    ups_minutes(council, 40, 1)
    assert council.kinds("supplier") == ["page"]
    assert council.kinds("boss") == []
    ups_minutes(council, 10, 0)
    assert council.kinds("supplier") == ["page", "resolution"]
    assert council.kinds() == ["page", "resolution"]


def _silence(council: KillableCouncil, minutes_long: int, rule: str = "") -> Silence:
    until_ms = council.now_ms + minutes_long * MINUTE_MS
    return Silence(
        id=1, from_ms=council.now_ms, until_ms=until_ms, device="ups", rule=rule
    )


def test_maintenance_that_begins_after_the_page_stops_reminding_and_not_its_end(
    build: Build,
) -> None:
    council = joined(build)
    council.silences = [_silence(council, 30)]
    ups_minutes(council, 25, 1)
    assert council.kinds("boss") == []
    # It is still on battery when the maintenance ends: then somebody must hear of it.
    ups_minutes(council, 10, 1)
    assert council.kinds("boss") == ["page"]
    ups_minutes(council, 10, 0)
    assert council.kinds() == ["page", "resolution"]


def test_the_end_of_what_was_paged_comes_during_maintenance_too(build: Build) -> None:
    council = joined(build)
    council.silences = [_silence(council, 60)]
    ups_minutes(council, 20, 0)
    assert council.kinds() == ["page", "resolution"]
    assert not council.open_alerts()


def test_a_cause_under_maintenance_does_not_join_a_page_until_that_is_over(
    build: Build,
) -> None:
    council = build(follow_up=PLAN)
    council.estate_index = EstateIndex(Estate.model_validate(UPS_ESTATE))
    ups_minutes(council, 6, 0)
    ups_minutes(council, 4, 1)
    council.silences = [_silence(council, 12, rule="ups_on_battery")]
    ups_minutes(council, 3, 1, trap=True)
    [cause] = [s for s in council.states.values() if s.key == REPORTED]
    assert cause.joins == ""
    ups_minutes(council, 12, 1)
    [cause] = [s for s in council.states.values() if s.key == REPORTED]
    assert cause.joins.startswith(POLLED)
    assert council.kinds() == ["page"]
    ups_minutes(council, 10, 0)
    assert council.kinds() == ["page", "resolution"]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(kills=KILLS, acknowledged_at=st.none() | st.integers(0, 14))
def test_whenever_it_is_killed_an_escalation_reaches_each_channel_once_and_ends_there(
    kills: list[str], acknowledged_at: int | None
) -> None:
    shm = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else None) as folder:
        council = KillableCouncil(
            Path(folder), EstateIndex(Estate.model_validate(UPS_ESTATE)), PLAN
        )
        ups_minutes(council, 6, 0)
        ups_minutes(council, 4, 1)
        ups_minutes(council, 1, 1, trap=True)
        for minute in range(14):
            if minute == acknowledged_at:
                council.acknowledge(POLLED)
            ups_minutes(
                council, 1, 1, dies=lambda n, minute=minute: kills[4 * minute + n]
            )
        ups_minutes(council, 10, 1)
        ups_minutes(council, 12, 0)
        assert council.store is not None
        council.store.close()
    for channel in ("duty", "boss"):
        ids = {page.id for to, page in council.arrived if to == channel}
        kinds = sorted(id.rpartition("-")[2] for id in ids)
        if channel == "boss" and acknowledged_at is not None and acknowledged_at < 9:
            assert kinds == []
        elif channel == "duty" or acknowledged_at is None:
            assert kinds == ["page", "resolution"]
        else:
            assert kinds in ([], ["page", "resolution"])
