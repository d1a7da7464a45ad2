"""A dataclass parameter of a command stands for the options that are its fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from towpath.commands.option_groups import CredentialOptions, expand_options


@dataclass(frozen=True)
class Pace:
    per_second: Annotated[int, typer.Option(min=1, help="packets a second")] = 50
    slow: Annotated[bool, typer.Option("--slow")] = False


@expand_options
def sweep(pace: Pace, network: Annotated[str, typer.Argument()] = "all") -> None:
    """Sweep a network."""
    typer.echo(f"{network} {pace.per_second} {pace.slow}")


def run(*arguments: str) -> tuple[int, str]:
    app = typer.Typer()
    app.command()(sweep)
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.output


def test_fields_are_options_with_their_defaults() -> None:
    assert run() == (0, "all 50 False\n")
    assert run("10.0.0.0/24", "--per-second", "7", "--slow") == (
        0,
        "10.0.0.0/24 7 True\n",
    )


def test_limits_and_help_of_fields_are_kept() -> None:
    code, output = run("--per-second", "0")
    assert code == 2
    assert "--per-second" in output
    code, output = run("--help")
    assert "packets a second" in output
    assert "Sweep a network." in output


def test_passwords_from_the_environment_count_only_with_a_user(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TOWPATH_SNMP_AUTH_PASSWORD", "from-the-environment")
    set_for_all = CredentialOptions(community="x", auth_password="from-the-environment")
    assert set_for_all.given() == {"community": "x"}
    typed = CredentialOptions(community="x", auth_password="typed-here")
    assert "auth_password" in typed.given()
    with_user = CredentialOptions(user="u", auth_password="from-the-environment")
    assert "auth_password" in with_user.given()
