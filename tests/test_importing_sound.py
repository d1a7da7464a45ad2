"""Whatever an import brings, the estate that it makes passes `towpath check`."""

from __future__ import annotations

import asyncio
import json
import tomllib
from pathlib import Path
from typing import Any

import api_doubles
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from towpath_command import towpath

from collectors.estate import Estate, load
from collectors.estate.estate_loader import build
from collectors.importing import librenms, netbox
from collectors.importing.imported import as_toml, merge
from collectors.snmp import Credentials
from towpath.check import check_config
from towpath.config import read

EMPTY = Estate()
CASES = Path(__file__).parents[2] / "shared" / "cases" / "imports"


def passes_check(folder: Path, text: str) -> None:
    """`towpath check` accepts an estate of that text."""
    (folder / "estate.toml").write_text(text, encoding="utf-8")
    (folder / "snmp.toml").write_text(f'[default]\ncommunity = "{"x" * 12}"\n')
    (folder / "snmp.toml").chmod(0o600)
    (folder / "towpath.toml").write_text(
        f'council = "Example"\nstate = "{folder}/state"\nestate = "estate.toml"\n'
        '[snmp]\ncredentials_file = "snmp.toml"\n'
    )
    assert check_config(read(folder / "towpath.toml")).problems == []


def recorded(name: str) -> Any:
    if not (CASES / name).exists():
        pytest.skip(f"no ../shared/cases/imports/{name} beside this checkout")
    return json.loads((CASES / name).read_text())


@pytest.mark.corpus
async def test_recorded_imports_pass_the_check(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("secret\n")
    answers = recorded("librenms.json")
    short = {path.removeprefix("/api/v0"): body for path, body in answers.items()}
    for kind, double in (
        ("librenms", api_doubles.librenms(short)),
        ("netbox", api_doubles.netbox(recorded("netbox-4.2.json"))),
    ):
        with double as server:
            ended = await asyncio.to_thread(
                towpath,
                *("import", kind, "--url", server.url, "--token-file", str(token)),
            )
        assert ended.returncode == 0, ended.stderr
        await asyncio.to_thread(passes_check, tmp_path, ended.stdout)


def device(number: int, **more: Any) -> dict[str, Any]:
    return {
        "device_id": number,
        "hostname": f"sw-{number}",
        "ip": f"10.1.0.{number}",
        "community": "council",
        "location": "Depot",
        **more,
    }


def import_from_librenms(devices: list[dict[str, Any]], estate: Estate = EMPTY) -> str:
    data = librenms.LibreNmsData(devices, [])
    imported, fresh = librenms.to_estate(data, estate, Credentials({}))
    librenms.drop_credentials(imported, fresh)
    return as_toml(merge(imported, estate, "LibreNMS").new)


def test_a_parent_that_is_left_out_is_a_comment(tmp_path: Path) -> None:
    text = import_from_librenms(
        [
            device(1, location=None),
            device(2, dependency_parent_hostname="sw-1"),
            device(3, dependency_parent_hostname="sw-2"),
            device(4, dependency_parent_hostname="sw-4.gone"),
        ]
    )
    passes_check(tmp_path, text)
    devices = {d.id: d for d in load(tmp_path / "estate.toml").devices}
    assert {id: d.parent for id, d in devices.items()} == {
        "sw-2": None,
        "sw-3": "sw-2",
        "sw-4": None,
    }
    assert "# parent is 'sw-1', but no device has that id" in text
    assert "parent is 'sw-4.gone', but no device has that id" in text


def test_devices_that_are_each_others_parent_lose_their_parents(tmp_path: Path) -> None:
    text = import_from_librenms(
        [
            device(1, dependency_parent_hostname="sw-2"),
            device(2, dependency_parent_hostname="sw-1"),
            device(3, dependency_parent_hostname="sw-1"),
        ]
    )
    passes_check(tmp_path, text)
    parents = {d.id: d.parent for d in load(tmp_path / "estate.toml").devices}
    assert parents == {"sw-1": None, "sw-2": None, "sw-3": "sw-1"}


def test_the_same_address_twice_is_a_device_and_a_comment(tmp_path: Path) -> None:
    text = import_from_librenms(
        [device(1), device(2, ip="10.1.0.1"), device(3, ip="10.1.0.1", port="1161")]
    )
    passes_check(tmp_path, text)
    devices = load(tmp_path / "estate.toml").devices
    assert {(d.id, str(d.address), d.port) for d in devices} == {
        ("sw-1", "10.1.0.1", 161),
        ("sw-3", "10.1.0.1", 1161),
    }
    assert "# address 10.1.0.1 port 161 is also that of 'sw-1'" in text
    assert '# id = "sw-2"' in text


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.builds(
            device,
            st.integers(1, 5),
            hostname=st.sampled_from(["a", "b", "10.1.0.9", "c.example", ""]),
            port=st.sampled_from([161, "161", "1161", 0, -1, 70000, "x", None, True]),
            location=st.sampled_from(["Depot", "", None, "a\nb", '"', "#"]),
            dependency_parent_hostname=st.sampled_from(["a", "b", "a,b", "zz", None]),
            disabled=st.sampled_from([0, "0", 1]),
            snmp_disable=st.sampled_from([0, "1"]),
        ),
        max_size=6,
    )
)
def test_odd_devices_of_librenms_become_an_estate_that_loads(
    devices: list[dict[str, Any]],
) -> None:
    estate, problems = build(tomllib.loads(import_from_librenms(devices)))
    assert estate is not None, problems
    again = import_from_librenms(devices, estate)
    assert "[[devices]]" not in again.replace("# [[devices]]", "")


def test_a_scope_that_is_a_location_counts_for_its_site(tmp_path: Path) -> None:
    site = {"id": 2, "name": "School", "slug": "school"}
    data = netbox.NetBoxData(
        sites=[site],
        locations=[{"id": 7, "name": "Comms room", "site": {"id": 2}}],
        prefixes=[
            {
                "prefix": "10.2.0.0/24",
                "scope_type": "dcim.location",
                "scope_id": 7,
                "scope": {"id": 7},
            },
            {"prefix": "10.3.0.0/24", "scope_type": "dcim.region", "scope_id": 2},
            {"prefix": "10.4.0.0/24", "scope_type": "dcim.location", "scope_id": 8},
        ],
        circuits=[{"id": 1, "cid": "WB-2", "provider": {"name": "BT"}}],
        terminations=[
            {
                "id": 3,
                "circuit": {"id": 1},
                "term_side": "Z",
                "termination_type": "dcim.location",
                "termination_id": 7,
                "port_speed": 500_000,
            }
        ],
    )
    imported = netbox.to_estate(data)
    assert imported.sites[0]["subnets"] == ["10.2.0.0/24"]
    ((section, line),) = imported.incomplete
    assert (section, line["site"], line["down_mbps"]) == ("lines", "school", 500)
    text = as_toml(merge(imported, EMPTY, "NetBox").new)
    passes_check(tmp_path, text)
    assert "# prefix 10.3.0.0/24 belongs to a region, not to a site" in text
    assert "10.4.0.0/24" in text
