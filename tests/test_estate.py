"""The estate is read from TOML or CSV, checked, and reloaded on change."""

import contextlib
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from waiting import until

from collectors.estate import EstateError, EstateFile, load, warnings

GOOD = """
[[sites]]
id = "hall"
name = "Town Hall"
subnets = ["10.1.0.0/16"]

[[devices]]
id = "core-1"
site = "hall"
address = "10.1.0.2"
role = "switch"

[[devices]]
id = "access-1"
site = "hall"
address = "10.1.0.3"
parent = "core-1"

[[lines]]
id = "hall-wan"
site = "hall"
supplier = "Example Telecom"
down_mbps = 1000
up_mbps = 1000
device = "core-1"
port = "Gi1/0/48"
contract_end = 2027-03-31
"""


def findings(tmp_path: Path, text: str) -> list[str]:
    file = tmp_path / "estate.toml"
    file.write_text(text)
    with pytest.raises(EstateError) as error:
        load(file)
    return error.value.findings


def test_a_valid_file_becomes_a_model(tmp_path: Path) -> None:
    file = tmp_path / "estate.toml"
    file.write_text(GOOD)
    estate = load(file)
    assert [d.id for d in estate.ancestors("access-1")] == ["core-1"]
    line = estate.line_at("core-1", "Gi1/0/48")
    assert line is not None
    assert line.id == "hall-wan"


@pytest.mark.parametrize(
    ("wrong", "right", "sentence"),
    [
        (
            "10.1.0.3",
            "10.1.0.300",
            "devices[2].address is '10.1.0.300', expected an IP",
        ),
        (
            "parent =",
            "parnet =",
            "devices[2].parnet unknown key; did you mean 'parent'",
        ),
        (
            '"core-1"\n\n',
            '"coer-1"\n\n',
            "no device has that id; did you mean 'core-1'",
        ),
        ("down_mbps = 1000", "", "lines[1].down_mbps is missing"),
        ("down_mbps = 1000", "down_mbps = inf", "is inf, expected a finite number"),
        ('role = "switch"', 'role = "swich"', "did you mean 'switch'"),
        ('id = "access-1"', 'id = "core-1"', "'core-1' is used twice"),
        ("[[lines]]", "[[line]]", "unknown section 'line'"),
        ("10.1.0.3", "10.1.0.2", "10.1.0.2 port 161 is also that of 'core-1'"),
        ('parent = "core-1"', 'parent = "access-1"', "its own ancestor"),
        ("10.1.0.0/16", "10.1.0.1/16", "expected an IP network"),
        ('id = "access-1"', 'id = "Access 1"', "expected an id of small letters"),
    ],
)
def test_a_wrong_line_gets_one_sentence_with_file_and_line(
    tmp_path: Path, wrong: str, right: str, sentence: str
) -> None:
    assert wrong in GOOD
    problems = findings(tmp_path, GOOD.replace(wrong, right))
    assert any(sentence in problem for problem in problems), problems
    assert all("estate.toml:" in problem for problem in problems), problems


def test_a_finding_names_the_line_of_its_entry(tmp_path: Path) -> None:
    (finding,) = findings(tmp_path, GOOD.replace("10.1.0.3", "nowhere"))
    line = GOOD.splitlines().index('id = "access-1"')
    assert f"estate.toml:{line}:" in finding


def test_text_that_is_not_toml_is_reported_with_its_line(tmp_path: Path) -> None:
    (finding,) = findings(tmp_path, '[[sites]]\nid = "hall\n')
    assert "not valid TOML" in finding
    assert "line 2" in finding


def test_a_folder_of_csv_files_from_a_spreadsheet_works(tmp_path: Path) -> None:
    (tmp_path / "sites.csv").write_text(
        "\ufeffid,name,subnets,hours.opens\n"
        "hall,Town Hall,10.1.0.0/16;10.2.0.0/16,09:00\n"
    )
    (tmp_path / "devices.csv").write_text(
        "id,site,address,role,parent\ncore-1,hall,10.1.0.2,switch,\n"
    )
    estate = load(tmp_path)
    assert len(estate.site("hall").subnets) == 2
    assert estate.site("hall").hours.opens == "09:00"
    assert estate.device("core-1").parent is None


def test_a_bad_row_of_a_csv_file_is_named_by_its_line(tmp_path: Path) -> None:
    (tmp_path / "sites.csv").write_text("id,name\nhall,Town Hall\n")
    (tmp_path / "devices.csv").write_text(
        "id,site,address\na,hall,10.0.0.1\nb,hall,10.0.0.999\n"
    )
    with pytest.raises(EstateError) as error:
        load(tmp_path)
    (finding,) = error.value.findings
    assert "devices.csv:3" in finding
    assert "devices[2].address is '10.0.0.999'" in finding


def test_a_council_subnet_that_is_common_at_home_gives_a_warning(
    tmp_path: Path,
) -> None:
    file = tmp_path / "estate.toml"
    file.write_text(GOOD.replace("10.1.0.0/16", "192.168.1.0/24"))
    assert any("common in homes" in warning for warning in warnings(load(file)))


@given(st.text(max_size=300))
def test_any_text_gives_an_estate_or_findings(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "estate.toml"
        file.write_text(GOOD[:200] + text, encoding="utf-8", errors="replace")
        with contextlib.suppress(EstateError):
            assert load(file)


async def test_a_change_is_loaded_and_an_invalid_file_keeps_the_last_estate(
    tmp_path: Path,
) -> None:
    file = tmp_path / "estate.toml"
    file.write_text(GOOD)
    async with EstateFile(file, every_s=0.02) as estate:
        file.write_text(GOOD.replace("Town Hall", "City Hall"))
        await until(lambda: estate.current.site("hall").name == "City Hall")
        file.write_text("[[sites]]\nid = 3\n")
        await until(lambda: estate.findings)
        assert estate.current.site("hall").name == "City Hall"
        file.write_text(GOOD)
        await until(lambda: not estate.findings)
        assert estate.current.site("hall").name == "Town Hall"


ROOM = """
[[rooms]]
id = "chamber"
site = "hall"
ports = ["access-1 Gi1/0/12"]
"""


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (
            '"acess-1 Gi1/0/12"',
            "rooms[1].ports names 'acess-1', but no device has that id; did you mean "
            "'access-1'?",
        ),
        (
            '"Gi1/0/12"',
            "expected a device's id, a space and its port, such as 'sw-2 Gi1/0/12'",
        ),
        ("", "expected `ports` or `devices`, which the room needs"),
    ],
)
def test_a_room_names_devices_of_the_estate(
    tmp_path: Path, wrong: str, sentence: str
) -> None:
    text = GOOD + ROOM.replace('"access-1 Gi1/0/12"', wrong)
    [finding] = findings(tmp_path, text)
    assert finding.endswith(sentence)


def test_two_rooms_of_a_site_may_not_share_a_name(tmp_path: Path) -> None:
    named = ROOM + 'names = ["Chamber"]\n'
    text = GOOD + named + named.replace('"chamber"', '"second"')
    [finding] = findings(tmp_path, text)
    assert "rooms[2].names names 'Chamber', which is also 'chamber'" in finding


def test_rooms_are_read_from_csv_and_what_is_not_polled_is_a_warning(
    tmp_path: Path,
) -> None:
    text = GOOD.replace('parent = "core-1"', "poll = false")
    (tmp_path / "estate.toml").write_text(text)
    (tmp_path / "rooms.csv").write_text(
        "id,site,ports,devices\nchamber,hall,core-1 Gi 1;access-1 Gi2,core-1\n"
    )
    estate = load(tmp_path)
    [room] = estate.rooms
    assert room.places == (("core-1", "Gi 1"), ("access-1", "Gi2"))
    assert room.all_devices == ("core-1", "access-1")
    [warning] = [text for text in warnings(estate) if "room" in text]
    assert warning.startswith("room chamber: access-1 is not polled")
