"""`towpath alerts token`, `tokens` and `withdraw`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from probes.wire.clock import wall_ms
from towpath.commands.shared import (
    ConfigFile,
    ensure_folder,
    exit_with,
    read_config,
    restrict_umask,
    user_name,
)

Name = Annotated[str, typer.Argument(help="for the list and the audit: who uses it")]


def token(
    config: ConfigFile,
    name: Name,
    valid: Annotated[
        str, typer.Option(help="for how long: 90d …", metavar="SPAN")
    ] = "90d",
) -> None:
    """Make a token for the API of alerts. It is printed once."""
    from alerts.api_tokens import ApiTokens
    from alerts.token_commands import make_token

    restrict_umask()
    tokens = ApiTokens(tokens_path(config))
    exit_with(make_token(tokens, name, valid, user_name(), wall_ms(), typer.echo))


def tokens(
    config: ConfigFile,
    audit: Annotated[
        bool, typer.Option("--audit", help="what was done with them")
    ] = False,
) -> None:
    """List the tokens of the API of alerts, or what was done with them."""
    from alerts.api_tokens import ApiTokens
    from alerts.token_commands import list_tokens

    known = ApiTokens(tokens_path(config))
    timezone = read_config(config).alerts.timezone
    exit_with(list_tokens(known, audit, wall_ms(), timezone, typer.echo))


def withdraw(config: ConfigFile, name: Name) -> None:
    """Withdraw a token of the API of alerts, at once and for good."""
    from alerts.api_tokens import ApiTokens
    from alerts.token_commands import withdraw_token

    tokens = ApiTokens(tokens_path(config))
    exit_with(withdraw_token(tokens, name, user_name(), wall_ms(), typer.echo))


def tokens_path(config: Path) -> Path:
    from alerts.api_tokens import tokens_file

    standing = read_config(config).alerts.standing
    return tokens_file(ensure_folder(standing, "alerts.standing"))
