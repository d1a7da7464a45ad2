"""`towpath import`: devices and sites from elsewhere, as lines of the estate."""

from __future__ import annotations

import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from towpath.commands.shared import OptionalConfig, fail, read_config, run_loop, wrong

if TYPE_CHECKING:
    from collectors.estate import Estate
    from collectors.importing.imported import Imported

app = typer.Typer(
    no_args_is_help=True,
    help="Devices and sites from CSV, NetBox or LibreNMS, as lines of the estate.",
)

Roles = Annotated[
    list[str] | None,
    typer.Option(
        "--role", metavar="THEIRS=OURS", help="access-layer=switch, server=skip"
    ),
]
Out = Annotated[Path | None, typer.Option(help="file to write")]
Diff = Annotated[
    bool, typer.Option("--diff", help="say what is new, different and missing instead")
]
Url = Annotated[str, typer.Option("--url", help="https://netbox.example.org")]
TokenFile = Annotated[
    Path, typer.Option("--token-file", help="file whose first line is the API token")
]
CaFile = Annotated[
    Path | None, typer.Option(help="certificate authorities to trust, PEM")
]


@app.command("csv")
def csv_(
    file: Annotated[Path, typer.Argument(help="a spreadsheet saved as CSV")],
    config: OptionalConfig = None,
    role: Roles = None,
    new_sites: Annotated[
        bool, typer.Option("--new-sites", help="make sites of names nobody knows")
    ] = False,
    out: Out = None,
    diff: Diff = False,
) -> None:
    """Devices (a column address) and sites, whatever the columns are called."""
    from collectors.importing import spreadsheet
    from collectors.importing.rest_client import Trouble

    estate = _estate(config)
    try:
        found = spreadsheet.found(
            spreadsheet.read(file), file, estate, _roles(role), new_sites
        )
    except Trouble as trouble:
        wrong([str(trouble)])
    _write(found, estate, str(file), out, diff)
    if not (found.devices or found.sites or found.wanting):
        fail(f"{file}: no row could be used")


@app.command()
def netbox(
    url: Url,
    token_file: TokenFile,
    config: OptionalConfig = None,
    role: Roles = None,
    ca_file: CaFile = None,
    out: Out = None,
    diff: Diff = False,
) -> None:
    """Sites, prefixes, devices and circuits from NetBox 3 or 4."""
    from collectors.importing import netbox
    from collectors.importing.rest_client import Api, Trouble, token_in

    estate, mapping = _estate(config), _roles(role)

    async def read() -> netbox.NetBoxData:
        async with Api("NetBox", url, netbox.headers(token), ca_file) as api:
            return await netbox.read(api)

    try:
        token = token_in(token_file)
        found = netbox.found(run_loop(read()), mapping)
    except Trouble as trouble:
        fail(str(trouble))
    _write(found, estate, "NetBox", out, diff)


@app.command()
def librenms(
    url: Url,
    token_file: TokenFile,
    config: OptionalConfig = None,
    credentials_out: Annotated[
        Path | None,
        typer.Option(help="new file of mode 0600 for SNMP credentials new here"),
    ] = None,
    role: Roles = None,
    ca_file: CaFile = None,
    out: Out = None,
    diff: Diff = False,
) -> None:
    """Devices from LibreNMS, their locations as sites, SNMP credentials apart."""
    from collectors.importing import librenms
    from collectors.importing.rest_client import Api, Trouble, token_in
    from collectors.snmp import CredentialError, Credentials

    estate, mapping = _estate(config), _roles(role)

    async def read() -> librenms.LibreNmsData:
        async with Api("LibreNMS", url, librenms.headers(token), ca_file) as api:
            return await librenms.read(api)

    try:
        known = Credentials.read(
            None if config is None else read_config(config).snmp.credentials_file
        )
        token = token_in(token_file)
        found, fresh = librenms.found(
            run_loop(read()), estate, known, mapping, _resolve
        )
        if credentials_out is None:
            librenms.without_credentials(found, fresh)
        elif fresh:
            librenms.write_credentials(credentials_out, fresh)
    except CredentialError as error:
        wrong([str(error)])
    except Trouble as trouble:
        fail(str(trouble))
    if fresh:
        names = ", ".join(fresh)
        found.said.append(
            f"credentials {names} are in {credentials_out}: put them into the file "
            "that snmp.credentials_file names"
            if credentials_out
            else f"credentials {names} are new here: --credentials-out FILE keeps them"
        )
    _write(found, estate, "LibreNMS", out, diff)


def _estate(config: Path | None) -> Estate:
    from collectors.estate import Estate, EstateError, load

    if config is None:
        return Estate()
    try:
        return load(read_config(config).estate)
    except EstateError as error:
        wrong(error.findings)


def _roles(given: list[str] | None) -> Mapping[str, str]:
    from collectors.estate.estate_model import Role
    from collectors.importing.imported import SKIP
    from probes.wire.catalogue import did_you_mean

    mapping = {}
    known = (*get_args(Role), SKIP)
    for each in given or ():
        theirs, _, ours = each.partition("=")
        if ours not in known:
            hint = did_you_mean(ours, known)
            wrong(
                [f"--role {each}: expected THEIRS=OURS with {', '.join(known)}{hint}"]
            )
        mapping[theirs.strip().lower()] = ours
    return mapping


def _write(
    found: Imported, estate: Estate, source: str, out: Path | None, diff: bool
) -> None:
    from collectors.importing.imported import as_diff, as_toml, merge, summary

    merged = merge(found, estate, source)
    text = as_diff(merged) if diff else as_toml(merged.fresh)
    if out is None:
        sys.stdout.write(text)
    else:
        try:
            out.write_text(text, encoding="utf-8")
        except OSError as error:
            wrong([f"{out}: cannot be written: {error.strerror}"])
    for sentence in summary(merged, source):
        typer.echo(sentence, err=True)


def _resolve(host: str) -> str | None:
    try:
        return str(socket.getaddrinfo(host, 161, type=socket.SOCK_DGRAM)[0][4][0])
    except OSError:
        return None
