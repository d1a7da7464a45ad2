"""NetBox's sites, devices and circuits become estate entries, over real HTTP."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import api_doubles
import pytest
from hypothesis import given, settings
from netbox_answers import HALL, V3, read_netbox, v4
from odd_objects import objects

from collectors.estate import load
from collectors.importing import netbox
from collectors.importing.imported import as_toml


@pytest.mark.parametrize(
    ("lists", "token"), [(V3, "secret"), (v4(), "nbt_secret")], ids=["v3", "v4"]
)
async def test_netbox_becomes_an_estate(
    lists: dict[str, list[Any]], token: str, tmp_path: Path
) -> None:
    data = await read_netbox(api_doubles.netbox(lists, token), token)
    imported = netbox.to_estate(data, {"server": "skip"})
    (tmp_path / "estate.toml").write_text(as_toml(imported), encoding="utf-8")
    estate = load(tmp_path)
    assert [(s.id, s.name) for s in estate.sites] == [
        ("town-hall", "Town Hall"),
        ("depot", "Dépôt ☃"),
    ]
    hall = estate.site("town-hall")
    assert [str(n) for n in hall.subnets] == ["10.1.0.0/16"]
    assert (hall.latitude, hall.longitude) == (52.6386, -1.1317)
    assert (hall.district, hall.kind) == ("Town centre", "Offices")
    assert estate.site("depot").latitude is None
    assert estate.site("depot").district == ""
    assert [(d.id, str(d.address), d.role) for d in estate.devices] == [
        ("th-sw1", "10.1.0.1", "switch"),
        ("th-rtr", "10.1.0.2", "router"),
        ("stack", "10.1.0.6", "switch"),
    ]
    (line,) = estate.lines
    assert (line.supplier, line.circuit_ref) == ("Example Telecom", "WB-0047")
    assert (line.down_mbps, line.up_mbps) == (80, 20)
    assert (line.site, line.device, line.port) == ("town-hall", "th-rtr", "Gi0/1")
    assert str(line.contract_end) == "2027-03-31"
    (section, wanting) = imported.incomplete[0]
    assert (section, wanting["circuit_ref"]) == ("lines", "WB-0048")
    (note,) = imported.notes["lines", wanting["id"]]
    assert "does not give its device, port" in note
    remarks = "\n".join(imported.remarks)
    for sentence in (
        "site Old Mill is retired",
        "th-sw2 is planned",
        "Catalyst (4) has no primary address",
        "mill-sw is at a site that is not imported",
        "circuit OLD is decommissioning",
    ):
        assert sentence in remarks
    assert imported.notes["devices", "stack"] == ["a virtual chassis of 2"]


def test_a_token_of_version_4_5_is_a_bearer() -> None:
    assert netbox.headers("nbt_abc.def") == {"Authorization": "Bearer nbt_abc.def"}
    assert netbox.headers("abc") == {"Authorization": "Token abc"}


async def test_a_cable_through_a_patch_panel_is_followed() -> None:
    panel = {"id": 50, "name": "R1", "device": {"id": 90, "name": "panel"}}
    router = {"id": 4, "name": "Gi0/2", "device": {"id": 2, "name": "th-rtr"}}
    end = {
        "id": 2,
        "circuit": {"id": 2},
        "term_side": "A",
        "site": {"id": 1},
        "port_speed": 1_000_000,
        "cable": {"id": 100},
        "link_peers": [panel],
        "link_peers_type": "dcim.rearport",
    }
    path = {"id": 1, "path": [[{"id": 2}], [{"id": 100}], [panel], [router]]}
    inner = api_doubles.netbox({**V3, "/api/circuits/circuit-terminations/": [end]})

    def answer(asked: str, query: Any) -> api_doubles.Answer | None:
        if asked == "/api/circuits/circuit-terminations/2/paths/":
            return 200, [path]
        return inner.answer(asked, query)

    double = api_doubles.ApiDouble(answer, ("Authorization", "Token secret"), {})
    imported = netbox.to_estate(await read_netbox(double))
    inner.close()
    (line,) = imported.lines
    assert (line["device"], line["port"]) == ("th-rtr", "Gi0/2")


async def test_a_token_that_may_not_see_circuits_still_brings_devices() -> None:
    lists = {k: v for k, v in V3.items() if "circuit" not in k and "chassis" not in k}
    data = await read_netbox(api_doubles.netbox(lists))
    assert len(data.devices) == 8
    assert data.circuits == []


@given(objects, objects, objects, objects, objects)
@settings(max_examples=50, deadline=None)
def test_odd_answers_of_netbox_are_read_without_harm(
    sites: Any, prefixes: Any, devices: Any, circuits: Any, terminations: Any
) -> None:
    some = netbox.NetBoxData(
        [HALL, *sites], prefixes, devices, [], circuits, terminations
    )
    imported = netbox.to_estate(some)
    tomllib.loads(as_toml(imported))
