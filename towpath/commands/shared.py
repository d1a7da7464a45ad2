"""What all commands share: reading the settings, and exit codes."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import os
from collections.abc import Coroutine, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

from towpath.error_sentences import sentence_of

if TYPE_CHECKING:
    from alerts.rule_files import Rules
    from collectors.estate import Estate
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


def more_than_zero(value: float) -> float:
    """Checks an option that is a time. Raises `typer.BadParameter`."""
    if value > 0:
        return value
    raise typer.BadParameter(f"{value:g} is not more than 0")


FirstTimeout = Annotated[
    float, typer.Option(callback=more_than_zero, help="seconds for the first try")
]
_Answer = TypeVar("_Answer")


def read_config(path: Path) -> TowpathConfig:
    """Reads the settings, or exits with code 2 and a sentence for each problem."""
    from towpath.config import ConfigError, read

    try:
        return read(path)
    except ConfigError as error:
        usage_error(error.findings)


def read_estate(config: TowpathConfig) -> Estate:
    """Reads the estate, or exits with code 2 and a sentence for each problem."""
    from collectors.estate import EstateError, load

    try:
        return load(config.estate)
    except EstateError as error:
        usage_error(error.findings)


def read_rules(config: TowpathConfig | None) -> Rules:
    """The rules, with a council's own; exits with code 2 if any is wrong."""
    from alerts.rule_files import RuleError, load_rules
    from collectors.server_measurements import CATALOGUE

    try:
        return load_rules(CATALOGUE, None if config is None else config.alerts.rules)
    except RuleError as error:
        usage_error(error.findings)


def run_async(work: Coroutine[Any, Any, _Answer]) -> _Answer:
    """`asyncio.run`, on uvloop if it is installed."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(work)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def restrict_umask() -> None:
    """Makes the files that a command creates readable by its own user only."""
    os.umask(0o077)


def ensure_folder(path: Path, key: str) -> Path:
    """Creates the folder of `path` and returns `path`. Root goes on as its owner: the
    server could not use what root makes there.

    If the folder cannot be created or written, exits with code 1 and a sentence that
    names the setting `key`.
    """
    from collectors.state_owner import become_owner, can_become_owner, is_of_another

    restrict_umask()
    folder = path.parent
    try:
        known = next(parent for parent in path.parents if parent.exists())
        if is_of_another(known):
            if not can_become_owner(known):
                fail(
                    f"{key} is {path}, and {known} belongs to another user: run this "
                    "as that user (sudo -u towpath)"
                )
            become_owner(known)
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        fail(f"{key} is {path}, but {sentence_of(error)}")
    if not os.access(folder, os.W_OK | os.X_OK):
        fail(f"{key} is {path}, but this user may not write to {folder}")
    return path


def user_name() -> str:
    """The name of the user who runs the command; with sudo, who called it."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        return "somebody"


def exit_with(code: int) -> None:
    """Exits with `code`, unless it is 0."""
    if code:
        raise typer.Exit(code)


def usage_error(findings: Sequence[str]) -> NoReturn:
    """Prints the findings and exits with code 2: wrong usage or configuration."""
    for finding in findings:
        typer.echo(finding, err=True)
    raise typer.Exit(2)


@contextlib.contextmanager
def reading_file(file: Path, refused: type[Exception]) -> Iterator[None]:
    """Ends the command with one sentence if the file cannot be read, or if its content
    raises `refused`."""
    try:
        yield
    except OSError as error:
        fail(sentence_of(error))
    except refused as error:
        usage_error([f"{file}: {error}"])


def fail(reason: str) -> NoReturn:
    """Prints the reason and exits with code 1: the command ran and failed."""
    typer.echo(reason, err=True)
    raise typer.Exit(1)
