"""`towpath import`: prints devices and sites from other systems as estate entries."""

from __future__ import annotations

import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from towpath.commands import import_cqd, import_rooms
from towpath.commands.shared import (
    OptionalConfig,
    fail,
    read_config,
    read_estate,
    run_async,
    usage_error,
)

if TYPE_CHECKING:
    from collectors.estate import Estate
    from collectors.importing.imported import Imported

app = typer.Typer(
    no_args_is_help=True,
    help="Import devices and sites from CSV, NetBox or LibreNMS as estate entries, or "
    "streams of calls and meeting rooms from Microsoft's portals.",
)

import_cqd.add_commands(app)
import_rooms.add_commands(app)
Roles = Annotated[
    list[str] | None,
    typer.Option(
        "--role", metavar="THEIRS=OURS", help="access-layer=switch, server=skip"
    ),
]
Out = Annotated[Path | None, typer.Option(help="file to write")]
Diff = Annotated[
    bool, typer.Option("--diff", help="list what is new, different and missing instead")
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
        bool, typer.Option("--new-sites", help="create sites for unknown names")
    ] = False,
    out: Out = None,
    diff: Diff = False,
) -> None:
    """Import devices (rows with an address) and sites from a spreadsheet."""
    from collectors.importing import spreadsheet
    from collectors.importing.rest_client import SourceError

    estate = _load_estate(config)
    try:
        imported = spreadsheet.to_estate(
            spreadsheet.read_rows(file), file, estate, _parse_roles(role), new_sites
        )
    except SourceError as error:
        usage_error([str(error)])
    _write(imported, estate, str(file), out, diff)
    if not (imported.devices or imported.sites or imported.incomplete):
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
    """Import sites, prefixes, devices and circuits from NetBox 3 or 4."""
    from collectors.importing import netbox
    from collectors.importing.rest_client import RestClient, SourceError, read_token

    estate, mapping = _load_estate(config), _parse_roles(role)

    async def fetch() -> netbox.NetBoxData:
        async with RestClient("NetBox", url, netbox.headers(token), ca_file) as api:
            return await netbox.fetch(api)

    try:
        token = read_token(token_file)
        imported = netbox.to_estate(run_async(fetch()), mapping)
    except SourceError as error:
        fail(str(error))
    _write(imported, estate, "NetBox", out, diff)


@app.command()
def librenms(
    url: Url,
    token_file: TokenFile,
    config: OptionalConfig = None,
    credentials_out: Annotated[
        Path | None,
        typer.Option(help="new file of mode 0600 for SNMP credentials not yet known"),
    ] = None,
    role: Roles = None,
    ca_file: CaFile = None,
    out: Out = None,
    diff: Diff = False,
) -> None:
    """Import devices from LibreNMS, with locations as sites; keep credentials apart."""
    from collectors.importing import librenms
    from collectors.importing.rest_client import RestClient, SourceError, read_token
    from collectors.snmp import CredentialError, Credentials

    estate, mapping = _load_estate(config), _parse_roles(role)

    async def fetch() -> librenms.LibreNmsData:
        async with RestClient("LibreNMS", url, librenms.headers(token), ca_file) as api:
            return await librenms.fetch(api)

    try:
        known = Credentials.read(
            None if config is None else read_config(config).snmp.credentials_file
        )
        token = read_token(token_file)
        imported, new_credentials = librenms.to_estate(
            run_async(fetch()), estate, known, mapping, _resolve
        )
        if credentials_out is None:
            librenms.drop_credentials(imported, new_credentials)
        elif new_credentials:
            librenms.write_credentials(credentials_out, new_credentials)
    except CredentialError as error:
        usage_error([str(error)])
    except SourceError as error:
        fail(str(error))
    if new_credentials:
        names = ", ".join(new_credentials)
        imported.remarks.append(
            f"credentials {names} are in {credentials_out}: merge them into your "
            "snmp.credentials_file"
            if credentials_out
            else f"credentials {names} are not known here: --credentials-out FILE "
            "saves them"
        )
    _write(imported, estate, "LibreNMS", out, diff)


def _load_estate(config: Path | None) -> Estate:
    from collectors.estate import Estate

    return Estate() if config is None else read_estate(read_config(config))


def _parse_roles(given: list[str] | None) -> Mapping[str, str]:
    from collectors.estate.estate_model import Role
    from collectors.importing.imported import SKIP
    from probes.wire.catalogue import did_you_mean

    mapping = {}
    known = (*get_args(Role), SKIP)
    for text in given or ():
        theirs, _, ours = text.partition("=")
        if ours not in known:
            hint = did_you_mean(ours, known)
            usage_error(
                [f"--role {text}: expected THEIRS=OURS with {', '.join(known)}{hint}"]
            )
        mapping[theirs.strip().lower()] = ours
    return mapping


def _write(
    imported: Imported, estate: Estate, source: str, out: Path | None, diff: bool
) -> None:
    from collectors.importing.imported import as_diff, as_toml, merge, summary

    merged = merge(imported, estate, source)
    text = as_diff(merged) if diff else as_toml(merged.new)
    if out is None:
        sys.stdout.write(text)
    else:
        try:
            out.write_text(text, encoding="utf-8")
        except OSError as error:
            usage_error([f"{out}: cannot be written: {error.strerror}"])
    for sentence in summary(merged, source):
        typer.echo(sentence, err=True)


def _resolve(host: str) -> str | None:
    try:
        return str(socket.getaddrinfo(host, 161, type=socket.SOCK_DGRAM)[0][4][0])
    except OSError:
        return None
