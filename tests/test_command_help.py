"""`--help` shows what its source says: rich takes `[word]` for markup and drops it."""

from __future__ import annotations

import os
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from rich.text import Text
from towpath_command import BIN, towpath
from typer.testing import CliRunner

from towpath.cli import app


def commands(command: Any, name: str = "towpath") -> Iterator[tuple[str, Any]]:
    """The full name of each command and group."""
    yield name, command
    for subname, subcommand in getattr(command, "commands", {}).items():
        yield from commands(subcommand, f"{name} {subname}")


def help_texts() -> Iterator[tuple[str, str]]:
    for name, command in commands(typer.main.get_command(app)):
        yield name, command.help or ""
        for parameter in command.params:
            yield f"{name} {parameter.name}", getattr(parameter, "help", None) or ""


def test_no_word_of_any_help_text_is_lost() -> None:
    texts = dict(help_texts())
    assert len(texts) > 150
    lost = {
        name: text
        for name, text in texts.items()
        if Text.from_markup(text).plain != text
    }
    assert lost == {}


def test_help_at_80_columns_cuts_no_name_of_a_variable() -> None:
    shown = 0
    for name, command in commands(typer.main.get_command(app)):
        variables = [p.envvar for p in command.params if isinstance(p.envvar, str)]
        if not variables:
            continue
        runner = CliRunner(env={"COLUMNS": "80", "TERMINAL_WIDTH": "80"})
        text = runner.invoke(app, [*name.split()[1:], "--help"]).output
        for variable in variables:
            assert variable in text, name
            shown += 1
    assert shown > 20


def test_the_version_is_that_of_the_package() -> None:
    project = Path(__file__).parents[1] / "pyproject.toml"
    version = tomllib.loads(project.read_text())["project"]["version"]
    assert towpath("--version").stdout == f"towpath {version}\n"


def test_there_is_a_completion_for_bash() -> None:
    # It is for the shell that asks, so there has to be one.
    asked = f"{BIN}/towpath --show-completion; true"
    shown = subprocess.run(["bash", "-c", asked], capture_output=True, text=True)
    assert "_TOWPATH_COMPLETE=complete_bash" in shown.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_commands(shell: str) -> None:
    typed = {
        "COMP_WORDS": "towpath alerts sil",
        "COMP_CWORD": "2",
        "_TYPER_COMPLETE_ARGS": "towpath alerts sil",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "_TOWPATH_COMPLETE": f"complete_{shell}",
    }
    completed = subprocess.run(
        [str(BIN / "towpath")],
        env={**os.environ, **typed},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "silence" in completed.stdout
    assert "rota" not in completed.stdout
