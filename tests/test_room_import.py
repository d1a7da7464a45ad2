"""Exports of Microsoft's portals about Teams Rooms become rows of the estate's."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from collectors.batch import batch_samples, check_batch
from collectors.calls.exported_rooms import RoomRows, room_rows
from collectors.calls.room_sheet import RoomsRefused, read_rooms
from collectors.estate.estate_model import Room
from collectors.journal import JournalReader
from collectors.server_measurements import CATALOGUE
from towpath.cli import app

ROOMS = (
    Room(
        id="chamber", site="hall", ports=("sw 1",), accounts=("MTR.Chamber@x.gov.uk",)
    ),
    Room(id="annexe", site="hall", ports=("sw 2",), accounts=("ac0ffee0-1", "b@x.uk")),
)
TODAY = date(2026, 11, 20)
PERSON = "winifred.ardingly@x.gov.uk"


def rows(raw: bytes, **headings: str) -> RoomRows:
    return room_rows(read_rooms(raw, headings).lines, ROOMS, TODAY)


INVENTORY = (
    "Display name,Username,Manufacturer,Model,Health status\n"
    '"Chamber, first floor",mtr.chamber@X.gov.uk,Poly,Studio X50,{}\n'
)


@pytest.mark.parametrize(
    ("word", "health", "text"),
    [
        ("Healthy", 3, "healthy"),
        ("Non-urgent", 2, "non-urgent"),
        ("nonUrgent", 2, "non-urgent"),
        ("Critical", 1, "critical"),
        ("Unhealthy", 1, "unhealthy"),
        ("Offline", 0, "offline"),
        ("Not monitored", None, "not monitored"),
        ("Unknown", None, "not known to Microsoft"),
    ],
)
def test_the_health_of_a_room_is_its_devices_or_not_measured(
    word: str, health: int | None, text: str
) -> None:
    [sample] = rows(INVENTORY.format(word).encode()).samples
    assert sample.tags == {"room": "chamber", "site": "hall"}
    assert sample.time_ms == 1_795_132_800_000
    assert (sample.fields.get("health"), sample.fields["health_text"]) == (health, text)
    assert sample.fields["model"] == "Poly Studio X50"


@pytest.mark.parametrize(
    "raw",
    [
        b"Date,UPN,Total meetings,Meeting hours,Healthy %,Second Building Name\n"
        b"2026-11-02,mtr.chamber@x.gov.uk,1024,6.5,98.5%,Hall\n",
        "Healthy %;Meeting hours;Total meetings;Room account;Date\n"
        '"98,5 %";"6,5";"1.024";MTR.CHAMBER@x.gov.uk;02.11.2026\n'
        "Total;6,5;1.024;;\n".encode("utf-16"),
        b"\xef\xbb\xbfTotal meetings\tMeeting hours\tHealthy %\tUser principal name\t"
        b"Date\n1,024\t6.5\t98.5 %\tmtr.chamber@x.gov.uk\t11/2/2026\n"
        b"5\t1\t1%\twinifred@x\t11/22/2026\n",
        b'sep=;\r\nUPN;Healthy %,;Date;Calls;Call hours;"Notes, a, b, c"\r\n'
        b'mtr.chamber@x.gov.uk;98,5;2026-11-02;1024;"6,5";"x\ny"\r\n',
        "Date,Username,Calls,Call hours,Healthy\n"
        "2026-11-02,mtr.chamber@x.gov.uk,1024,6.5,98.5%\n".encode("utf-16-be"),
    ],
    ids=["portal", "decimal comma, UTF-16", "american, tabs", "Excel", "no BOM"],
)
def test_use_is_read_in_any_order_delimiter_encoding_and_country(raw: bytes) -> None:
    order = "dmy" if b";\0" in raw else None
    found = room_rows(read_rooms(raw, order=order).lines, ROOMS, TODAY)
    [sample] = found.samples
    assert sample.time_ms == 1_793_577_600_000
    assert sample.fields == {
        "meetings": 1024,
        "meetings_s": 23_400.0,
        "healthy_ratio": pytest.approx(0.985),
    }
    (batch,) = batch_samples(found.samples, "rooms/x", 0)
    assert check_batch(batch, CATALOGUE) is batch


def test_the_quality_of_a_rooms_calls_is_the_sum_of_its_accounts_streams() -> None:
    sheet = (
        "Second UPN,Date,Second Network Connection Detail,Audio Stream Count,"
        "Audio Poor Stream Count,Audio Unclassified Stream Count\n"
        "mtr.chamber@x.gov.uk,2026-11-02,wired,100,4,20\n"
        "mtr.chamber@x.gov.uk,2026-11-02,wifi,50,8,5\n"
        f"{PERSON},2026-11-02,wifi,900,800,0\n"
    ).encode()
    found = rows(sheet)
    [sample] = found.samples
    assert (found.others, found.missing) == (1, ("annexe",))
    assert sample.fields["streams"] == 150
    assert sample.fields["poor_ratio"] == pytest.approx(12 / 125)
    assert PERSON not in repr(found)


def test_a_room_is_found_by_each_account_and_never_by_its_name() -> None:
    sheet = (
        b"Display name,Username,Health status\n"
        b"chamber,someone@x.uk,Critical\n"
        b"x,AC0FFEE0-1,Healthy\ny,b@x.uk,Offline\n"
    )
    found = rows(sheet)
    [sample] = found.samples
    # It has two devices, and is as well as the worse.
    assert (sample.tags["room"], sample.fields["health"]) == ("annexe", 0)
    assert found.others == 1


@pytest.mark.parametrize(
    ("headings", "sentence"),
    [
        (
            "Raumname,Benutzername,Integritätsstatus",
            "its columns (Raumname, Benutzername, Integritätsstatus) lack the account "
            "of each room, such as Username or UPN, by which the estate knows it "
            "(rooms.accounts); if they are in another language, export it in English, "
            "or say which is which with --column account=HEADING",
        ),
        ("Room name,Health status", "lack the account of each room"),
        ("Username,Notes", "lack anything about rooms, such as Health status"),
        ("", "lack the account"),
    ],
)
def test_a_sheet_that_cannot_be_used_is_one_sentence(
    headings: str, sentence: str
) -> None:
    with pytest.raises(RoomsRefused) as refused:
        read_rooms(f"{headings}\na,b,c\n".encode())
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


def test_headings_in_another_language_can_be_named() -> None:
    raw = "Raum;Benutzername;Integritätsstatus\nC;b@x.uk;Healthy\n".encode("cp1252")
    found = rows(raw, account="benutzername", health="Integritätsstatus")
    assert found.samples[0].fields["health"] == 3
    with pytest.raises(RoomsRefused, match="line 1: expected a column 'Konto'"):
        rows(raw, account="Konto")


def test_a_row_that_cannot_be_read_is_named_by_its_line_and_costs_no_other() -> None:
    sheet = (
        b"Username,Health status,Meetings\n"
        b"b@x.uk,Quite well,3\n"
        b"b@x.uk,Healthy,many\n"
        b"mtr.chamber@x.gov.uk,Healthy,3\n"
    )
    found = read_rooms(sheet)
    assert len(found.lines) == 1
    assert [text.partition(":")[0] for text in found.remarks] == ["line 2", "line 3"]
    assert "b@x.uk" not in repr(found.remarks)


@given(st.binary(max_size=200), st.booleans())
def test_no_file_of_rooms_is_a_crash(raw: bytes, has_headings: bool) -> None:
    with contextlib.suppress(RoomsRefused):
        read_rooms(b"Username,Health,Date,Meetings\n" * has_headings + raw)


def test_the_command_imports_rooms_and_says_what_it_left_out(tmp_path: Path) -> None:
    (tmp_path / "towpath.toml").write_text(
        f'state = "{tmp_path}/state"\nestate = "{tmp_path}/estate.toml"\n'
    )
    estate = '[[sites]]\nid = "hall"\nname = "Hall"\n[[devices]]\nid = "sw"\n'
    estate += 'site = "hall"\naddress = "192.0.2.1"\n'
    for room in ROOMS:
        estate += f'[[rooms]]\nid = "{room.id}"\nsite = "hall"\n'
        estate += f"ports = {list(room.ports)}\naccounts = {list(room.accounts)}\n"
    (tmp_path / "estate.toml").write_text(estate)
    (tmp_path / "state").mkdir()
    file = tmp_path / "rooms.csv"
    lines = INVENTORY.format("Offline") + f"W,{PERSON},Dell,XPS,Healthy\n"
    file.write_text(lines)
    arguments = ["import", "rooms", str(file), "-c", str(tmp_path / "towpath.toml")]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0
    assert done.stdout == "imported 1 row of 1 room\n"
    assert f"{file}: 1 row left out: of accounts that are no room's" in done.stderr
    assert f"{file}: not in the file: annexe" in done.stderr

    async def kept() -> str:
        async with JournalReader(tmp_path / "state" / "journal", "look") as reader:
            chunk = await reader.read(wait_s=0.0)
            assert chunk is not None
            return repr([list(batch.samples()) for batch in chunk.batches])

    assert "'health_text': 'offline'" in asyncio.run(kept())
    held = [p for p in (tmp_path / "state").rglob("*") if p.is_file()]
    assert not any(PERSON.encode() in path.read_bytes() for path in held)
    wrong = CliRunner().invoke(app, [*arguments, "--column", "konto=x"])
    assert wrong.exit_code == 2
    assert "--column 'konto=x': expected NAME=HEADING, NAME of account" in wrong.stderr
