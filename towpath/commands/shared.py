"""What all commands share: where the settings are, and how they end."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

from towpath.error_sentences import sentence_of

if TYPE_CHECKING:
    from towpath.config import TowpathConfig

ConfigFile = Annotated[
    Path,
    typer.Option(
        "-c", "--config", metavar="FILE", envvar="TOWPATH_CONFIG", help="towpath.toml"
    ),
]
OptionalConfig = Annotated[
    Path | None,
    typer.Option(
        "-c", "--config", metavar="FILE", envvar="TOWPATH_CONFIG", help="towpath.toml"
    ),
]
_Answer = TypeVar("_Answer")


def read_config(path: Path) -> TowpathConfig:
    """The settings, or exit code 2 with a sentence for everything that is wrong."""
    from towpath.config import ConfigError, read

    try:
        return read(path)
    except ConfigError as error:
        usage_error(error.findings)


def run_async(work: Coroutine[Any, Any, _Answer]) -> _Answer:
    """asyncio, on uvloop where there is one."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(work)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def restrict_umask() -> None:
    """What a command writes into the state folder is for its own user alone, whatever
    the umask it was started with."""
    os.umask(0o077)


def ensure_folder(path: Path, key: str) -> Path:
    """`path`, once its folder is there and may be written; else exit code 1 with a
    sentence that names the setting `key`."""
    restrict_umask()
    folder = path.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        fail(f"{key} is {path}, but {sentence_of(error)}")
    if not os.access(folder, os.W_OK | os.X_OK):
        fail(f"{key} is {path}, but this user may not write into {folder}")
    return path


def exit_with(code: int) -> None:
    """Ends with that exit code; 0 is silence."""
    if code:
        raise typer.Exit(code)


def usage_error(findings: Sequence[str]) -> NoReturn:
    """Wrong usage or configuration: exit code 2."""
    for finding in findings:
        typer.echo(finding, err=True)
    raise typer.Exit(2)


def fail(says: str) -> NoReturn:
    """It ran, and the answer is bad: exit code 1."""
    typer.echo(says, err=True)
    raise typer.Exit(1)
