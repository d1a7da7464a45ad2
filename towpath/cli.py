"""`towpath`: the door. Each command is a few lines that call the room that does it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from towpath.config import TowpathConfig

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Shows whether a council's network and its remote staff are well served.",
)

ConfigFile = Annotated[
    Path, typer.Option("-c", "--config", metavar="FILE", help="towpath.toml")
]


@app.command()
def run(
    config: ConfigFile,
    role: Annotated[
        list[str] | None,
        typer.Option(help="poll, ingest, store, alert, web; default: all of them"),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="build everything, start nothing, say what")
    ] = False,
) -> None:
    """Run Towpath, or some of its roles, until told to stop."""
    from towpath.config import ROLES, Role
    from towpath.log import configure
    from towpath.run import Installation, StartFailed, serve

    settings = _read(config)
    wanted = [part for each in role or ROLES for part in each.split(",")]
    for each in wanted:
        if each not in ROLES:
            _wrong([f"--role {each!r}: expected one of {', '.join(ROLES)}"])
    roles: list[Role] = [each for each in ROLES if each in wanted]
    configure(settings.log)
    try:
        installation = Installation(settings, roles)
        if check:
            for name, _ in installation.pieces:
                typer.echo(name)
            return
        _loop(serve(installation))
    except StartFailed as error:
        _fail(str(error))
    except (ValueError, LookupError, OSError) as error:
        _wrong(str(error).splitlines())


@app.command()
def demo(
    for_: Annotated[
        str, typer.Option("--for", metavar="90s", help="end by itself after this long")
    ] = "",
    port: Annotated[int, typer.Option(help="of the status page")] = 8080,
    keep: Annotated[
        Path | None, typer.Option(help="keep all it writes in this folder")
    ] = None,
) -> None:
    """Start a small council on this machine, with a fault in it."""
    from towpath.demo.show import show
    from towpath.spans import seconds

    try:
        for_s = seconds(for_) if for_ else None
    except ValueError as error:
        _wrong([f"--for: {error}"])
    raise typer.Exit(show(for_s, port, keep))


def _read(path: Path) -> TowpathConfig:
    from towpath.config import ConfigError, read

    try:
        return read(path)
    except ConfigError as error:
        _wrong(error.findings)


def _loop(work: Coroutine[Any, Any, None]) -> None:
    """asyncio on uvloop where there is one: a fifth less CPU for the same polls."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(work)
        return
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)


def _wrong(findings: Sequence[str]) -> NoReturn:
    """Wrong usage or configuration: exit code 2."""
    for finding in findings:
        typer.echo(finding, err=True)
    raise typer.Exit(2)


def _fail(says: str) -> NoReturn:
    """It ran, and the answer is bad: exit code 1."""
    typer.echo(says, err=True)
    raise typer.Exit(1)


def main() -> None:
    """The entry point of the `towpath` command."""
    try:
        app()
    except BrokenPipeError:
        sys.exit(0)


if __name__ == "__main__":
    main()
