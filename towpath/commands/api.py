"""`towpath api token new`, `list` and `revoke`: tokens for programs."""

from __future__ import annotations

from typing import Annotated

import typer

from probes.wire.clock import wall_ms
from towpath.commands.alert_tokens import Name, tokens, tokens_path, withdraw
from towpath.commands.shared import (
    ConfigFile,
    exit_with,
    restrict_umask,
    usage_error,
    user_name,
)

app = typer.Typer(no_args_is_help=True, help="The API for programs (docs/api.md).")
token_app = typer.Typer(no_args_is_help=True, help="Tokens of the API.")
app.add_typer(token_app, name="token")


@token_app.command()
def new(
    config: ConfigFile,
    name: Name,
    scope: Annotated[
        list[str] | None,
        typer.Option(help="what it may do; repeatable. Default: see-status"),
    ] = None,
    valid: Annotated[
        str, typer.Option(help="for how long: 90d …", metavar="SPAN")
    ] = "90d",
) -> None:
    """Make a token. It is printed once; only its hash is stored."""
    from alerts.api_tokens import ApiTokens
    from alerts.token_commands import make_token, unknown_scopes
    from dashboards.web.visitors import Right

    scopes = scope or [Right.SEE_STATUS.value]
    if unknown := unknown_scopes(scopes, [right.value for right in Right]):
        usage_error([f"--scope: {unknown}"])
    restrict_umask()
    known = ApiTokens(tokens_path(config))
    exit_with(
        make_token(known, name, valid, user_name(), wall_ms(), typer.echo, scopes)
    )


@token_app.command("list")
def list_(
    config: ConfigFile,
    audit: Annotated[
        bool, typer.Option("--audit", help="what was done with them")
    ] = False,
) -> None:
    """List tokens: their scopes, end and last use; or what was done with them."""
    tokens(config, audit)


@token_app.command()
def revoke(config: ConfigFile, name: Name) -> None:
    """Revoke a token, within seconds and for good."""
    withdraw(config, name)
