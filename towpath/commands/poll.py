"""`towpath poll`: polls devices now and prints what they answer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from towpath.commands.option_groups import CredentialOptions, expand_options
from towpath.commands.shared import FirstTimeout, exit_with, usage_error


@dataclass(frozen=True)
class _PollCredential(CredentialOptions):
    community: Annotated[
        str | None, typer.Option(help="SNMP v1 or v2c; default: public")
    ] = None
    context: Annotated[str | None, typer.Option(help="SNMPv3 context")] = None


@dataclass(frozen=True)
class _PollTargets:
    targets: Annotated[
        Path | None,
        typer.Option(
            help="CSV of many devices: name,address and port, version, community"
        ),
    ] = None
    at_once: Annotated[int, typer.Option(min=1, help="devices at once")] = 32
    timeout: FirstTimeout = 1.0
    tries: Annotated[int, typer.Option(min=1)] = 3


@dataclass(frozen=True)
class _PollOutput:
    json: Annotated[bool, typer.Option("--json", help="one JSON object")] = False
    jsonl: Annotated[
        bool, typer.Option("--jsonl", help="one JSON object a line (with --targets)")
    ] = False
    explain: Annotated[
        bool,
        typer.Option(
            "--explain",
            help="which profiles apply and why, and the tables that none reads",
        ),
    ] = False
    mibs: Annotated[
        list[Path] | None,
        typer.Option("--mibs", help="MIB files or facts, to name tables in --explain"),
    ] = None


@expand_options
def poll(
    credential: _PollCredential,
    target: _PollTargets,
    output: _PollOutput,
    host: Annotated[
        str | None, typer.Argument(metavar="HOST[:PORT]", show_default=False)
    ] = None,
    profiles: Annotated[
        Path | None, typer.Option(help="folder of your own device profiles")
    ] = None,
) -> None:
    """Poll a device now and print tables or JSON; many devices with --targets."""
    from collectors.snmp.drafting.drafting_command import explain_host
    from collectors.snmp.drafting.mib_objects import FactsError
    from collectors.snmp.polling.poll_command import (
        WrongTarget,
        credential_from_options,
        poll_file,
        poll_host,
    )
    from collectors.snmp.profiles import ProfileError, load
    from collectors.snmp.session.credentials import CredentialError
    from collectors.snmp.session.session import RetryPolicy

    if (host is None) == (target.targets is None):
        usage_error(["towpath poll needs a HOST[:PORT], or --targets FILE.csv"])
    if output.explain and host is None:
        usage_error(["--explain is for one HOST[:PORT]"])
    try:
        known = load(profiles)
        if profiles is not None:
            known.check(profiles)
    except ProfileError as error:
        usage_error(error.findings)
    try:
        if target.targets is not None:
            code = poll_file(
                target.targets,
                at_once=target.at_once,
                timeout_s=target.timeout,
                tries=target.tries,
                profiles=known,
            )
        elif output.explain:
            assert host is not None
            code = explain_host(
                host,
                credential_from_options(credential.given()),
                RetryPolicy.with_backoff(target.timeout, target.tries),
                known,
                output.mibs or [],
            )
        else:
            assert host is not None
            code = poll_host(
                host,
                credential_from_options(credential.given()),
                as_json=output.json or output.jsonl,
                timeout_s=target.timeout,
                tries=target.tries,
                profiles=known,
            )
    except (WrongTarget, CredentialError, FactsError) as error:
        usage_error([str(error)])
    exit_with(code)
