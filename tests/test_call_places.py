"""Where an end of a call was, by subnet only."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest

from collectors.calls.building_file import BuildingsRefused, read_buildings
from collectors.calls.call_places import CallLocator, buildings_without_site
from collectors.calls.call_record import CallPlace, EndAddresses
from collectors.estate import Site

HALL = Site(
    id="town-hall",
    name="Town Hall",
    subnets=(ip_network("10.1.0.0/16"), ip_network("2001:db8:1::/48")),
)
DEPOT = Site(id="depot", name="Depot", subnets=(ip_network("10.1.9.0/24"),))
LIBRARY = Site(id="library", name="Central Library")
SITES = (HALL, DEPOT, LIBRARY)
EGRESS = ip_network("198.51.100.0/24")


def at(address: str, reflexive: str = "", connection: str = "wired") -> EndAddresses:
    return EndAddresses(address, "", reflexive, connection)


def test_the_most_specific_subnet_decides() -> None:
    locate = CallLocator(SITES)
    assert locate(at("10.1.2.3")).site == "town-hall"
    assert locate(at("10.1.9.3")).site == "depot"
    assert locate(at("2001:db8:1::5")).site == "town-hall"
    assert locate(at("::ffff:10.1.9.3")).site == "depot"


def test_a_home_with_an_offices_subnet_is_outside_if_the_egress_is_known() -> None:
    locate = CallLocator(
        SITES, egress=(EGRESS,), provider_of=lambda _: "Example Telecom"
    )
    assert locate(at("10.1.2.3", "198.51.100.7")).place == "inside"
    home = locate(at("10.1.2.3", "81.2.69.142"))
    assert (home.place, home.site, home.provider) == ("outside", "", "Example Telecom")
    assert locate(at("10.1.2.3")).place == "inside"


def test_a_tunnel_or_a_vpn_subnet_is_a_vpn_with_its_gateway() -> None:
    gateways = {"gw-1": [ip_network("198.51.100.9/32")]}
    vpn = (ip_network("10.1.200.0/24"),)
    locate = CallLocator(SITES, vpn=vpn, gateways=gateways)
    for end in (
        at("10.1.200.5", "198.51.100.9"),
        at("192.168.1.2", "198.51.100.9", "tunnel"),
    ):
        place = locate(end)
        assert (place.place, place.site, place.vpn, place.gateway) == (
            "outside",
            "",
            "up",
            "gw-1",
        )


def test_without_addresses_only_the_connection_is_known() -> None:
    locate = CallLocator(SITES)
    assert locate(at("", connection="wifi")) == CallPlace(connection="wifi")
    assert locate(at("not an address")) == CallPlace(connection="wired")


ROWS = (
    "10.2.0.0\tLibrary LAN\t24\tCentral Library\t\t\t\tExample\t\tUK\t\t\t1\t0\t0\n"
    "10.3.0.0\tVPN\t32\tVPN\t\t\t\t\t\t\t\t\t1\t0\t1\n"
    "10.4.0.0\tGuests\t24\tCafe\t\t\t\t\t\t\t\t\t0\t0\n"
    "10.5.0.0\tDepot 2\t24\tNew Depot\t\t\t\t\t\t\t\t\t1\t0\n"
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_the_building_file_of_microsofts_dashboard_is_read(
    tmp_path: Path, encoding: str
) -> None:
    file = tmp_path / "buildings.tsv"
    file.write_bytes(ROWS.encode(encoding))
    buildings = read_buildings(file)
    locate = CallLocator(SITES, buildings)
    assert locate(at("10.2.0.9")).site == "library"
    assert locate(at("10.3.0.0")).vpn == "up"
    assert locate(at("10.4.0.9")).place == "outside"
    unknown = locate(at("10.5.0.9"))
    assert (unknown.place, unknown.site) == ("inside", "")
    assert buildings_without_site(buildings, SITES) == ["New Depot"]


def test_a_line_that_names_no_network_is_named(tmp_path: Path) -> None:
    file = tmp_path / "buildings.tsv"
    file.write_text(ROWS + "10.6.0.0\tX\t99\tHall\n")
    with pytest.raises(BuildingsRefused, match=r"buildings\.tsv:5: expected a network"):
        read_buildings(file)
    with pytest.raises(BuildingsRefused, match="cannot be read"):
        read_buildings(tmp_path / "none.tsv")


def test_a_building_file_is_read_with_headings_words_and_quoted_commas(
    tmp_path: Path,
) -> None:
    file = tmp_path / "buildings.csv"
    file.write_text(
        "\nNETWORK,Network Name,network range,Building Name,Inside Corp,VPN,Later\n"
        '2001:db8:1::,x,48,"Depot, Road, Town",yes,False,\n'
        "10.6.0.0,x,16,All,TRUE,0,\n10.6.1.0,x,24,Part,False,0,x\n"
    )
    buildings = read_buildings(file)
    assert [one.name for one in buildings] == ["Depot, Road, Town", "All", "Part"]
    assert [one.is_inside for one in buildings] == [True, True, False]
    locate = CallLocator(SITES, buildings)
    assert locate(at("2001:db8:1:2::3")).place == "inside"
    assert (locate(at("10.6.2.1")).place, locate(at("10.6.1.1")).place) == (
        "inside",
        "outside",
    )


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("10.6.0.0\tx\t\tHall", "1: expected a network such as"),
        ("10.6.0.0\tx\t24\tHall" + "\t" * 9 + "perhaps", "1: expected 1 or 0"),
        ('10.6.0.0\tx\t99\t"Hall, Road, Town, Shire"', "third column"),
    ],
)
def test_a_building_without_range_or_with_an_unknown_flag_is_refused(
    tmp_path: Path, line: str, sentence: str
) -> None:
    file = tmp_path / "buildings.tsv"
    file.write_text(line + "\n")
    with pytest.raises(BuildingsRefused, match=sentence):
        read_buildings(file)
