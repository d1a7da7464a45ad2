"""`towpath users`: people who sign in to the pages with a password of Towpath's own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from probes.wire.clock import wall_ms
from probes.wire.counted_text import counted
from towpath.commands.shared import (
    ConfigFile,
    ensure_folder,
    fail,
    read_config,
    usage_error,
    user_name,
)

if TYPE_CHECKING:
    from pathlib import Path

    from dashboards.web.sign_in.access_audit import AccessAudit
    from dashboards.web.sign_in.local_users import LocalUser, LocalUsers
    from dashboards.web.sign_in.sign_in_config import SignInConfig
    from dashboards.web.visitors import Role

app = typer.Typer(
    no_args_is_help=True, help="People who sign in to the pages with a password."
)
Name = Annotated[str, typer.Argument(help="as the person types it", metavar="NAME")]
Roles = Annotated[
    list[str],
    typer.Argument(
        help="staff, 'service desk', engineer, manager, admin", metavar="ROLE..."
    ),
]
_BY_COMMAND = "command line"
_Answer = TypeVar("_Answer")


@app.command()
def add(config: ConfigFile, name: Name, roles: Roles) -> None:
    """Add a user. The password is asked for, or read from standard input."""
    sign_in = _settings(config)
    users, audit = _opened(sign_in)
    chosen = _roles(roles)
    if users.find(name) is not None:
        fail(f"there is a user called {name!r} already")
    user = _trying(lambda: users.add(name, chosen, _new_password()), name)
    audit.record(user_name(), _BY_COMMAND, "add user", user.shown, ", ".join(chosen))
    typer.echo(f"{user.shown} can sign in: {', '.join(chosen)}")
    if not sign_in.local_users:
        typer.echo("but not yet: set `local_users = true` in [web.sign_in]", err=True)


@app.command("list")
def list_users(config: ConfigFile) -> None:
    """List the users and their roles."""
    users, _ = _opened(_settings(config))
    known = users.list()
    for user in known:
        typer.echo(f"{user.shown}  {', '.join(user.roles)}")
    if not known:
        typer.echo("there are no users: towpath users add NAME ROLE")


@app.command("set-password")
def set_password(config: ConfigFile, name: Name) -> None:
    """Give a user another password. All sessions of the user end."""
    sign_in = _settings(config)
    users, audit = _opened(sign_in)
    user = _known(users, name)
    _trying(lambda: users.set_password(name, _new_password()), name)
    ended = _end_sessions(sign_in, user.id)
    audit.record(user_name(), _BY_COMMAND, "set password", user.shown)
    typer.echo(f"{user.shown} has another password; {_sessions(ended)}")


@app.command()
def roles(config: ConfigFile, name: Name, roles: Roles) -> None:
    """Give a user other roles, from the next page on."""
    users, audit = _opened(_settings(config))
    chosen = _roles(roles)
    user = _known(users, name)
    _trying(lambda: users.set_roles(name, chosen), name)
    before = ", ".join(user.roles)
    outcome = f"{before} -> {', '.join(chosen)}"
    audit.record(user_name(), _BY_COMMAND, "change roles", user.shown, outcome)
    typer.echo(f"{user.shown}: {', '.join(chosen)} (before: {before})")


@app.command()
def remove(config: ConfigFile, name: Name) -> None:
    """Remove a user. All sessions of the user end."""
    sign_in = _settings(config)
    users, audit = _opened(sign_in)
    user = _known(users, name)
    _trying(lambda: users.remove(name), name)
    ended = _end_sessions(sign_in, user.id)
    audit.record(user_name(), _BY_COMMAND, "remove user", user.shown)
    typer.echo(f"{user.shown} cannot sign in any more; {_sessions(ended)}")


def _settings(config: Path) -> SignInConfig:
    return read_config(config).web.sign_in


def _opened(sign_in: SignInConfig) -> tuple[LocalUsers, AccessAudit]:
    from dashboards.web.sign_in.access_audit import AccessAudit
    from dashboards.web.sign_in.local_users import LocalUsers

    file = ensure_folder(sign_in.file, "web.sign_in.file")
    return LocalUsers(file, wall_ms), AccessAudit(file, wall_ms)


def _end_sessions(sign_in: SignInConfig, id: str) -> int:
    from dashboards.web.sign_in.sign_in_sessions import SignInSessions

    sessions = SignInSessions(sign_in.file, sign_in.idle_s, sign_in.longest_s, wall_ms)
    return sessions.end_of(id)


def _new_password() -> str:
    """From the prompt, typed twice, or the first line of standard input. Never from
    the arguments: others on this machine can see those."""
    if sys.stdin.isatty():
        shown = "Password (12 characters or more, three random words are good)"
        return str(typer.prompt(shown, hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\r\n")


def _roles(names: list[str]) -> list[Role]:
    from dashboards.web.visitors import Role
    from probes.wire.catalogue import did_you_mean

    known = {role.value: role for role in Role if role is not Role.PUBLIC}
    folded = [" ".join(name.replace("-", " ").split()).casefold() for name in names]
    if unknown := [name for name in folded if name not in known]:
        usage_error(
            [
                f"{name!r} is no role{did_you_mean(name, known)}: expected "
                f"{', '.join(known)}"
                for name in unknown
            ]
        )
    return [role for role in Role if role.value in folded]


def _trying(work: Callable[[], _Answer], name: str) -> _Answer:
    from dashboards.web.sign_in.local_users import UserProblem

    try:
        return work()
    except UserProblem as problem:
        usage_error([str(problem)])
    except LookupError:
        fail(f"no user is called {name!r}")


def _known(users: LocalUsers, name: str) -> LocalUser:
    """The user of that name. If there is none, exits and names one like it."""
    from probes.wire.catalogue import did_you_mean

    user = users.find(name)
    if user is None:
        known = [other.shown for other in users.list()]
        fail(f"no user is called {name!r}{did_you_mean(name, known)}")
    return user


def _sessions(count: int) -> str:
    return f"{counted(count, 'session')} ended"
