"""`towpath profile new`: drafts a device profile."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from towpath.commands.option_groups import CredentialOptions, expand_options
from towpath.commands.shared import FirstTimeout, exit_with, usage_error

app = typer.Typer(no_args_is_help=True, help="Write device profiles.")
MibPaths = Annotated[
    list[Path] | None,
    typer.Option(
        "--mibs", help="MIB files, folders of them, or a folder of MIB facts (.tsv.gz)"
    ),
]


@app.callback()
def callback() -> None:
    """Write device profiles."""


@app.command("new")
@expand_options
def new(
    credential: CredentialOptions,
    source: Annotated[str, typer.Argument(metavar="HOST[:PORT]|RECORDING")],
    mibs: MibPaths = None,
    timeout: FirstTimeout = 1.0,
    tries: Annotated[int, typer.Option(min=1)] = 3,
) -> None:
    """Draft a profile of what a device has, or a recording of it, from its MIBs.

    The draft is printed. A recording is a .snmprec file, or the output of snmpwalk -On.
    """
    from collectors.snmp.drafting.drafting_command import draft_from
    from collectors.snmp.drafting.mib_objects import FactsError
    from collectors.snmp.polling.poll_command import (
        WrongTarget,
        credential_from_options,
    )
    from collectors.snmp.session.credentials import CredentialError
    from collectors.snmp.session.session import RetryPolicy

    if not mibs:
        usage_error(
            ["towpath profile new needs --mibs: MIB files of the maker, or MIB facts"]
        )
    try:
        code = draft_from(
            source,
            credential_from_options(credential.given()),
            RetryPolicy.with_backoff(timeout, tries),
            mibs or [],
        )
    except (FactsError, WrongTarget, CredentialError) as error:
        usage_error([str(error)])
    exit_with(code)
