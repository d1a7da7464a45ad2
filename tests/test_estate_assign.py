"""Sites are assigned by the estate's rules; entries are written as it reads them."""

from __future__ import annotations

import csv
import io
import random
import tomllib
from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.estate import EstateError, Site, load, warnings
from collectors.estate.estate_text import (
    comma_separated,
    id_from_name,
    toml,
    unique_ids,
)
from collectors.estate.site_assignment import assign


def site(id: str, **rules: object) -> Site:
    return Site.model_validate({"id": id, "name": id, **rules})


HALL = site("hall", subnets=["10.1.0.0/16", "fd00:1::/32"], names=["^th-"])
LIBRARY = site("library", subnets=["10.1.7.0/24"], locations=[r"\blibrary\b"])
SITES = [HALL, LIBRARY]


@pytest.mark.parametrize(
    ("address", "location", "name", "expected"),
    [
        ("10.1.2.3", "", "", "hall"),
        ("10.1.7.9", "", "", "library"),
        ("fd00:1::7", "", "", "hall"),
        ("10.9.0.1", "Central Library, 2nd floor", "", "library"),
        ("10.9.0.1", "", "TH-core-1", "hall"),
        # sysLocation is written with care more often than names are.
        ("10.9.0.1", "the library", "th-1", "library"),
        ("10.9.0.1", "Librarynth", "sw-1", None),
    ],
)
def test_the_most_specific_subnet_then_location_then_name(
    address: str, location: str, name: str, expected: str | None
) -> None:
    assert assign(SITES, ip_address(address), location, name).site == expected


def test_rules_that_match_several_sites_assign_none_and_name_them() -> None:
    sites = [site("a", subnets=["10.0.0.0/24"]), site("b", subnets=["10.0.0.0/24"])]
    assigned = assign(sites, ip_address("10.0.0.1"))
    assert assigned.site is None
    assert assigned.why == "the subnet of 10.0.0.1 matches several sites: a, b"


ESTATE = """
[[sites]]
id = "hall"
name = "Town Hall"
subnets = ["10.1.0.0/16"]
names = ["^th-"]

[[sites]]
id = "depot"
name = "Depot"
subnets = ["10.2.0.0/16"]

[[devices]]
id = "th-core"
address = "192.0.2.1"

[[devices]]
id = "yard"
address = "10.2.0.1"

[[devices]]
id = "lent"
site = "hall"
address = "10.2.0.2"
"""


def test_a_device_without_a_site_gets_it_by_the_rules(tmp_path: Path) -> None:
    (tmp_path / "estate.toml").write_text(ESTATE)
    estate = load(tmp_path)
    assert {d.id: d.site for d in estate.devices} == {
        "th-core": "hall",
        "yard": "depot",
        "lent": "hall",
    }
    (warning,) = (text for text in warnings(estate) if "lent" in text)
    assert (
        "has site hall, but its subnet of 10.2.0.2 (10.2.0.0/16) is of depot" in warning
    )


def test_a_device_that_no_rule_matches_is_reported_with_the_reason(
    tmp_path: Path,
) -> None:
    (tmp_path / "estate.toml").write_text(
        ESTATE + '[[devices]]\nid = "lost"\naddress = "192.0.2.9"\n'
    )
    with pytest.raises(EstateError) as error:
        load(tmp_path)
    (finding,) = error.value.findings
    assert "devices[4].site is missing: 192.0.2.9 is in no site's subnets" in finding


def test_an_invalid_regular_expression_is_refused(tmp_path: Path) -> None:
    (tmp_path / "estate.toml").write_text(
        '[[sites]]\nid = "a"\nname = "A"\nlocations = ["(library"]\n'
    )
    with pytest.raises(EstateError, match="is not a regular expression"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("name", "id"),
    [
        ("SW-Core-1.example.gov.uk", "sw-core-1"),
        ("Bâtiment 3/étage", "batiment-3-etage"),
        ("10.1.2.3", "10.1.2.3"),
        ("__x__", "x"),
        ("日本", ""),
        ("2960_lab", "2960_lab"),
    ],
)
def test_a_name_becomes_an_id(name: str, id: str) -> None:
    assert id_from_name(name) == id


names = st.lists(
    st.tuples(
        st.one_of(st.sampled_from(["sw", "SW.a.uk", "sw.b.uk", ""]), st.text()),
        st.ip_addresses(v=4).map(str),
    ),
    max_size=12,
    unique_by=lambda pair: pair[1],
)


@given(names, st.sets(st.sampled_from(["sw", "sw-10-0-0-1"])), st.randoms())
def test_ids_are_unique_valid_and_the_same_in_any_order(
    wanted: list[tuple[str, str]], taken: set[str], dice: random.Random
) -> None:
    ids = unique_ids(wanted, taken)
    assert len(set(ids)) == len(ids)
    assert not taken & set(ids)
    for id in ids:
        Site.model_validate({"id": id, "name": "x"})
    shuffled = list(wanted)
    dice.shuffle(shuffled)
    if all(name in ("sw", "SW.a.uk", "sw.b.uk", "") for name, _ in wanted):
        again = dict(zip(shuffled, unique_ids(shuffled, taken), strict=True))
        assert again == dict(zip(wanted, ids, strict=True))


texts = st.text(max_size=30)


@given(
    st.lists(st.dictionaries(st.sampled_from(["id", "name", "x"]), texts), max_size=5)
)
def test_what_is_written_as_toml_reads_back(entries: list[dict[str, str]]) -> None:
    text = toml("devices", entries, {"": ["never\nseen"]})
    read = tomllib.loads(text).get("devices", [])
    written = [{k: v for k, v in entry.items() if v} for entry in entries]
    cleaned = [
        {
            k: v.encode("utf-8", "replace").decode().replace("\x7f", " ")
            for k, v in e.items()
        }
        for e in written
    ]
    assert read == cleaned


def test_a_name_that_looks_like_a_formula_is_text_in_a_spreadsheet() -> None:
    text = comma_separated(
        [{"id": "-2+3", "name": "=cmd()", "uplink_ports": ["Gi1", "Gi2"], "lat": -1.5}],
        ["id", "name", "uplink_ports", "lat"],
    )
    (row,) = csv.DictReader(io.StringIO(text))
    assert (row["id"], row["name"]) == (" -2+3", " =cmd()")
    assert (row["uplink_ports"], row["lat"]) == ("Gi1;Gi2", "-1.5")
