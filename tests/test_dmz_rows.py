"""What is taken from a DMZ node: pure."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.batch import Batch, Schema
from collectors.dmz.pulled_rows import REFUSED, TAKEN, UNENROLLED, PulledRows
from collectors.estate.estate_model import Estate
from collectors.ingest.ingest_config import PolicyConfig
from collectors.ingest.policies import KnownSites
from collectors.ingest.registry_records import (
    EnrolledAgent,
)
from collectors.ingest.tag_limits import TagLimits
from collectors.server_measurements import CATALOGUE

NOW_MS = 1_800_000_000_000
TAGS = (
    "agent",
    "site",
    "home_site",
    "place",
    "connection",
    "vpn",
    "provider",
    "target",
)
OURS = EnrolledAgent("ours", "hall", 0, 0, 0)


def gate() -> PulledRows:
    """What is taken from the node `dmz`, of one laptop that is let in."""
    estate = Estate.model_validate({"sites": [{"id": "hall", "name": "Hall"}]})
    policy = PolicyConfig(names=("a.example",))
    return PulledRows(
        "dmz",
        lambda agent: OURS if agent == "ours" else None,
        TagLimits(lambda: estate, lambda: policy, CATALOGUE),
        KnownSites(lambda: estate),
        86_400,
        lambda: NOW_MS,
    )


def of_laptop(probe: str = "name_lookup", time_ms: int = NOW_MS, **tags: str) -> Batch:
    row = {
        "agent": "ours",
        "site": "hall",
        "home_site": "hall",
        "place": "office",
        "connection": "wired",
        "vpn": "absent",
        "provider": "",
        "target": "a.example",
    } | tags
    schema = Schema(probe, TAGS, ("ok",))
    return Batch("any", 1, schema, ([time_ms], *([row[tag]] for tag in TAGS), [1]))


def about(measurement: str, tag: str, *values: object, field: str = "bytes") -> Batch:
    schema = Schema(measurement, (tag,), (field,))
    times = [NOW_MS] * len(values)
    return Batch("any", 1, schema, (times, list(values), [1] * len(values)))


def test_rows_of_laptops_that_are_let_in_are_taken_and_no_others() -> None:
    pulled = gate()
    ours = of_laptop()
    taken = pulled.take(
        [
            ours,
            of_laptop(agent="revoked"),
            about("interface", "device", "core-1", "core-2"),
            about("alert", "agent", "ours"),
            about("self_agents", "home_site", "hall"),
            # What only alerts and polls say of themselves makes pages.
            about("self_standby", "process", "alert", field="attended"),
        ]
    )
    assert taken == [ours]
    assert pulled.counts == {TAKEN: 1, UNENROLLED: 1, REFUSED: 5}


@pytest.mark.parametrize(
    ("tags", "becomes"),
    [
        ({"target": "https://attacker.example"}, {"target": "other"}),
        ({"site": "castle"}, {"site": ""}),
        ({"home_site": "castle"}, {"home_site": "hall"}),
        ({"place": "x" * 200, "vpn": "y"}, {"place": "unknown", "vpn": "unknown"}),
    ],
)
def test_tags_that_ingest_would_not_let_in_are_replaced_inside_too(
    tags: dict[str, str], becomes: dict[str, str]
) -> None:
    [taken] = gate().take([of_laptop(**tags)])
    assert {tag: taken.tag(tag) for tag in becomes} == {
        tag: [value] for tag, value in becomes.items()
    }


def test_a_node_cannot_fill_the_store_with_series() -> None:
    pulled = gate()
    sent = [of_laptop(provider=f"p{n}") for n in range(100)]
    providers = {p for batch in pulled.take(sent) for p in batch.tag("provider")}
    assert len(providers) == 32 + 1
    disks = Schema("self_disk", ("process", "folder"), ("full",))
    folders = [f"f{n}" for n in range(500)]
    columns = ([NOW_MS] * 500, ["x"] * 500, folders, [0] * 500)
    [taken] = pulled.take([Batch("any", 1, disks, columns)])
    assert len(taken) == 200


def test_no_row_is_of_the_day_after_tomorrow() -> None:
    pulled = gate()
    assert pulled.take([of_laptop(time_ms=NOW_MS + 2 * 86_400_000)]) == []
    assert +pulled.counts == {REFUSED: 1}


@given(
    st.lists(
        st.lists(st.none() | st.integers() | st.text(max_size=3) | st.lists(st.none())),
        max_size=10,
    ),
    st.sampled_from(["name_lookup", "self_disk", "interface"]),
)
def test_whatever_a_node_writes_stops_nothing(
    columns: list[list[object]], measurement: str
) -> None:
    pulled = gate()
    tags = TAGS if measurement == "name_lookup" else ("process", "folder")
    broken = Batch("any", 1, Schema(measurement, tags, ("ok",)), tuple(columns))
    ours = of_laptop()
    assert pulled.take([broken, ours])[-1] == ours


def test_a_node_speaks_of_itself_under_its_own_name_only() -> None:
    (taken,) = gate().take([about("self_journal", "process", "alert", "ingest")])
    assert taken.tag("process") == ["dmz+dmz", "dmz+dmz"]
