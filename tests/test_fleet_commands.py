"""`towpath fleet`: the list, single laptops, serial numbers, the key."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ingest_council import opened_registry
from typer.testing import CliRunner, Result

from collectors.ingest.enrolment_tokens import TokenWish
from collectors.ingest.fleet_list import FleetFilter, count_text, select
from collectors.ingest.pseudonym import rotate_key
from collectors.ingest.registry_records import EnrolledAgent
from probes.wire.clock import wall_ms
from probes.wire.machine_number import machine_digest
from probes.wire.report import AgentCredential, Enrolment
from towpath.cli import app

DAY_MS = 86_400_000
NOW_MS = 1_790_000_000_000
SETTINGS = """
state = "{folder}"
estate = "{folder}/estate.toml"
[ingest.registry]
path = "{folder}/agents.sqlite"
key_file = "{folder}/keys/pseudonym.key"
[ingest.policy.rings.pilot]
hurry = false
"""


class Fleet:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "towpath.toml"
        self.config.write_text(SETTINGS.format(folder=folder))
        (folder / "estate.toml").write_text('[[sites]]\nid = "hall"\nname = "Hall"\n')

    def run(self, *words: str, group: str = "fleet", answer: str = "") -> Result:
        line = [group, *words, "-c", str(self.config)]
        return CliRunner().invoke(app, line, input=answer)

    def enrol(self, device: str, serial: str = "", ring: str = "") -> AgentCredential:
        now_ms = wall_ms()
        with opened_registry(self.folder) as registry:
            wish = TokenWish("hall", 1, 1, "", ring)
            token = registry.admin.add_token(wish, now_ms, "alex")
            return registry.identities.enrol(
                Enrolment(token, device, machine_digest(serial)), now_ms
            )

    def agents(self) -> dict[str, EnrolledAgent]:
        with opened_registry(self.folder) as registry:
            return {agent.agent: agent for agent in registry.agents()}

    def audit(self) -> list[tuple[str, str]]:
        with opened_registry(self.folder) as registry:
            return [(deed.what, deed.subject) for deed in registry.admin.audit()]


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return Fleet(tmp_path)


def test_the_list_is_filtered_and_ends_with_counts(fleet: Fleet) -> None:
    first = fleet.enrol("a", "PF3ABCDE", "pilot")
    again = fleet.enrol("b", "PF3ABCDE", "pilot")
    lost = fleet.enrol("c")
    assert fleet.run("revoke", lost.agent).exit_code == 0
    shown = fleet.run("list").output
    assert shown.endswith("3 laptops: 1 enrolled, 1 replaced, 1 revoked\n")
    assert lost.agent not in fleet.run("list", "--ring", "pilot").output
    replaced = fleet.run("list", "--state", "replaced").output
    assert first.agent in replaced
    assert again.agent not in replaced
    assert fleet.run("list", "--silent", "1").output == "0 laptops\n"
    assert fleet.run("list", "--site", "nowhere").output == "0 laptops\n"
    rows = json.loads(fleet.run("list", "--json").output)
    assert {row["agent"]: row["state"] for row in rows} == {
        first.agent: "replaced",
        again.agent: "enrolled",
        lost.agent: "revoked",
    }
    assert rows[0]["last_seen"] is None
    wrong = fleet.run("list", "--state", "revked")
    assert wrong.exit_code == 2
    assert "did you mean" in wrong.output


def test_a_laptop_is_silent_after_days_without_a_report() -> None:
    def agent(name: str, seen_days: float, **more: int) -> EnrolledAgent:
        seen_ms = int(NOW_MS - seen_days * DAY_MS)
        return EnrolledAgent(name, "hall", 0, seen_ms, more.get("revoked", 0))

    agents = [agent("a", 0), agent("b", 8), agent("c", 3), agent("d", 90, revoked=1)]
    everybody = select(agents, FleetFilter(), NOW_MS)
    assert count_text(everybody) == "4 laptops: 1 enrolled, 2 silent, 1 revoked"
    silent = select(agents, FleetFilter(silent_days=2, only_silent=True), NOW_MS)
    assert [agent.agent for agent, _ in silent] == ["b", "c"]


def test_the_older_name_of_the_commands_works(fleet: Fleet) -> None:
    fleet.enrol("a")
    assert fleet.run("list", group="agents").output == fleet.run("list").output
    assert "│ agents " not in CliRunner().invoke(app, ["--help"]).output


def test_a_lost_laptop_is_revoked_by_its_serial_number(fleet: Fleet) -> None:
    before = fleet.enrol("a", "PF3ABCDE")
    now = fleet.enrol("b", "PF3ABCDE")
    other = fleet.enrol("c", "5CG1234XYZ")
    assert fleet.run("revoke", "--serial", "pf3 abcde").exit_code == 0
    revoked = {name for name, agent in fleet.agents().items() if agent.revoked}
    assert revoked == {before.agent, now.agent}
    looked_up = [subject for what, subject in fleet.audit() if "serial" in what]
    assert sorted(looked_up) == sorted([before.agent, now.agent])
    assert b"PF3ABCDE" not in (fleet.folder / "agents.sqlite").read_bytes()
    assert not fleet.agents()[other.agent].revoked


@pytest.mark.parametrize("command", ["revoke", "erase", "export"])
def test_a_serial_number_that_finds_nobody_changes_nothing(
    fleet: Fleet, command: str
) -> None:
    laptop = fleet.enrol("a", "PF3ABCDE")
    out = ("--out", str(fleet.folder / "out.zip")) if command == "export" else ()
    unknown = fleet.run(command, "--serial", "5CG1234XYZ", *out)
    assert unknown.exit_code == 1
    assert "no laptop has that serial number" in unknown.output
    assert fleet.audit()[0] == ("serial looked up", "no laptop")
    nobodys = fleet.run(command, "--serial", "Default string", *out)
    assert nobodys.exit_code == 2
    assert "no computer's own" in nobodys.output
    for words in ((), (laptop.agent, "--serial", "PF3ABCDE")):
        neither = fleet.run(command, *words, *out)
        assert neither.exit_code == 2
        assert "expected the laptop's pseudonym, or --serial" in neither.output
    assert fleet.agents().keys() == {laptop.agent}


def test_a_number_that_several_computers_have_names_nobody(fleet: Fleet) -> None:
    first, second = fleet.enrol("a", "PF3ABCDE"), fleet.enrol("b", "PF3ABCDE")
    with opened_registry(fleet.folder) as registry:
        registry.mark_measured(first.agent, wall_ms() + 60_000)
    assert "is not its own" in fleet.run("list").output
    refused = fleet.run("erase", "--serial", "PF3ABCDE")
    assert refused.exit_code == 1
    assert first.agent in refused.output
    assert fleet.agents().keys() == {first.agent, second.agent}


def test_erasing_by_serial_number_leaves_who_had_the_computer_before(
    fleet: Fleet,
) -> None:
    before, now = fleet.enrol("a", "PF3ABCDE"), fleet.enrol("b", "PF3ABCDE")
    erased = fleet.run("erase", "--serial", "PF3ABCDE")
    assert erased.exit_code == 0, erased.output
    assert "perhaps another person's" in erased.output
    assert fleet.agents().keys() == {before.agent}
    assert all(now.agent not in subject for _, subject in fleet.audit())


def test_an_export_is_noted_and_nobody_is_exported_by_a_wrong_name(
    fleet: Fleet,
) -> None:
    laptop = fleet.enrol("a", "PF3ABCDE")
    out = fleet.folder / "out.zip"
    done = fleet.run("export", "--serial", "PF3ABCDE", "--out", str(out))
    assert done.exit_code == 0, done.output
    assert f"records about {laptop.agent}" in done.output
    assert fleet.audit()[:2] == [
        ("laptop exported", laptop.agent),
        ("serial looked up", laptop.agent),
    ]
    out.unlink()
    wrong = fleet.run("export", "nobody", "--out", str(out))
    assert wrong.exit_code == 1
    assert "no laptop is called 'nobody'" in wrong.output
    assert not out.exists()
    nowhere = fleet.run("export", laptop.agent, "--out", "/nowhere/out.zip")
    assert nowhere.exit_code == 1
    assert nowhere.output.startswith("nothing was exported: ")


def test_a_laptop_is_moved_to_a_ring_that_there_is(fleet: Fleet) -> None:
    laptop = fleet.enrol("a")
    assert fleet.run("ring", laptop.agent, "pilot").exit_code == 0
    assert fleet.agents()[laptop.agent].ring == "pilot"
    wrong = fleet.run("ring", laptop.agent, "pilt")
    assert wrong.exit_code == 2
    assert fleet.run("ring", laptop.agent).exit_code == 0
    assert fleet.agents()[laptop.agent].ring == ""
    assert fleet.run("ring", "nobody").exit_code == 1
    assert ("ring changed", laptop.agent) in fleet.audit()


def test_the_key_is_replaced_by_a_command_that_asks(fleet: Fleet) -> None:
    laptop = fleet.enrol("a", "PF3ABCDE")
    key = fleet.folder / "keys" / "pseudonym.key"
    before = key.read_bytes()
    refused = fleet.run("rotate-key", answer="n\n")
    assert refused.exit_code == 1
    assert "gone for ever" in refused.output
    assert key.read_bytes() == before
    assert fleet.agents()[laptop.agent].machine
    done = fleet.run("rotate-key", "--yes", group="agents")
    assert done.exit_code == 0, done.output
    assert key.read_bytes() != before
    assert fleet.agents()[laptop.agent].machine == ""
    assert fleet.audit()[0][0] == "key replaced"
    with opened_registry(fleet.folder) as registry:
        assert registry.verify(laptop.agent, laptop.secret) is not None
        # The number comes again with the next secret.
        registry.identities.renew(
            laptop.agent, laptop.secret, machine_digest("PF3ABCDE"), wall_ms()
        )
    assert fleet.run("revoke", "--serial", "PF3ABCDE").exit_code == 0


def test_a_replacement_of_the_key_that_was_cut_off_is_finished(fleet: Fleet) -> None:
    laptop = fleet.enrol("a", "PF3ABCDE")
    with opened_registry(fleet.folder) as running:
        # All that a kill leaves: the new key, and a transaction that is taken back.
        old, new = rotate_key(fleet.folder / "keys" / "pseudonym.key")
        # As a server does every minute.
        running._synchronise()
        assert running.agents()[0].machine == ""
    assert fleet.agents()[laptop.agent].machine == ""
    assert fleet.audit().count(("key replaced", f"{old} to {new}")) == 1


def test_settings_of_another_folder_leave_nothing_there(fleet: Fleet) -> None:
    before = {*fleet.folder.rglob("*")}
    for command in (["list"], ["rings"], ["revoke", "x"], ["rotate-key", "--yes"]):
        done = fleet.run(*command)
        assert done.exit_code == 1
        assert f"there is no registry {fleet.folder}/agents.sqlite" in done.output
    assert {*fleet.folder.rglob("*")} == before


def test_a_list_without_serial_numbers_says_so(fleet: Fleet) -> None:
    fleet.enrol("a", "PF3ABCDE")
    file = fleet.folder / "devices.csv"
    file.write_text("Device name;Seriennummer\nLAP-1;PF3ABCDE\n")
    shown = fleet.run("expected", str(file)).output
    assert shown.startswith(
        "expected 1, enrolled 1: no device of the list has a serial"
    )
    assert "not on the list" not in shown


def test_a_server_that_runs_knows_the_new_key_at_its_next_look(fleet: Fleet) -> None:
    with opened_registry(fleet.folder) as running:
        token = running.admin.make_token("hall", 1, 1, wall_ms())
        assert fleet.run("rotate-key", "--yes").exit_code == 0
        running.refresh()
        running.identities.enrol(Enrolment(token, "a"), wall_ms())
        # Again, because its answer was lost: the token is used up, and yet it may.
        assert not running.refusal_reason(Enrolment(token, "a"), wall_ms())


def test_expected_laptops_are_compared_and_their_numbers_not_kept(
    fleet: Fleet,
) -> None:
    laptop, other = fleet.enrol("a", "PF3ABCDE"), fleet.enrol("b", "UNLISTED1")
    file = fleet.folder / "devices.csv"
    file.write_text(
        "Device name,OS,Serial number\nLAP-1,Windows,PF3ABCDE\n"
        "LAP-2,Windows,5CG1234XYZ\nphone,iOS,F2LABCDEFGHI\n"
    )
    shown = fleet.run("expected", str(file))
    assert shown.exit_code == 0, shown.output
    assert shown.output.splitlines() == [
        "expected 2, enrolled 1, missing 1, enrolled but not on the list 1",
        "1 telephones and tablets were left out",
        "missing:",
        "  5CG1234XYZ  LAP-2  Windows",
        "not on the list:",
        f"  {other.agent}  hall",
    ]
    assert laptop.agent not in shown.output
    assert b"5CG1234XYZ" not in (fleet.folder / "agents.sqlite").read_bytes()
    assert fleet.audit()[0] == ("list compared", "3 devices")
    for content, code in ((b"nothing\n", 2), (b"{", 2)):
        file.write_bytes(content)
        assert fleet.run("expected", str(file)).exit_code == code
    assert fleet.run("expected", str(fleet.folder / "none.csv")).exit_code == 1
