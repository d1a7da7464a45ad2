"""An import is merged with the estate without changing the estate."""

from __future__ import annotations

import api_doubles
import pytest
from netbox_answers import V3, read_netbox

from collectors.estate import Estate
from collectors.importing import netbox
from collectors.importing.imported import as_diff, map_role, merge, summary

HERE = Estate.model_validate(
    {
        "sites": [{"id": "hall", "name": "Town Hall", "subnets": ["10.1.0.0/24"]}],
        "devices": [
            {"id": "core", "site": "hall", "address": "10.1.0.1", "role": "router"},
            {"id": "gone", "site": "hall", "address": "10.1.0.99"},
        ],
        "lines": [
            {
                "id": "wan",
                "site": "hall",
                "circuit_ref": "WB-0047",
                "supplier": "Example Telecom",
                "down_mbps": 40,
                "up_mbps": 20,
                "device": "core",
                "port": "Gi1",
            }
        ],
    }
)


async def test_the_estates_values_are_kept_and_only_new_entries_are_written() -> None:
    imported = netbox.to_estate(
        await read_netbox(api_doubles.netbox(V3)), {"server": "skip"}
    )
    merged = merge(imported, HERE, "NetBox")
    assert [e["id"] for e in merged.new.devices] == ["th-rtr", "stack"]
    # NetBox's id of the site differs; its name is the same.
    assert {e["site"] for e in merged.new.devices} == {"hall"}
    assert [e["id"] for e in merged.new.sites] == ["depot"]
    assert merged.new.lines == []
    assert "core: role 'router', NetBox has 'switch'" in merged.differences
    assert "site hall: it has no subnet 10.1.0.0/16" in merged.differences
    assert "line wan: down_mbps 40.0, not 80" in merged.differences
    assert merged.missing == ["gone"]
    diff = as_diff(merged)
    assert "+ device th-rtr at 10.1.0.2, site hall" in diff
    assert "~ core: role" in diff
    assert "- device gone" in diff
    assert "4 differ" in " ".join(summary(merged, "NetBox"))


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("access-switch", "switch"),
        ("Core", "switch"),
        ("edge-router", "router"),
        ("firewall", "firewall"),
        ("wireless-ap", "access_point"),
        ("Access Point", "access_point"),
        ("wireless-controller", "controller"),
        ("ups", "ups"),
        ("printer", "other"),
        ("server", "skip"),
    ],
)
def test_role_names_of_other_systems_are_understood_or_mapped(
    theirs: str, ours: str
) -> None:
    assert map_role(theirs, {"server": "skip"}) == ours
