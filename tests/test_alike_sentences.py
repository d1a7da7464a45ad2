"""Many warnings of one kind are one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from collectors.alike_sentences import group_alike
from towpath.cli import app


def test_a_hundred_sites_without_a_line_are_one_sentence() -> None:
    sentences = [
        f"site {name} has devices but no line: no use of a line is shown"
        for name in ("hall", "library", "depot", "pool", *(f"s{n}" for n in range(96)))
    ]
    assert group_alike(sentences) == [
        "site hall has devices but no line: no use of a line is shown "
        "(99 more like this: library, depot, pool and 96 others)"
    ]


@pytest.mark.parametrize(
    ("first", "second", "example"),
    [
        (
            "site a: subnet 192.168.0.0/24 is also common in homes (BT): use a beacon",
            "site b: subnet 192.168.1.0/24 is also common in homes (BT): use a beacon",
            "b",
        ),
        (
            "SNMP credential 'old' is v2c: use v3",
            "SNMP credential 'older one' is v2c: use v3",
            "'older one'",
        ),
        (
            "device sw1 has site a, but its address is of b; its own setting is used",
            "device sw2 has site a, but its address is of b; its own setting is used",
            "sw2",
        ),
    ],
)
def test_sentences_that_differ_in_names_are_alike(
    first: str, second: str, example: str
) -> None:
    assert group_alike([first, second]) == [f"{first} (1 more like this: {example})"]


def test_a_few_problems_are_listed_and_many_are_summed_up() -> None:
    problems = [f"device sw{n}: there is no SNMP credential 'x'" for n in range(120)]
    assert group_alike(problems[:4], 5) == problems[:4]
    assert group_alike(problems, 5) == [
        f"{problems[0]} (119 more like this: sw1, sw2, sw3 and 116 others)"
    ]


def test_a_problem_of_a_hundred_devices_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Else all later tests of this process would log to what this command wrote to.
    monkeypatch.setattr("towpath.log_setup.configure", lambda config: None)
    devices = "".join(
        f'[[devices]]\nid = "sw{n}"\nsite = "hall"\naddress = "10.1.1.{n}"\n'
        for n in range(1, 101)
    )
    sites = '[[sites]]\nid = "hall"\nname = "Town Hall"\n'
    (tmp_path / "estate.toml").write_text(sites + devices)
    settings = tmp_path / "towpath.toml"
    settings.write_text('estate = "estate.toml"\nstate = "state"\n')
    done = CliRunner().invoke(app, ["check", "-c", str(settings)])
    assert done.exit_code == 2
    [line] = [text for text in done.output.splitlines() if "no SNMP credential" in text]
    assert line.endswith("(99 more like this: sw2, sw3, sw4 and 96 others)")


def test_different_sentences_keep_their_order_and_words() -> None:
    sentences = [
        "site a has devices but no line",
        "alerts.heartbeat_url is not set: nothing notices if Towpath stops",
        "alerts.channels: none is set, so alerts notify nobody",
        "SNMP credential 'a' is v2c: use v3",
        "SNMP credential 'a' does not encrypt: add priv_password",
    ]
    assert group_alike(sentences) == sentences
    assert group_alike([]) == []
