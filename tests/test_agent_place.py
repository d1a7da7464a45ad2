"""The place of a laptop is right or unknown."""

from pathlib import Path

import msgspec
import pytest
from laptop_interfaces import CABLE, LAPTOP

from probes.agent.beacon import (
    PlaceEvidence,
)
from probes.agent.office_networks import OfficeMatch, match_office
from probes.agent.place import KnownPlaces, decide_place
from probes.wire.policy import Office

NOWHERE = OfficeMatch()
PROVED = OfficeMatch("depot", True, "its network")


@pytest.mark.parametrize(
    ("evidence", "remembered", "office_match", "place", "site"),
    [
        (PlaceEvidence("inside", "hall"), "", NOWHERE, "office", "hall"),
        # The beacon is surer than the remembered place and than the network.
        (PlaceEvidence("inside", "hall"), "home", PROVED, "office", "hall"),
        (PlaceEvidence("silent"), "home", NOWHERE, "home", ""),
        (PlaceEvidence("silent"), "elsewhere", NOWHERE, "elsewhere", ""),
        (PlaceEvidence("tunnel"), "home", PROVED, "home", ""),
        # The line of a known office is dead: still that office.
        (PlaceEvidence("silent"), "office:hall", NOWHERE, "office", "hall"),
        (PlaceEvidence("silent"), "", PROVED, "office", "depot"),
        (PlaceEvidence("not_configured"), "", PROVED, "office", "depot"),
        (PlaceEvidence("silent"), "", OfficeMatch("", False, "doubt"), "unknown", ""),
        (PlaceEvidence("silent"), "", NOWHERE, "unknown", ""),
        (PlaceEvidence("tunnel"), "", NOWHERE, "unknown", ""),
        (PlaceEvidence("hidden"), "", NOWHERE, "unknown", ""),
        (PlaceEvidence("not_secure"), "", NOWHERE, "unknown", ""),
        (PlaceEvidence("not_supported"), "", NOWHERE, "unknown", ""),
        (PlaceEvidence("not_configured"), "", NOWHERE, "unknown", ""),
        (PlaceEvidence("no_network"), "home", PROVED, "unknown", ""),
        (PlaceEvidence("silent"), "office:", NOWHERE, "unknown", ""),
        (PlaceEvidence("silent"), "nonsense", NOWHERE, "unknown", ""),
    ],
)
def test_office_and_home_are_reported_only_if_that_is_certain(
    evidence: PlaceEvidence,
    remembered: str,
    office_match: OfficeMatch,
    place: str,
    site: str,
) -> None:
    verdict = decide_place(evidence, remembered, office_match)
    assert verdict[:2] == (place, site)
    assert verdict[2]


OFFICES = (
    Office("hall", ("10.20.0.0/16", "2a02:1234::/48", "8.8.4.0/24")),
    Office("depot", ("192.168.1.0/24", "10.20.8.0/24", "nonsense")),
)


@pytest.mark.parametrize(
    ("networks", "resolvers", "site", "proved"),
    [
        # Unique in the world.
        (("8.8.4.7/25",), (), "hall", True),
        (("2a02:1234:0:5::7/64",), (), "hall", True),
        # Private, with the council's name servers outside it.
        (("10.20.3.7/24",), ("10.20.1.10", "10.20.1.11"), "hall", True),
        # The narrowest network is the office's own.
        (("10.20.8.7/24",), ("10.20.1.10",), "depot", True),
        # A hotel numbered alike: it names itself, or a public server.
        (("10.20.3.7/24",), ("10.20.3.1",), "", False),
        (("10.20.3.7/24",), ("10.20.1.10", "8.8.8.8"), "", False),
        (("10.20.3.7/24",), (), "", False),
        # Numbered like homes: never.
        (("192.168.1.7/24",), ("10.20.1.10",), "", False),
        # Wider than the office's network: another one.
        (("10.20.3.7/8",), ("10.200.1.10",), "", False),
        (("fe80::1/64", "nonsense"), (), "", False),
        (("172.31.5.5/24",), ("10.20.1.10",), "", False),
    ],
)
def test_a_network_proves_an_office_only_if_nobody_else_can_have_it(
    networks: tuple[str, ...], resolvers: tuple[str, ...], site: str, proved: bool
) -> None:
    line = msgspec.structs.replace(CABLE, networks=networks)
    office = match_office(line, OFFICES, resolvers)
    assert (office.site, office.proved) == (site, proved)
    assert match_office(None, OFFICES, resolvers) == OfficeMatch()
    assert match_office(line, (), resolvers) == OfficeMatch()


def test_remembered_places_have_a_limit_and_survive_a_damaged_file(
    tmp_path: Path,
) -> None:
    places = KnownPlaces(tmp_path, b"key")
    for number in range(130):
        places.remember(f"n{number}", "home")
    assert places.known("n129") == "home"
    assert places.known("n0") == ""
    (tmp_path / "places.json").write_bytes(b"\xff{")
    assert places.known("n129") == ""
    places.remember("n1", "elsewhere")
    assert places.known("n1") == "elsewhere"
    router = "02:00:5e:00:53:01"
    assert places.fingerprint(None, router) == ""
    assert places.fingerprint(LAPTOP, "") == ""
    other = KnownPlaces(tmp_path, b"other").fingerprint(LAPTOP, router)
    assert places.fingerprint(LAPTOP, router) not in {"", other}
