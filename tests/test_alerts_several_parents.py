"""A device with several ways to the core is behind a fault only if all are cut."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from alert_topologies import Network, NetworkRun

from alerts.alert_text import placeholder_values
from alerts.estate_index import EstateIndex
from alerts.evaluation.alert_states import AlertState
from collectors.estate.estate_loader import EstateError, load
from collectors.estate.estate_model import Estate
from collectors.topology import Link, TopologyGraph
from collectors.topology.site_graph import with_parents

# Towpath is at d0. Two switches above the access switch; an access point behind it.
PARENTS = {
    "west": ("d0",),
    "east": ("d0",),
    "access": ("west", "east"),
    "ap": ("access",),
}
RING = ("d0", "west", "access", "east")


def network(heard: bool, parents: dict[str, tuple[str, ...]] = PARENTS) -> Network:
    ids = ["d0", *parents]
    links = {
        (min(id, above), max(id, above))
        for id, above_it in parents.items()
        for above in above_it
    }
    return Network(
        {id: f"s-{id}" for id in ids},
        parents,
        frozenset(links),
        heard,
        {id: n % 4 for n, id in enumerate(reversed(ids))},
    )


def pages(network: Network, dead: set[str]) -> list[str]:
    shm = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else None) as folder:
        run = NetworkRun(network, Path(folder))
        run.run(3, set())
        run.run(8, dead)
        run.run(10, set())
        run.store.close()
    ends = [kind for _, kind in run.arrived if kind == "resolution"]
    assert len(ends) == len(run.pages)
    return sorted(alert.subject["device"] for alert, _, _ in run.pages)


@pytest.mark.parametrize("heard", [False, True], ids=["estate file", "neighbours"])
@pytest.mark.parametrize(
    ("dead", "paged"),
    [
        ({"west"}, ["west"]),
        ({"east"}, ["east"]),
        ({"access"}, ["access"]),
        # Both ways are cut: what is behind them is explained by either.
        ({"west", "east"}, ["east", "west"]),
        ({"west", "ap"}, ["ap", "west"]),
        # It answers by neither way, and would not by the other one.
        ({"west", "access"}, ["access", "west"]),
    ],
)
def test_every_fault_is_paged_and_nothing_behind_it(
    dead: set[str], paged: list[str], heard: bool
) -> None:
    assert pages(network(heard), dead) == paged


@pytest.mark.parametrize("heard", [False, True], ids=["estate file", "neighbours"])
def test_a_ring_of_switches_goes_on_with_one_dead_and_is_cut_by_two(
    heard: bool,
) -> None:
    ring = {"r1": ("d0",), "r2": ("r1",), "r3": ("r2",), "r4": ("r3", "d0")}
    assert pages(network(heard, ring), {"r2"}) == ["r2"]
    # r2 and r3 are between the two.
    assert pages(network(heard, ring), {"r1", "r4"}) == ["r1", "r4"]


def test_a_device_with_several_parents_waits_only_for_what_all_its_ways_pass() -> None:
    index = network(heard=False).index
    assert set(index.ancestors("ap")) == {"access", "west", "east", "d0"}
    assert set(index.only_ways("ap")) == {"access", "d0"}
    assert index.below("west") == {"access", "ap"}


def test_neighbours_add_to_several_parents_and_find_where_they_meet() -> None:
    estate = Estate.model_validate(
        {
            "sites": [{"id": "hall", "name": "Town Hall"}],
            "devices": [
                {
                    "id": id,
                    "site": "hall",
                    "address": f"10.0.0.{n}",
                    "parents": list(PARENTS.get(id, ())),
                }
                for n, id in enumerate(("d0", *PARENTS), 1)
            ],
        }
    )
    graph = TopologyGraph(parents={"access": "d0"}, discovered=frozenset({"access"}))
    filled = with_parents(estate, graph)
    index = EstateIndex(filled, topology=graph)
    assert index.graph.links["access"] == {"west", "east", "ap"}
    state = AlertState(
        "device_unreachable", {"device": "access"}, "hall", "firing", 0, 0, 0
    )
    assert placeholder_values(state, None, index)["parent_name"] == "west and east"


def test_links_that_neighbours_report_serve_a_device_with_several_parents() -> None:
    links = tuple(
        Link(min(a, b), max(a, b), (("", ""),), True)
        for a, b in zip(RING, (*RING[1:], RING[0]), strict=True)
    )
    estate = Estate.model_validate(
        {
            "sites": [{"id": "hall", "name": "Town Hall"}],
            "devices": [
                {"id": id, "site": "hall", "address": f"10.0.0.{n}"}
                for n, id in enumerate(RING, 1)
            ],
        }
    )
    index = EstateIndex(estate, topology=TopologyGraph(links=links))
    assert index.graph.explain({"west"}) == {"west": ("west",)}
    assert index.graph.explain({"west", "east", "access"}) == {
        "west": ("west",),
        "east": ("east",),
        "access": ("east", "west"),
    }


TOML = """
[[sites]]
id = "hall"
name = "Town Hall"

[[devices]]
id = "core"
site = "hall"
address = "10.0.0.1"
{core}
[[devices]]
id = "access"
site = "hall"
address = "10.0.0.2"
{access}
"""


@pytest.mark.parametrize(
    ("core", "access", "message"),
    [
        (
            "",
            'parents = ["core", "coer"]',
            "'coer', but no device has that id; did you",
        ),
        ("", 'parent = "core"\nparents = ["core"]', "`parent` or `parents`, not both"),
        ('parents = ["access"]', 'parents = ["core"]', "its own ancestor"),
    ],
)
def test_wrong_parents_are_one_clear_sentence(
    core: str, access: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "estate.toml"
    path.write_text(TOML.format(core=core, access=access))
    with pytest.raises(EstateError) as wrong:
        load(path)
    assert any(message in finding for finding in wrong.value.findings), str(wrong.value)


def test_a_spreadsheet_has_several_parents_in_one_cell(tmp_path: Path) -> None:
    (tmp_path / "sites.csv").write_text("id,name\nhall,Town Hall\n")
    (tmp_path / "devices.csv").write_text(
        "id,site,address,parents\n"
        "west,hall,10.0.0.1,\neast,hall,10.0.0.2,\naccess,hall,10.0.0.3,west;east\n"
    )
    assert load(tmp_path).device("access").parents == ("west", "east")
