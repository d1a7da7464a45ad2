"""Rows of a spreadsheet become estate entries."""

from __future__ import annotations

import tempfile
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.estate import Estate
from collectors.importing import spreadsheet
from collectors.importing.imported import as_toml, merge
from collectors.importing.rest_client import SourceError

HERE = Estate.model_validate(
    {
        "sites": [{"id": "hall", "name": "Town Hall", "subnets": ["10.1.0.0/24"]}],
        "devices": [
            {"id": "core", "site": "hall", "address": "10.1.0.1", "role": "router"}
        ],
    }
)


def from_csv(tmp_path: Path, text: str | bytes, **more: Any) -> Any:
    file = tmp_path / "list.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return spreadsheet.to_estate(
        spreadsheet.read_rows(file), file, more.pop("estate", HERE), **more
    )


def test_columns_may_have_the_names_that_people_use(tmp_path: Path) -> None:
    imported = from_csv(
        tmp_path,
        "Host Name;Mgmt IP;Building;Device Type;Uplink Device;Notes\n"
        "HALL-SW-9;10.1.0.9/24;town hall;Access switch;core;whatever\n"
        "HALL-AP-1;10.1.0.10;hall;Access Point;HALL-SW-9;\n",
    )
    assert imported.remarks == []
    assert imported.devices == [
        {
            "id": "hall-sw-9",
            "name": "HALL-SW-9",
            "site": "hall",
            "address": "10.1.0.9",
            "port": None,
            "role": "switch",
            "credentials": None,
            "parent": "core",
        },
        {
            "id": "hall-ap-1",
            "name": "HALL-AP-1",
            "site": "hall",
            "address": "10.1.0.10",
            "port": None,
            "role": "access_point",
            "credentials": None,
            "parent": "hall-sw-9",
        },
    ]


def test_each_bad_row_is_reported_with_its_line(tmp_path: Path) -> None:
    imported = from_csv(
        tmp_path,
        "name,ip,site,parent,port\n"
        "a,10.1.0.300,hall,,\n"
        "b,10.1.0.2,Town Hal,,\n"
        "c,10.1.0.3,hall,cor,\n"
        "d,10.1.0.4,hall,d,\n"
        "e,10.1.0.5,hall,,99999\n",
    )
    file = tmp_path / "list.csv"
    assert imported.remarks == [
        f"{file}:2: '10.1.0.300' is not an IP address such as 10.1.2.3",
        f"{file}:3: no site is called 'Town Hal'; did you mean 'town hall'?; "
        "--new-sites creates sites for unknown names",
        f"{file}:6: port '99999' is not within 1 to 65535",
        f"{file}:4: no device is called 'cor'; did you mean 'core'?",
        f"{file}:5: 'd' cannot be its own parent",
    ]
    assert [e["id"] for e in imported.devices] == ["c", "d"]
    assert [e["id"] for _, e in imported.incomplete] == ["b"]


def test_sites_have_coordinates_if_they_are_a_place_on_earth(tmp_path: Path) -> None:
    imported = from_csv(
        tmp_path,
        "Site,Lat,Long\n"
        "Yard,52.6579,-1.0981\n"
        "Pier,95.0,-1.1\n"
        "Mill,north of the river,\n"
        "Quay,0,0\n"
        "Hall,52.6386,-1.1317\n",
    )
    entries = {entry["id"]: entry for entry in imported.sites}
    assert (entries["yard"]["latitude"], entries["yard"]["longitude"]) == (
        52.6579,
        -1.0981,
    )
    assert ["latitude" in entries[id] for id in ("pier", "mill", "quay")] == [False] * 3
    assert sum("coordinates are left out" in text for text in imported.remarks) == 3
    # The estate has the site without coordinates, and is never changed.
    assert merge(imported, HERE, "the list").differences == [
        "site hall: it has no coordinates, the list has latitude = 52.6386, "
        "longitude = -1.1317"
    ]


def test_sites_have_names_and_networks_and_secrets_are_left_out(tmp_path: Path) -> None:
    imported = from_csv(
        tmp_path,
        "Location,Networks,IP,Community\n"
        'Yard,"10.4.0.0/24; 10.5.0.1/24",,\n'
        "Library,,10.6.0.1,hush\n",
        new_sites=True,
    )
    assert imported.sites == [
        {"id": "yard", "name": "Yard", "subnets": ["10.4.0.0/24", "10.5.0.0/24"]},
        {"id": "library", "name": "Library"},
    ]
    assert imported.devices[0]["site"] == "library"
    assert "secrets do not belong in the estate" in imported.remarks[0]
    assert "hush" not in as_toml(imported) + " ".join(imported.remarks)


@pytest.mark.parametrize(
    "raw",
    [
        "\ufeffname,ip,site\nBâtiment,10.1.0.9,hall\n".encode(),
        "name,ip,site\nBâtiment,10.1.0.9,hall\n".encode("cp1252"),
        "name\tip\tsite\nBâtiment\t10.1.0.9\thall\n".encode("utf-16"),
    ],
)
def test_the_encodings_that_spreadsheets_write_are_read(
    raw: bytes, tmp_path: Path
) -> None:
    assert from_csv(tmp_path, raw).devices[0]["name"] == "Bâtiment"


def test_a_file_without_a_known_column_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="none of its columns"):
        from_csv(tmp_path, "colour,weight\nred,4\n")
    with pytest.raises(SourceError, match="cannot be read"):
        spreadsheet.read_rows(tmp_path / "nothing.csv")


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "x.csv")
        file.write_bytes(b"name,ip,site\n" + raw)
        try:
            imported = spreadsheet.to_estate(spreadsheet.read_rows(file), file, HERE)
        except SourceError:
            return
    tomllib.loads(as_toml(imported))


def test_sites_keep_the_district_and_the_kind_of_their_row(tmp_path: Path) -> None:
    imported = from_csv(
        tmp_path,
        "Site,Ward,Site type\n" + f"Yard,North,{'Depot' * 30}\n" + "Quay,,\n",
    )
    entries = {entry["id"]: entry for entry in imported.sites}
    assert entries["yard"]["district"] == "North"
    assert entries["yard"]["kind"] == ("Depot" * 30)[:60]
    assert {"district", "kind"}.isdisjoint(entries["quay"])
